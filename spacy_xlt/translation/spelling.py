"""How a text is sent that has characters which the engine cannot spell: some in plain forms, words as they are.

Rules are made of the categories and names of Unicode and of what the engine says it lacks, never of languages.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from html import unescape
from typing import NamedTuple

from .constraints import REFERENCE, TERM, Constraint
from .plain_forms import LETTERS, Plain, is_quote, plain_units

# The kind of a word that stays as it is, and the flag of a translation that lacks something of the source
UNKNOWN = "unknown"
# Kinds of strings that may touch a word without being a part of it
APART = ("tag", UNKNOWN)


class Spelling(NamedTuple):
    """How a text is sent: what stays as it is, what has a plain form, and whether too little is left to translate."""

    kept: list[Constraint]
    plain: list[Plain]
    is_hopeless: bool = False


def spelling(
    text: str, unknown: frozenset[str], constraints: Sequence[Constraint], *, lacks: Callable[[str], frozenset[str]]
) -> Spelling:
    """Find how a text is sent.

    Args:
        unknown: The characters of the text that the engine cannot spell.
        constraints: What is given in it, in order. References such as "&amp;" are sent as what they mean.
        lacks: Says which characters of other texts it cannot spell.
    """
    taken = [item for item in constraints if item.kind != REFERENCE]
    units = [Plain(i.start, i.end, unescape(i.target), i.target) for i in constraints if i.kind == REFERENCE]
    given = Ranges(constraints)
    units += [unit for unit in plain_units(text, unknown) if not given.overlap(unit)]
    lacking = lacks("".join(unit.sent + unit.sent.lower() for unit in units)) if units else frozenset()
    hard = [unit for unit in units if unit.sent.isspace() or not lacking.isdisjoint(unit.sent)]
    if not hard:
        return Spelling([], sorted(units))
    kept: list[Constraint] = []
    plain: list[Plain] = []
    for start, end in _words(text, sorted(hard), taken):
        word = text[start:end]
        # A capital may be all that is unknown: "À noite"
        lowered = word.lower() if word.isupper() else "".join(c.lower() if c in unknown else c for c in word)
        if lowered != word and unknown.isdisjoint(lowered) and lacking.isdisjoint(lowered):
            plain.append(Plain(start, end, lowered, word))
        else:
            kept.append(Constraint(start, end, word, UNKNOWN))
    written = Ranges([*kept, *plain])
    plain += [unit for unit in units if not written.overlap(unit)]
    return Spelling(kept, sorted(plain), _is_hopeless(text, taken, kept, unknown))


def _is_hopeless(text: str, taken: Sequence[Constraint], kept: Sequence[Constraint], unknown: frozenset[str]) -> bool:
    """Whether most words are in letters that the engine does not know, or none is left beside those that have some."""
    rest, at = "", 0
    for item in sorted([*taken, *kept]):
        rest, at = f"{rest}{text[at : item.start]} ", item.end
    others = LETTERS.findall(rest + text[at:])
    words = ["".join(filter(str.isalpha, word)) for item in kept for word in item.target.split()]
    strange = [word for word in words if not unknown.isdisjoint(word)]
    foreign = [word for word in strange if 2 * sum(char in unknown for char in word) > len(word)]
    n_others = len(others) + len(strange) - len(foreign)
    return bool(strange) and (not others or sum(map(_n_words, foreign)) > n_others)


def _n_words(letters: str) -> float:
    """How many words letters are, where three wide characters are one: their scripts have no spaces."""
    return max(1.0, sum(unicodedata.east_asian_width(char) == "W" for char in letters) / 3)


def joined(text: str, constraints: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """Constraints in order, those one that belong together: words that stay as they are and have such a one beside
    them, and what touches a placeholder without being a part of it."""
    result: list[Constraint] = []
    for item in sorted(constraints):
        kinds = {item.kind, result[-1].kind} if result else {TERM}
        gap = text[result[-1].end : item.start] if result else ""
        if TERM not in kinds and ((not gap and not kinds.isdisjoint(APART)) or (gap.isspace() and kinds == {UNKNOWN})):
            start = result.pop().start
            item = Constraint(start, item.end, text[start : item.end], UNKNOWN if UNKNOWN in kinds else "tag")
        result.append(item)
    return tuple(result)


class Ranges:
    """Stretches of a text that do not overlap each other."""

    def __init__(self, items: Sequence[Plain | Constraint]):
        ranges = sorted((item.start, item.end) for item in items)
        self.starts = [start for start, _ in ranges]
        self.ends = [end for _, end in ranges]

    def overlap(self, item: Plain) -> bool:
        """Whether one of them overlaps this one."""
        return bisect_left(self.starts, item.end) > bisect_right(self.ends, item.start)

    def room(self, start: int, end: int, length: int) -> tuple[int, int]:
        """How far this one could reach in a text of this length without overlapping one of them."""
        before, after = bisect_right(self.ends, start), bisect_left(self.starts, end)
        return (
            self.ends[before - 1] if before else 0,
            self.starts[after] if after < len(self.starts) else length,
        )


def _words(text: str, units: Sequence[Plain], taken: Sequence[Constraint]) -> Iterator[tuple[int, int]]:
    """The words that have these units in them, as far as nothing given is in the way."""
    strange = {i for unit in units for i in range(unit.start, unit.end)}
    given = Ranges(taken)
    reached = 0
    for unit in units:
        start, end = unit.start, unit.end
        if start < reached:
            continue
        lowest, highest = given.room(start, end, len(text))
        while start > max(lowest, reached) and _touch(text, start - 1, strange):
            start -= 1
        while end < highest and _touch(text, end - 1, strange):
            end += 1
        reached = end
        yield start, end


def _touch(text: str, i: int, strange: set[int]) -> bool:
    """Whether a character and the one behind it are of the same word, as they are in "£5", "C#" and "p<0.05"."""
    a, b = text[i], text[i + 1]
    if a.isspace() or b.isspace():
        return False
    if _in_word(a) and _in_word(b):
        return True
    if (i in strange and i + 1 in strange) or "Cf" in (unicodedata.category(a), unicodedata.category(b)):
        return True
    if _in_word(b) and i in strange:
        return unicodedata.category(a) != "So" and (b.isdecimal() or unicodedata.category(a)[0] == "S")
    if _in_word(a) and i + 1 in strange:
        return unicodedata.category(b) != "So"
    return (_in_word(a) and _is_inner(text, i + 1)) or (_in_word(b) and _is_inner(text, i))


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf")


def _is_inner(text: str, i: int) -> bool:
    """Whether a character is a hyphen, point or the like between two parts of a word; an apostrophe parts words."""
    if not 0 < i < len(text) - 1 or not (_in_word(text[i - 1]) and _in_word(text[i + 1])):
        return False
    return unicodedata.category(text[i]) in ("Pd", "Pc", "Po") and not is_quote(text[i])
