"""`BergamotTranslator`: translate, score and align with Firefox Translations models, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...engine import invalid_setting, setting
from ...errors import error
from ...languages import to_spacy
from ..neural import DirectionModel, Hypothesis, Ids, NeuralTranslator
from ..subwords import SentencePieceCodec
from .files import BUNDLED_PACKAGE, ModelFolder, bundled_models, find_models, read_model
from .shortlist import read_shortlist

if TYPE_CHECKING:
    import torch

    from .decoding import Padded

_UNBOUNDED = 1 << 20


@dataclass(kw_only=True, eq=False)
class BergamotTranslator(NeuralTranslator):
    """Marian's tiny transformers, as Firefox translates pages with them. White space counts as a single space.

    Args:
        models: A folder of a Firefox Translations model, or a folder of such folders, which are named for their
            languages ("enpt", "en-pt-tiny"); the bundled English-Portuguese ones where left out.
        max_pieces: As `NeuralTranslator` has it. The models are made for sentences and lose the thread of longer texts.
        shortlist: Choose among the pieces that the model's lexical shortlist names, which is faster.
        precision: "float32"; "int8", as Marian computes, on a CPU only; "auto" is "int8" where that works. A model
            whose file lacks the scales for it runs in 32-bit floats, and so does `score`.

    Raises:
        XltError: E150 for an invalid setting.
    """

    extra: ClassVar[str | None] = "bundled"

    models: str | None = None
    batch_tokens: int = setting(2048, ge=1, decides=False)
    max_pieces: int = setting(96, ge=2)
    shortlist: bool = True
    precision: str = setting("auto", choices=("auto", "float32", "int8"))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._model_folders: dict[tuple[str, str], ModelFolder] | None = None

    def details(self) -> dict[str, Any]:
        """The name of the model folder alone, or the version of the package that brings the models."""
        if self.models is not None:
            return {"models": Path(self.models).name}
        try:
            return {"models": f"{BUNDLED_PACKAGE}-{version(BUNDLED_PACKAGE)}"}
        except PackageNotFoundError:
            return {"models": BUNDLED_PACKAGE}

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions there are models for, as spaCy's codes.

        Raises:
            XltError: E106 where the bundled models are not installed, E210 where the folder has no model.
        """
        return sorted(self._folders())

    def load(self, source: str, target: str, *, device: Any, exact: bool) -> DirectionModel:
        """As `NeuralTranslator.load`.

        Raises:
            XltError: E201 for an unknown direction; E210, E211, E212 for unusable models, E106 for missing ones; E150
                where `precision` asks for 8-bit integers that cannot be.
        """
        from .network import int8_works

        folders = self._folders()
        languages = to_spacy(source), to_spacy(target)
        if languages not in folders:
            known = ", ".join(f"{s} to {t}" for s, t in sorted(folders))
            raise error("E201", engine=type(self).__name__, source=source, target=target, known=known)
        has_int8 = device.type == "cpu" and int8_works()
        if self.precision == "int8" and not has_int8:
            expected = "auto or float32 here: this device or build of PyTorch lacks the 8-bit products"
            raise invalid_setting(type(self).__name__, "precision", "int8", expected)
        int8 = has_int8 and not exact and self.precision != "float32"
        key = (*languages, int8, device)
        if key not in self._loaded:
            self._loaded[key] = BergamotModel(folders[languages], int8=int8, shortlist=self.shortlist, device=device)
        return self._loaded[key]

    def _folders(self) -> dict[tuple[str, str], ModelFolder]:
        if self._model_folders is None:
            self._model_folders = find_models(bundled_models() if self.models is None else Path(self.models))
        return self._model_folders


class BergamotModel:
    """The network, the vocabularies and the shortlist of one direction; see `DirectionModel`.

    Args:
        int8: Compute in 8-bit integers, if the model's file has what that needs.
        shortlist: Whether to use the lexical shortlist.

    Raises:
        XltError: E211 for unusable files, E212 for an architecture that is not implemented.
    """

    # The end mark
    n_marks = 1
    max_pieces = _UNBOUNDED

    def __init__(self, folder: ModelFolder, *, int8: bool, shortlist: bool, device: torch.device):
        from .network import MarianNetwork

        file = read_model(folder.model)
        self.device = device
        self.network = MarianNetwork(file, int8=int8 and file.is_int8, device=device)
        self.source = self.target = SentencePieceCodec(folder.source_vocab)
        if folder.target_vocab != folder.source_vocab:
            self.target = SentencePieceCodec(folder.target_vocab)
        self.network.check_vocabularies(len(self.source), len(self.target))
        self._shortlist = None
        if shortlist and folder.shortlist is not None:
            sizes = {"n_source": len(self.source), "n_target": len(self.target)}
            self._shortlist = read_shortlist(folder.shortlist, **sizes)

    def search(self, sources: Sequence[Ids], limits: NDArray[np.int64]) -> list[Hypothesis]:
        """As `DirectionModel.search`."""
        from .decoding import greedy_search

        padded = self._pad(sources)
        allowed = None
        if self._shortlist is not None:
            allowed = self._shortlist.allowed(
                [ids[:n] for ids, n in zip(padded.ids, padded.lengths, strict=True)],
                shared=self.source is self.target,
                n_target=len(self.target),
                always=self.target.eos,
                never=self.target.unk,
            )
        marks = {"eos": self.target.eos, "unk": self.target.unk}
        return greedy_search(self.network, padded, limits, **marks, allowed=allowed)

    def force(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """As `DirectionModel.force`."""
        from .decoding import forced_log_probs

        return forced_log_probs(self.network, self._pad(sources), self._pad(targets, self.target))

    def attend(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """As `DirectionModel.attend`, by the head that was trained to align."""
        from .decoding import forced_attention

        return forced_attention(self.network, self._pad(sources), self._pad(targets, self.target))

    def _pad(self, rows: Sequence[Ids], codec: SentencePieceCodec | None = None) -> Padded:
        from .decoding import Padded

        return Padded.pad(rows, (codec or self.source).eos)
