"""Markers around spans: put into a text, and found again in its translation, where they may be damaged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A range of characters `[start, end)`
Range = tuple[int, int]

_OPENING, _CLOSING = "[({【（［｛〔〈", "])}】）］｝〕〉"
# The most spans that are told apart in one text: numbers of two digits, and less than there are names of two letters
_MOST = 99


@dataclass(frozen=True)
class Style:
    """A kind of markers.

    Attributes:
        opening: What is put before a span; `{k}` is its number from 1, or a name in place of it.
        numbered: Whether a marker says which span it belongs to.
    """

    opening: str
    numbered: bool
    closing: str = "]"

    def is_usable(self, text: str) -> bool:
        """Whether a text has no character that would be taken for a marker of the basic form."""
        return set("[]").isdisjoint(text)

    def pattern(self, text: str) -> re.Pattern[str]:
        """What finds the markers in a translation: groups `open`, with `number`, or `close`.

        Args:
            text: The text without markers. A bracket that it has itself is none of the markers.
        """
        opening, closing = (
            re.escape("".join(c for c in characters if c not in text) or "\0") for characters in (_OPENING, _CLOSING)
        )
        number = r"(?:\s*(?P<number>\d{1,2})\s*[:.：;,)\-–]*)?" if self.numbered else "(?P<number>(?!))?"
        return re.compile(rf"(?P<open>[{opening}]{number}\s*)|(?P<close>\s*[{closing}])")

    def markers(self, k: int) -> tuple[str, str]:
        """What stands before and behind the k-th span, from 1."""
        return self.opening.format(k=k), self.closing.format(k=k)

    def number(self, match: re.Match[str]) -> int | None:
        """The number of the span that a marker which `pattern` found belongs to, where it says so."""
        return None if match["number"] is None else int(match["number"])


class TagStyle(Style):
    """XML tags, whose names are letters: `<a>` for the first span."""

    def is_usable(self, text: str) -> bool:
        return set("<>＜＞").isdisjoint(text)

    def pattern(self, text: str) -> re.Pattern[str]:
        name = r"\s*(?P<{}>[a-z]{{1,2}})\s*[>＞]"
        opens, closes = rf"[<＜]{name.format('number')}\s*", rf"\s*[<＜]\s*[/／]{name.format('closed')}"
        return re.compile(f"(?P<open>{opens})|(?P<close>{closes})", re.I)

    def markers(self, k: int) -> tuple[str, str]:
        name = _letters(k)
        return self.opening.format(k=name), self.closing.format(k=name)

    def number(self, match: re.Match[str]) -> int:
        name = (match["number"] or match["closed"]).lower()
        return sum((ord(letter) - ord("a") + 1) * 26**place for place, letter in enumerate(reversed(name)))


def _letters(k: int) -> str:
    """A number from 1 as letters: a, b, …, z, aa, ab, …"""
    rest, last = divmod(k - 1, 26)
    return (_letters(rest) if rest else "") + chr(ord("a") + last)


STYLES = {
    "numbered": Style("[{k}: ", numbered=True),
    "brackets": Style("[", numbered=False),
    "tags": TagStyle("<{k}>", numbered=True, closing="</{k}>"),
}


class Marked(NamedTuple):
    """Characters `[start, end)` of the text without markers that stood between some, and the span's number if known."""

    start: int
    end: int
    number: int | None = None


class Half(NamedTuple):
    """A marker that lacks its partner: its place in the text without markers, and the span's number if known."""

    place: int
    opens: bool
    number: int | None = None


class Reading(NamedTuple):
    """A translation without its markers, and what stood between them."""

    text: str
    marked: list[Marked]
    halves: list[Half]


def layers(ranges: Sequence[Range]) -> list[list[int]]:
    """Share spans out among as few texts as it takes, so that none cross within one: indices of spans for each text."""
    result: list[list[int]] = []
    for n in sorted(range(len(ranges)), key=lambda n: (ranges[n][0], -ranges[n][1])):
        for layer in result:
            if len(layer) < _MOST and not any(_cross(ranges[n], ranges[m]) for m in layer):
                layer.append(n)
                break
        else:
            result.append([n])
    return result


def mark(text: str, ranges: Sequence[Range], style: Style) -> str:
    """A text with markers around ranges of characters that do not cross; the first one gets number 1."""
    events = []
    for k, (start, end) in enumerate(ranges, 1):
        # What ends here is closed before anything opens; the inner closes before the outer, and opens after it
        opening, closing = style.markers(k)
        events.append((start, 1, -end, k, opening))
        events.append((end, 0, -start, -k, closing))
    parts, last = [], 0
    for place, _, _, _, marker in sorted(events):
        parts += [text[last:place], marker]
        last = place
    return "".join(parts) + text[last:]


def read(translation: str, text: str, style: Style) -> Reading:
    """Take the markers out of a translation.

    A pair that is doubled counts once. Brackets of another kind, spaces inside and full-width forms are understood,
    unless the text has such brackets of its own.

    Args:
        translation: The translation of a marked text.
        text: That text without markers.
        style: The kind of markers.
    """
    clean, length, last = [], 0, 0
    stack: list[tuple[int, int | None]] = []
    marked: list[Marked] = []
    halves: list[Half] = []
    for match in style.pattern(text).finditer(translation):
        piece = translation[last : match.start()]
        clean.append(piece)
        length += len(piece)
        last = match.end()
        number = style.number(match)
        if match["open"] is not None:
            stack.append((length, number))
            continue
        # One that does not say what it closes closes the last one
        opened = [i for i, (_, own) in enumerate(stack) if number in (None, own)]
        if opened:
            start, own = stack.pop(opened[-1])
            marked.append(Marked(start, length, own))
        else:
            halves.append(Half(length, opens=False, number=number))
    halves += [Half(place, opens=True, number=number) for place, number in stack]
    whole = "".join([*clean, translation[last:]])
    kept: dict[Range, Marked] = {}
    for item in (_trimmed(whole, item) for item in marked):
        same = kept.get(item[:2])
        if item.start < item.end and (same is None or same.number is None):
            kept[item[:2]] = item
    return Reading(whole, sorted(kept.values(), key=lambda m: (m.start, -m.end)), halves)


def _cross(a: Range, b: Range) -> bool:
    """Whether two ranges overlap and none is inside the other."""
    overlap = a[0] < b[1] and b[0] < a[1]
    return overlap and not (b[0] <= a[0] and a[1] <= b[1]) and not (a[0] <= b[0] and b[1] <= a[1])


def _trimmed(text: str, item: Marked) -> Marked:
    start, end = item.start, item.end
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return Marked(start, end, item.number)
