"""A text that a language model was to repeat, held against the text itself."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from difflib import SequenceMatcher
from functools import cached_property
from typing import NamedTuple

from ..tokens import has_text, is_unspaced
from .tags import Range


class Unit(NamedTuple):
    """What texts are compared by: a word, a character of a script without spaces, or another character.

    Attributes:
        form: Without what may differ: case, Unicode's form, the kind of quotation marks and dashes.
        start: Its first character.
        end: The character behind its last one.
        is_word: Whether there is a letter or digit in it.
    """

    form: str
    start: int
    end: int
    is_word: bool


def units_of(text: str) -> list[Unit]:
    """The units of a text. White space, control and zero-width characters are in none."""
    ranges: list[list[int]] = []
    in_word = is_near = False
    for i, char in enumerate(text):
        if not has_text(char):
            is_near = is_near and not char.isspace()
            continue
        joins = char.isalnum() and not is_unspaced(char)
        # Vowel signs and accents belong to the character before them
        if is_near and ((joins and in_word) or unicodedata.category(char).startswith("M")):
            ranges[-1][1] = i + 1
        else:
            ranges.append([i, i + 1])
            in_word = joins
        is_near = True
    return [Unit(_form(text[i:j]), i, j, any(char.isalnum() for char in text[i:j])) for i, j in ranges]


def _form(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKD", "".join(map(_plain, plain)))


def _plain(char: str) -> str:
    if not has_text(char):
        return ""
    category = unicodedata.category(char)
    if category in ("Pi", "Pf") or char in "\"'`´":
        return '"'
    return "-" if category == "Pd" else char


class Copy:
    """Which characters of a text are where in what a model has made of it.

    Args:
        said: What the model has written.
        text: What it was to write.
    """

    def __init__(self, said: str, text: str):
        self.said = said
        self.text = text
        self.is_exact = said == text

    @cached_property
    def similarity(self) -> float:
        """The share of the units of both that correspond: from 0 to 1."""
        if self.is_exact:
            return 1.0
        return 2 * len(self._matched) / max(1, len(self._said_units) + len(self._units))

    @property
    def most_similarity(self) -> float:
        """What the similarity is at most, by the number of units alone, which takes little time for any answer."""
        if self.is_exact:
            return 1.0
        counts = len(self._said_units), len(self._units)
        return 2 * min(counts) / max(1, sum(counts))

    @property
    def lacking(self) -> list[Range]:
        """The words of the text that were changed or left out."""
        if self.is_exact:
            return []
        found = set(self._matched.values())
        return [(unit.start, unit.end) for j, unit in enumerate(self._units) if unit.is_word and j not in found]

    def place(self, start: int, end: int) -> Range | None:
        """Where a span of what was written is in the text; None where its words were changed, or there are none.

        Other characters than words may differ, unless there are no words.
        """
        if self.is_exact:
            return start, end
        inside = self._inside(start, end)
        counted = [i for i in inside if self._said_units[i].is_word] or list(inside)
        kept = [i for i in inside if i in self._matched]
        if not counted or not set(kept).issuperset(counted):
            return None
        first, last = self._matched[kept[0]], self._matched[kept[-1]]
        between = self._units[first : last + 1]
        has_words = self._said_units[counted[0]].is_word
        if sum(unit.is_word or not has_words for unit in between) != len(counted):
            return None
        begin, finish = self._inner(kept[0], first, start), self._inner(kept[-1], last, end)
        return (
            self._units[first].start if begin is None else begin,
            self._units[last].end if finish is None else finish,
        )

    def around(self, start: int, end: int) -> Range:
        """All that a range of what was written may be in the text: from the unit before it to the one behind it."""
        if self.is_exact:
            return start, end
        inside = self._inside(start, end)
        before = [self._matched[i] for i in range(inside.start) if i in self._matched]
        behind = [self._matched[i] for i in range(inside.stop, len(self._said_units)) if i in self._matched]
        return (
            self._units[before[-1]].end if before else 0,
            self._units[behind[0]].start if behind else len(self.text),
        )

    @cached_property
    def _said_units(self) -> list[Unit]:
        return units_of(self.said)

    @cached_property
    def _units(self) -> list[Unit]:
        return units_of(self.text)

    @cached_property
    def _matched(self) -> dict[int, int]:
        """The unit of the text for each unit of what was written that has one, in order."""
        said, own = ([unit.form for unit in units] for units in (self._said_units, self._units))
        blocks = SequenceMatcher(None, said, own, autojunk=False).get_matching_blocks()
        return {a + i: b + i for a, b, size in blocks for i in range(size)}

    def _inside(self, start: int, end: int) -> range:
        """The units of what was written that a span touches."""
        first = bisect_right(self._said_units, start, key=lambda unit: unit.end)
        return range(first, max(first, bisect_left(self._said_units, end, key=lambda unit: unit.start)))

    def _inner(self, i: int, j: int, place: int) -> int | None:
        """Where a place inside of a unit is in that of the text; None for one at an end, or where it is not known."""
        said, own = self._said_units[i], self._units[j]
        is_inner = said.start < place < said.end and said.end - said.start == own.end - own.start
        return own.start + place - said.start if is_inner else None
