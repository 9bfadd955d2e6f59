"""Reading annotated text in columns: CoNLL, IOB2 with comments, tab-separated. Files are streamed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ...errors import error, warn
from ...textfiles import text_lines

# Default columns of the formats, counted from 1 (negative: from the end): token, tag.
FORMATS = {"iob2": (2, 3), "conll": (1, -1), "tsv": (1, 2)}
MISSING = "-"
TAG = re.compile(r"O|-|[BIESLU]-(?P<label>\S+)")
_STARTS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_RANGE_OR_EMPTY_NODE = re.compile(r"\d+[-.]\d+")


@dataclass
class Sentence:
    """One sentence as it stands in the file.

    rows (list[tuple[int, list[str]]]): Line number, counted from 1, and cells.
    text (str | None): The raw text, where a comment gives it.
    starts_document (bool): Whether a comment says that a new document begins.
    """

    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    text: str | None = None
    starts_document: bool = False


@dataclass
class Counts:
    """What a conversion went through.

    repaired (int): Entities that begin with an I- tag: the rule in IOB1, a slip in IOB2.
    no_text (int): Sentences whose raw text does not fit their tokens: every token is followed by a space there.
    """

    docs: int = 0
    sentences: int = 0
    tokens: int = 0
    entities: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    repaired: int = 0
    no_text: int = 0


@dataclass(frozen=True)
class ColumnReader:
    """Reads documents from a file of columns.

    format (str): "iob2" (tab-separated, comments such as `# text = …`), "conll" or "tsv" (white space or tabs).
    token_col, tag_col (int | None): Columns counted from 1; negative ones from the end. The format's own where left
        out. A pair that only fits counted from 0 is taken so, with warning W511.
    n_sents (int): Sentences a document, unless the file begins a new document first.
    labels (frozenset[str] | None): Labels to keep; all where left out.
    encoding (str): Of the file.
    """

    format: str
    token_col: int | None = None
    tag_col: int | None = None
    n_sents: int = 1
    labels: frozenset[str] | None = None
    encoding: str = "utf8"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise error("E510", setting="--format", value=self.format, expected=", ".join(FORMATS))
        if self.n_sents < 1:
            raise error("E510", setting="--n-sents", value=self.n_sents, expected="a number from 1")

    def read(self, path: str | Path, vocab: Vocab, counts: Counts) -> list[Doc]:
        """Read the whole file. As `stream`, with all documents in memory."""
        return list(self.stream(path, vocab, counts))

    def stream(self, path: str | Path, vocab: Vocab, counts: Counts) -> Iterator[Doc]:
        """Read a file document by document.

        counts (Counts): Filled in on the way.
        YIELDS (Doc): The documents.
        RAISES (XltError): E502 where there is no file, E503 without any sentence, E511 for a missing column, E512 for
            a tag that is none, E513 for another encoding, E535 for a file that cannot be read.
        """
        path = Path(path)
        columns = self.columns(path)
        for group in self.groups(path):
            yield self.doc(path, group, columns, vocab, counts)

    def groups(self, path: str | Path) -> Iterator[list[Sentence]]:
        """The sentences of each document as they stand in the file, unchecked.

        RAISES (XltError): E502, E503, E513 and E535, as `stream`.
        """
        path = Path(path)
        group: list[Sentence] = []
        for sentence in self._sentences(path):
            if group and (len(group) == self.n_sents or sentence.starts_document):
                yield group
                group = []
            group.append(sentence)
        if not group:
            raise error("E503", path=path)
        yield group

    def tokens(
        self, path: str | Path, group: Sequence[Sentence], columns: tuple[int, int]
    ) -> tuple[list[str], list[str]]:
        """The tokens and the tags of a document.

        columns (tuple[int, int]): From `columns`.
        RAISES (XltError): E511 and E512, as `stream`.
        """
        path = Path(path)
        rows = [row for sentence in group for row in sentence.rows]
        return [self._cell(path, row, columns[0]) for row in rows], [self._tag(path, row, columns[1]) for row in rows]

    def entities(self, tags: Sequence[str], counts: Counts) -> list[tuple[int, int, str]]:
        """Token ranges `[start, end)` and labels of those that are kept."""
        kept = []
        for start, end, label in _entities(tags, counts):
            of_kind = counts.entities if self.labels is None or label in self.labels else counts.dropped
            of_kind[label] = of_kind.get(label, 0) + 1
            if of_kind is counts.entities:
                kept.append((start, end, label))
        return kept

    def _sentences(self, path: Path) -> Iterator[Sentence]:
        if not path.is_file():
            raise error("E502", what="file", path=path)
        sentence = Sentence()
        for number, line in text_lines(path, self.encoding):
            if not line.strip():
                if sentence.rows:
                    yield sentence
                    sentence = Sentence()
            elif self.format == "iob2" and line.startswith("#") and "\t" not in line:
                name, _, value = line[1:].partition("=")
                if name.strip() == "text":
                    sentence.text = value.strip()
                sentence.starts_document |= name.strip().startswith("newdoc")
            elif line.startswith("-DOCSTART-"):
                sentence.starts_document = True
            else:
                cells = line.split("\t") if "\t" in line else line.split()
                # in CoNLL-U, "3-4" is a multiword token above its words and "3.1" a word that is not in the text
                if not (self.format == "iob2" and _RANGE_OR_EMPTY_NODE.fullmatch(cells[0])):
                    sentence.rows.append((number, cells))
        if sentence.rows:
            yield sentence

    def columns(self, path: str | Path) -> tuple[int, int]:
        """Python indices of the token and the tag.

        RAISES (XltError): E502, E513 and E535, as `stream`, where the file must be looked at.
        """
        path = Path(path)
        default_token, default_tag = FORMATS[self.format]
        token_col = default_token if self.token_col is None else self.token_col
        tag_col = default_tag if self.tag_col is None else self.tag_col
        counted_from_1 = tuple(col - 1 if col > 0 else col for col in (token_col, tag_col))
        if 0 in (token_col, tag_col):
            counted_from_0 = True
        elif self.tag_col is None or self.token_col is None or counted_from_1[1] == tag_col:
            counted_from_0 = False
        else:
            # Most files show in their first lines that they are not counted from 0
            counted_from_0 = _all_tags(self._sentences(path), tag_col)
            counted_from_0 = counted_from_0 and not _all_tags(self._sentences(path), counted_from_1[1])
        if not counted_from_0:
            return counted_from_1[0], counted_from_1[1]
        warn("W511", path=path, token_col=token_col, tag_col=tag_col)
        return token_col, tag_col

    def doc(
        self, path: str | Path, group: Sequence[Sentence], columns: tuple[int, int], vocab: Vocab, counts: Counts
    ) -> Doc:
        """A document from its sentences.

        columns (tuple[int, int]): From `columns`.
        RAISES (XltError): E511 and E512, as `stream`.
        """
        words, tags = self.tokens(path, group, columns)
        spaces: list[bool] = []
        starts: list[bool | int | None] = []
        for sentence in group:
            n = len(sentence.rows)
            after = None if sentence.text is None else _spaces(words[len(spaces) : len(spaces) + n], sentence.text)
            counts.no_text += sentence.text is not None and after is None
            spaces += after or [True] * n
            starts += [i == 0 for i in range(n)]
        counts.docs += 1
        counts.sentences += len(group)
        counts.tokens += len(words)
        doc = Doc(vocab, words=words, spaces=spaces, sent_starts=starts)
        ents = [Span(doc, start, end, label=label) for start, end, label in self.entities(tags, counts)]
        missing = [doc[i : i + 1] for i, tag in enumerate(tags) if tag == MISSING]
        doc.set_ents(ents, missing=missing, default="outside")
        return doc

    def _cell(self, path: Path, row: tuple[int, list[str]], column: int) -> str:
        number, cells = row
        try:
            cell = cells[column]
        except IndexError as err:
            shown = column + 1 if column >= 0 else column
            raise error("E511", path=path, line=number, column=shown, found=len(cells)) from err
        if not cell:
            raise error("E511", path=path, line=number, column=column + 1, found=f"{len(cells)}, that one empty")
        return cell

    def _tag(self, path: Path, row: tuple[int, list[str]], column: int) -> str:
        tag = self._cell(path, row, column)
        if not TAG.fullmatch(tag):
            shown = column + 1 if column >= 0 else column
            raise error("E512", path=path, line=row[0], column=shown, value=textwrap.shorten(tag, 40))
        return tag


def _all_tags(sentences: Iterable[Sentence], column: int) -> bool:
    rows = (cells for sentence in sentences for _, cells in sentence.rows)
    return all(-len(cells) <= column < len(cells) and TAG.fullmatch(cells[column]) for cells in rows)


def _spaces(tokens: list[str], text: str) -> list[bool] | None:
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
    # The next sentence of the document is set off by a space.
    spaces[-1] = True
    return spaces


def _entities(tags: Sequence[str], counts: Counts) -> Iterator[tuple[int, int, str]]:
    """Token ranges `[start, end)` and labels. IOB1, IOB2, IOBES and BILOU all come out right."""
    start, label = 0, ""
    for i, tag in enumerate(tags):
        match = TAG.fullmatch(tag)
        kind, found = tag[0], (match["label"] or "") if match else ""
        goes_on = bool(label) and found == label and kind not in _STARTS
        if label and not goes_on:
            yield start, i, label
            label = ""
        if found and not goes_on:
            # legal in IOB1, a slip in IOB2
            counts.repaired += kind not in _STARTS
            start, label = i, found
        if label and kind in _ENDS:
            yield start, i + 1, label
            label = ""
    if label:
        yield start, len(tags), label
