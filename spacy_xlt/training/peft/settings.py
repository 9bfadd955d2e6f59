"""What `spacy_xlt.PeftTransformerModel.v1` can be set to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ...errors import error

# Those of peft whose weights can be added to the encoder's own, so that nothing of them is left.
METHODS = ("lora", "dora", "loha", "lokr", "ia3")
PRECISIONS = ("float16", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class PeftSettings:
    """How an encoder is trained. Checks its values.

    method (str | None): One of METHODS, or none to train the encoder's own weights.
    rank (int): Rank of the matrices that are trained. Not used by "ia3".
    alpha (float | None): What the trained matrices are multiplied with is alpha / rank; none for twice the rank.
    dropout (float): Share of the inputs of the trained matrices ("loha" and "lokr": of the matrices) that are dropped
        in training. Not used by "ia3".
    target_modules (Sequence[str] | None): The modules that get trained matrices, by the ends of their names.
    layers (int | None): How many layers of the encoder are used, from the bottom; none for all.
    freeze_embeddings (bool): Whether the embeddings stay as they are.
    freeze_layers (int): How many layers, from the bottom, stay as they are.
    gradient_checkpointing (bool): Whether to compute each layer a second time instead of keeping what is inside it.
    mixed_precision (bool | str): Half precision: on a GPU (true), or by the name of the type.
    RAISES (XltError): E601 for a value that cannot be; E631 where peft is needed and missing.
    """

    method: str | None = None
    rank: int = 8
    alpha: float | None = None
    dropout: float = 0.0
    target_modules: Sequence[str] | None = None
    layers: int | None = None
    freeze_embeddings: bool = False
    freeze_layers: int = 0
    gradient_checkpointing: bool = False
    mixed_precision: bool | str = True

    def __post_init__(self) -> None:
        half = (True, False, *PRECISIONS)
        checks: list[tuple[str, Any, bool, str]] = [
            ("peft", self.method, self.method in (None, *METHODS), f"null or one of {', '.join(METHODS)}"),
            ("rank", self.rank, self.rank >= 1, "a whole number from 1"),
            ("alpha", self.alpha, self.alpha is None or self.alpha > 0, "a number above 0, or null"),
            ("dropout", self.dropout, 0 <= self.dropout < 1, "a share from 0 to below 1"),
            ("layers", self.layers, self.layers is None or self.layers >= 1, "a whole number from 1, or null"),
            ("freeze_layers", self.freeze_layers, self.freeze_layers >= 0, "a whole number from 0"),
            ("mixed_precision", self.mixed_precision, self.mixed_precision in half, "true, false, float16 or bfloat16"),
            ("target_modules", self.target_modules, self.target_modules != [], "a list of names of modules, or null"),
        ]
        for setting, value, fits, expected in checks:
            if not fits:
                raise error("E601", setting=setting, value=value, expected=expected)
        if self.method is not None and find_spec("peft") is None:
            raise error("E631", method=self.method)

    @property
    def scale(self) -> float:
        """The alpha that is used."""
        return float(2 * self.rank if self.alpha is None else self.alpha)
