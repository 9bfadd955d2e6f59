"""The gate for translations that repeat the source."""

from __future__ import annotations

from collections import Counter

from .base import Judged, QualityFilter, check_number


class CopiedFilter(QualityFilter):
    """Flags a translation that repeats the source. Score: the share of the source's ordinary words that are in it.

    Ordinary words are those that don't begin with a capital, as names are often the same in both languages.

    max_share (float): The largest share that is accepted.
    min_words (int): Sources with fewer ordinary words are not judged.
    """

    flag = "copied"

    def __init__(self, *, max_share: float = 0.8, min_words: int = 4):
        self.max_share = check_number("CopiedFilter", "max_share", max_share, 0, 1)
        self.min_words = check_number("CopiedFilter", "min_words", min_words, 1)

    def score(self, pair: Judged) -> float | None:
        """From 0 to 1, each word counted as often as it occurs."""
        words = Counter(word for word in pair.source_words if not word[0].isupper())
        total = sum(words.values())
        if total < self.min_words or not pair.target_words:
            return None
        return sum((words & Counter(pair.target_words)).values()) / total

    def accept(self, score: float) -> bool:
        """Whether few enough words are the same."""
        return score <= self.max_share
