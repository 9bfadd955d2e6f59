"""Text for people: control characters in data do not steer a terminal, and markup in data is text in Markdown."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
import unicodedata
from functools import partial
from typing import Any

import wasabi
from wasabi.util import color as paint
from wasabi.util import locale_escape

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

    def text(
        self,
        title: Any = "",
        text: Any = "",
        color: Any = None,
        bg_color: Any = None,
        icon: str | None = None,
        spaced: bool = False,
        show: bool = True,
        no_print: bool = False,
        exits: int | None = None,
    ) -> Any:
        """As wasabi's, which joins the lines of a text and wraps them at 80 characters.

        Here lines stay lines. They are wrapped and coloured for a terminal alone: in a file a path stays whole.
        """
        if not show:
            return None
        title, text = (plain(str(part), lines=True) for part in (title, text))
        if self.pretty and (mark := self.icons.get(icon or "")):
            title = locale_escape(f"{mark} {title}").strip()
        if sys.stdout.isatty():
            title, text = _wrapped(title), _wrapped(text)
            if self.pretty and self.show_color:
                title = paint(title, fg=self.colors.get(color, color), bg=self.colors.get(bg_color, bg_color))
        message = f"{title}\n{text}" if text else title
        if exits is not None or spaced:
            message = f"\n{message}\n"
        if no_print or self.no_print:
            return message
        print(message, flush=exits is not None)
        if exits is not None:
            sys.exit(exits)
        return None

    def table(self, data: Any, **kwargs: Any) -> Any:
        rows = data.items() if isinstance(data, dict) else data
        return super().table([[plain(str(cell)) for cell in row] for row in rows], **kwargs)


def _wrapped(text: str) -> str:
    """Lines cut at white space to the width of the terminal; where that is not known, 80 characters."""
    width = shutil.get_terminal_size().columns
    cut = partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
    return "\n".join(cut(line, subsequent_indent=_indent(line)) for line in text.split("\n"))


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" ")))
