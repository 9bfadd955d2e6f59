"""Cut texts that are too long for the model where it hurts least."""

from __future__ import annotations

from .vocab import Pieces

_SENTENCE_END = frozenset(".!?…。！？।؟۔")
_CLAUSE_END = frozenset(",;:—–)、，；：،")


def split_pieces(pieces: Pieces, text: str, *, limit: int) -> list[Pieces]:
    """Cut a text's pieces into parts of at most `limit` pieces.

    The cuts are at the last end of a sentence in the second half of what fits, else at the last comma or the like,
    else at the last space, else between any two pieces.

    RETURNS (list[Pieces]): All pieces, in order; the whole where it fits, nothing for no pieces.
    """
    parts = []
    while len(pieces) > limit:
        candidates = range(max(1, limit // 2), limit + 1)
        cut = max(candidates, key=lambda i: (_quality(pieces, text, i), i))
        parts.append(pieces[:cut])
        pieces = pieces[cut:]
    if len(pieces):
        parts.append(pieces)
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
