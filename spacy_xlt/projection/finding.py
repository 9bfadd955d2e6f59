"""Words that somebody says are in a text, found among its tokens."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from spacy.tokens import Doc

from ..tokens import is_unspaced

# How well words that are written in another way are found
TOLERANT = 0.9
# The least share that words have of the letters of the tokens that they are in
MIN_SHARE = 0.5


class Found(NamedTuple):
    """Tokens `[start, end)` that have some words in them, and how well these fit, from 0 to 1."""

    start: int
    end: int
    quality: float


class _Match(NamedTuple):
    """Tokens that have some words.

    Attributes:
        share: The words' share of the letters of the tokens.
        is_whole: Whether they are no part of a longer word.
        is_same: Whether they are written the same.
    """

    place: tuple[int, int]
    share: float
    is_whole: bool
    is_same: bool


class Words:
    """The tokens of a part of a document.

    Args:
        doc: The document.
        low: Its first token.
        high: The token behind its last one.
    """

    def __init__(self, doc: Doc, low: int, high: int):
        part = doc[low:high]
        self.text = part.text
        self._low = low
        self._starts = [token.idx - part.start_char for token in part]
        self._ends = [start + len(token) for start, token in zip(self._starts, part, strict=True)]
        self._letters = [0, *accumulate(_is_letter(char) for char in self.text)]
        self._chars = [0, *accumulate(not char.isspace() for char in self.text)]
        self._folded, self._origins = folded(self.text)

    def where(self, start: int, end: int) -> tuple[float, float]:
        """Where tokens `[start, end)` begin and end, as shares of the text from 0 to 1; spaces don't count."""
        first, last = self._starts[start - self._low], self._ends[end - 1 - self._low]
        return self._chars[first] / max(1, self._chars[-1]), self._chars[last] / max(1, self._chars[-1])

    def find(self, words: str) -> list[Found]:
        """Where words are in the text, in order.

        Spaces may differ, and so may case, width and other forms of the same characters (NFKC), which the quality
        tells; where there are no such, punctuation around the words is left out. Where they are whole words, parts of
        longer ones do not count, and where they are written the same, others do not. A place is all tokens that have
        some of the words, unless most of their letters are others.
        """
        matches = self._matches(words, words) or self._matches(_bare(words), words)
        matches = [match for match in matches if match.is_whole] or matches
        matches = [match for match in matches if match.is_same] or matches
        places: dict[tuple[int, int], float] = {}
        for match in matches:
            places.setdefault(match.place, match.share if match.is_same else TOLERANT * match.share)
        return [Found(*place, quality) for place, quality in places.items()]

    def _matches(self, wanted: str, words: str) -> list[_Match]:
        """Tokens that have what is wanted of some words."""
        matches = []
        for first, last in self._stretches(folded(wanted)[0]):
            start, end = bisect_right(self._ends, first), bisect_left(self._starts, last)
            if start >= end:
                continue
            low, high = self._starts[start], self._ends[end - 1]
            total = self._letters[high] - self._letters[low]
            share = (self._letters[last] - self._letters[first]) / total if total else 1.0
            if share >= MIN_SHARE:
                beside = self.text[max(low, first - 1) : first] + self.text[last : min(high, last + 1)]
                # Where words are not set apart by spaces, tokens may begin and end elsewhere
                is_whole = not any(_is_letter(char) and not is_unspaced(char) for char in beside)
                place = self._low + start, self._low + end
                is_same = "".join(self.text[first:last].split()) == "".join(words.split())
                matches.append(_Match(place, share, is_whole, is_same))
        return matches

    def _stretches(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Characters `[start, end)` of the text that are folded to what is wanted, as a whole."""
        place = self._folded.find(wanted) if wanted else -1
        while place >= 0:
            last = place + len(wanted)
            if self._is_bound(place) and self._is_bound(last):
                yield self._origins[place][0], self._origins[last - 1][1]
                place = self._folded.find(wanted, last)
            else:
                place = self._folded.find(wanted, place + 1)

    def _is_bound(self, place: int) -> bool:
        """Whether a place of the folded text is not inside of what was a single character."""
        return place in (0, len(self._folded)) or self._origins[place - 1] != self._origins[place]


def folded(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text in one case and decomposed (NFKD), without spaces and invisible characters.

    Returns:
        The text, and for each of its characters which ones `[start, end)` of the original it comes from: a character
        with its accents.
    """
    chars: list[str] = []
    origins: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        whole = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text[start:end]).casefold())
        visible = [char for char in whole if not char.isspace() and unicodedata.category(char) != "Cf"]
        chars += visible
        origins += [(start, end)] * len(visible)
        start = end
    return "".join(chars), origins


def _is_letter(char: str) -> bool:
    """Whether a character is a letter, a digit, or a mark on one."""
    return unicodedata.category(char)[0] in "LMN"


def _bare(words: str) -> str:
    """Words without punctuation, symbols and spaces around them; all of them where there is nothing else."""
    kept = [n for n, char in enumerate(words) if _is_letter(char)]
    return words[kept[0] : kept[-1] + 1] if kept else words
