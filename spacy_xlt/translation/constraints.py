"""What of a text has a given form in its translation: addresses, code and the like, terms of a glossary, names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

from spacy.lang.lex_attrs import _tlds
from spacy.tokens import Doc, Span

from ..errors import error

TERM = "term"
REFERENCE = "reference"
SPANS = "spans:"
# A letter or digit of a script with spaces between words; in the others an address touches the words around it
WORD = r"[^\W\u0e00-\u109f\u2e80-\uffef]"
_END = r"[^\s<>\"'`«»“”\u0e00-\u109f\u2e80-\uffef]"
# In the order in which they are looked for at each place. Top-level domains of two letters are also words ("so.It"), so
# that an address without "www" or "http" needs a longer one, or a path after it.
_LONG_DOMAINS = "|".join(sorted(tld for tld in _tlds if len(tld) > 2 and tld.isascii()))
_SHORT_DOMAINS = "|".join(sorted(tld for tld in _tlds if len(tld) == 2))
_PATTERNS = {
    "tag": r"</?[A-Za-z][\w:.-]*(?:\s[^<>\n]*)?/?>|<[!?%][^<>\n]*>|\\[nrt](?![a-z])",
    REFERENCE: r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]\w{1,30});",
    "code": r"(?P<ticks>`{1,3})(?=[^`\s])[^`\n]+(?P=ticks)",
    "email": rf"(?<!{WORD})(?<![.+-])(?:{WORD}|[.+%-]){{1,64}}@(?:{WORD}|-){{1,64}}(?:\.(?:{WORD}|-){{1,64}})+",
    "url": rf"(?<!{WORD})(?:(?:https?|ftp|file|mailto|irc)://?{_END}+|www\.{_END}+"
    rf"|(?:[a-z0-9-]{{1,64}}\.){{1,8}}(?:(?:{_LONG_DOMAINS})(?![\w-])(?:[/?#:]{_END}*)?|(?:{_SHORT_DOMAINS})/{_END}+))",
    "path": r"(?<![\w/\\.])(?:[A-Za-z]:\\[^\s<>\"'|?*]+|\\\\\w[^\s<>\"'|?*]+|~/[\w.@+-]+(?:/[\w.@+-]*)*"
    r"|\.{0,2}/[\w.@+-]{1,99}(?:/[\w.@+-]{1,99})+/?|\.{0,2}/(?:[\w@+-]{1,99}\.){1,8}[A-Za-z]\w{0,5}"
    r"|[\w.@+-]{1,99}(?:/[\w.@+-]{1,99}){0,30}/[\w@+-]{1,99}\.[A-Za-z]\w{0,5})(?!\w)",
    "variable": r"\{\{[^{}\n]+\}\}|\{%[^{}\n]+%\}|[$#]\{[^{}\n]+\}|\{[\w.:!\[\]-]*\}|%\(\w+\)[#0+ -]?[\d.]*[sdifrxu]"
    r"|(?<![\w%])%(?:\d+\$)?[\d.]*[sdfiux](?![\w%])"
    r"|(?<![\w%])%[A-Za-z_][\w.-]*%(?!\w)|(?<![\w$])\$[A-Za-z_]\w*|(?:(?<=\s)|^):[A-Za-z_]\w*:?(?!\S*:)",
    "handle": r"(?<![\w@./])@[^\W\d_]\w*(?:[.-]\w+)*",
    "hashtag": r"(?<![\w#&/])#\w*[^\W\d_]\w*",
}
KINDS = tuple(_PATTERNS)
# No text without one of these has anything to protect
_SIGNS = re.compile(r"[@/`{%#\\<&$]|\w\.[a-z]|(?:^|\s):\w")
_WORD = re.compile(f"{WORD}+")
_CLOSING = {")": "(", "]": "[", "}": "{"}


class Constraint(NamedTuple):
    """A stretch of a source text whose form in the translation is given.

    Attributes:
        start: Where it begins in the text, in characters.
        end: Where it ends.
        target: What must stand in the translation.
        kind: A kind of placeholder, whose target is the text itself, or "term".
    """

    start: int
    end: int
    target: str
    kind: str = TERM


def find_placeholders(text: str, *, kinds: Sequence[str] = KINDS) -> list[Constraint]:
    """The strings of a text that must not be translated, in order, not overlapping.

    Punctuation at the end of an address is not a part of it.
    """
    if not kinds or not _SIGNS.search(text):
        return []
    result: list[Constraint] = []
    for match in _pattern(tuple(kinds)).finditer(text):
        kind = next(kind for kind in kinds if match.group(kind) is not None)
        start, end = match.span()
        if kind == REFERENCE and len(unescape(match.group())) > 1:
            continue
        previous_end = result[-1].end if result else 0
        if kind in ("code", "variable"):
            start, end = _whole_word(text, start, end, previous_end)
        elif kind not in ("tag", REFERENCE):
            end = _without_punctuation(text, start, end)
        if end > start + 1 and start >= previous_end:
            result.append(Constraint(start, end, text[start:end], kind))
    return result


class Glossary:
    """Terms and their translations.

    A term in small letters is found however it is written ("central bank", "Central Bank"); one with capitals only as
    it stands in the glossary ("Apple"). Where several begin at one token, the longest is taken.
    """

    def __init__(self, entries: dict[str, str]):
        self.entries = {squeezed(term): squeezed(target) for term, target in entries.items()}
        self._longest = max(map(len, self.entries), default=0)

    @classmethod
    def read(cls, path: str | Path) -> Glossary:
        """Read a file of lines `term<TAB>translation`; empty lines and those that begin with "# " don't count.

        Raises:
            XltError: E251 where it cannot be read, E531 with the number of an invalid line.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as err:
            raise error("E251", path=path, reason=getattr(err, "strerror", None) or str(err)) from err
        entries: dict[str, str] = {}
        lines: dict[str, int] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip() or line.startswith("# "):
                continue
            cells = [squeezed(cell) for cell in line.split("\t")]
            if len(cells) != 2 or not all(cells):
                reason = f"{len(cells)} columns" if len(cells) != 2 else "an empty column"
                raise error("E531", path=path, line=number, reason=f"{reason}; expected term, tab, translation")
            term, target = cells
            if entries.get(term, target) != target:
                reason = f"{term!r} is {target!r} here and {entries[term]!r} in line {lines[term]}"
                raise error("E531", path=path, line=number, reason=reason)
            entries[term] = target
            lines.setdefault(term, number)
        return cls(entries)

    def find(self, doc: Doc) -> Iterator[Constraint]:
        """Yield the terms in a doc, whole tokens only and not overlapping. Places are characters of the doc."""
        i = 0
        while i < len(doc):
            end, term = self._longest_at(doc, i) or (i + 1, None)
            if term is not None:
                yield term
            i = end

    def _longest_at(self, doc: Doc, first: int) -> tuple[int, Constraint] | None:
        """The longest term that begins at a token, and the token after it."""
        longest = None
        start = doc[first].idx
        for last in range(first, len(doc)):
            end = doc[last].idx + len(doc[last])
            if end - start > 2 * self._longest:
                break
            if doc[first].is_space or doc[last].is_space:
                continue
            words = squeezed(doc.text[start:end])
            target = self.entries.get(words) or self.entries.get(words.lower())
            if target is not None and words:
                longest = last + 1, Constraint(start, end, target)
        return longest


def is_keep(keep: Sequence[str]) -> bool:
    """Whether the setting `keep` is a list of entity labels and `spans:KEY`."""
    return not isinstance(keep, str) and all(isinstance(item, str) and item and item != SPANS for item in keep)


def kept_spans(doc: Doc, keep: Sequence[str]) -> Iterator[Constraint]:
    """Yield the spans of a doc whose text must appear as it is. They may overlap.

    Args:
        keep: Labels of entities, and `spans:KEY` for span groups.
    """
    for item in keep:
        if item.startswith(SPANS):
            spans: Iterable[Span] = doc.spans.get(item[len(SPANS) :], ())
        else:
            spans = (ent for ent in doc.ents if ent.label_ == item)
        yield from (Constraint(span.start_char, span.end_char, span.text) for span in spans)


def squeezed(text: str) -> str:
    """The text with every run of white space a single space."""
    return re.sub(r"\s+", " ", text).strip()


@lru_cache(maxsize=32)
def _pattern(kinds: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{kind}>{_PATTERNS[kind]})" for kind in KINDS if kind in kinds))


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
