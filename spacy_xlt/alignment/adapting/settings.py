"""The settings of an adaptation, checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...errors import error

_WHOLE = {"layer": 1, "steps": 1, "batch_tokens": 16, "max_pieces": 2, "warmup": 0, "checkpoint_every": 1, "seed": 0}
_NUMBERS = ("learning_rate", "self_training", "tlm", "temperature")


@dataclass(frozen=True, kw_only=True)
class AdaptingSettings:
    """What an adaptation does.

    model (str): A model folder, a Hugging Face name, or "bundled:NAME".
    layer (int): The layer whose vectors will be compared. It and those below are adapted, those above left out.
    steps (int): Batches to learn from.
    batch_tokens (int): Word pieces a batch, both sides and padding counted.
    learning_rate (float): Of AdamW, after `warmup` steps; then it falls to 0 in a line.
    warmup (int): Steps in which the learning rate rises.
    self_training (float): Weight of self-training on mutual links; 0 for none.
    tlm (float): Weight of translation language modelling; 0 for none.
    temperature (float): What the cosines are divided by, as in `EmbeddingAligner`.
    threshold (float): What a link must exceed to be learned from, as in `EmbeddingAligner`.
    max_pieces (int): Sentences with more word pieces are left out.
    max_pairs (int | None): The most sentence pairs to read.
    checkpoint_every (int): Steps after which the state is saved, to go on from there after an interruption.
    seed (int): Of everything random.
    RAISES (XltError): E351 for a setting that cannot be.
    """

    model: str = "bundled:encoder"
    layer: int = 6
    steps: int = 300
    batch_tokens: int = 1024
    learning_rate: float = 5e-5
    warmup: int = 30
    self_training: float = 1.0
    tlm: float = 0.0
    temperature: float = 0.05
    threshold: float = 0.3
    max_pieces: int = 128
    max_pairs: int | None = None
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            self._check(name, _is_whole(getattr(self, name), least), f"a whole number from {least}")
        for name in _NUMBERS:
            self._check(name, getattr(self, name) >= 0, "a number from 0")
        self._check("temperature", self.temperature > 0, "a number above 0")
        self._check("threshold", 0 <= self.threshold < 1, "a number from 0 to below 1")
        self._check("max_pairs", self.max_pairs is None or _is_whole(self.max_pairs, 1), "a whole number from 1")
        if not self.self_training and not self.tlm:
            raise error("E351", setting="self_training and tlm", value=0, expected="one of them above 0")

    def _check(self, name: str, right: bool, expected: str) -> None:
        if not right:
            raise error("E351", setting=name, value=getattr(self, name), expected=expected)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
