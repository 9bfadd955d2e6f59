"""The gate for translations that go round in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .base import Judged, QualityFilter, check_number


class LoopingFilter(QualityFilter):
    """Flags a translation that says something again and again and the source does not.

    Score: how many words repeat those before them, in the longest run of a unit of any length that is said at least
    three times in a row; less that of the source.

    max_words (int): The largest number that is accepted.
    max_unit (int): The longest unit that is looked for, in words.
    """

    flag = "looping"

    def __init__(self, *, max_words: int = 4, max_unit: int = 12):
        self.max_words = int(check_number("LoopingFilter", "max_words", max_words, 0))
        self.max_unit = int(check_number("LoopingFilter", "max_unit", max_unit, 1))

    def score(self, pair: Judged) -> float | None:
        """A number of words; letters in scripts without spaces."""
        if not pair.target_words:
            return None
        looping = _repeating(pair.target_words, self.max_unit)
        return max(0.0, looping - _repeating(pair.source_words, self.max_unit)) if looping else 0.0

    def accept(self, score: float) -> bool:
        """Whether little enough is repeated."""
        return score <= self.max_words


def _repeating(words: Sequence[str], max_unit: int) -> float:
    """The words of the longest run of a unit said three times or more, without its first time; without end for a long
    word that repeats a part of itself."""
    lowered = [word.lower() for word in words]
    counts = Counter(lowered)
    if any(len(word) > 20 and _loops_inside(word) for word in counts):
        return float("inf")
    # Where no word comes three times there is no run
    if max(counts.values(), default=0) < 3:
        return 0.0
    most = 0
    for unit in range(1, min(max_unit, len(lowered) // 3) + 1):
        run = 0
        for before, word in zip(lowered, lowered[unit:], strict=False):
            run = run + 1 if before == word else 0
            if run >= 2 * unit:
                most = max(most, run)
    return float(most)


def _loops_inside(word: str) -> bool:
    return any(word[unit:] == word[:-unit] for unit in range(1, len(word) // 3 + 1))
