"""Texts with their labels, in two columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc

from .spans import one_line


def texts_entries(docs: Iterable[Doc], left_out: Counter[str]) -> Iterator[str]:
    """A line `text<TAB>label` for each document; several labels, all categories of at least 0.5, with bars between."""
    for doc in docs:
        labels = [one_line(label) for label, score in doc.cats.items() if score >= 0.5]
        if labels and doc.text.strip():
            yield f"{one_line(doc.text)}\t{'|'.join(labels)}\n"
        else:
            left_out["documents without a label"] += 1
