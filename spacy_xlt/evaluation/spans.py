"""Entities matched one by one: which projected ones are right, how sure the projector was, how long they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

from ..bitext import ENTS, ENTS_GROUP, span_scores
from ..docs import links_follow, replace_spans

# Lengths in tokens that are reported together: from the first to the second.
LENGTHS = ((1, 1), (2, 2), (3, 4), (5, 8), (9, None))
BINS = 10
# The share of the least sure spans that is left out to see whether precision rises.
LEAST_SURE = 0.1


class EntityMatch(NamedTuple):
    """One entity, of the projection or of the gold annotation.

    Attributes:
        doc: Index of its document.
        label: Its label.
        length: In tokens.
        score: How sure the projector was; 1 for gold.
        correct: Whether the other side has the same label and the same ends.
    """

    doc: int
    label: str
    length: int
    score: float
    correct: bool


def spans_of(doc: Doc, key: str = ENTS) -> Sequence[Span]:
    """The entities of a document, or the spans of a group; none where it does not have the group."""
    return doc.ents if key == ENTS else list(doc.spans.get(key, ()))


def match_entities(
    predicted: Iterable[Doc], gold: Iterable[Doc], key: str = ENTS
) -> tuple[list[EntityMatch], list[EntityMatch]]:
    """Match the entities of documents with the gold ones, exactly.

    Args:
        predicted: Docs with projected entities and their scores in the span group `xlt_ents`.
        gold: The same docs with gold entities.
        key: "ents", or the span group that has them.

    Returns:
        The projected entities, and the gold ones.
    """
    projected, wanted = [], []
    for n, (doc, gold_doc) in enumerate(zip(predicted, gold, strict=True)):
        scores = span_scores(doc, ENTS_GROUP if key == ENTS else key)
        ours, theirs = ({(s.start, s.end, s.label_) for s in spans_of(side, key)} for side in (doc, gold_doc))
        projected += [EntityMatch(n, k[2], k[1] - k[0], scores.get(k, 1.0), k in theirs) for k in sorted(ours)]
        wanted += [EntityMatch(n, k[2], k[1] - k[0], 1.0, k in ours) for k in sorted(theirs)]
    return projected, wanted


def prf(projected: Sequence[EntityMatch], wanted: Sequence[EntityMatch]) -> dict[str, float]:
    """Precision, recall and F1 as fractions, under "p", "r" and "f"; 0 where there is nothing to divide by."""
    p = sum(span.correct for span in projected) / len(projected) if projected else 0.0
    r = sum(span.correct for span in wanted) / len(wanted) if wanted else 0.0
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if p + r else 0.0}


def per_length(projected: Sequence[EntityMatch], wanted: Sequence[EntityMatch]) -> dict[str, dict[str, float]]:
    """Scores by length in tokens: precision over projected entities of that length, recall over gold ones.

    Returns:
        By length, such as "2", "3-4" and "9+": "p", "r", "f", and "gold", the number of gold entities.
    """
    result = {}
    for low, high in LENGTHS:
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        ours, theirs = (
            [span for span in spans if low <= span.length and (high is None or span.length <= high)]
            for spans in (projected, wanted)
        )
        if ours or theirs:
            result[name] = {**prf(ours, theirs), "gold": len(theirs)}
    return result


def counts_by_doc(projected: Sequence[EntityMatch], wanted: Sequence[EntityMatch], n_docs: int) -> NDArray[np.int64]:
    """What F1 is made of, for each document.

    Returns:
        int64, `(n_docs, 3)`: right, projected and gold entities.
    """
    counts = np.zeros((n_docs, 3), np.int64)
    for span in projected:
        counts[span.doc] += (span.correct, 1, 0)
    for span in wanted:
        counts[span.doc, 2] += 1
    return counts


def counts_by_label(
    projected: Sequence[EntityMatch], wanted: Sequence[EntityMatch], n_docs: int, *, most: int
) -> dict[str, NDArray[np.int64]]:
    """The counts of `counts_by_doc` for single labels: those `most` labels that have the most gold entities."""
    result = {}
    for label, _ in Counter(span.label for span in wanted).most_common(most):
        ours, theirs = ([span for span in spans if span.label == label] for spans in (projected, wanted))
        result[label] = counts_by_doc(ours, theirs, n_docs)
    return result


def keep_entities(doc: Doc, labels: Sequence[str] | None, key: str = ENTS) -> None:
    """Remove the entities with other labels from a document; their words are outside of entities then.

    Args:
        doc: Changed in place.
        labels: The labels to keep; None for all.
        key: "ents", or the span group that has them.
    """
    if key != ENTS:
        if labels is not None and key in doc.spans:
            replace_spans(doc, key, [span if span.label_ in labels else None for span in doc.spans[key]])
        return
    others = [] if labels is None else [ent for ent in doc.ents if ent.label_ not in labels]
    if others:
        with links_follow(doc):
            doc.set_ents([], outside=others, default="unmodified")


def label_count_f1(pairs: Iterable[tuple[Doc, Doc]], key: str = ENTS) -> float:
    """F1 of the numbers of entities of each label, sentence by sentence: the most that a projection can reach.

    Where the two sides of a bitext were annotated apart, one has entities that the other lacks. A projection gives each
    entity of the source at most one in the target, so that its F1 cannot pass this unless it loses the right ones.

    Args:
        pairs: A document and its translation each, both with entities.
        key: "ents", or the span group that has them.

    Returns:
        Between 0 and 1; 0 where neither side has an entity.
    """
    matched = in_source = in_target = 0
    for source, target in pairs:
        first, second = (Counter(span.label_ for span in spans_of(doc, key)) for doc in (source, target))
        matched += (first & second).total()
        in_source += first.total()
        in_target += second.total()
    return 2 * matched / (in_source + in_target) if in_source + in_target else 0.0


def reliability(projected: Sequence[EntityMatch]) -> dict[str, Any]:
    """Whether the scores of projected entities mean something: precision by score, and without the least sure ones.

    Returns:
        `curve`, entities of similar score in groups of the same size, each with the mean `score`, `precision` and
        `spans`, their number; `precision` of all; `precision_of_surest`, without the least sure tenth; and
        `calibration_error`, the mean distance between score and precision over the curve, weighted by spans (the
        expected calibration error of Naeini et al. 2015, with bins of equal mass).
    """
    if not projected:
        return {"curve": [], "precision": 0.0, "precision_of_surest": 0.0, "calibration_error": 0.0}
    order = sorted(projected, key=lambda span: span.score)
    scores = np.asarray([span.score for span in order], np.float64)
    correct = np.asarray([span.correct for span in order], np.float64)
    curve = [
        {"score": float(scores[part].mean()), "precision": float(correct[part].mean()), "spans": len(part)}
        for part in np.array_split(np.arange(len(order)), min(BINS, len(order)))
    ]
    distance = sum(abs(point["score"] - point["precision"]) * point["spans"] for point in curve) / len(order)
    return {
        "curve": [{key: round(value, 4) for key, value in point.items()} for point in curve],
        "precision": round(float(correct.mean()), 4),
        "precision_of_surest": round(_precision_of_surest(scores, correct), 4),
        "calibration_error": round(distance, 4),
    }


def _precision_of_surest(scores: NDArray[np.float64], correct: NDArray[np.float64]) -> float:
    """Precision without the least sure tenth. Spans that share the score at the cut count in part, in any order."""
    keep = len(scores) - int(len(scores) * LEAST_SURE)
    cut = scores[len(scores) - keep]
    above, at = scores > cut, scores == cut
    share = (keep - above.sum()) / at.sum()
    return float((correct[above].sum() + share * correct[at].sum()) / keep)
