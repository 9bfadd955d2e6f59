"""Files of columns, row by row: where the token and the tag are, and which lines are rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import error
from .lines import split_tokens
from .settings import COLUMNS, ReadNotes, ReadSettings

MISSING = "-"
TAG = re.compile(r"O|-|[BIESLU]-(?P<label>\S+)")
# Kinds of tags that begin an entity, and that end one
STARTS, ENDS = frozenset("BSU"), frozenset("ESLU")
DOCSTART = "-docstart-"
# Comments that stand above a sentence, as do newdoc and newpar
ABOVE_SENTENCES = frozenset({"sent_id", "text"})
_METADATA = re.compile(r"# *(?P<name>[\w.:-]+)(?: [\w ]*)?(?P<value>=.*)?")
# Lines of comments before the first row
_MAX_BEFORE = 100_000
# In CoNLL-U, "3-4" is a multiword token above its words and "3.1" a word that is not in the text
_RANGE, _EMPTY_NODE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})"), re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_HEADER_TOKENS = frozenset({"token", "tokens", "word", "words", "form", "text"})
_HEADER_TAG = re.compile(r"(?=.)(ner?|entity|entities|iob[12]?|bio|bioes|bilou)?[ _-]?(tags?|labels?|types?)?")
# Line number, counted from 1, and cells
Row = tuple[int, list[str]]


def entities(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Token ranges `[start, end)` and labels. IOB1, IOB2, IOBES and BILOU all come out right."""
    start, label = 0, ""
    for i, tag in enumerate(tags):
        kind, new_label = tag[0], tag[2:]
        goes_on = bool(label) and new_label == label and kind not in STARTS
        if label and not goes_on:
            yield start, i, label
            label = ""
        if new_label and not goes_on:
            start, label = i, new_label
        if label and kind in ENDS:
            yield start, i + 1, label
            label = ""
    if label:
        yield start, len(tags), label


def metadata(line: str) -> tuple[str, str]:
    """The name in a comment such as "# text = Maria", and its value from the "=" on; "" for what it lacks."""
    match = _METADATA.fullmatch(line.strip(" \t"))
    return (match["name"], match["value"] or "") if match else ("", "")


def first_row(lines: Iterator[tuple[int, str]]) -> tuple[list[tuple[int, str]], tuple[int, str]]:
    """The lines up to the first that is surely a row, and that one; where none is, the first that may be one."""
    before: list[tuple[int, str]] = []
    may_be = (0, "")
    for number, line in lines:
        words = split_tokens(line.lstrip(" \t")[:100])
        if not (words or before):
            continue
        before.append((number, line))
        if words and words[0][0] != "#" and words[0].casefold() != DOCSTART:
            return before, (number, line)
        if words and not may_be[0]:
            may_be = number, line
        if len(before) == _MAX_BEFORE:
            break
    return before, may_be


class Columns:
    """Where the rows of a file have the token and the tag, judged by its first row."""

    def __init__(self, path: Path, settings: ReadSettings, first: tuple[int, str]):
        token, tag = COLUMNS[settings.format]
        self.path, (self.first_line, line) = path, first
        self.by_tabs = "\t" in line
        cells = self.cells(line)
        # A tab more at the end of a line is no cell more
        self.n_cells, self.n_filled = len(cells), _n_filled(cells)
        self.numbers = settings.token_col or token, settings.tag_col or tag
        self.token, self.tag = (number - 1 if number > 0 else self.n_filled + number for number in self.numbers)
        for column, cell in enumerate(cells, start=1):
            # Characters such as U+0085 end no line; where all lines end in one, the file is a single row
            if column != self.token + 1 and len(cell.splitlines()) > 1 and TAG.fullmatch(cell.splitlines()[0]):
                raise error("E512", path=path, line=self.first_line, column=column, value=cell[:60])

    def cells(self, line: str) -> list[str]:
        """The cells of a line. White space other than spaces and tabs is part of a token."""
        return [cell.strip(" ") for cell in line.split("\t")] if self.by_tabs else split_tokens(line)

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether a row has as many cells as the first one."""
        return len(cells) == self.n_cells or _n_filled(cells) == self.n_filled

    def is_comment(self, line: str, cells: Sequence[str], notes: ReadNotes) -> bool:
        """Whether a line is a comment, and no row whose token begins with #."""
        if not cells[0].startswith("#"):
            return False
        name, value = metadata(line)
        # Where the token is in another column, "#" alone may be its part of speech
        can_be_row = (self.token == 0 or cells[0] == "#") and not value
        if can_be_row and self.fits(cells) and self._tag(cells):
            return False
        if len(cells) > 1 and TAG.fullmatch(cells[-1]) and name not in ABOVE_SENTENCES:
            notes.add("comment", line)
        return True

    def words(self, rows: Sequence[Row], notes: ReadNotes) -> Iterator[tuple[str, str]]:
        """Tokens and tags of rows.

        Raises:
            XltError: E511, E512 or E516 for a row without them.
        """
        for line, cells in self._without_ranges(rows, notes):
            at = {"path": self.path, "line": line}
            for column, index in zip(self.numbers, (self.token, self.tag), strict=True):
                # Counted from the end, a column is missing only where the first row has not as many
                if not 0 <= index < len(cells) and (column > 0 or self.fits(cells)):
                    raise error("E511", **at, column=column, found=len(cells))
            if not self.fits(cells):
                raise error("E516", **at, found=len(cells), expected=self.n_cells, first=self.first_line)
            token, tag = cells[self.token], cells[self.tag]
            if not (token and tag):
                column = self.numbers[bool(token)]
                raise error("E511", **at, column=column, found=f"{len(cells)}, that one empty")
            if TAG.fullmatch(tag):
                if self.token == self.tag:
                    raise error("E511", **at, column="of tokens beside the tag", found=len(cells))
                yield token, tag
            elif token.casefold() in _HEADER_TOKENS and _HEADER_TAG.fullmatch(tag.casefold()):
                notes.add("header", f"{token} {tag}")
            else:
                raise error("E512", **at, column=self.numbers[1], value=tag[:60])

    def _without_ranges(self, rows: Sequence[Row], notes: ReadNotes) -> Sequence[Row]:
        """The rows that are words, where the first column has the numbers that CoNLL-U gives to words; else all."""
        if self.token == 0:
            return rows
        words: list[Row] = []
        others: list[Row] = []
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
