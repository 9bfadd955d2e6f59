"""Pairs of sentences side by side in padded arrays, which is what signals read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...links import Alignment
from ...protocols import Tokens

Cells = NDArray[np.float32]


@dataclass(frozen=True)
class Side:
    """One sentence, as far as signals need to know it.

    tokens (Tokens): Its words.
    vectors (dict[int, float32, (n_words, dim)]): For each layer a unit vector a word, zeros for words without pieces.
    pieces (int64, (n_words,)): How many pieces each word has.
    rarity (float32, (n_words,)): How far down a vocabulary sorted by frequency its piece stands, from 0 to 1; 1 for
        words of several pieces.
    """

    tokens: Tokens
    vectors: Mapping[int, NDArray[np.float32]]
    pieces: NDArray[np.int64]
    rarity: NDArray[np.float32]


class PairBatch:
    """Pairs of sentences, padded to the longest on each side.

    pairs (Sequence[tuple[Side, Side]]): The sentences.
    known (Sequence[Mapping[str, Alignment]]): What else is known of each pair, by the names of signals: the attention
        of a translator, the links of another aligner. None where nothing is known of any.

    ATTRIBUTES:
        shape (tuple[int, int, int]): Pairs, source words, target words; padding counted.
        mask (bool, shape): The cells that two words with text share.
        first (float32, shape): The probabilities of the first pass, for signals of the second; 0 before it.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Side, Side]],
        known: Sequence[Mapping[str, Alignment]] = (),
    ):
        self.sources = [source for source, _ in pairs]
        self.targets = [target for _, target in pairs]
        self.known = known
        n = max(len(side.tokens) for side in self.sources)
        m = max(len(side.tokens) for side in self.targets)
        self.shape = (len(pairs), n, m)
        has_source = self.of_source(lambda side: side.pieces > 0, 0) > 0
        has_target = self.of_target(lambda side: side.pieces > 0, 0) > 0
        self.mask: NDArray[np.bool_] = has_source & has_target
        self.first = np.zeros(self.shape, np.float32)
        self._kept: dict[object, Cells] = {}

    def keep(self, key: object, make: Callable[[], Cells]) -> Cells:
        """What `make` gives, computed once for this batch."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def of_source(self, value: Callable[[Side], Sequence[float] | NDArray[np.generic]], fill: float) -> Cells:
        """A number for each source word: (pairs, n_source, 1), `fill` in the padding."""
        return _padded([value(side) for side in self.sources], self.shape[1], fill)[:, :, None]

    def of_target(self, value: Callable[[Side], Sequence[float] | NDArray[np.generic]], fill: float) -> Cells:
        """A number for each target word: (pairs, 1, n_target), `fill` in the padding."""
        return _padded([value(side) for side in self.targets], self.shape[2], fill)[:, None, :]

    def of_pairs(self, name: str) -> Cells:
        """The scores of what is known by a name, 0 where it has no link: `shape`. NaN for pairs without it.

        Where no pair has it: (1, 1, 1).
        """
        return self.keep(("known", name), lambda: self._scores(name))

    def _scores(self, name: str) -> Cells:
        if not any(name in known for known in self.known):
            return np.full((1, 1, 1), np.nan, np.float32)
        result = np.full(self.shape, np.nan, np.float32)
        for cells, known in zip(result, self.known, strict=True):
            if name in known:
                cells[...] = 0
                cells[known[name].links[:, 0], known[name].links[:, 1]] = known[name].scores
        return result

    @cached_property
    def lengths(self) -> tuple[Cells, Cells]:
        """The words of each source and each target: (pairs, 1, 1)."""
        sizes = [[len(side.tokens) for side in sides] for sides in (self.sources, self.targets)]
        source, target = np.asarray(sizes, np.float32)[:, :, None, None]
        return source, target


def products(batch: PairBatch, vectors: Callable[[Side], NDArray[np.float32]]) -> Cells:
    """The dot products of all source words with all target words of each pair; 0 in the padding."""
    result = np.zeros(batch.shape, np.float32)
    for cells, source, target in zip(result, batch.sources, batch.targets, strict=True):
        np.matmul(vectors(source), vectors(target).T, out=cells[: len(source.tokens), : len(target.tokens)])
    return result


def _padded(rows: Sequence[Sequence[float] | NDArray[np.generic]], length: int, fill: float) -> Cells:
    result = np.full((len(rows), length), fill, np.float32)
    for row, values in zip(result, rows, strict=True):
        row[: len(values)] = values
    return result
