"""The gate for translations of an odd length."""

from __future__ import annotations

from ...languages import UNSEGMENTED
from .base import Judged, QualityFilter, check_number

# Words are this many characters long on average, with the space, where it comes to adding the slack
_WORD = 5


class LengthRatioFilter(QualityFilter):
    """Flags a translation that is much longer or shorter than its source.

    Score: how many times as long the longer side is, in characters or in words, whichever is more. Wide characters,
    such as Chinese ones, count three times; words count only where both languages have spaces between them. Both sides
    are taken to be longer than they are, so that short texts may differ more.

    max_ratio (float): The largest ratio that is accepted.
    slack (int): Characters that both sides are taken to be longer.
    """

    flag = "length_ratio"

    def __init__(self, *, max_ratio: float = 2.0, slack: int = 15):
        self.max_ratio = check_number("LengthRatioFilter", "max_ratio", max_ratio, 1)
        self.slack = check_number("LengthRatioFilter", "slack", slack, 0)

    def score(self, pair: Judged) -> float | None:
        """A ratio of 1 or more."""
        if not pair.source.strip() or not pair.target.strip():
            return None
        ratio = _ratio(_width(pair.source) + self.slack, _width(pair.target) + self.slack)
        if not UNSEGMENTED.isdisjoint((pair.source_lang, pair.target_lang)):
            return ratio
        words = len(pair.source.split()), len(pair.target.split())
        slack = self.slack / _WORD
        return max(ratio, _ratio(words[0] + slack, words[1] + slack))

    def accept(self, score: float) -> bool:
        """Whether the lengths are close enough."""
        return score <= self.max_ratio


def _ratio(first: float, second: float) -> float:
    shorter, longer = sorted((first, second))
    return longer / shorter if shorter else 1.0


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + 2 * sum("\u2e80" <= char <= "\ud7ff" or "\uf900" <= char <= "\uffef" for char in text)
