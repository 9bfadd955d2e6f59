"""What of a document is translated at once: its sentences, cut at line breaks and where they are too long."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate

from spacy.tokens import Doc

from ..docs import all_spans, sentence_ranges, uncut
from .constraints import find_placeholders

# From this length on, a line without an end of sentence is taken to go on in the next one: text is commonly wrapped at
# 60 to 80 characters, and titles and list items are mostly shorter.
_WRAPPED_LINE = 50
# Sentences of a line that was translated as a whole
_LONGEST_RUN = 10
_BREAK = re.compile(r"[^\S\r\n\v\f\x85\u2028\u2029]*(?:\r\n|[\r\n\v\f\x85\u2028\u2029])\s*")
_ONE_BREAK = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_LIST_ITEM = re.compile(r"(?:[-*•·–—▪◦]|\d{1,3}[.)]|[A-Za-z][.)])\s")
# Ends of sentences in scripts without spaces, which may stand inside a token; not where a bracket or quote closes, as
# the sentence around it may go on.
_INNER_END = re.compile(r"[。！？｡။។]+(?![。！？｡။។」』）】〉》”’\s])")
_CLAUSE_END = frozenset(",;:—–)、，；：،؛)…")


@dataclass(frozen=True)
class Part:
    """A stretch of text that is translated at once.

    Attributes:
        text: Without white space around it.
        offset: Where it starts in the document, in characters.
        gap: What stands before it, in the sentence and in its translation: white space as it is, or None between parts
            of what was too long, where the target language says whether a space is due.
    """

    text: str
    offset: int
    gap: str | None


@dataclass(frozen=True)
class Sentence:
    """A sentence of a document.

    Attributes:
        start: Its first token.
        end: The token behind its last one.
        parts: What is translated; nothing for a sentence of white space.
        after: The white space after the last part.
    """

    start: int
    end: int
    parts: tuple[Part, ...]
    after: str


def sentences_of(doc: Doc, *, max_chars: int | None = None, protect: tuple[str, ...] = ()) -> Iterator[Sentence]:
    """Yield the sentences of a doc, in order: its own, else those of spaCy's sentencizer rule. They cover the doc.

    No sentence ends inside an entity or another span, and no part where a line breaks or a mark stands inside one.

    A line break inside a sentence is a space after a line of 50 characters or more, as text is wrapped, unless a list
    item follows; every other one ends a part and is kept.

    Args:
        max_chars: Longer parts are cut: where a sentence ends, else at a comma or the like, else at a space, else
            anywhere. Wide characters, such as Chinese ones, count three times.
        protect: Kinds of strings that the sentencizer rule must not cut; see `find_placeholders`.
    """
    text = doc.text
    held = frozenset(i for span in all_spans(doc) for i in range(span.start_char + 1, span.end_char))
    for start, end in _ranges(doc, protect):
        first = doc[start].idx
        last = doc[end - 1].idx + len(doc[end - 1].text_with_ws)
        full = text[first:last]
        core = full.strip()
        if not core:
            yield Sentence(start, end, (), full)
            continue
        lead = full.index(core)
        parts: list[Part] = []
        gap: str | None = full[:lead]
        for begin, stop, before in _lines(text, first + lead, first + lead + len(core), held):
            gap = gap if before is None else before
            # Joined lines have a space each place where they broke, so that offsets hold
            line = _ONE_BREAK.sub(lambda match: " " * len(match.group()), text[begin:stop])
            for cut, piece in _cut(line, max_chars, held, begin):
                parts.append(Part(piece, begin + cut, gap))
                gap = None
        yield Sentence(start, end, tuple(parts), full[lead + len(core) :])


def joined_where_known(doc: Doc, sentences: Sequence[Sentence], is_known: Callable[[str], bool]) -> Iterator[Sentence]:
    """Join sentences whose text together has a translation already: the whole document, else the longest runs first.

    What people translated side by side are lines and paragraphs, which may be several sentences.
    """
    first = 0
    while first < len(sentences):
        ends = range(min(len(sentences), first + _LONGEST_RUN), first, -1)
        for end in [len(sentences), *ends] if first == 0 else ends:
            run = sentences[first:end]
            if len(run) == 1 and len(run[0].parts) < 2:
                # As it is
                yield run[0]
            elif (joined := _joined(doc, run)) and is_known(joined.parts[0].text):
                yield joined
            elif len(run) == 1:
                yield run[0]
            else:
                continue
            first = end
            break


def _joined(doc: Doc, run: Sequence[Sentence]) -> Sentence | None:
    """A run of sentences as one with a single part; None where it is white space."""
    span = doc[run[0].start : run[-1].end]
    full = span.text_with_ws
    core = full.strip()
    if not core:
        return None
    lead = full.index(core)
    part = Part(core, span.start_char + lead, full[:lead])
    return Sentence(span.start, span.end, (part,), full[lead + len(core) :])


def _ranges(doc: Doc, protect: tuple[str, ...]) -> list[tuple[int, int]]:
    """The sentences as token ranges; where the rule cuts a protected string, the string begins the next sentence."""
    ranges = sentence_ranges(doc)
    if len(ranges) < 2:
        return ranges
    if doc.has_annotation("SENT_START"):
        return uncut(doc, [start for start, _ in ranges])
    strings = find_placeholders(doc.text, kinds=protect)
    starts = set()
    for start, _ in ranges[1:]:
        place = doc[start].idx
        cut = next((string for string in strings if string.start < place < string.end), None)
        while cut is not None and start > 0 and doc[start].idx > cut.start:
            start -= 1
        starts.add(start)
    return uncut(doc, starts)


def _lines(text: str, start: int, end: int, held: Set[int]) -> Iterator[tuple[int, int, str | None]]:
    """Cut where a line break is kept: start, end, and the white space before it (None for the first)."""
    begin, before = start, None
    for match in _BREAK.finditer(text, start, end):
        if match.start() in held or (len(_ONE_BREAK.findall(match.group())) == 1 and _is_wrapped(text, match)):
            continue
        yield begin, match.start(), before
        begin, before = match.end(), match.group()
    yield begin, end, before


def _is_wrapped(text: str, match: re.Match[str]) -> bool:
    line = _ONE_BREAK.split(text[max(0, match.start() - 400) : match.start()])[-1]
    return len(line) >= _WRAPPED_LINE and not _LIST_ITEM.match(text, match.end())


def _cut(text: str, max_chars: int | None, held: Set[int], offset: int) -> Iterator[tuple[int, str]]:
    """Cut at ends of sentences inside tokens, and what is too long: where each piece starts, and its text.

    There is no cut before a character that is held, counted from `offset`, but where nothing else is left.
    """
    begin = 0
    ends = [match.end() for match in _INNER_END.finditer(text)] if not text.isascii() else []
    for end in [*(e for e in ends if e < len(text) and offset + e not in held), len(text)]:
        for start, stop in _fitting(text, begin, end, max_chars, held, offset):
            piece = text[start:stop]
            stripped = piece.strip()
            if stripped:
                yield start + piece.index(stripped), stripped
        begin = end


def _fitting(
    text: str, start: int, end: int, max_chars: int | None, held: Set[int], offset: int
) -> Iterator[tuple[int, int]]:
    if max_chars is not None and (end - start) * 3 > max_chars:
        reached = list(accumulate((_width(char) for char in text[start:end]), initial=0))
        origin = start
        while reached[end - origin] - reached[start - origin] > max_chars:
            room = bisect_right(reached, reached[start - origin] + max_chars) - 1 - (start - origin)
            places = range(start + max(1, room // 2), start + max(1, room) + 1)
            cut = max(places, key=lambda i: (offset + i not in held, _quality(text, i), i))
            yield start, cut
            start = cut
    yield start, end


def _quality(text: str, cut: int) -> int:
    """How good it is to cut before this character: 3 for the end of a sentence, 0 for the middle of a word, -1 where it
    belongs to the character before it."""
    from spacy.pipeline import Sentencizer

    if cut >= len(text):
        return 3
    if unicodedata.combining(text[cut]) or text[cut] in "\u200d\ufe0f":
        return -1
    last = text[max(0, cut - 8) : cut].rstrip()[-1:] if text[cut - 1].isspace() else text[cut - 1]
    spaced = text[cut - 1].isspace() or text[cut].isspace()
    if spaced or not last.isascii():
        if last in Sentencizer.default_punct_chars:
            return 3
        if last in _CLAUSE_END:
            return 2
    return int(spaced)


def _width(char: str) -> int:
    return 3 if "\u0e00" <= char <= "\u109f" or char >= "\u2e80" else 1
