"""The gate for numbers that vanish."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from .base import Judged, QualityFilter, check_number

# Digits in groups of three, or any digits with a point or the like inside
_NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3})+(?!\d)|\d+(?:[.,'’٫٬]\d+)*")
_SEPARATOR = re.compile(r"[^\d]")
# Characters that stand for numbers and are no digits
_NUMERALS = re.compile(r"[〇零一二三四五六七八九十百千万萬亿億兆]")


class NumbersFilter(QualityFilter):
    """Flags a translation that lacks numbers of its source. Score: the share of the numbers that are in it.

    Only the digits count, without zeros at the end and whatever separates them, in whatever digits the language writes
    ("1,500,000", "1.5 million", "١٥٠٠"). Short numbers and round ones (100) are often words in a translation, and times
    of day and decimals are said otherwise, so that they don't count. Nothing is judged where the target writes numbers
    in Chinese characters.

    min_share (float): The smallest share that is accepted.
    min_digits (int): How many digits a number must have.
    """

    flag = "numbers"

    def __init__(self, *, min_share: float = 0.6, min_digits: int = 3):
        self.min_share = check_number("NumbersFilter", "min_share", min_share, 0, 1)
        self.min_digits = int(check_number("NumbersFilter", "min_digits", min_digits, 1))

    def score(self, pair: Judged) -> float | None:
        """From 0 to 1; None without numbers in the source."""
        wanted = Counter(_significant(number) for number in _numbers(pair.source) if self._counts(number))
        if not wanted or _NUMERALS.search(pair.target):
            return None
        found = Counter(_significant(number) for number in _numbers(pair.target))
        return (wanted & found).total() / wanted.total()

    def accept(self, score: float) -> bool:
        """Whether enough numbers are there."""
        return score >= self.min_share

    def _counts(self, number: list[str]) -> bool:
        grouped = all(len(part) == 3 for part in number[1:])
        return grouped and sum(map(len, number)) >= self.min_digits and len(_significant(number)) > 1


def _numbers(text: str) -> list[list[str]]:
    """The numbers of a text, as the digits between separators, in ASCII."""
    if not any(char.isdecimal() for char in text):
        return []
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    return [_SEPARATOR.split(match.group()) for match in _NUMBER.finditer(text)]


def _significant(number: list[str]) -> str:
    return "".join(number).strip("0")
