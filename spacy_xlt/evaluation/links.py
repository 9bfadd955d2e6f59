"""Scoring links between spans: right are those whose ends and label are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from spacy.tokens import Doc

from ..span_links import End, get_links, span_at

# Start and end of the head, of the child, and the label
LinkKey = tuple[int, int, int, int, str]


def link_keys(doc: Doc) -> Counter[LinkKey]:
    """The links of a document by the tokens of their ends and their label."""

    def place(end: End) -> tuple[int, int]:
        span = span_at(doc, end)
        return span.start, span.end

    links = get_links(doc).links
    return Counter((*place(link.head), *place(link.child), link.label) for link in links)


def score_links(predicted: Iterable[Doc], golds: Iterable[Doc]) -> dict[str, Any]:
    """Compare the links of documents with gold ones.

    Returns:
        `links_p`, `links_r`, `links_f`: fractions, of links with both ends and the label exact, head and child not
        exchanged. `links_per_type`: the same by label, under "p", "r", "f". `links_ends_r`: the share of gold links
        between whose ends there is one, with whatever label and in whichever direction. `links` and `links_gold`:
        their numbers. A score is None where there is nothing to divide by.
    """
    right: Counter[str] = Counter()
    made: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    joined = 0
    for doc, gold in zip(predicted, golds, strict=True):
        ours, theirs = link_keys(doc), link_keys(gold)
        for counts, keys in ((made, ours), (wanted, theirs), (right, ours & theirs)):
            for key, n in keys.items():
                counts[key[-1]] += n
        pairs = {frozenset((key[:2], key[2:4])) for key in ours}
        joined += sum(n for key, n in theirs.items() if frozenset((key[:2], key[2:4])) in pairs)
    n_gold = wanted.total()
    labels = sorted({*made, *wanted})
    return {
        **{f"links_{name}": value for name, value in _prf(right.total(), made.total(), n_gold).items()},
        "links_per_type": {label: _prf(right[label], made[label], wanted[label]) for label in labels},
        "links_ends_r": joined / n_gold if n_gold else None,
        "links": made.total(),
        "links_gold": n_gold,
    }


def _prf(right: int, made: int, wanted: int) -> dict[str, float | None]:
    return {
        "p": right / made if made else None,
        "r": right / wanted if wanted else None,
        "f": 2 * right / (made + wanted) if made + wanted else None,
    }
