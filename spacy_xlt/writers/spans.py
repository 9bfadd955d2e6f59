"""What several formats need: the spans of a document, pairs of them, and texts on one line."""

from __future__ import annotations

import re
from typing import Any

from spacy.tokens import Doc, Span

from ..bitext import is_annotation
from ..docs import META
from ..span_links import get_links, span_at

_LINE_ENDS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


def spans_once(doc: Doc) -> list[Span]:
    """The entities and the spans of all groups, in order of the text; what is in several groups comes once.

    Of those the first one with an identifier is taken.
    """
    found: dict[tuple[int, int, str], Span] = {}
    groups = [doc.ents, *(group for key, group in doc.spans.items() if is_annotation(key))]
    for span in (span for group in groups for span in group):
        place = place_of(span)
        if place not in found or (span.kb_id and not found[place].kb_id):
            found[place] = span
    return sorted(found.values(), key=lambda span: (span.start, span.end, span.label_))


def place_of(span: Span) -> tuple[int, int, str]:
    """What tells a span from others of its document."""
    return span.start, span.end, span.label_


def pairs(doc: Doc) -> list[tuple[Span, Span, str | None]]:
    """Head, child and label of each link.

    Without a link, the two spans of a group that has just two are a pair with the label None, where it is known that
    no link was lost.
    """
    links = get_links(doc)
    if links.links:
        return [(span_at(doc, link.head), span_at(doc, link.child), link.label) for link in links.links]
    groups = [group for key, group in doc.spans.items() if is_annotation(key)]
    if links.complete and len(groups) == 1 and len(groups[0]) == 2:
        return [(groups[0][0], groups[0][1], None)]
    return []


def one_line(text: str) -> str:
    """A text with a space for each tab and line end, so that offsets stay."""
    return _LINE_ENDS.sub(" ", text)


def meta_of(doc: Doc) -> dict[str, Any]:
    """What the corpus says of a document."""
    meta = doc.user_data.get(META)
    return meta if isinstance(meta, dict) else {}
