"""Markers around spans: put into a text, and found again in its translation, where they may be damaged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A range of characters `[start, end)`.
Range = tuple[int, int]

_BRACKETS = {"[": "]", "(": ")", "{": "}", "【": "】", "（": "）", "［": "］", "｛": "｝", "〔": "〕", "〈": "〉"}
_OPENING, _CLOSING = "".join(_BRACKETS), "".join(_BRACKETS.values())
_QUOTES = '"“”„‟«»″'


@dataclass(frozen=True)
class Style:
    """A kind of markers.

    opening, closing (str): What is put before and after a span; `{k}` is its number from 1, `{l}` its letter.
    numbered (bool): Whether a marker says which span it belongs to.
    reads (str): Characters that may be such a marker, or a damaged one, in a translation.
    nests (bool): Whether one span may be marked inside another.
    limit (int): The most spans that can be told apart in one text.
    """

    opening: str
    closing: str
    numbered: bool
    reads: str
    nests: bool = True
    limit: int = 99

    def usable(self, text: str) -> bool:
        """Whether a text has no character that would be taken for a marker of the basic form."""
        basic = set((self.opening + self.closing).format(k="", l="")) - set(" :/")
        return basic.isdisjoint(text)

    def pattern(self, text: str) -> re.Pattern[str]:
        """What finds the markers in a translation: groups `open`, with `number`, or `close`, or `both`.

        text (str): The text without markers. A bracket that it has itself is none of the markers.
        """
        if self.opening.startswith("<"):
            # Of a damaged closing tag the slash and the letter are left, with one of the brackets
            closing = r"<\s*[/\\]\s*[a-z]?\s*>|[/\\]\s*[a-z]\s*>|<\s*[/\\]\s*[a-z]\b"
            return re.compile(rf"(?P<open><\s*(?P<number>[a-z])\s*>\s*)|(?P<close>\s*(?:{closing}))")
        if not self.nests:
            return re.compile(f"(?P<both>[{re.escape(_left(_QUOTES, text))}])")
        opening, closing = re.escape(_left(_OPENING, text)), re.escape(_left(_CLOSING, text))
        number = r"(?:\s*(?P<number>\d{1,2})\s*[:.：;,)\-–]*)?" if self.numbered else "(?P<number>(?!))?"
        return re.compile(rf"(?P<open>[{opening}]{number}\s*)|(?P<close>\s*[{closing}])")


STYLES = {
    "numbered": Style("[{k}: ", "]", True, _OPENING + _CLOSING),
    "brackets": Style("[", "]", False, _OPENING + _CLOSING),
    "tags": Style("<{l}>", "</{l}>", True, "<>/", limit=26),
    "quotes": Style('"', '"', False, _QUOTES, nests=False),
}


@dataclass(frozen=True)
class Marked:
    """A text that stood between markers.

    start, end (int): Its characters in the text without markers.
    number (int | None): Which span it is, where the markers say so.
    """

    start: int
    end: int
    number: int | None = None


@dataclass(frozen=True)
class Half:
    """A marker that lacks its partner.

    place (int): Where in the text without markers.
    opens (bool): Whether it is an opening one.
    number (int | None): Which span it belongs to, where it says so.
    """

    place: int
    opens: bool
    number: int | None = None


@dataclass(frozen=True)
class Reading:
    """A translation without its markers, and what stood between them."""

    text: str
    marked: list[Marked]
    halves: list[Half]


def layers(ranges: Sequence[Range], style: Style) -> list[list[int]]:
    """Share spans out among as few texts as it takes, so that none cross within one, nor nest where a style can't.

    RETURNS (list[list[int]]): Indices of spans, for each text.
    """
    result: list[list[int]] = []
    for n in sorted(range(len(ranges)), key=lambda n: (ranges[n][0], -ranges[n][1])):
        for layer in result:
            if len(layer) < style.limit and all(_fits(ranges[n], ranges[m], style) for m in layer):
                layer.append(n)
                break
        else:
            result.append([n])
    return result


def mark(text: str, ranges: Sequence[Range], style: Style) -> str:
    """A text with markers around ranges of characters that do not cross; the first one gets number 1."""
    events = []
    for k, (start, end) in enumerate(ranges, 1):
        letter = chr(ord("a") + (k - 1) % 26)
        # What ends here is closed before anything opens; the inner closes before the outer, and opens after it
        events.append((start, 1, -end, k, style.opening.format(k=k, l=letter)))
        events.append((end, 0, -start, -k, style.closing.format(k=k, l=letter)))
    parts, last = [], 0
    for place, _, _, _, marker in sorted(events):
        parts += [text[last:place], marker]
        last = place
    return "".join(parts) + text[last:]


def read(translation: str, text: str, style: Style) -> Reading:
    """Take the markers out of a translation.

    A pair that is doubled counts once. Brackets of another kind, spaces inside and full-width forms are understood,
    unless the text has such brackets of its own.

    translation (str): The translation of a marked text.
    text (str): That text without markers.
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
        groups = match.groupdict()
        both = groups.get("both") is not None
        if groups.get("open") is not None or (both and not stack):
            stack.append((length, _number(groups.get("number"))))
        elif stack:
            start, number = stack.pop()
            marked.append(Marked(start, length, number))
        else:
            halves.append(Half(length, opens=False))
    halves += [Half(place, opens=True, number=number) for place, number in stack]
    whole = "".join([*clean, translation[last:]])
    kept: dict[Range, Marked] = {}
    for item in marked:
        trimmed = _trimmed(whole, item)
        if trimmed.start < trimmed.end:
            same = kept.get((trimmed.start, trimmed.end))
            if same is None or same.number is None:
                kept[trimmed.start, trimmed.end] = trimmed
    return Reading(whole, sorted(kept.values(), key=lambda m: (m.start, -m.end)), halves)


def _fits(a: Range, b: Range, style: Style) -> bool:
    if a[1] <= b[0] or b[1] <= a[0]:
        return True
    inside = (b[0] <= a[0] and a[1] <= b[1]) or (a[0] <= b[0] and b[1] <= a[1])
    return style.nests and inside


def _left(characters: str, text: str) -> str:
    return "".join(c for c in characters if c not in text) or "\0"


def _number(found: str | None) -> int | None:
    if found is None:
        return None
    return int(found) if found.isdigit() else ord(found) - ord("a") + 1


def _trimmed(text: str, item: Marked) -> Marked:
    start, end = item.start, item.end
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return Marked(start, end, item.number)
