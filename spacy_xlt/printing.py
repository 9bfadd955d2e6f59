"""Text for people: control characters in data do not steer a terminal, and markup in data is text in Markdown."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import wasabi

# What turns the direction of text: it could make a line read as something else
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What is Markdown or HTML inside a line; a star at the end can open nothing
_MARKUP = re.compile(r"[\\`\[\]]|\*(?!$)")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str, *, lines: bool = False) -> str:
    """The text on one line, without what a terminal would obey: escape sequences, line ends, turns of direction.

    Args:
        text: Any text.
        lines: Keep its line ends and tabs.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "\t\n" if lines else ""
    return "".join(char if char in kept else _plain(char) for char in text)


def _plain(char: str) -> str:
    if char in "\t\n\r\u2028\u2029":
        return " "
    return "\ufffd" if char in _TURNING or unicodedata.category(char) in ("Cc", "Cs") else char


def markdown(text: str) -> str:
    """Text that Markdown shows as it is. In a cell of a table "|" needs a backslash more, also inside code."""
    text = "".join(_HTML.get(char, char) for char in plain(text))
    return _MARKUP.sub(lambda match: "\\" + match[0], text)


def markdown_code(text: str) -> str:
    """Text as a code span of Markdown."""
    return f"`{plain(text).replace('`', chr(39))}`"


class Printer(wasabi.Printer):
    """Wasabi's, for messages with data in them."""

    def text(self, title: Any = "", text: Any = "", *args: Any, **kwargs: Any) -> Any:
        return super().text(plain(str(title), lines=True), plain(str(text), lines=True), *args, **kwargs)

    def table(self, data: Any, **kwargs: Any) -> Any:
        rows = data.items() if isinstance(data, dict) else data
        return super().table([[plain(str(cell)) for cell in row] for row in rows], **kwargs)
