"""Which words become which, learned from parallel text by the package `sil-thot`, in one direction of reading."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import error, missing_package
from ..io import inside

Keys = Sequence[str]

# The class of sil-thot for a model, and its iterations; None: as many as it asks for
_CLASSES: dict[str, tuple[str, int | None]] = {
    "fast_align": ("FastAlignModel", 5),
    "eflomal": ("EflomalAlignmentModel", None),
}
MODELS = tuple(_CLASSES)
_NULL, _UNKNOWN = 0, 1
# A word pair never seen
_FLOOR = 1e-9
# A link of the best alignment weighs at least so much
_BEST = 0.5
_WORDS_REMEMBERED = 50_000


def thot() -> Any:
    """The package's module of alignment models.

    Raises:
        XltError: E106 where it is not installed.
    """
    try:
        import thot.alignment as module
    except ImportError as err:
        raise missing_package("StatisticalAligner", "sil-thot", "statistical") from err
    return module


class LexicalModel:
    """One direction of a model of the package sil-thot: how likely each target word comes from each source word."""

    def __init__(self, kind: str):
        self.kind = kind
        self._model: Any = None
        self._row = lru_cache(_WORDS_REMEMBERED)(self._translations)
        self._tension = 0.0

    @property
    def limit(self) -> int | None:
        """The most tokens of a side; None where there is no limit in aligning."""
        return None if self.kind == "fast_align" else int(self._model.max_sentence_length)

    def fit(self, pairs: Iterable[tuple[Keys, Keys]]) -> None:
        """Train on sentence pairs, which the model copies."""
        model = self._made()
        for source, target in pairs:
            if max(len(source), len(target)) <= model.max_sentence_length:
                model.add_sentence_pair(source, target, 1)
        model.start_training()
        iterations = _CLASSES[self.kind][1]
        for _ in range(model.scheduled_iterations if iterations is None else iterations):
            model.train()
        model.end_training()
        self._use(model)

    def weights(self, source: Keys, target: Keys) -> NDArray[np.float32]:
        """Probabilities of links: (n_source, n_target), a column sums to 1 at most; the rest is for no word at all.

        eflomal has no probabilities of links in closed form: only those of its best alignment have a weight, at least
        0.5, and the more the surer the words alone are.
        """
        if not source or not target:
            return np.zeros((len(source), len(target)), np.float32)
        words = self._lexical(source, target)
        if self.kind == "fast_align":
            joint = words * self._positions(len(source), len(target))
            return (joint / joint.sum(axis=0))[1:].astype(np.float32)
        alone = (words / words.sum(axis=0))[1:]
        best = self._model.get_best_alignment(list(source), list(target))[1].to_numpy()
        return np.where(best[: len(source), : len(target)], _BEST + (1 - _BEST) * alone, 0).astype(np.float32)

    def dump(self) -> dict[str, bytes]:
        """The trained model as files by name."""
        with tempfile.TemporaryDirectory() as folder:
            self._model.print(os.path.join(folder, "model"))
            return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}

    def load(self, files: dict[str, bytes]) -> None:
        """Read what `dump` gave."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                inside(folder, name).write_bytes(data)
            model = self._made()
            if not files or not model.load(os.path.join(folder, "model")):
                raise error("E361", path="The folder", reason="a part of the model is missing")
        self._use(model)

    def _made(self) -> Any:
        model = getattr(thot(), _CLASSES[self.kind][0])()
        if self.kind == "eflomal":
            model.deterministic = True
            model.seed = 1
        return model

    def _use(self, model: Any) -> None:
        self._model = model
        self._row.cache_clear()
        if self.kind == "fast_align":
            # How much the diagonal is favoured is not told, but follows from the probabilities of two places
            first, last = (model.alignment_prob(1, 2, 2, i) for i in (1, 2))
            self._tension = 2 * math.log(first / last)

    def _translations(self, word: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The target words that a word becomes, in order of their indices, and how likely."""
        index = self._model.get_src_word_index(word) if word else _NULL
        translations = sorted(self._model.get_translations(index, _FLOOR))
        indices, probabilities = ([pair[side] for pair in translations] for side in (0, 1))
        return np.asarray(indices, np.int64), np.asarray(probabilities, np.float64)

    def _lexical(self, source: Keys, target: Keys) -> NDArray[np.float64]:
        """How likely each source word (first row: no word) becomes each target word: (1 + n_source, n_target)."""
        model = self._model
        targets = np.asarray([model.get_trg_word_index(word) for word in target], np.int64)
        rows: dict[str, NDArray[np.float64]] = {}
        # "" stands for no word
        for word in dict.fromkeys(["", *source]):
            indices, probabilities = self._row(word)
            row = np.full(len(target), _FLOOR)
            if len(indices):
                place = np.minimum(np.searchsorted(indices, targets), len(indices) - 1)
                listed = indices[place] == targets
                row[listed] = np.maximum(probabilities[place][listed], _FLOOR)
            if word and model.get_src_word_index(word) == _UNKNOWN:
                # A name or number that was never seen is the same on both sides
                row[[t == _UNKNOWN and word == other for t, other in zip(targets, target, strict=True)]] = 1.0
            rows[word] = row
        return np.stack([rows[word] for word in ["", *source]])

    def _positions(self, m: int, n: int) -> NDArray[np.float64]:
        """How likely a target place comes from each source place (first row: from none): (1 + m, n)."""
        # Dyer, Chahuneau & Smith 2013, equation 1
        source, target = np.arange(1, m + 1) / m, np.arange(1, n + 1) / n
        near = np.exp(-self._tension * np.abs(source[:, None] - target))
        none = float(self._model.fast_align_p0)
        return np.concatenate([np.full((1, n), none), (1 - none) * near / near.sum(axis=0)])
