"""Text in columns of a terminal: how wide it is, wrapped, coloured by wasabi."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import wasabi

WIDTH = 80
# What turns the direction of text: it could make a line read as something else
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Piece(NamedTuple):
    """Text in one style.

    foreground, background (str | None): Colours such as "#7aecec".
    """

    text: str
    foreground: str | None = None
    background: str | None = None
    bold: bool = False


def plain(text: str) -> str:
    """The text on one line, without what a terminal would obey: escape sequences, line ends, turns of direction."""
    return "".join(
        " "
        if char in "\t\n\r\u2028\u2029"
        else "\ufffd"
        if char in _TURNING or unicodedata.category(char) == "Cc"
        else char
        for char in text
    )


def columns(text: str) -> int:
    """How many columns a text takes: two for a wide character, none for a combining one."""
    return sum(map(_columns_of, text))


def cut(text: str, width: int) -> str:
    """The text, its end replaced by "…" where it is wider than that."""
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[:-1]
    return text + "…"


def wrapped(pieces: Iterable[Piece], first: str, other: str, *, width: int = WIDTH) -> Iterator[str]:
    """Lines that are not wider than that; cut at spaces, and inside words that are too long or have no spaces.

    first, other (str): What the first line, and each other one, begins with.
    """
    line, used = [Piece(first)], columns(first)
    empty = True
    for word in _words(pieces):
        space = word[0].text == " "
        need = sum(columns(piece.text) for piece in word)
        if used + need > width and not empty and not (need > width - columns(other)):
            yield _colored(line)
            line, used, empty = [Piece(other)], columns(other), True
        if space and empty:
            continue
        for piece in word:
            for char in piece.text:
                if used + _columns_of(char) > width:
                    yield _colored(line)
                    line, used = [Piece(other)], columns(other)
                line.append(piece._replace(text=char))
                used += _columns_of(char)
                empty = False
    if not empty:
        yield _colored(line)


def _plain(char: str) -> str:
    if char in "\t\n\r\u2028\u2029":
        return " "
    return "\ufffd" if char in _TURNING or unicodedata.category(char) == "Cc" else char


def _columns_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _words(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """What stands between spaces, and each space by itself."""
    word: list[Piece] = []
    for piece in pieces:
        for n, text in enumerate(piece.text.split(" ")):
            if n:
                if word:
                    yield word
                yield [piece._replace(text=" ")]
                word = []
            if text:
                word.append(piece._replace(text=text))
    if word:
        yield word


def _colored(line: list[Piece]) -> str:
    """The line as text, each stretch of one style coloured once; no spaces at its end."""
    while line and line[-1].text == " ":
        line.pop()
    parts: list[Piece] = []
    for piece in line:
        if parts and parts[-1][1:] == piece[1:]:
            parts[-1] = parts[-1]._replace(text=parts[-1].text + piece.text)
        else:
            parts.append(piece)
    return "".join(
        wasabi.color(part.text, fg=_nearest(part.foreground), bg=_nearest(part.background), bold=part.bold)
        for part in parts
    )


def _nearest(color: str | None) -> int | None:
    """The nearest of the 256 colours of a terminal, of its cube of 6 × 6 × 6."""
    if color is None:
        return None
    levels = (0, 95, 135, 175, 215, 255)
    found = [min(range(6), key=lambda n: abs(levels[n] - int(color[i : i + 2], 16))) for i in (1, 3, 5)]
    return 16 + 36 * found[0] + 6 * found[1] + found[2]
