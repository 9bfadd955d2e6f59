"""Scoring the intents of commands, and intents with their slots; the F1 of slots is that of entities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spacy.tokens import Doc

from ..bitext import ENTS
from .spans import spans_of


def score_intents(predicted: Iterable[Doc], golds: Iterable[Doc], key: str = ENTS) -> dict[str, Any]:
    """Compare the categories of documents, and categories and spans together, with gold ones.

    Args:
        key: "ents", or the span group that has the slots.

    Returns:
        `intent_accuracy`: the share of documents with the right categories: those of at least 0.5, or the best one.
        `intents_and_slots`: the share of those with exactly the right spans as well. `intents`: the number of documents
        whose gold has categories; the others do not count. The shares are None without one.
    """
    right, both, n = 0, 0, 0
    for doc, gold in zip(predicted, golds, strict=True):
        if gold.cats:
            n += 1
            is_right = chosen(doc.cats) == chosen(gold.cats)
            ours, theirs = ({(s.start, s.end, s.label_) for s in spans_of(one, key)} for one in (doc, gold))
            right += is_right
            both += is_right and ours == theirs
    shares = {"intent_accuracy": right, "intents_and_slots": both}
    return {**{name: count / n if n else None for name, count in shares.items()}, "intents": n}


def chosen(cats: Mapping[str, float]) -> frozenset[str]:
    """The categories that a document has: those of at least 0.5, or the best one where none is."""
    likely = frozenset(name for name, score in cats.items() if score >= 0.5)
    return likely or frozenset(sorted(cats, key=lambda name: -cats[name])[:1])
