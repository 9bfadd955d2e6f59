"""Scores of stored predictions: exact spans by spaCy's scorer, and the counts that a bootstrap draws from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.scorer import Scorer, get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..docs import sentence_ranges
from ..errors import error
from ..evaluation.spans import keep_entities
from ..readers.docbin import read_docs

Key = tuple[str, int, int]


@dataclass(frozen=True)
class SetScore:
    """How well one pipeline did on one set.

    Attributes:
        p: Exact precision of spans, as a fraction.
        r: Recall.
        f: F1.
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
    if not any(doc.ents or any(len(group) for group in doc.spans.values()) for doc in docs):
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
    examples = [Example(doc, gold) for doc, gold in zip(docs, golds, strict=True)]
    scores, key = _score(examples, spans_key)
    per_label = {label: _prf(values, "") for label, values in sorted((scores[f"{key}_per_type"] or {}).items())}
    counts = np.concatenate([_counts(example, spans_key) for example in examples])
    return SetScore(**_prf(scores, f"{key}_"), per_label=per_label, counts=counts)


def _score(examples: Sequence[Example], spans_key: str | None) -> tuple[dict[str, Any], str]:
    if spans_key is None:
        return get_ner_prf(examples), "ents"

    def group(doc: Doc, _: str) -> list[Span]:
        return list(doc.spans.get(spans_key, ()))

    scores = Scorer.score_spans(examples, "spans", getter=group, allow_overlap=True)
    return scores, "spans"


def _prf(scores: dict[str, Any], prefix: str) -> dict[str, float]:
    # spaCy gives None where there was nothing to score
    return {key: float(scores[f"{prefix}{key}"] or 0.0) for key in "prf"}


def _counts(example: Example, spans_key: str | None) -> NDArray[np.int64]:
    """Right, predicted and gold spans of each gold sentence, counted as spaCy's scorer counts them."""
    gold = example.reference
    # No guess at sentences: where the set does not say them, the unit is the document
    ranges = sentence_ranges(gold) if len(gold) and gold.has_annotation("SENT_START") else [(0, len(gold))]
    sentence_of = np.zeros(max(1, len(gold)), np.int64)
    for n, (start, end) in enumerate(ranges):
        sentence_of[start:end] = n
    counts = np.zeros((len(ranges), 3), np.int64)
    spans = gold.ents if spans_key is None else gold.spans.get(spans_key, ())
    wanted = {(span.label_, span.start, span.end) for span in spans}
    if spans_key is None and not gold.has_annotation("ENT_IOB"):
        return counts
    by_sentence: dict[int, set[Key]] = defaultdict(set)
    for span in _aligned(example, spans_key):
        # Two predictions of the same gold entity are two, as in the scorer; of a span group they are one
        key = (span.label_, span.start, span.end)
        row = counts[sentence_of[span.start]]
        seen = by_sentence[sentence_of[span.start]]
        if spans_key is None or key not in seen:
            row += (key in wanted and key not in seen, 1, 0)
        seen.add(key)
    for _, start, _ in wanted:
        counts[sentence_of[start], 2] += 1
    return counts


def _aligned(example: Example, spans_key: str | None) -> Iterator[Span]:
    """The predicted spans on the gold tokens; those without one are left out, as are those of unknown annotation."""
    gold = example.reference
    if spans_key is not None:
        spans = list(example.predicted.spans.get(spans_key, ()))
        yield from example.get_aligned_spans_x2y(spans, allow_overlap=True)
        return
    for ent in example.predicted.ents:
        indices = example.alignment.x2y[ent.start : ent.end]
        if len(indices):
            span = Span(gold, indices[0], indices[-1] + 1, label=ent.label_)
            if all(token.ent_iob != 0 for token in span):
                yield span


def _keep_labels(doc: Doc, labels: Sequence[str] | None) -> None:
    if labels is None:
        return
    keep_entities(doc, labels)
    for key, group in doc.spans.items():
        if any(span.label_ not in labels for span in group):
            doc.spans[key] = [span for span in group if span.label_ in labels]
