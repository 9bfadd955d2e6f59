"""Entities judged one by one: which projected ones are right, how sure they were, and how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..bitext import ENTS_GROUP

# Lengths in tokens that are reported together: from the first up to the second.
LENGTHS = ((1, 1), (2, 2), (3, 4), (5, 8), (9, None))


class Judged(NamedTuple):
    """One entity, of the projection or of the gold annotation.

    doc (int): Index of its document.
    label (str): Its label.
    length (int): In tokens.
    score (float): How sure the projector was; 1 for gold.
    correct (bool): Whether the other side has the same label and the same ends.
    """

    doc: int
    label: str
    length: int
    score: float
    correct: bool


def judge(predicted: Iterable[Doc], gold: Iterable[Doc]) -> tuple[list[Judged], list[Judged]]:
    """Judge the entities of documents against the gold ones, exactly.

    predicted (Iterable[Doc]): Docs with projected entities and their scores in the mirroring span group.
    gold (Iterable[Doc]): The same docs with gold entities.
    RETURNS (tuple[list[Judged], list[Judged]]): The projected entities, and the gold ones.
    """
    found, wanted = [], []
    for n, (doc, gold_doc) in enumerate(zip(predicted, gold, strict=True)):
        scores = _scores(doc)
        ours = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        theirs = {(ent.start, ent.end, ent.label_) for ent in gold_doc.ents}
        found += [Judged(n, k[2], k[1] - k[0], scores.get(k, 1.0), k in theirs) for k in sorted(ours)]
        wanted += [Judged(n, k[2], k[1] - k[0], 1.0, k in ours) for k in sorted(theirs)]
    return found, wanted


def _scores(doc: Doc) -> dict[tuple[int, int, str], float]:
    if ENTS_GROUP not in doc.spans:
        return {}
    group = doc.spans[ENTS_GROUP]
    scores = group.attrs.get("scores", ())
    return {(span.start, span.end, span.label_): float(s) for span, s in zip(group, scores, strict=False)}


def prf(found: Sequence[Judged], wanted: Sequence[Judged]) -> dict[str, float]:
    """Precision, recall and F1 as fractions, under "p", "r" and "f"; 0 where there is nothing to divide by."""
    p = sum(span.correct for span in found) / len(found) if found else 0.0
    r = sum(span.correct for span in wanted) / len(wanted) if wanted else 0.0
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if p + r else 0.0}


def per_length(found: Sequence[Judged], wanted: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Scores by length in tokens: precision over projected entities of that length, recall over gold ones.

    RETURNS (dict): By length such as "2", "3-4" and "9+", "p", "r", "f" and "gold", the number of gold entities.
    """
    result = {}
    for low, high in LENGTHS:
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        ours, theirs = (
            [span for span in spans if low <= span.length and (high is None or span.length <= high)]
            for spans in (found, wanted)
        )
        if ours or theirs:
            result[name] = {**prf(ours, theirs), "gold": len(theirs)}
    return result


def keep_entities(doc: Doc, labels: Sequence[str] | None) -> None:
    """Take the entities with other labels out of a document; their words are outside of entities then.

    labels (Sequence[str] | None): The labels to keep; all where left out.
    """
    others = [] if labels is None else [ent for ent in doc.ents if ent.label_ not in labels]
    if others:
        doc.set_ents([], outside=others, default="unmodified")


def counts_by_doc(found: Sequence[Judged], wanted: Sequence[Judged], n_docs: int) -> NDArray[np.int64]:
    """What F1 is made of, for each document: int64, (n_docs, 3): right, projected and gold entities."""
    counts = np.zeros((n_docs, 3), np.int64)
    for span in found:
        counts[span.doc] += (span.correct, 1, 0)
    for span in wanted:
        counts[span.doc, 2] += 1
    return counts


def counts_by_label(
    found: Sequence[Judged], wanted: Sequence[Judged], n_docs: int, *, most: int
) -> dict[str, NDArray[np.int64]]:
    """The same for single labels, those with the most gold entities first.

    most (int): How many labels.
    """
    sizes = Counter(span.label for span in wanted)
    result = {}
    for label, _ in sizes.most_common(most):
        ours, theirs = ([span for span in spans if span.label == label] for spans in (found, wanted))
        result[label] = counts_by_doc(ours, theirs, n_docs)
    return result
