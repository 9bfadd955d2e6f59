"""Annotated text in columns: CoNLL, IOB2 with comments, tab-separated. IOB1, IOB2, IOBES and BILOU are understood."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spacy.tokens import Doc, Span

from ..docs import copy_ents
from ..errors import error
from ..languages import blank
from ..textfiles import text_lines
from .settings import COLUMNS, ReadNotes, ReadSettings

MISSING = "-"
TAG = re.compile(r"O|-|[BIESLU]-(?P<label>\S+)")
_STARTS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_RANGE_OR_EMPTY_NODE = re.compile(r"\d+[-.]\d+")
# Line number, counted from 1, and cells
_Row = tuple[int, list[str]]


@dataclass
class _Sentence:
    """A sentence as it stands in the file, with what comments say of it."""

    rows: list[_Row] = field(default_factory=list)
    text: str | None = None
    starts_document: bool = False


def read_conll(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read a file of columns, document by document, with sentences and entities.

    "iob2" is tab-separated with comments such as `# text = …`, "conll" and "tsv" have white space or
    tabs between cells.

    Raises:
        XltError: E503 without any sentence, E511 for a missing column, E512 for an invalid tag, E513, E106 and E535 as
            `text_lines`.
    """
    default_token, default_tag = COLUMNS[settings.format]
    token_col = default_token if settings.token_col is None else settings.token_col
    tag_col = default_tag if settings.tag_col is None else settings.tag_col
    group: list[_Sentence] = []
    for sentence in _sentences(path, settings):
        if group and (len(group) == settings.n_sents or sentence.starts_document):
            yield _doc(path, group, (token_col, tag_col), settings, notes)
            group = []
        group.append(sentence)
    if not group:
        raise error("E503", path=path)
    yield _doc(path, group, (token_col, tag_col), settings, notes)


def _sentences(path: Path, settings: ReadSettings) -> Iterator[_Sentence]:
    has_comments = settings.format == "iob2"
    sentence = _Sentence()
    for number, line in text_lines(path, settings.encoding):
        if not line.strip():
            if sentence.rows:
                yield sentence
                sentence = _Sentence()
        elif has_comments and line.startswith("#") and "\t" not in line:
            name, _, value = line[1:].partition("=")
            if name.strip() == "text":
                sentence.text = value.strip()
            sentence.starts_document |= name.strip().startswith("newdoc")
        elif line.startswith("-DOCSTART-"):
            sentence.starts_document = True
        else:
            cells = line.split("\t") if "\t" in line else line.split()
            # In CoNLL-U, "3-4" is a multiword token above its words and "3.1" a word that is not in the text
            if not (has_comments and _RANGE_OR_EMPTY_NODE.fullmatch(cells[0])):
                sentence.rows.append((number, cells))
    if sentence.rows:
        yield sentence


def _doc(
    path: Path, group: Sequence[_Sentence], columns: tuple[int, int], settings: ReadSettings, notes: ReadNotes
) -> Doc:
    rows = [row for sentence in group for row in sentence.rows]
    words, tags = [_cell(path, row, columns[0]) for row in rows], [_tag(path, row, columns[1]) for row in rows]
    spaces: list[bool] = []
    starts: list[bool | int | None] = []
    for sentence in group:
        n = len(sentence.rows)
        after = None if sentence.text is None else _spaces(words[len(spaces) : len(spaces) + n], sentence.text)
        if sentence.text is not None and after is None:
            notes.add("no text", sentence.text)
        spaces += after or [True] * n
        starts += [i == 0 for i in range(n)]
    doc = Doc(blank(settings.lang).vocab, words=words, spaces=spaces, sent_starts=starts)
    ents = []
    for start, end, label in _entities(tags):
        if tags[start][0] not in _STARTS:
            notes.add("repaired", label)
        if settings.keeps(label):
            ents.append(Span(doc, start, end, label=label))
        else:
            notes.dropped[label] += 1
    missing = [doc[i : i + 1] for i, tag in enumerate(tags) if tag == MISSING]
    doc.set_ents(ents, missing=missing, default="outside")
    if settings.spans_key:
        copy_ents(doc, settings.spans_key)
    return doc


def _cell(path: Path, row: _Row, column: int) -> str:
    number, cells = row
    try:
        cell = cells[column - 1 if column > 0 else column]
    except IndexError as err:
        raise error("E511", path=path, line=number, column=column, found=len(cells)) from err
    if not cell:
        raise error("E511", path=path, line=number, column=column, found=f"{len(cells)}, that one empty")
    return cell


def _tag(path: Path, row: _Row, column: int) -> str:
    tag = _cell(path, row, column)
    if not TAG.fullmatch(tag):
        raise error("E512", path=path, line=row[0], column=column, value=textwrap.shorten(tag, 40))
    return tag


def _spaces(tokens: Sequence[str], text: str) -> list[bool] | None:
    """Whether a space follows each token in the raw text; None where the tokens do not spell the text."""
    spaces, position = [], 0
    for token in tokens:
        if not text.startswith(token, position):
            return None
        position += len(token)
        spaces.append(text[position : position + 1].isspace())
        while text[position : position + 1].isspace():
            position += 1
    if position != len(text):
        return None
    # The next sentence of the document is set off by a space
    spaces[-1] = True
    return spaces


def _entities(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Token ranges `[start, end)` and labels. IOB1, IOB2, IOBES and BILOU all come out right."""
    start, label = 0, ""
    for i, tag in enumerate(tags):
        kind, new_label = tag[0], tag[2:]
        goes_on = bool(label) and new_label == label and kind not in _STARTS
        if label and not goes_on:
            yield start, i, label
            label = ""
        if new_label and not goes_on:
            start, label = i, new_label
        if label and kind in _ENDS:
            yield start, i + 1, label
            label = ""
    if label:
        yield start, len(tags), label
