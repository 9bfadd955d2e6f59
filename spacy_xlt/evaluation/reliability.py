"""Whether the scores of projected spans mean something: precision by score, and without the least sure ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .spans import Judged

BINS = 10
# The share of the least sure spans that is left out to see whether precision rises.
LEAST_SURE = 0.1


def reliability(found: Sequence[Judged]) -> dict[str, Any]:
    """The reliability curve of projected entities.

    found (Sequence[Judged]): The projected entities.
    RETURNS (dict[str, Any]): "curve": for at most ten bins of equally many spans, from the least to the most sure,
        "score" (mean), "precision" and "spans"; "precision" of all; "precision_of_surest" without the tenth that is
        least sure; "calibration_error": mean distance between score and precision over the curve, weighted by spans
        (the expected calibration error of Naeini et al. 2015, with bins of equal mass).
    """
    order = sorted(found, key=lambda span: span.score)
    if not order:
        return {"curve": [], "precision": 0.0, "precision_of_surest": 0.0, "calibration_error": 0.0}
    scores = np.asarray([span.score for span in order], np.float64)
    correct = np.asarray([span.correct for span in order], np.float64)
    curve = [
        {"score": float(scores[part].mean()), "precision": float(correct[part].mean()), "spans": len(part)}
        for part in np.array_split(np.arange(len(order)), min(BINS, len(order)))
    ]
    error = sum(abs(point["score"] - point["precision"]) * point["spans"] for point in curve) / len(order)
    return {
        "curve": [{key: round(value, 4) for key, value in point.items()} for point in curve],
        "precision": round(float(correct.mean()), 4),
        "precision_of_surest": round(_precision_of_surest(scores, correct), 4),
        "calibration_error": round(error, 4),
    }


def _precision_of_surest(scores: np.ndarray, correct: np.ndarray) -> float:
    """Precision without the least sure tenth. Of spans that share the score at the cut, each counts in part, so that
    the order of equal ones does not matter."""
    keep = len(scores) - int(len(scores) * LEAST_SURE)
    cut = scores[len(scores) - keep]
    above, at = scores > cut, scores == cut
    share = (keep - above.sum()) / at.sum()
    return float((correct[above].sum() + share * correct[at].sum()) / keep)
