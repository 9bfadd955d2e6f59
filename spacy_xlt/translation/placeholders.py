"""What in a text must not be translated: addresses, code, handles, paths, variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from spacy.lang.lex_attrs import _tlds

from ..errors import error

# A letter or digit of a script with spaces between words; in the others an address touches the words around it
WORD = r"[^\W\u0e00-\u109f\u2e80-\uffef]"
_END = r"[^\s<>\"'`«»“”\u0e00-\u109f\u2e80-\uffef]"
# In the order in which they are looked for at each place. Top-level domains of two letters are also words ("so.It"), so
# that an address without "www" or "http" needs a longer one, or a path after it.
_LONG_DOMAINS = "|".join(sorted(tld for tld in _tlds if len(tld) > 2 and tld.isascii()))
_SHORT_DOMAINS = "|".join(sorted(tld for tld in _tlds if len(tld) == 2))
_PATTERNS = {
    "code": r"(?P<ticks>`{1,3})(?=[^`\s])[^`\n]+(?P=ticks)",
    "email": rf"(?<!{WORD})(?<![.+-])(?:{WORD}|[.+%-]){{1,64}}@(?:{WORD}|-){{1,64}}(?:\.(?:{WORD}|-){{1,64}})+",
    "url": rf"(?<!{WORD})(?:(?:https?|ftp|file|mailto|irc)://?{_END}+|www\.{_END}+"
    rf"|(?:[a-z0-9-]{{1,64}}\.){{1,8}}(?:(?:{_LONG_DOMAINS})(?![\w-])(?:[/?#:]{_END}*)?|(?:{_SHORT_DOMAINS})/{_END}+))",
    "path": r"(?<![\w/\\.])(?:[A-Za-z]:\\[^\s<>\"'|?*]+|\\\\\w[^\s<>\"'|?*]+|~/[\w.@+-]+(?:/[\w.@+-]*)*"
    r"|\.{0,2}/[\w.@+-]{1,99}(?:/[\w.@+-]{1,99})+/?|\.{0,2}/(?:[\w@+-]{1,99}\.){1,8}[A-Za-z]\w{0,5}"
    r"|[\w.@+-]{1,99}(?:/[\w.@+-]{1,99}){0,30}/[\w@+-]{1,99}\.[A-Za-z]\w{0,5})(?!\w)",
    "variable": r"\{\{[^{}\n]+\}\}|\$\{[^{}\n]+\}|\{[\w.:!\[\]-]*\}|%\(\w+\)[#0+ -]?[\d.]*[sdifrxu]"
    r"|(?<![\w%])%(?:\d+\$)?[\d.]*[sdfiux](?!\w)",
    "handle": r"(?<![\w@./])@[^\W\d_]\w*(?:[.-]\w+)*",
    "hashtag": r"(?<![\w#&/])#\w*[^\W\d_]\w*",
}
KINDS = tuple(_PATTERNS)
# No text without one of these has anything to protect
_SIGNS = re.compile(r"[@/`{%#\\]|\w\.[a-z]")
_WORD = re.compile(f"{WORD}+")
_CLOSING = {")": "(", "]": "[", "}": "{"}


class Protected(NamedTuple):
    """A string that must not be translated: where it stands in the text, in characters, and what it is."""

    start: int
    end: int
    kind: str


@lru_cache(maxsize=32)
def _pattern(kinds: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{kind}>{_PATTERNS[kind]})" for kind in KINDS if kind in kinds))


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Make sure that kinds are known.

    RAISES (XltError): E250 for one that is not.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise error("E250", value=kind, known=", ".join(KINDS))
    return tuple(kinds)


def find_protected(text: str, *, kinds: tuple[str, ...] = KINDS) -> list[Protected]:
    """The strings of a text that must not be translated.

    kinds (tuple[str, ...]): Some of `KINDS`.
    RETURNS (list[Protected]): In order, not overlapping. Punctuation at the end of an address is not a part of it.
    """
    if not kinds or not _SIGNS.search(text):
        return []
    found: list[Protected] = []
    for match in _pattern(kinds).finditer(text):
        kind = next(kind for kind in kinds if match.group(kind) is not None)
        end = match.end() if kind in ("code", "variable") else _without_punctuation(text, match.start(), match.end())
        start = match.start()
        if kind in ("code", "variable"):
            start, end = _whole_word(text, start, end, found[-1].end if found else 0)
        if end > start + 1 and (not found or start >= found[-1].end):
            found.append(Protected(start, end, kind))
    return found


def _whole_word(text: str, start: int, end: int, lowest: int) -> tuple[int, int]:
    """The stretch with the letters that touch it ("{n}th"): a stand-in could not be told from them."""
    if end < len(text) and (match := _WORD.match(text, end)):
        end = match.end()
    while start > lowest and _WORD.match(text[start - 1]):
        start -= 1
    return start, end


def _without_punctuation(text: str, start: int, end: int) -> int:
    """Where an address ends if the punctuation after it belongs to the sentence."""
    while end > start:
        last = text[end - 1]
        if last in _CLOSING:
            inside = text[start:end]
            if inside.count(_CLOSING[last]) >= inside.count(last):
                break
        elif last not in ".,;:!?…*|":
            break
        end -= 1
    return end
