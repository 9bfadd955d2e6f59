"""Parallel text as word pieces, and the batches of every step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...device import batches_by_length
from ...links import Alignment
from ...protocols import TokenPair
from ..encoder import Encoder

# Pairs of so many batches are sorted by length together.
_POOL = 64
# Distinct words whose pieces are remembered while reading.
_WORDS_REMEMBERED = 200_000


@dataclass(frozen=True)
class Side:
    """One side of a sentence pair.

    pieces (int32, (n_pieces,)): Ids, without special pieces.
    words (int32, (n_pieces,)): Which word each belongs to.
    """

    pieces: NDArray[np.int32]
    words: NDArray[np.int32]


@dataclass
class ParallelPieces:
    """Sentence pairs as word pieces, all in memory: 8 bytes a piece.

    pairs (list[tuple[Side, Side]]): The pairs kept.
    links (list[int32, (n, 2)] | None): The links of each to learn from, where they are given.
    read, empty, long (int): Pairs read, and those left out for an empty side or one of too many pieces.
    """

    pairs: list[tuple[Side, Side]] = field(default_factory=list)
    links: list[NDArray[np.int32]] | None = None
    read: int = 0
    empty: int = 0
    long: int = 0

    @classmethod
    def of(
        cls, pairs: Iterable[tuple[TokenPair, Alignment | None]], encoder: Encoder, *, max_pieces: int
    ) -> ParallelPieces:
        """Cut sentence pairs into pieces.

        pairs: Tokens of both sides, and links where they are known.
        max_pieces (int): The most pieces of a side.
        """
        made = cls()
        known: dict[str, list[int]] = {}
        for tokens, alignment in pairs:
            made.read += 1
            if len(known) > _WORDS_REMEMBERED:
                known.clear()
            known.update(encoder.pieces(word for side in tokens for word in side if word not in known))
            source, target = (_side(side, known) for side in tokens)
            if not len(source.pieces) or not len(target.pieces):
                made.empty += 1
            elif max(len(source.pieces), len(target.pieces)) > max_pieces:
                made.long += 1
            else:
                made.pairs.append((source, target))
                if alignment is not None:
                    made.links = made.links or []
                    made.links.append(alignment.check(*map(len, tokens)).links)
        return made

    def vocabulary(self) -> NDArray[np.int64]:
        """The distinct pieces, sorted."""
        seen: set[int] = set()
        for pair in self.pairs:
            for side in pair:
                seen.update(side.pieces.tolist())
        return np.asarray(sorted(seen), np.int64)

    def lengths(self) -> NDArray[np.int64]:
        """Pieces of the longer side of each pair, special ones not counted."""
        return np.asarray([max(len(a.pieces), len(b.pieces)) for a, b in self.pairs], np.int64)


class Schedule:
    """Which pairs are in the batch of which step: every pair once an epoch, in an order that the seed fixes.

    lengths (int, (n_pairs,)): Pieces of the longer side of each pair, special ones counted.
    batch_tokens (int): The most pieces of a batch, both sides and padding counted.
    seed (int): Fixes the order.
    """

    def __init__(self, lengths: NDArray[np.int64], *, batch_tokens: int, seed: int):
        self._lengths = lengths
        self._batch_tokens = batch_tokens
        self._seed = seed
        self._epoch = -1
        self._first = 0
        self._batches: list[list[int]] = []

    def batch(self, step: int) -> list[int]:
        """The pairs of a step, which is no smaller than that of the last call."""
        while step >= self._first + len(self._batches):
            self._first += len(self._batches)
            self._epoch += 1
            self._batches = self._shuffled()
        return self._batches[step - self._first]

    def _shuffled(self) -> list[list[int]]:
        random = np.random.default_rng([self._seed, self._epoch])
        order = random.permutation(len(self._lengths))
        mean = max(1.0, float(self._lengths.mean()))
        pool = max(1, int(_POOL * self._batch_tokens / (2 * mean)))
        batches: list[list[int]] = []
        for start in range(0, len(order), pool):
            indices = order[start : start + pool]
            lengths = self._lengths[indices].tolist()
            found = batches_by_length(lengths, batch_tokens=max(1, self._batch_tokens // 2))
            batches.extend([int(indices[i]) for i in batch] for batch in found)
        return [batches[i] for i in random.permutation(len(batches))]


def _side(words: Sequence[str], known: dict[str, list[int]]) -> Side:
    pieces = [piece for word in words for piece in known[word]]
    counts = [len(known[word]) for word in words]
    return Side(np.asarray(pieces, np.int32), np.repeat(np.arange(len(words), dtype=np.int32), counts))
