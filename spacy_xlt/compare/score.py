"""Scores of stored predictions: exact spans as spaCy's scorer counts them, for each sentence."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..docs import all_spans, replace_spans, sentence_ranges
from ..errors import error
from ..evaluation.spans import keep_entities
from ..readers.docbin import read_docs


@dataclass(frozen=True)
class SetScore:
    """Exact precision, recall and F1 of one pipeline on one set, as fractions.

    Attributes:
        per_label: The same for each label.
        counts: int64, `(n_sentences, 3)`: right, predicted and gold spans of each sentence.
    """

    p: float
    r: float
    f: float
    per_label: dict[str, dict[str, float]]
    counts: NDArray[np.int64]


def read_gold(path: Path, *, name: str, labels: Sequence[str] | None = None) -> list[Doc]:
    """Read an evaluation set.

    Args:
        path: File or folder.
        name: What the plan calls it.
        labels: The labels that count; None for all.

    Raises:
        XltError: E503 where it has no document, E669 where it has no entity or span.
    """
    docs = list(read_docs(path))
    if not docs:
        raise error("E503", path=path)
    for doc in docs:
        _keep_labels(doc, labels)
    if not any(map(all_spans, docs)):
        of_labels = f" of {', '.join(labels)}" if labels else ""
        raise error("E669", path=path, name=name, of_labels=of_labels)
    return docs


def score_predictions(
    path: Path, golds: Sequence[Doc], *, name: str, labels: Sequence[str] | None = None, spans_key: str | None = None
) -> SetScore:
    """Score what a pipeline found.

    Args:
        path: Its documents, as `predict` wrote them.
        golds: The set, as `read_gold` gives it.
        name: The set's name, for errors.
        labels: The labels that count; None for all.
        spans_key: The span group to score; None for `doc.ents`. A set that has no such group is taken to have its
            entities in it.

    Raises:
        XltError: E672 where the documents are not those of the set.
    """
    docs = list(read_docs(path, vocab=golds[0].vocab))
    if len(docs) != len(golds):
        raise error("E672", path=path, name=name)
    for doc in docs:
        _keep_labels(doc, labels)
    if spans_key is not None and not any(spans_key in gold.spans for gold in golds):
        golds = [gold.copy() for gold in golds]
        for gold in golds:
            gold.spans[spans_key] = list(gold.ents)
    counts: list[NDArray[np.int64]] = []
    by_label: defaultdict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(3, np.int64))
    for doc, gold in zip(docs, golds, strict=True):
        # No guess at sentences: where the set does not say them, the unit is the document
        ranges = sentence_ranges(gold) if len(gold) and gold.has_annotation("SENT_START") else [(0, len(gold))]
        of_doc = np.zeros((len(ranges), 3), np.int64)
        for span, count in _matches(Example(doc, gold), spans_key):
            of_doc[bisect(ranges, span.start, key=itemgetter(0)) - 1] += count
            by_label[span.label_] += count
        counts.append(of_doc)
    table = np.concatenate(counts)
    per_label = {label: _prf(by_label[label]) for label in sorted(by_label)}
    return SetScore(**_prf(table.sum(axis=0)), per_label=per_label, counts=table)


def _prf(counts: NDArray[np.int64]) -> dict[str, float]:
    right, predicted, gold = counts.tolist()
    p, r = right / max(1, predicted), right / max(1, gold)
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if right else 0.0}


def _matches(example: Example, spans_key: str | None) -> Iterator[tuple[Span, tuple[int, int, int]]]:
    """Predicted and gold spans on the gold tokens, with what they add to right, predicted and gold spans.

    As spaCy's scorer counts: two predicted entities that fall on the same gold tokens are two, in a span group one; an
    entity where annotation is missing does not count.
    """
    gold = example.reference
    if spans_key is None:
        if not gold.has_annotation("ENT_IOB"):
            return
        places = ((ent, example.alignment.x2y[ent.start : ent.end]) for ent in example.predicted.ents)
        spans = [Span(gold, at[0], at[-1] + 1, label=ent.label_) for ent, at in places if len(at)]
        spans = [span for span in spans if all(token.ent_iob != 0 for token in span)]
        wanted = list(gold.ents)
    else:
        group = list(example.predicted.spans.get(spans_key, ()))
        spans = example.get_aligned_spans_x2y(group, allow_overlap=True)
        spans = list({_key(span): span for span in spans}.values())
        wanted = list({_key(span): span for span in gold.spans.get(spans_key, ())}.values())
    open_keys = {_key(span) for span in wanted}
    for span in spans:
        yield span, (int(_key(span) in open_keys), 1, 0)
        open_keys.discard(_key(span))
    for span in wanted:
        yield span, (0, 0, 1)


def _key(span: Span) -> tuple[str, int, int]:
    return span.label_, span.start, span.end


def _keep_labels(doc: Doc, labels: Sequence[str] | None) -> None:
    if labels is None:
        return
    keep_entities(doc, labels)
    for key, group in list(doc.spans.items()):
        if any(span.label_ not in labels for span in group):
            replace_spans(doc, key, [span if span.label_ in labels else None for span in group])
