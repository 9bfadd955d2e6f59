"""brat's standoff format: texts, and beside each its annotation.

Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import filter_spans

from ...errors import error
from ...io import file_digest
from ...languages import blank
from ...textfiles import read_text, text_lines
from ..tally import Tally
from .base import StreamedFile, shown_name
from .old_jsonl import covering
from .settings import BRAT, InputSettings

TEXT, ANNOTATION = ".txt", ".ann"
_MARK = "\ufeff"
_SPAN = re.compile(r"T[^\t ]*\t(?P<label>\S+) (?P<pieces>\d+ \d+(?:;\d+ \d+)*)(?:\t(?P<text>.*))?")
# Events, relations, attributes, normalisations, equivalences and notes: they are about spans, and are none
_OTHER = re.compile(r"[ERAMN*#]")


@dataclass(frozen=True)
class Pair:
    """A text and its annotation. Either may be compressed."""

    text: Path
    annotation: Path


@dataclass(frozen=True)
class Standoff:
    """A line of annotation: a span of characters, with what it covers where the line says it.

    pieces (list[tuple[int, int]]): Where they begin and end, in characters of the text.
    """

    line: int
    label: str
    pieces: list[tuple[int, int]]
    covered: str | None

    @property
    def start(self) -> int:
        return self.pieces[0][0]

    @property
    def end(self) -> int:
        return max(end for _, end in self.pieces)

    def of(self, text: str) -> str:
        """What it covers in a text."""
        return " ".join(text[start:end] for start, end in self.pieces)

    def fits(self, text: str) -> bool:
        """Whether the text has there what the line says."""
        # A line cannot hold a line end, so that brat writes a space for it
        return self.end <= len(text) and (self.covered is None or self.covered.split() == self.of(text).split())

    def moved(self, by: int) -> Standoff:
        """The same, some characters further on."""
        return replace(self, pieces=[(start + by, end + by) for start, end in self.pieces])


class BratFiles(StreamedFile):
    """The texts of one folder, each a document, in the order of their names; or a single one.

    Entities that overlap cannot all be `doc.ents`: of two, the longer one is, or the first one. A span in pieces
    reaches from its first to its last; one that begins or ends inside a token is widened to whole tokens. The triggers
    of events are spans like all others.
    """

    _is_one_file = False

    def __init__(self, path: Path, name: str, pairs: Sequence[Pair], settings: InputSettings):
        super().__init__(path, name, BRAT, settings)
        self._pairs = list(pairs)

    def _digest(self) -> str:
        # Without the folder's own name, so that a corpus may be moved
        digest = hashlib.sha256()
        for file in self._files():
            digest.update(f"{len(file.name)} {shown_name(file.name)} {file_digest(file)}\n".encode())
        return digest.hexdigest()

    def _state(self) -> Any:
        # One number, as there may be many files
        found = [(stat.st_size, stat.st_mtime_ns, stat.st_ino) for stat in (file.stat() for file in self._files())]
        return hash(tuple(found))

    def _files(self) -> Iterator[Path]:
        for pair in self._pairs:
            yield pair.text
            yield pair.annotation

    def _records(self) -> Iterator[Pair]:
        return iter(self._pairs)

    def _check(self, record: Pair, tally: Tally) -> bool:
        return bool(self._spans(record, tally)[1])

    def _doc(self, record: Pair) -> Doc:
        doc, spans = self._spans(record, Tally())
        doc.set_ents(filter_spans(spans), default="outside")
        if key := self.settings.spans_key:
            doc.spans[key] = SpanGroup(doc, name=key, spans=spans)
        return doc

    def _spans(self, pair: Pair, tally: Tally) -> tuple[Doc, list[Span]]:
        found = list(_annotations(pair.annotation, self.settings.encoding))
        text = read_text(pair.text, self.settings.encoding, keep_mark=True)
        if text.startswith(_MARK):
            # Whoever wrote the annotation may have counted the mark as the first character, or not
            if not all(one.fits(text[1:]) for one in found) and all(one.fits(text) for one in found):
                found = [one.moved(-1) for one in found]
            text = text[1:]
        if not text and len(self._pairs) == 1:
            raise error("E503", path=pair.text)
        doc = blank(self.settings.lang).tokenizer(text)
        starts = [token.idx for token in doc]
        ends = [token.idx + len(token) for token in doc]
        spans: dict[tuple[int, int, str], Span] = {}
        for one in found:
            if self.settings.labels is not None and one.label not in self.settings.labels:
                continue
            first, stop = self._tokens(pair, one, text, (starts, ends), tally)
            if first < stop:
                spans.setdefault((first, stop, one.label), Span(doc, first, stop, label=one.label))
        ordered = [spans[place] for place in sorted(spans)]
        kept = {(span.start, span.end, span.label_) for span in filter_spans(ordered)}
        for place, span in spans.items():
            if place not in kept:
                tally.add("overlapping", span.text)
        return doc, ordered

    def _tokens(
        self, pair: Pair, one: Standoff, text: str, edges: tuple[list[int], list[int]], tally: Tally
    ) -> tuple[int, int]:
        starts, ends = edges
        start, end, there = one.start, one.end, one.of(text)
        if not one.fits(text):
            said = f", not {one.covered[:60]!r}" if one.covered is not None else ""
            reason = f"{pair.text.name} has {there[:60]!r} from character {start} to {end}{said}"
            raise error("E537", path=pair.annotation, line=one.line, reason=reason)
        first, stop = covering(starts, ends, start, end)
        if first == stop:
            tally.add("empty", there)
            return first, stop
        if len(one.pieces) > 1:
            tally.add("in pieces", there)
        if starts[first] < start or ends[stop - 1] > end:
            tally.add("widened", there)
        return first, stop


def _annotations(path: Path, encoding: str) -> Iterator[Standoff]:
    for number, line in text_lines(path, encoding):
        if not line.strip() or _OTHER.match(line):
            continue
        match = _SPAN.fullmatch(line)
        if match is None:
            raise error("E537", path=path, line=number, reason=f"{line[:60]!r} is no annotation")
        pieces = sorted((int(a), int(b)) for a, b in (piece.split() for piece in match["pieces"].split(";")))
        if any(start >= end for start, end in pieces):
            raise error("E537", path=path, line=number, reason=f"a span has no characters: {match['pieces']}")
        yield Standoff(number, match["label"], pieces, match["text"])
