"""Plain forms of quotes, dashes and other characters: which they are, and putting them back into a translation."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

# Decompositions that lose what the character says ("10²" is not "102"), and those that are a matter of typesetting
_TELLING = ("<super>", "<sub>", "<fraction>", "<circle>")
_TYPESET = ("<wide>", "<narrow>", "<font>", "<vertical>", "<small>")
_DASH, _APOSTROPHE, _QUOTE = "-", "'", '"'
LETTERS = re.compile(r"[^\W\d_]+")


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


@lru_cache(maxsize=4096)
def plain_form(char: str) -> str | None:
    """What may be sent for a character that is unknown; None where it would say something else."""
    category = unicodedata.category(char)
    if category == "Cf" or "VARIATION SELECTOR" in unicodedata.name(char, ""):
        return ""
    if category == "Pd":
        return _DASH
    if is_quote(char):
        return _APOSTROPHE if re.search("SINGLE|APOSTROPHE", unicodedata.name(char)) else _QUOTE
    kind = unicodedata.decomposition(char).partition(" ")[0]
    plain = unicodedata.normalize("NFKC", char)
    if plain == char or kind in _TELLING:
        return None
    return plain if kind in (*_TYPESET, "<noBreak>") or category[0] in "LP" or category in ("Nd", "Nl") else None


def is_quote(char: str) -> bool:
    """Whether a character is a quotation mark or an apostrophe."""
    category, name = unicodedata.category(char), unicodedata.name(char, "")
    return (category[0] in "PS" or category == "Lm") and ("QUOTATION MARK" in name or "APOSTROPHE" in name)


def plain_units(text: str, unknown: frozenset[str]) -> Iterator[Plain]:
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
        is_mark = sent in (_DASH, _APOSTROPHE, _QUOTE) or unicodedata.category(char)[0] == "P"
        if sent == _DASH and not re.search("HYPHEN|EN DASH|FIGURE", unicodedata.name(char)):
            # A word is not to become a compound with the next one
            before, after = around(text, start, end)
            sent = " " * bool(before.strip()) + sent + " " * bool(after.strip())
        yield Plain(start, end, sent, text[start:end] if is_mark and not is_typeset else "")


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
    places = ((place, item) for place, item in matched if item is not None)
    text = replaced(
        text,
        sorted((*place, item.restored, item.sent.startswith(" "), item.sent.endswith(" ")) for place, item in places),
    )
    for form, of_form in words:
        text = _capitals_back(text, form, of_form, is_first=not LETTERS.search(sent[: min(of_form)]))
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
        opens = may_precede(before)
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


def replaced(text: str, places: Iterable[tuple[int, int, str, bool, bool]]) -> str:
    """The text with something else in some places.

    Args:
        places: In order: start, end, what takes their place, and whether a space before and behind goes as well.
    """
    parts, at = [], 0
    for start, end, other, before, after in places:
        start -= before and text[start - 1 : start] == " "
        parts += [text[at:start], other]
        at = end + (after and text[end : end + 1] == " ")
    return "".join([*parts, text[at:]])


def may_precede(before: str) -> bool:
    """Whether a word begins behind a character: there is none, or white space, or an opening bracket or quote."""
    return not before or before.isspace() or unicodedata.category(before) in ("Ps", "Pi")


def around(text: str, start: int, end: int) -> tuple[str, str]:
    """The characters before and behind a stretch of a text; "" at its ends."""
    return text[max(0, start - 1) : start], text[end : end + 1]


def _is_mark(char: str) -> bool:
    """Whether a character may be composed with the one before it: marks, and the later letters of a Korean syllable."""
    return unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff"
