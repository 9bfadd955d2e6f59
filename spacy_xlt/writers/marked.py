"""Relations in marked text, as SemEval and RELX have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc, Span

from ..readers.marked import MARKS
from .spans import meta_of, one_line, pairs

_NO_RELATION = "Other"


def marked_entries(docs: Iterable[Doc], left_out: Counter[str]) -> Iterator[str]:
    """A text in quotation marks for each pair of spans, with their relation on the next line.

    Spans that are labelled "e1" and "e2" keep these names; else the first one in the text is e1.
    """
    for doc in docs:
        found = pairs(doc)
        for head, child, label in found:
            first, second = sorted((head, child), key=lambda span: (span.start, span.end))
            if {head.label_, child.label_} == set(MARKS):
                first, second = sorted((head, child), key=lambda span: span.label_)
            names = MARKS if head is first else MARKS[::-1]
            meta = meta_of(doc)
            said = str(meta.get("relation", _NO_RELATION)) if label is None else f"{label}({names[0]},{names[1]})"
            id = f"{meta['id']}\t" if meta.get("id") else ""
            yield f'{id}"{_marked(doc, first, second)}"\n{one_line(said)}\n'
        if not found:
            left_out["documents without a pair of spans"] += 1


def _marked(doc: Doc, first: Span, second: Span) -> str:
    text = one_line(doc.text)
    marks = [(span.end_char, 0, f"</{name}>") for span, name in zip((first, second), MARKS, strict=True)]
    marks += [(span.start_char, 1, f"<{name}>") for span, name in zip((first, second), MARKS, strict=True)]
    # From the end, so that offsets stay; where one span ends the other one begins behind it
    for at, _, mark in sorted(marks, reverse=True):
        text = text[:at] + mark + text[at:]
    return text
