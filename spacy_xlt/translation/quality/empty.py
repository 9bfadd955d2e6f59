"""The gate for translations with nothing in them."""

from __future__ import annotations

from ...tokens import has_text
from .base import Judged, QualityFilter


class EmptyFilter(QualityFilter):
    """Flags a translation with nothing in it where the source has letters or digits. Score: 1 or 0."""

    flag = "empty"

    def score(self, pair: Judged) -> float | None:
        """1 for a translation with text in it; None for a source without letters and digits."""
        if not any(char.isalnum() for char in pair.source):
            return None
        return float(has_text(pair.target))

    def accept(self, score: float) -> bool:
        """Whether there is something."""
        return score > 0
