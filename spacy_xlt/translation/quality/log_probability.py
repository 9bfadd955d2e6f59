"""The gate for translations that the model itself thinks little of."""

from __future__ import annotations

from .base import Judged, QualityFilter, check_number


class LogProbabilityFilter(QualityFilter):
    """Flags a translation with a low score of the translator. Score: mean log-probability (natural) of a piece.

    What is low depends on the model; translators that give no score are not judged.

    min_score (float): The smallest score that is accepted.
    """

    flag = "low_score"

    def __init__(self, *, min_score: float = -1.5):
        self.min_score = check_number("LogProbabilityFilter", "min_score", min_score, float("-inf"), 0)

    def score(self, pair: Judged) -> float | None:
        """The translator's score."""
        return pair.score

    def accept(self, score: float) -> bool:
        """Whether the model is sure enough."""
        return score >= self.min_score
