"""brat's standoff format: texts, and beside each its annotation.

Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import filter_spans

from ..errors import error
from ..languages import blank
from ..textfiles import MARK, SUFFIXES, plain_name, read_text, text_lines
from .jsonl import covering
from .settings import ReadNotes, ReadSettings

TEXT, ANNOTATION = ".txt", ".ann"
_SPAN = re.compile(r"T[^\t ]*\t(?P<label>\S+) (?P<pieces>\d+ \d+(?:;\d+ \d+)*)(?:\t(?P<text>.*))?")
# Events, relations, attributes, normalisations, equivalences and notes: they are about spans, and are none
_OTHER = re.compile(r"[ERAMN*#]")


class BratPair(NamedTuple):
    """A text and its annotation; either may be compressed."""

    text: Path
    annotation: Path


def brat_pairs(path: Path) -> list[BratPair]:
    """The texts that a path stands for: one of its own, or all of a folder that have annotation, by name.

    Raises:
        XltError: E536 for annotation without its text, a text without its annotation, and where several files have
            the same name.
    """
    if path.is_dir():
        pairs = [_pair(file) for file in path.iterdir() if suffix_of(file) == ANNOTATION and file.name[0] != "."]
        return sorted(pairs, key=lambda pair: pair.text.name)
    if suffix_of(path) not in (TEXT, ANNOTATION):
        raise error("E536", path=path, reason=f"it is neither {TEXT} nor {ANNOTATION}")
    return [_pair(path)]


def has_annotation(text: Path) -> bool:
    """Whether a text has annotation beside it."""
    return bool(_beside(text, ANNOTATION))


def suffix_of(path: Path) -> str:
    """What a file's name ends with, in small letters and without what says that it is compressed."""
    return Path(plain_name(path.name)).suffix.lower()


def read_brat(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the texts of a folder, each a document, in the order of their names; or a single one.

    Entities that overlap cannot all be `doc.ents`: of two, the longer one is, or the first one. A span in pieces
    reaches from its first to its last; one that begins or ends inside a token is widened to whole tokens. The triggers
    of events are spans like all others.

    Raises:
        XltError: E503 for a single text that is empty; E536 as `brat_pairs`; E537 for a line that is no annotation or
            does not fit the text; E513, E106, E535 as `text_lines`.
    """
    pairs = brat_pairs(path)
    for pair in pairs:
        text, annotations = _read(pair, settings.encoding)
        if not text and len(pairs) == 1:
            raise error("E503", path=pair.text)
        yield _doc(pair, text, annotations, settings, notes)


@dataclass
class _Annotation:
    """A line of annotation: pieces of the text in characters, ascending, and what the line says that they cover."""

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


def _read(pair: BratPair, encoding: str) -> tuple[str, list[_Annotation]]:
    """A text without its byte order mark, and its annotation."""
    annotations = list(_annotations(pair.annotation, encoding))
    text = read_text(pair.text, encoding)
    if text.startswith(MARK):
        # Whoever wrote the annotation may have counted the mark as the first character, or not
        if all(item.fits(text) for item in annotations) and not all(item.fits(text[1:]) for item in annotations):
            for item in annotations:
                item.pieces = [(start - 1, end - 1) for start, end in item.pieces]
        text = text[1:]
    for item in annotations:
        if not item.fits(text):
            said = f", not {item.covered[:60]!r}" if item.covered is not None else ""
            reason = f"{pair.text.name} has {item.of(text)[:60]!r} from character {item.start} to {item.end}{said}"
            raise error("E537", path=pair.annotation, line=item.line, reason=reason)
    return text, annotations


def _annotations(path: Path, encoding: str) -> Iterator[_Annotation]:
    for number, line in text_lines(path, encoding):
        if not line.strip() or _OTHER.match(line):
            continue
        match = _SPAN.fullmatch(line)
        if match is None:
            raise error("E537", path=path, line=number, reason=f"{line[:60]!r} is no annotation")
        pieces = sorted((int(a), int(b)) for a, b in (piece.split() for piece in match["pieces"].split(";")))
        if any(start >= end for start, end in pieces):
            raise error("E537", path=path, line=number, reason=f"a span has no characters: {match['pieces']}")
        yield _Annotation(number, match["label"], pieces, match["text"])


def _doc(pair: BratPair, text: str, annotations: list[_Annotation], settings: ReadSettings, notes: ReadNotes) -> Doc:
    doc = blank(settings.lang).tokenizer(text)
    starts = [token.idx for token in doc]
    ends = [token.idx + len(token) for token in doc]
    spans: dict[tuple[int, int, str], Span] = {}
    for item in annotations:
        if not settings.keeps(item.label):
            notes.dropped[item.label] += 1
            continue
        first, stop = covering(starts, ends, item.start, item.end)
        if first == stop:
            notes.add("empty", item.of(text))
            continue
        if len(item.pieces) > 1:
            notes.add("in pieces", item.of(text))
        if starts[first] < item.start or ends[stop - 1] > item.end:
            notes.add("widened", item.of(text))
        spans.setdefault((first, stop, item.label), Span(doc, first, stop, label=item.label))
    ordered = [spans[place] for place in sorted(spans)]
    ents = filter_spans(ordered)
    kept = {(span.start, span.end, span.label_) for span in ents}
    for place, span in spans.items():
        if place not in kept:
            notes.add("overlapping", span.text)
    doc.set_ents(ents, default="outside")
    if settings.spans_key:
        doc.spans[settings.spans_key] = SpanGroup(doc, name=settings.spans_key, spans=ordered)
    return doc


def _pair(path: Path) -> BratPair:
    texts, annotations = _beside(path, TEXT), _beside(path, ANNOTATION)
    for files, suffix in ((texts, TEXT), (annotations, ANNOTATION)):
        if not files:
            raise error("E536", path=path, reason=f"there is no {suffix} beside it")
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise error("E536", path=path, reason=f"several files have its name: {names}")
    return BratPair(texts[0], annotations[0])


def _beside(path: Path, suffix: str) -> list[Path]:
    """The files of the same name with a suffix, compressed or not."""
    stem = Path(plain_name(path.name)).stem
    files = [path.with_name(f"{stem}{suffix}{packed}") for packed in ("", *SUFFIXES)]
    return [file for file in files if file.is_file()]
