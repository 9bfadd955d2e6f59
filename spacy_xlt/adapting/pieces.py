"""Sentence pairs as pieces, for the objectives that learn from parallel text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import error
from ..links import Alignment
from .model import AdaptedModel, Side
from .texts import Pair


class ParallelPieces:
    """Sentence pairs as pieces, all in memory: 8 bytes a piece.

    Attributes:
        sides: Both sides of the pairs kept.
        links: Their word links, where they have some.
        n_read: All pairs read.
        lengths: Pieces of both sides of each, special ones counted, as if each had those of the longer: (n_pairs,).

    Raises:
        XltError: E354 where no pair is left, with `what` they are, the number of those read, and what they were to be
            `having`.
    """

    def __init__(
        self,
        pairs: Iterable[Pair],
        model: AdaptedModel,
        *,
        what: str = "The parallel text",
        having: str = "text on both sides",
    ):
        self.what = what
        self.sides: list[tuple[Side, Side]] = []
        self.links: list[Alignment | None] = []
        self.n_read = 0
        for pair in pairs:
            self.n_read += 1
            source, target = model.side(pair.source), model.side(pair.target)
            if source is not None and target is not None:
                self.sides.append((source, target))
                self.links.append(pair.links)
        self._special = model.special
        self.keep(range(len(self.sides)), f"{having} of at most {model.max_pieces} pieces")

    def keep(self, indices: Sequence[int], having: str) -> None:
        """Leave out all pairs but some; E354 where there are none, with what they were to have."""
        if not len(indices):
            raise error("E354", path=self.what, reason=f"{self.n_read} read, none with {having}")
        self.sides = [self.sides[i] for i in indices]
        self.links = [self.links[i] for i in indices]
        longest = [max(len(ids) for ids, _ in pair) + self._special for pair in self.sides]
        self.lengths: NDArray[np.int64] = 2 * np.asarray(longest, np.int64)


def word_keys(side: Side) -> list[bytes]:
    """The pieces of each word of a sentence that has some, as bytes: 4 a piece."""
    ids, owners = side
    return [part.tobytes() for part in np.split(ids, np.flatnonzero(np.diff(owners)) + 1)]
