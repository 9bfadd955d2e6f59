"""Spans of characters: what their offsets count, which tokens they cover, and which are a document's entities."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import filter_spans

from ..docs import runs_of
from .settings import ReadNotes

CODE_POINTS, UTF16, UTF8 = "code points", "UTF-16 units", "UTF-8 bytes"
UNITS = (CODE_POINTS, UTF16, UTF8)
# As text fields of web pages give their text
CR_LF = "code points with CR LF as one"
_ALL_UNITS = (*UNITS, CR_LF)
# Spans that are enough to tell a unit from code points
_ENOUGH = 50


class Ruler:
    """The characters of a text, by offsets in a unit.

    Args:
        text: The text.
        unit: One of `UNITS`, or `CR_LF`.
        uncounted: Characters, by index, that the offsets pass over.
    """

    def __init__(self, text: str, unit: str = CODE_POINTS, uncounted: Iterable[int] = ()):
        self.text, self.unit = text, unit
        widths = [1] * len(text)
        if unit == UTF16:
            widths = [1 + (char > "\uffff") for char in text]
        elif unit == UTF8:
            widths = [len(char.encode()) for char in text]
        elif unit == CR_LF:
            uncounted = [*uncounted, *(match.start() for match in re.finditer("\r\n", text))]
        for i in uncounted:
            widths[i] = 0
        self._ends = [0, *accumulate(widths)]

    def __len__(self) -> int:
        return self._ends[-1]

    def characters(self, start: int, end: int) -> tuple[int, int] | None:
        """The characters `[start, end)`; None for offsets outside of the text, inside a character or reversed."""
        first, last = bisect_right(self._ends, start) - 1, bisect_left(self._ends, end)
        if start >= end or self._ends[first : first + 1] != [start] or self._ends[last : last + 1] != [end]:
            return None
        return first, last


class Tokens(NamedTuple):
    """Where the tokens of a text begin and end, in characters."""

    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, doc: Doc, *, at: int = 0) -> Tokens:
        """The tokens of a document whose text begins at this character."""
        return cls([at + token.idx for token in doc], [at + token.idx + len(token) for token in doc])

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """The tokens `[first, stop)` that have a character of `[start, end)`. Both are the same where there is none."""
        first = bisect_right(self.ends, start)
        return first, max(first, bisect_left(self.starts, end))

    def fit(self, start: int, end: int) -> bool:
        """Whether these characters begin and end with tokens."""
        first, stop = self.covering(start, end)
        return first < stop and (self.starts[first], self.ends[stop - 1]) == (start, end)


def trimmed(text: str, start: int, end: int, notes: ReadNotes | None = None) -> tuple[int, int]:
    """A span without the white space at its ends; nothing is left of one that has nothing else."""
    found = text[start:end]
    if not found.strip():
        return start, start
    places = start + len(found) - len(found.lstrip()), end - len(found) + len(found.rstrip())
    if notes and places != (start, end):
        notes.add("trimmed", found.strip())
    return places


def same_text(one: str, other: str) -> bool:
    """Whether two texts differ in white space or in how letters are composed, at most."""
    return one == other or _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


class UnitVotes:
    """What the offsets of a file count, judged by all of its spans that are not the same in each unit.

    Offsets are code points unless the spans fit only in another unit. Where spans say what their text or their tokens
    are, only those have a say, and all of them have to fit; else a span fits that begins and ends with tokens.
    """

    def __init__(self) -> None:
        # Spans that say what they are: how many, and by unit those that do not fit
        self._n_sure, self._misfits = 0, Counter[str]()
        # Others, by unit, whether they fit in code points, and whether in the unit; and the first of each
        self._others = Counter[tuple[str, bool, bool]]()
        self._first: dict[tuple[str, bool, bool], tuple[int, str]] = {}
        self._decisive = Counter[str]()

    def want(self, text: str) -> bool:
        """Whether spans of this text may still change the result."""
        units = [CR_LF] if "\r\n" in text else []
        if not text.isascii():
            units.append(UTF16 if max(text) > "\uffff" else UTF8)
        return any(self._decisive[unit] < _ENOUGH for unit in units)

    @staticmethod
    def rulers(text: str) -> list[Ruler]:
        """The rulers that `see` needs."""
        return [Ruler(text, unit) for unit in _ALL_UNITS]

    def see(
        self,
        line: int,
        rulers: Sequence[Ruler],
        tokens: Tokens,
        offsets: tuple[int, int],
        *,
        own_text: str | None = None,
        own_tokens: tuple[int, int] | None = None,
    ) -> None:
        """Judge a span, by the `rulers` of its text."""
        text = rulers[0].text
        places = {ruler.unit: ruler.characters(*offsets) for ruler in rulers}
        points = places[CODE_POINTS]
        found = {unit: text[slice(*place)] if place else "" for unit, place in places.items()}
        differing = [unit for unit, place in places.items() if place != points]
        if differing and (own_text is not None or own_tokens is not None):
            self._n_sure += 1
            self._decisive.update(differing)
            for unit, place in places.items():
                has_text = own_text is None or same_text(found[unit], own_text)
                if place is None or not has_text or own_tokens not in (None, tokens.covering(*place)):
                    self._misfits[unit] += 1
            return
        as_points = points is not None and tokens.fit(*trimmed(text, *points))
        for unit in differing:
            place = places[unit]
            as_unit = place is not None and tokens.fit(*place)
            self._decisive[unit] += as_points != as_unit
            key = unit, as_points, as_unit
            self._others[key] += 1
            said = f"{found[CODE_POINTS]!r} in code points and {found[unit]!r} in {unit}"
            self._first.setdefault(key, (line, said))

    def unit(self) -> str:
        """The unit."""
        if self._n_sure:
            return next((unit for unit in _ALL_UNITS if not self._misfits[unit]), CODE_POINTS)
        only = {unit: self._others[unit, False, True] for unit in _ALL_UNITS if not self._others[unit, True, False]}
        return max(filter(only.get, only), key=only.__getitem__, default=CODE_POINTS)

    def doubt(self, unit: str) -> tuple[int, str] | None:
        """Where code points are no better than a unit: the line of a span, and what it is in both."""
        if self._n_sure or self.unit() != CODE_POINTS:
            return None
        only_points, only_unit = self._others[unit, True, False], self._others[unit, False, True]
        if only_unit > only_points or (self._others[unit, True, True] and not only_points):
            return self._first[unit, not only_unit, True]
        return None


def note_shared(spans: Iterable[tuple[int, int, int, int]], doc_text: str, tokens: Tokens, notes: ReadNotes) -> None:
    """Count spans that have no character in common with another one, but a token.

    Args:
        spans: First and last token (that one not included), first and last character (likewise).
    """
    for one, other in pairwise(sorted(set(spans), key=lambda span: span[2:])):
        if one[3] <= other[2] and one[1] > other[0]:
            token = doc_text[tokens.starts[other[0]] : tokens.ends[other[0]]]
            notes.add("sharing", f"{doc_text[slice(*one[2:])]} and {doc_text[slice(*other[2:])]} in {token}")


def set_entities(
    doc: Doc, spans: Iterable[Span], notes: ReadNotes, *, unknown: Iterable[int] = (), spans_key: str = ""
) -> None:
    """Make spans the entities of a document. Of those that overlap the longer one is, or the first one.

    Tokens of which nothing is known stay missing: `unknown` ones, and those that only spans cover that are no entities.

    Args:
        notes: Where those that are no entities are counted.
        spans_key: Also put all of them into this span group.
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    ents = filter_spans(ordered)
    kept = {(span.start, span.end, span.label) for span in ents}
    missing = set(unknown)
    for span in ordered:
        if (span.start, span.end, span.label) not in kept:
            notes.add("overlapping", span.text)
            missing.update(range(span.start, span.end))
    missing.difference_update(i for span in ents for i in range(span.start, span.end))
    doc.set_ents(ents, missing=runs_of(doc, missing), default="outside")
    if spans_key:
        doc.spans[spans_key] = SpanGroup(doc, name=spans_key, spans=ordered)


class CharSpan(NamedTuple):
    """A span by its characters `[start, end)`."""

    start: int
    end: int
    label: str
    id: str = ""
    kb_id: str = ""


def write_group(doc: Doc, key: str, spans: Iterable[CharSpan], notes: ReadNotes) -> list[CharSpan]:
    """Make spans of characters a span group, widened to whole tokens.

    Args:
        notes: Where those that are widened, and those without text, are counted.

    Returns:
        Those that are in the group, in its order.
    """
    text, tokens = doc.text, Tokens.of(doc)
    made, kept = [], []
    for span in spans:
        start, end = trimmed(text, span.start, span.end, notes)
        first, stop = tokens.covering(start, end)
        if first == stop:
            notes.add("empty", text[span.start : span.end])
            continue
        if not tokens.fit(start, end):
            notes.add("widened", text[start:end])
        made.append(Span(doc, first, stop, label=span.label, span_id=span.id, kb_id=span.kb_id))
        kept.append(span)
    doc.spans[key] = SpanGroup(doc, name=key, spans=made)
    return kept
