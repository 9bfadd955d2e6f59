"""What an engine cannot spell: plain forms that are sent in its place and put back, and words that stay as they are.

Rules are made of the categories and names of Unicode and of what the engine says it lacks, never of languages.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from .constraints import REFERENCE, TERM, Constraint

# The kind of a word that stays as it is, and the flag of a translation that lacks something of the source
UNKNOWN = "unknown"
# Kinds of strings that may touch a word without being a part of it
APART = ("tag", UNKNOWN)
# Decompositions that lose what the character says ("10²" is not "102"), and those that are a matter of typesetting
_TELLING = ("<super>", "<sub>", "<fraction>", "<circle>")
_TYPESET = ("<wide>", "<narrow>", "<font>", "<vertical>", "<small>")
_DASH, _APOSTROPHE, _QUOTE = "-", "'", '"'


_LETTERS = re.compile(r"[^\W\d_]+")


class Plain(NamedTuple):
    """A stretch of a text that is sent in another form.

    Attributes:
        start: Where it begins, in characters.
        end: Where it ends.
        sent: What is sent; with spaces around it where they are none of the text's.
        restored: What takes the place of that in the translation, where it is sure which; "" for nothing.
    """

    start: int
    end: int
    sent: str
    restored: str = ""


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
    units += [unit for unit in _units(text, unknown) if not given.overlap(unit)]
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
    rest, at = "", 0
    for item in sorted([*taken, *kept]):
        rest, at = f"{rest}{text[at : item.start]} ", item.end
    others = _LETTERS.findall(rest + text[at:])
    words = ["".join(filter(str.isalpha, word)) for item in kept for word in item.target.split()]
    strange = [word for word in words if not unknown.isdisjoint(word)]
    foreign = [word for word in strange if 2 * sum(char in unknown for char in word) > len(word)]
    n_others = len(others) + len(strange) - len(foreign)
    is_hopeless = bool(strange) and (not others or sum(map(_n_words, foreign)) > n_others)
    return Spelling(kept, sorted(plain), is_hopeless)


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


@lru_cache(maxsize=4096)
def plain_form(char: str) -> str | None:
    """What may be sent for a character that is unknown; None where it would say something else."""
    category = unicodedata.category(char)
    if category == "Cf" or "VARIATION SELECTOR" in unicodedata.name(char, ""):
        return ""
    if category == "Pd":
        return _DASH
    if _is_quote(char):
        return "'" if re.search("SINGLE|APOSTROPHE", unicodedata.name(char)) else '"'
    kind = unicodedata.decomposition(char).partition(" ")[0]
    plain = unicodedata.normalize("NFKC", char)
    if plain == char or kind in _TELLING:
        return None
    return plain if kind in (*_TYPESET, "<noBreak>") or category[0] in "LP" or category in ("Nd", "Nl") else None


def _is_quote(char: str) -> bool:
    category, name = unicodedata.category(char), unicodedata.name(char, "")
    return (category[0] in "PS" or category == "Lm") and ("QUOTATION MARK" in name or "APOSTROPHE" in name)


def _units(text: str, unknown: frozenset[str]) -> Iterator[Plain]:
    """The unknown characters of a text, each with the marks on it, and their plain forms as far as there are any."""
    reached = 0
    for i, char in enumerate(text):
        if i < reached or char not in unknown:
            continue
        start, end = i, i + 1
        while start > reached and _is_mark(text[start]):
            start -= 1
        while end < len(text) and _is_mark(text[end]):
            end += 1
        reached = end
        composed = unicodedata.normalize("NFC", text[start:end])
        forms = [plain_form(c) if c in unknown else c for c in composed]
        sent = "".join(c if form is None else form for c, form in zip(composed, forms, strict=True))
        is_typeset = unicodedata.decomposition(char).startswith(_TYPESET)
        restored = (
            text[start:end] if sent in (_DASH, _APOSTROPHE, _QUOTE) or unicodedata.category(char)[0] == "P" else ""
        )
        if sent == _DASH and not re.search("HYPHEN|EN DASH|FIGURE", unicodedata.name(char)):
            # A word is not to become a compound with the next one
            before, after = around(text, start, end)
            sent = " " * bool(before.strip()) + sent + " " * bool(after.strip())
        yield Plain(start, end, sent, "" if is_typeset else restored)


def around(text: str, start: int, end: int) -> tuple[str, str]:
    """The characters before and behind a stretch of a text; "" at its ends."""
    return text[max(0, start - 1) : start], text[end : end + 1]


def _is_mark(char: str) -> bool:
    """Whether a character may be composed with the one before it: marks, and the later letters of a Korean syllable."""
    return unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff"


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
    return char.isalnum() or unicodedata.category(char)[0] == "M" or unicodedata.category(char) == "Cf"


def _is_inner(text: str, i: int) -> bool:
    """Whether a character is a hyphen, point or the like between two parts of a word; an apostrophe parts words."""
    if not 0 < i < len(text) - 1 or not (_in_word(text[i - 1]) and _in_word(text[i + 1])):
        return False
    return unicodedata.category(text[i]) in ("Pd", "Pc", "Po") and not _is_quote(text[i])


def put_back(text: str, sent: str, plain: Sequence[Plain]) -> tuple[str, bool]:
    """Put what was sent in a plain form back into a translation.

    A quote or a dash belongs to those of the source that touch words on the same sides. They are put back where these
    are all alike, or as many as in the source.

    Args:
        text: The translation.
        sent: What was translated.
        plain: What is plain in `sent`, with places in it.

    Returns:
        The translation, and whether nothing in it is still in a plain form.
    """
    is_sure = True
    matched: list[tuple[tuple[int, int], Plain | None]] = []
    words: list[tuple[str, dict[int, Plain]]] = []
    for form in dict.fromkeys(item.sent.strip() for item in plain if item.restored):
        of_form = {item.start + item.sent.index(form): item for item in plain if item.restored and form in item.sent}
        if next(iter(of_form.values())).restored.lower() == form and form[0].isalpha():
            words.append((form, of_form))
            continue
        found, is_all = _match(form, of_form, sent, text)
        is_sure = is_sure and (is_all or sum(item is not None for _, item in found) >= len(of_form))
        matched += found
    parts, at = [], 0
    for (start, end), item in sorted(matched, key=lambda one: one[0]):
        if item is not None:
            start -= item.sent.startswith(" ") and text[start - 1 : start] == " "
            parts += [text[at:start], item.restored]
            at = end + (item.sent.endswith(" ") and text[end : end + 1] == " ")
    text = "".join([*parts, text[at:]])
    for form, of_form in words:
        text = _capitals_back(text, form, of_form, is_first=not _LETTERS.search(sent[: min(of_form)]))
    return text, is_sure


def _match(
    form: str, of_form: dict[int, Plain], sent: str, text: str
) -> tuple[list[tuple[tuple[int, int], Plain | None]], bool]:
    """Where a plain form is in a translation, with what takes its place, and whether that is sure of all."""
    # Not a part of "--" or "...."
    pattern = re.compile(rf"(?<!{re.escape(form[0])}){re.escape(form)}(?!{re.escape(form[0])})")
    asked = {sides: [of_form.get(start) for start, _ in places] for sides, places in _by_sides(pattern, sent).items()}
    everything = [item for items in asked.values() for item in items]
    near = _by_neighbours(pattern, sent, of_form)
    found = _by_sides(pattern, text)
    n_found = sum(map(len, found.values()))
    is_clear = _alike(everything) and (form == _APOSTROPHE or n_found == len(everything))
    matched: list[tuple[tuple[int, int], Plain | None]] = []
    is_all = True
    for sides, places in found.items():
        items = everything if is_clear else asked.get(sides, [])
        may_differ = form == _APOSTROPHE or (form == _QUOTE and len(places) <= len(items))
        if is_clear or (may_differ and _alike(items)):
            items = items[:1] * len(places)
        if len(items) != len(places):
            # The same letters on both sides say it as well
            items = [near.get(around(text, *place)) for place in places]
            is_all = is_all and all(around(text, *place) in near for place in places)
        matched += zip(places, items, strict=True)
    return matched, is_all


def _capitals_back(text: str, form: str, places: dict[int, Plain], *, is_first: bool) -> str:
    """Put back a word that was sent in small letters, where it was copied, or without its accents inside a sentence."""
    restored = next(iter(places.values())).restored
    bare = "".join(char for char in unicodedata.normalize("NFD", form) if not _is_mark(char))
    forms = {form} if is_first else {form, bare}
    text = restored.join(re.split(rf"(?<!\w)(?:{'|'.join(map(re.escape, forms))})(?!\w)", text))
    return text[:1].upper() + text[1:] if is_first else text


def _by_sides(pattern: re.Pattern[str], text: str) -> dict[tuple[bool, bool, bool], list[tuple[int, int]]]:
    """Where a pattern is in a text, by whether it stands between letters, behind a space, and before one."""
    result = defaultdict(list)
    for match in pattern.finditer(text):
        before, after = around(text, *match.span())
        is_inner = before.isalnum() and after.isalnum()
        opens = not before or before.isspace() or unicodedata.category(before) in ("Ps", "Pi")
        closes = not after or after.isspace() or unicodedata.category(after) in ("Pe", "Pf", "Po")
        result[is_inner, opens, closes].append(match.span())
    return result


def _by_neighbours(
    pattern: re.Pattern[str], sent: str, of_form: dict[int, Plain]
) -> dict[tuple[str, str], Plain | None]:
    """What is between two letters, where it is the same everywhere."""
    result = defaultdict(list)
    for match in pattern.finditer(sent):
        result[around(sent, *match.span())].append(of_form.get(match.start()))
    return {key: items[0] for key, items in result.items() if _alike(items) and all(map(str.isalnum, key))}


def _alike(items: Sequence[Plain | None]) -> bool:
    return bool(items) and len({item and item.restored for item in items}) == 1
