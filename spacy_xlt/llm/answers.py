"""What a language model has put around its answer, taken off."""

from __future__ import annotations

import re
from collections.abc import Sequence

_THOUGHT = re.compile(r"<think(?:ing)?>|</think(?:ing)?>")
_FENCED = re.compile(r"```[\w-]*\n(.*?)\n?```", re.S)
# What may stand around a text, before and behind it
_AROUND = ("**|**", '"|"', "'|'", "`|`", "“|”", "„|“", "„|”", "”|”", "«|»", "»|«", "‘|’", "「|」", "『|』")
_MARKS = frozenset("".join(_AROUND)) - {"|"}
_COLON = re.compile(r"[:：]")


def without_thoughts(text: str) -> str:
    """An answer without what the model thought before it: `<think>…</think>`, or up to `</think>` alone.

    Empty where the thoughts have no end, as of an answer that was cut.
    """
    marks = [(match.group().startswith("</"), match.end()) for match in _THOUGHT.finditer(text)]
    ends = [end for closes, end in marks if closes]
    if ends:
        return text[ends[-1] :].strip()
    return "" if marks and _THOUGHT.match(text.lstrip()) else text.strip()


def bare(text: str, *, asked: str, titles: Sequence[str]) -> tuple[str, bool]:
    """An answer without a fence, a title before it, quotation marks around it and comments behind it.

    What the text that was asked about has itself is left: its quotation marks, colons and line breaks.

    Args:
        text: An answer without thoughts.
        asked: The text that was asked about.
        titles: What may stand before the answer with a colon, beside "translation" and what has it in it.

    Returns:
        The answer, and whether other lines were left out, so that it may not be the one.
    """
    fenced = _FENCED.fullmatch(text)
    if fenced and "```" not in asked:
        text = fenced[1].strip()
    text = _without_title(text, asked, titles)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    others = len(lines) > 1 and not _has_lines(asked)
    if others:
        text = lines[0]
    return _without_quotes(text, asked), others


def _without_title(text: str, asked: str, titles: Sequence[str]) -> str:
    if len(_COLON.findall(text)) <= len(_COLON.findall(asked)):
        return text
    first, _, rest = text.partition("\n")
    # A line of its own, in whatever language
    if rest.strip() and _COLON.match(first.rstrip("*_ ")[-1:]) and not _has_lines(asked):
        return rest.strip()
    named = "|".join(map(re.escape, titles))
    title = rf"[*_#\s]*(?:{named}|[^:：.!?\n]{{0,60}}\btranslation\b[^:：.!?\n]{{0,60}})[*_]*\s*[:：][*_]*\s*"
    return re.sub(f"^{title}", "", text, count=1, flags=re.I)


def _has_lines(text: str) -> bool:
    return len(text.strip().splitlines()) > 1


def _without_quotes(text: str, asked: str) -> str:
    quoted = asked.strip()
    if {quoted[:1], quoted[-1:]} & _MARKS:
        return text
    for opening, closing in (pair.split("|") for pair in _AROUND):
        inner = text[len(opening) : -len(closing)]
        if inner and text == f"{opening}{inner}{closing}" and opening not in inner and closing not in inner:
            return inner.strip()
    return text
