"""Annotated text in columns: CoNLL, IOB2 with comments, tab-separated. IOB1, IOB2, IOBES and BILOU are understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from spacy.tokens import Doc, Span

from ..docs import copy_ents, sentence_ranges
from ..errors import error
from ..languages import vocab_of
from ..textfiles import text_lines
from .lines import split_tokens
from .settings import COLUMNS, ReadNotes, ReadSettings, shortened

MISSING = "-"
TAG = re.compile(r"O|-|[BIESLU]-(?P<label>\S+)")
_STARTS, _ENDS = frozenset("BSU"), frozenset("ESLU")
# What has more tokens is hardly one sentence
_MAX_TOKENS = 200
# Lines of comments before the first row
_MAX_BEFORE = 100_000
_DOCSTART = "-docstart-"
_METADATA = re.compile(r"# *(?P<name>[\w.:-]+)(?: [\w ]*)?(?P<value>=.*)?")
# Comments that stand above a sentence, as do newdoc and newpar
_ABOVE = frozenset({"sent_id", "text"})
# In CoNLL-U, "3-4" is a multiword token above its words and "3.1" a word that is not in the text
_RANGE, _EMPTY_NODE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})"), re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_HEADER_TOKENS = frozenset({"token", "tokens", "word", "words", "form", "text"})
_HEADER_TAG = re.compile(r"(?=.)(ner?|entity|entities|iob[12]?|bio|bioes|bilou)?[ _-]?(tags?|labels?|types?)?")
# WikiAnn has the code of a Wikipedia before each token
_PREFIX = re.compile(r"(?:[a-z]{2,3}(?:-[a-z-]+)?|simple):(?!//)(?=.)")
# Line number, counted from 1, and cells
_Row = tuple[int, list[str]]


@dataclass
class _Block:
    """Rows that stand together in the file, what comments say of them, and whether comments say that they are one."""

    rows: list[_Row] = field(default_factory=list)
    text: str | None = None
    starts_document: bool = False
    is_sentence: bool = False


@dataclass
class _Sentence:
    words: list[str]
    tags: list[str]
    spaces: list[bool]
    starts_document: bool


def read_conll(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read a file of columns, document by document, with sentences and entities.

    Spaces or tabs separate cells, as in the first row, and no other white space; all rows have as many cells as that
    one. Lines that begin with # are comments, unless they are rows of a token that does. Sentences end at blank lines;
    where none does, and in what has more than 200 tokens, they end by the rule of spaCy's sentencizer.

    Raises:
        XltError: E503 without any sentence, E511 for a missing column, E512 for an invalid tag, E516 for a row with
            another number of cells, E513, E106 and E535 as `text_lines`.
    """
    sentences = _sentences(path, settings, notes)
    first = next(sentences, None)
    if first is None:
        raise error("E503", path=path)
    prefix = _prefix(first.words[0], path, settings, notes)
    group: list[_Sentence] = []
    kinds: set[str] = set()
    for sentence in chain([first], sentences):
        kinds.update(tag[0] for tag in sentence.tags)
        sentence.words = [word.removeprefix(prefix) for word in sentence.words]
        if group and (len(group) == settings.n_sents or sentence.starts_document):
            yield _doc(group, settings, notes)
            group = []
        group.append(sentence)
    if kinds == {MISSING}:
        notes.add("all missing")
    elif kinds <= {"O", MISSING} and (tag := _tag_elsewhere(path, settings)):
        notes.add("tags elsewhere", tag)
    yield _doc(group, settings, notes)


def _prefix(first: str, path: Path, settings: ReadSettings, notes: ReadNotes) -> str:
    """What WikiAnn puts before each token; "" where the first or any other one has none."""
    match = _PREFIX.match(first)
    if match is None:
        return ""
    prefix = match.group()
    words = (word for sentence in _sentences(path, settings, ReadNotes()) for word in sentence.words)
    has_prefix = [word.startswith(prefix) and word != prefix for word in words]
    if all(has_prefix):
        notes.add("prefix", prefix)
        return prefix
    if sum(has_prefix) * 2 > len(has_prefix):
        notes.add("some prefix", prefix)
    return ""


def _tag_elsewhere(path: Path, settings: ReadSettings) -> str:
    """The first entity tag that stands in any column but that of the tokens; "" for none."""
    rows = (
        (columns.token, cells) for block, columns in _blocks(path, settings, ReadNotes()) for _, cells in block.rows
    )
    tags = (TAG.fullmatch(cell) for token, cells in rows for i, cell in enumerate(cells) if i != token)
    return next((tag.group() for tag in tags if tag and tag["label"]), "")


class _Columns:
    """Where the rows of a file have their token and their tag, as its first one says."""

    def __init__(self, path: Path, settings: ReadSettings, first: tuple[int, str]):
        token, tag = COLUMNS[settings.format]
        self.path, (self.first_line, line) = path, first
        self.by_tabs = "\t" in line
        cells = self.cells(line)
        # A tab more at the end of a line is no cell more
        self.n_cells, self.n_filled = len(cells), _n_filled(cells)
        self.numbers = settings.token_col or token, settings.tag_col or tag
        self.token, self.tag = (number - 1 if number > 0 else self.n_filled + number for number in self.numbers)

    def cells(self, line: str) -> list[str]:
        """The cells of a line. White space but spaces and tabs is part of a token."""
        return [cell.strip(" ") for cell in line.split("\t")] if self.by_tabs else split_tokens(line)

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether a row has as many cells as the first one."""
        return len(cells) == self.n_cells or _n_filled(cells) == self.n_filled

    def is_comment(self, line: str, cells: Sequence[str], notes: ReadNotes) -> bool:
        """Whether a line is a comment, and no row whose token begins with #."""
        if not cells[0].startswith("#"):
            return False
        said = _METADATA.fullmatch(line.strip(" \t"))
        # Where the token is in another column, "#" alone may be its part of speech
        can_be_row = (self.token == 0 or cells[0] == "#") and not (said and said["value"])
        if can_be_row and self.fits(cells) and self._tag(cells):
            return False
        if len(cells) > 1 and TAG.fullmatch(cells[-1]) and not (said and said["name"] in _ABOVE):
            notes.add("comment", line)
        return True

    def words(self, rows: Sequence[_Row], notes: ReadNotes) -> Iterator[tuple[str, str]]:
        """Tokens and tags of rows.

        Raises:
            XltError: E511, E512 or E516 for a row without them.
        """
        for line, cells in self._without_ranges(rows, notes):
            for column, index in zip(self.numbers, (self.token, self.tag), strict=True):
                # Counted from the end, a column is missing only where the first row has not as many
                if not 0 <= index < len(cells) and (column > 0 or self.fits(cells)):
                    raise error("E511", path=self.path, line=line, column=column, found=len(cells))
            if not self.fits(cells):
                counts = {"found": len(cells), "expected": self.n_cells, "first": self.first_line}
                raise error("E516", path=self.path, line=line, **counts)
            token, tag = cells[self.token], cells[self.tag]
            if not (token and tag):
                column = self.numbers[bool(token)]
                raise error("E511", path=self.path, line=line, column=column, found=f"{len(cells)}, that one empty")
            if TAG.fullmatch(tag):
                if self.token == self.tag:
                    raise error("E511", path=self.path, line=line, column="of tokens beside the tag", found=len(cells))
                yield token, tag
            elif token.casefold() in _HEADER_TOKENS and _HEADER_TAG.fullmatch(tag.casefold()):
                notes.add("header", f"{token} {tag}")
            else:
                raise error("E512", path=self.path, line=line, column=self.numbers[1], value=shortened(tag))

    def _without_ranges(self, rows: Sequence[_Row], notes: ReadNotes) -> Sequence[_Row]:
        """The rows that are words, where the first column has the numbers that CoNLL-U gives to words; else all."""
        if self.token == 0:
            return rows
        words: list[_Row] = []
        others: list[_Row] = []
        n_words = n_empty = 0
        for line, cells in rows:
            number = cells[0]
            if number in ("0.1", "1") or number.startswith("1-"):
                # Sentences may follow each other without a blank line
                n_words = n_empty = 0
            if match := _RANGE.fullmatch(number):
                is_next = int(match[1]) == n_words + 1 <= int(match[2])
            elif match := _EMPTY_NODE.fullmatch(number):
                n_empty += 1
                is_next = (int(match[1]), int(match[2])) == (n_words, n_empty)
            else:
                n_words, n_empty = n_words + 1, 0
                is_next = number == str(n_words)
            if not is_next:
                return rows
            (others if match else words).append((line, cells))
        for _, cells in others:
            if (tag := self._tag(cells)) and tag["label"]:
                notes.add("range", " ".join(cells))
        return words

    def _tag(self, cells: Sequence[str]) -> re.Match[str] | None:
        return TAG.fullmatch(cells[self.tag]) if 0 <= self.tag < len(cells) else None


def _n_filled(cells: Sequence[str]) -> int:
    return next((n for n in range(len(cells), 0, -1) if cells[n - 1]), 0)


def _sentences(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[_Sentence]:
    # Whether something but the end of a document has ended a sentence
    has_ends = False
    blocks = _blocks(path, settings, notes)
    following = next(blocks, None)
    while following is not None:
        (block, columns), following = following, next(blocks, None)
        pairs = list(columns.words(block.rows, notes))
        words, tags = [word for word, _ in pairs], [tag for _, tag in pairs]
        if not words:
            continue
        spaces = None if block.text is None else _spaces(words, block.text)
        if block.text is not None and spaces is None:
            notes.add("no text", block.text)
        spaces = spaces or [True] * len(words)
        has_ends = has_ends or (following is not None and not following[0].starts_document)
        starts = [0]
        if not (has_ends or block.is_sentence) or len(words) > _MAX_TOKENS:
            starts = _starts(words, tags, settings.lang)
            if len(starts) > 1 or len(words) > _MAX_TOKENS:
                notes.add("cut", " ".join(words[:20]))
        for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
            starts_document = block.starts_document and start == 0
            yield _Sentence(words[start:end], tags[start:end], spaces[start:end], starts_document)


def _blocks(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[tuple[_Block, _Columns]]:
    lines = text_lines(path, settings.encoding)
    before, first = _first_row(lines)
    columns, block = _Columns(path, settings, first), _Block()
    for number, line in chain(before, lines):
        cells = columns.cells(line)
        if not any(cells):
            if block.rows:
                yield block, columns
                block = _Block()
            continue
        is_comment = columns.is_comment(line, cells, notes)
        said = _METADATA.fullmatch(line.strip(" \t")) if is_comment else None
        name, value = (said["name"], said["value"] or "") if said else ("", "")
        is_sentence = bool(value) and name in _ABOVE
        is_docstart = any(cell.casefold() == _DOCSTART for cell in (cells[0], *cells[columns.token :][:1]))
        if block.rows and (is_docstart or is_sentence or name in ("newdoc", "newpar")):
            yield block, columns
            block = _Block()
        block.is_sentence |= is_sentence
        if is_docstart or name == "newdoc":
            block.starts_document = True
        elif name == "text" and value:
            block.text = value[1:].strip(" \t")
        elif not is_comment:
            block.rows.append((number, cells))
    if block.rows:
        yield block, columns


def _first_row(lines: Iterator[tuple[int, str]]) -> tuple[list[tuple[int, str]], tuple[int, str]]:
    """The lines up to the first that is surely a row, and that one; where none is, the first that may be one."""
    before: list[tuple[int, str]] = []
    may_be = (0, "")
    for number, line in lines:
        words = split_tokens(line.lstrip(" \t")[:100])
        if not (words or before):
            continue
        before.append((number, line))
        if words and words[0][0] != "#" and words[0].casefold() != _DOCSTART:
            return before, (number, line)
        if words and not may_be[0]:
            may_be = number, line
        if len(before) == _MAX_BEFORE:
            break
    return before, may_be


def _starts(words: list[str], tags: Sequence[str], lang: str) -> list[int]:
    """Where the rule of spaCy's sentencizer begins sentences, never inside an entity."""
    inside = {i for start, end, _ in _entities(tags) for i in range(start + 1, end)}
    return [start for start, _ in sentence_ranges(Doc(vocab_of(lang), words=words)) if start not in inside]


def _doc(group: Sequence[_Sentence], settings: ReadSettings, notes: ReadNotes) -> Doc:
    words, tags = [word for one in group for word in one.words], [tag for one in group for tag in one.tags]
    spaces = [space for one in group for space in one.spaces]
    starts: list[bool | int | None] = [i == 0 for one in group for i in range(len(one.words))]
    doc = Doc(vocab_of(settings.lang), words=words, spaces=spaces, sent_starts=starts)
    ents = []
    for start, end, label in _entities(tags):
        if tags[start][0] not in _STARTS:
            notes.add("repaired", label)
        if not settings.keeps(label):
            notes.dropped[label] += 1
            continue
        inside = [i for i in range(start, end) if not words[i].isspace()]
        if not inside:
            notes.add("empty", doc[start:end].text)
            continue
        span = Span(doc, inside[0], inside[-1] + 1, label=label)
        if len(span) < end - start:
            notes.add("trimmed", span.text)
        ents.append(span)
    missing = [doc[i : i + 1] for i, tag in enumerate(tags) if tag == MISSING]
    doc.set_ents(ents, missing=missing, default="outside")
    if settings.spans_key:
        copy_ents(doc, settings.spans_key)
    return doc


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
