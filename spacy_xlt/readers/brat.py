"""brat's standoff format: texts, and beside each its annotation.

Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

from spacy.tokens import Doc, Span

from ..docs import copy_span, replace_ents, replace_spans
from ..errors import XltError, error
from ..languages import blank
from ..limits import MARKS, check_size, marks_in_a_row
from ..span_links import ENTS, End, end_of, set_links
from ..textfiles import MARK, SUFFIXES, plain_name, read_text, text_lines
from .places import CODE_POINTS, UNITS, UTF8, Ruler, Tokens, note_shared, same_text, set_entities, trimmed
from .settings import ReadNotes, ReadSettings
from .standoff import read_standoff

TEXT, ANNOTATION = ".txt", ".ann"
_PIECE = "[0-9]{1,15} [0-9]{1,15}"
_SPAN = re.compile(rf"(?P<id>T[^\t ]*)\t(?P<label>\S+) (?P<pieces>{_PIECE}(?:;{_PIECE})*)(?:\t(?P<text>.*))?")
# Events, relations, attributes, normalisations, equivalences and notes name the spans they are about, and are none
_ABOUT = r"[^\t ]*\t(?!\S+ \d+ \d)[^\t]*\b[TERAMN]\d[^\t]*"
_OTHER = re.compile(rf"[ERAM*]{_ABOUT}\s*|[N#]{_ABOUT}(?:\t[^\t]*)?|#[^\t\d][^\t]*")
_LINE_END = re.compile("\r\n?|\n")
# How lines of relations and events begin
_LINKS = ("R", "E")


class BratPair(NamedTuple):
    """A text and its annotation; either may be compressed."""

    text: Path
    annotation: Path


def brat_pairs(path: Path, left_out: dict[str, str] | None = None) -> list[BratPair]:
    """The texts that a path stands for: one of its own, or all of a folder that have annotation, by name.

    Args:
        path: A text, its annotation, or a folder.
        left_out: Filled in with the annotation of a folder that would be an error, and why.

    Raises:
        XltError: E536 for annotation without its text, a text without its annotation, and where several files have
            the same name.
    """
    if path.is_dir():
        pairs = []
        for file in path.iterdir():
            if suffix_of(file) == ANNOTATION and file.name[0] != ".":
                try:
                    pairs.append(_pair(file))
                except XltError as err:
                    if left_out is None:
                        raise
                    left_out[file.name] = err.message
        return sorted(pairs, key=lambda pair: pair.text.name)
    if suffix_of(path) not in (TEXT, ANNOTATION):
        raise error("E536", path=path, reason=f"it is neither {TEXT} nor {ANNOTATION}")
    return [_pair(path)]


def suffix_of(path: Path) -> str:
    """What a file's name ends with, in small letters and without what says that it is compressed."""
    return Path(plain_name(path.name)).suffix.lower()


def read_brat(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the texts of a folder, each a document, in the order of their names; or a single one.

    Entities that overlap cannot all be `doc.ents`: of two, the longer one is, or the first one. A span in pieces
    reaches from its first to its last; one that begins or ends inside a token is widened to whole tokens. The triggers
    of events are spans like all others. Where any text has relations or events, those without are known to have none.
    Where `notes` has room for texts that are left out, one that cannot be read is.

    Raises:
        XltError: E503 for a single text that is empty; E536 as `brat_pairs`; E537 for a line that is no annotation or
            does not fit the text; E513, E106, E535 as `text_lines`.
    """
    pairs = brat_pairs(path, notes.left_out)
    notes.counts["texts"] += len(pairs) + len(notes.left_out or ())
    has_links = any(_has_links(pair.annotation, settings.encoding) for pair in pairs)
    for pair in pairs:
        try:
            doc, annotations, about = _read(pair, settings, notes)
            if not len(doc) and len(pairs) == 1:
                raise error("E503", path=pair.text)
        except XltError as err:
            if notes.left_out is None:
                raise
            notes.left_out[pair.annotation.name] = err.message
            continue
        doc, ends = _annotate(doc, annotations, settings, notes)
        dropped = {item.id for item in annotations if not settings.keeps(item.label)}
        for number, wrong, line in _join(doc, about, ends, has_links):
            # What `labels` leaves out takes its relations along
            if dropped.isdisjoint(re.split(r"[\s:]", line)):
                notes.leave_out(f"{pair.annotation.name}, line {number}", wrong, line)
        yield doc


@dataclass
class _Annotation:
    """A line of annotation: pieces of the text by their offsets, ascending, and what the line says that they cover."""

    line: int
    id: str
    label: str
    pieces: list[tuple[int, int]]
    covered: str | None

    def characters(self, ruler: Ruler) -> list[tuple[int, int]]:
        """Its pieces in characters; none where one of them is not in the text."""
        pieces = [ruler.characters(*piece) for piece in self.pieces]
        return [piece for piece in pieces if piece] if all(pieces) else []

    def of(self, ruler: Ruler) -> str:
        """What it covers."""
        return " ".join(ruler.text[start:end] for start, end in self.characters(ruler))

    def fits(self, ruler: Ruler, tokens: Tokens, exactly: bool) -> bool:
        """Whether the text has there what the line says; where it says nothing, whether tokens begin and end there."""
        pieces = self.characters(ruler)
        if not pieces:
            return False
        if self.covered is None:
            return not exactly or tokens.fit(*_reach(pieces))
        # A line cannot hold a line end, so that brat writes a space for it
        found = _LINE_END.sub(" ", self.of(ruler))
        return self.covered == found if exactly else same_text(self.covered, found)


def _reach(pieces: list[tuple[int, int]]) -> tuple[int, int]:
    """From the first to the last character of ascending pieces."""
    return pieces[0][0], max(end for _, end in pieces)


def _read(
    pair: BratPair, settings: ReadSettings, notes: ReadNotes
) -> tuple[Doc, list[_Annotation], list[tuple[int, str]]]:
    """A text without its byte order mark, its annotation in characters of it, and lines that are about that."""
    about: list[tuple[int, str]] = []
    annotations = list(_annotations(pair.annotation, settings.encoding, about))
    raw = read_text(pair.text, settings.encoding)
    check_size(pair.text, "marks in a row without a word or a space", marks_in_a_row(raw), MARKS)
    mark = len(MARK) if raw.startswith(MARK) else 0
    doc = blank(settings.lang).tokenizer(raw[mark:])
    ruler = _ruler(pair, raw, Tokens.of(doc, at=mark), mark, annotations)
    if ruler.unit != CODE_POINTS:
        notes.add("other unit", ruler.unit)
    for item in annotations:
        item.pieces = [(max(0, start - mark), end - mark) for start, end in item.characters(ruler)]
    return doc, annotations, about


def _ruler(pair: BratPair, raw: str, tokens: Tokens, mark: int, annotations: list[_Annotation]) -> Ruler:
    """What the offsets of annotation count: the first way of counting in which all spans fit.

    Whoever wrote it may have counted the mark as a character or not, a line end of two characters as one, and others
    than code points.
    """
    returns = [match.start() for match in re.finditer("\r\n", raw)]
    ways = list(product(UNITS, ([], returns) if returns else ([],), range(mark, -1, -1)))

    def fitting(exactly: bool) -> Iterator[Ruler]:
        for unit, ends, uncounted in ways:
            ruler = Ruler(raw, unit, [*range(uncounted), *ends])
            if all(item.fits(ruler, tokens, exactly) for item in annotations):
                yield ruler

    ruler = next(fitting(True), None) or next(fitting(False), None)
    if ruler is None:
        ruler = Ruler(raw, uncounted=range(mark))
        item = next((item for item in annotations if not item.fits(ruler, tokens, False)), annotations[0])
        start, end = _reach(item.pieces)
        said = f", not {item.covered[:60]!r}" if item.covered is not None else ""
        reason = f"{pair.text.name} has {item.of(ruler)[:60]!r} from character {start} to {end}{said}"
        raise error("E537", path=pair.annotation, line=item.line, reason=reason)
    unsure = [item for item in annotations if item.covered is None]
    # Bytes are not what a tool counts that leaves the text out
    others = [way for way in fitting(True) if way.unit != UTF8] if unsure else []
    for item, way in product(unsure, others):
        if item.characters(way) != item.characters(ruler):
            reason = f"a span is {item.of(ruler)!r} or {item.of(way)!r}, and nothing tells which is meant"
            raise error("E537", path=pair.annotation, line=item.line, reason=reason)
    return ruler


def _annotations(path: Path, encoding: str, about: list[tuple[int, str]]) -> Iterator[_Annotation]:
    """The spans of a file; `about` is filled in with the lines that are about them, and their numbers."""
    for number, line in text_lines(path, encoding):
        if not line.strip():
            continue
        if _OTHER.fullmatch(line):
            if not line.startswith("#"):
                about.append((number, line))
            continue
        match = _SPAN.fullmatch(line)
        if match is None:
            raise error("E537", path=path, line=number, reason=f"{line[:60]!r} is no annotation")
        pieces = sorted((int(a), int(b)) for a, b in (piece.split() for piece in match["pieces"].split(";")))
        if any(start >= end for start, end in pieces):
            raise error("E537", path=path, line=number, reason=f"a span has no characters: {match['pieces']}")
        yield _Annotation(number, match["id"], match["label"], pieces, match["text"])


def _annotate(
    doc: Doc, annotations: list[_Annotation], settings: ReadSettings, notes: ReadNotes
) -> tuple[Doc, dict[str, End]]:
    """Write the spans onto a document, and say where it has each, by its id."""
    text, tokens = doc.text, Tokens.of(doc)
    spans: dict[tuple[int, int, str], Span] = {}
    keys: dict[str, tuple[int, int, str]] = {}
    places = []
    for item in annotations:
        if not settings.keeps(item.label):
            notes.dropped[item.label] += 1
            continue
        found = " ".join(text[start:end] for start, end in item.pieces)
        start, end = trimmed(text, *_reach(item.pieces), notes)
        first, stop = tokens.covering(start, end)
        if first == stop:
            notes.add("empty", found)
            continue
        if len(item.pieces) > 1:
            notes.add("in pieces", found)
        if not tokens.fit(start, end):
            notes.add("widened", found)
        places.append((first, stop, start, end))
        keys[item.id] = first, stop, item.label
        spans.setdefault(keys[item.id], Span(doc, first, stop, label=item.label))
    note_shared(places, text, tokens, notes)
    set_entities(doc, spans.values(), notes, spans_key=settings.spans_key)
    ends = {id: end_of(doc, ENTS, *key) or end_of(doc, settings.spans_key, *key) for id, key in keys.items()}
    return doc, {id: end for id, end in ends.items() if end}


def _has_links(path: Path, encoding: str) -> bool:
    """Whether a file has relations or events; not where it cannot be read, which is said when its turn comes."""
    with suppress(XltError):
        return any(line[:1] in _LINKS for _, line in text_lines(path, encoding))
    return False


def _join(doc: Doc, about: list[tuple[int, str]], ends: dict[str, End], has_links: bool) -> list[tuple[int, str, str]]:
    """Write relations, events and identifiers onto a document. Returns those that cannot be; see `Standoff`."""
    found = read_standoff(about, ends)
    if has_links:
        set_links(doc, found.links)
    named = {ends[id]: kb_id for id, kb_id in found.kb_ids.items()}
    for key in {end.key for end in named}:
        spans = list(doc.ents if key == ENTS else doc.spans[key])
        made = [copy_span(span, doc) for span in spans]
        for n, span in enumerate(made):
            span.kb_id_ = named.get(End(key, n), span.kb_id_)
        if key == ENTS:
            replace_ents(doc, made)
        else:
            replace_spans(doc, key, made)
    return found.problems


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
