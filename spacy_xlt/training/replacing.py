"""A document with other words in some places, more or fewer of them, and its annotation where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from spacy.tokens import Doc, Span, SpanGroup


class Replacement(NamedTuple):
    """Words that take the place of the tokens `[start, end)` of a document.

    spaces (Sequence[bool]): Whether white space follows each word; of the last one, the old text's counts.
    missing (Sequence[bool]): Which of the words have no entity annotation.
    """

    start: int
    end: int
    words: Sequence[str]
    spaces: Sequence[bool]
    missing: Sequence[bool]


def replaced(
    doc: Doc, replacements: Sequence[Replacement], *, start_of: Callable[[Span], int] = attrgetter("start")
) -> Doc:
    """A copy of a document with other words in some places; sentences, entities and span groups are kept.

    replacements (Sequence[Replacement]): In order, without overlap, and without the end of an entity or span inside.
    start_of (Callable[[Span], int]): The token of the old document that an entity or span is to begin with.
    """
    words, spaces, unknown, place = _put_together(doc, replacements)
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        begin = {place[token.i] for token in doc if token.is_sent_start}
        starts = [i in begin for i in range(len(words))]
    copy = Doc(doc.vocab, words=words, spaces=spaces, sent_starts=starts)
    copy.cats = dict(doc.cats)

    def moved(span: Span) -> Span:
        start, end = place[start_of(span)], place[span.end]
        return Span(copy, start, end, label=span.label, kb_id=span.kb_id, span_id=span.id)

    if doc.has_annotation("ENT_IOB"):
        missing = [copy[i : i + 1] for i, is_unknown in enumerate(unknown) if is_unknown]
        copy.set_ents([moved(ent) for ent in doc.ents], missing=missing, default="outside")
    for key, group in doc.spans.items():
        copy.spans[key] = SpanGroup(copy, name=key, attrs=dict(group.attrs), spans=[moved(span) for span in group])
    return copy


def _put_together(doc: Doc, replacements: Sequence[Replacement]) -> tuple[list[str], list[bool], list[bool], list[int]]:
    """The new words, whether space follows each, whether each is unknown, and the new place of each old one.

    Tokens inside a replacement, after its first, have the place behind it.
    """
    begin: dict[int, Replacement] = {item.start: item for item in replacements}
    skipped = (0, 0)
    pieces: list[tuple[list[str], list[bool], list[bool]]] = []
    for token in doc:
        if token.i in begin:
            item = begin[token.i]
            skipped = item.start, item.end
            last = bool(doc[item.end - 1].whitespace_)
            pieces.append((list(item.words), [*item.spaces[:-1], last], list(item.missing)))
        elif skipped[0] <= token.i < skipped[1]:
            pieces.append(([], [], []))
        else:
            pieces.append(([token.text], [bool(token.whitespace_)], [token.ent_iob == 0]))
    words = [word for piece in pieces for word in piece[0]]
    spaces = [space for piece in pieces for space in piece[1]]
    unknown = [missing for piece in pieces for missing in piece[2]]
    place = [0, *accumulate(len(piece[0]) for piece in pieces)]
    return words, spaces, unknown, place
