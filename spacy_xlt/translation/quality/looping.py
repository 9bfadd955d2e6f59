"""The gate for translations that go round in circles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .base import Judged, QualityFilter, check_number

# Letters said four times or more inside a word, which models that loop write without end
_INSIDE = re.compile(r"(.{1,12}?)\1{3,}")
_LONG = 20


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
    """The words of the longest run of a unit said three times or more, without its first time; four letters of a run
    inside a word count as a word."""
    lowered = [word.lower() for word in words]
    counts = Counter(lowered)
    inside = [match for word in counts if len(word) > _LONG and (match := _INSIDE.search(word))]
    most = max((len(match.group()) // 4 for match in inside), default=0)
    # Where no word comes three times there is no run
    if max(counts.values(), default=0) < 3:
        return float(most)
    for unit in range(1, min(max_unit, len(lowered) // 3) + 1):
        run = 0
        for before, word in zip(lowered, lowered[unit:], strict=False):
            run = run + 1 if before == word else 0
            if run >= 2 * unit:
                most = max(most, run)
    return float(most)
