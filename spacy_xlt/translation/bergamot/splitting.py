"""Cut texts and given pairs that are too long for the model where it hurts least."""

from __future__ import annotations

from dataclasses import dataclass

from .vocab import Pieces

# A full stop after fewer pieces is likely to be that of an abbreviation
_SHORTEST = 8
_SENTENCE_END = frozenset(".!?…。！？।؟۔")
_CLAUSE_END = frozenset(",;:—–)、，；：،")


def split_pieces(pieces: Pieces, text: str, *, limit: int) -> list[Pieces]:
    """Cut a text's pieces into parts of at most `limit` pieces.

    What is too long is cut at every end of a sentence, because small models leave out some of many sentences. A
    sentence that is too long by itself is cut in the second half of what fits: at the last comma or the like, else
    at the last space, else between any two pieces.

    RETURNS (list[Pieces]): All pieces, in order; the whole where it fits, nothing for no pieces.
    """
    if len(pieces) <= limit:
        return [pieces] if len(pieces) else []
    parts = []
    while len(pieces):
        fitting = range(min(_SHORTEST, limit), min(limit + 1, len(pieces)))
        cut = next((i for i in fitting if _quality(pieces, text, i) == 3), len(pieces))
        if cut > limit:
            cut = max(range(max(1, limit // 2), limit + 1), key=lambda i: (_quality(pieces, text, i), i))
        parts.append(pieces[:cut])
        pieces = pieces[cut:]
    return parts


def _quality(pieces: Pieces, text: str, cut: int) -> int:
    """How good it is to cut before this piece: 3 for the end of a sentence, 0 for the middle of a word."""
    before, after = int(pieces.spans[cut - 1, 1]), int(pieces.spans[cut, 0])
    spaced = before < after and text[before:after].isspace()
    last = text[before - 1 : before]
    # Scripts without spaces have punctuation of their own, which is always an end; "3.5" is none
    ends = spaced or not last.isascii()
    if ends and last in _SENTENCE_END:
        return 3
    if ends and last in _CLAUSE_END:
        return 2
    return int(spaced)


@dataclass(frozen=True)
class Window:
    """A part of a given pair that is run at once: which pair, and ranges of its pieces."""

    pair: int
    source: slice
    target: slice

    @property
    def length(self) -> int:
        """Pieces of its longer side."""
        return max(self.source.stop - self.source.start, self.target.stop - self.target.start)


def windows_of(pair: int, n_source: int, n_target: int, *, limit: int) -> list[Window]:
    """Cut a given pair that is longer than `limit` pieces on one side.

    Each part of the target goes with the part of the source at the same relative place and half as much again on
    either side of it. Together the windows cover every target piece once.
    """
    longer = max(n_source, n_target)
    if longer <= limit:
        return [Window(pair, slice(0, n_source), slice(0, n_target))]
    n_parts = -(-2 * longer // limit)
    windows = []
    for k in range(n_parts):
        target = slice(k * n_target // n_parts, (k + 1) * n_target // n_parts)
        start = max(0, (2 * k - 1) * n_source // (2 * n_parts))
        stop = min(n_source, -(-(2 * k + 3) * n_source // (2 * n_parts)))
        # An empty target has its end mark
        if target.start < target.stop or k == n_parts - 1:
            windows.append(Window(pair, slice(start, stop), target))
    return windows
