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
from .columns import ABOVE_SENTENCES, DOCSTART, MISSING, STARTS, TAG, Columns, Row, entities, first_row, metadata
from .settings import ReadNotes, ReadSettings

# What has more tokens is hardly one sentence
_MAX_TOKENS = 200
# WikiAnn has the code of a Wikipedia before each token
_PREFIX = re.compile(r"(?:[a-z]{2,3}(?:-[a-z-]+)?|simple):(?!//)(?=.)")


@dataclass
class _Block:
    """Rows that stand together in the file, what comments say of them, and whether comments say that they are one."""

    rows: list[Row] = field(default_factory=list)
    text: str | None = None
    intent: str = ""
    starts_document: bool = False
    is_sentence: bool = False


@dataclass
class _Sentence:
    words: list[str]
    tags: list[str]
    spaces: list[bool]
    starts_document: bool
    intent: str = ""


def read_conll(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read a file of columns, document by document, with sentences and entities.

    Spaces or tabs separate cells, as in the first row, and no other white space; all rows have as many cells as that
    one. Lines that begin with # are comments, unless they are rows of a token that does. Sentences end at blank lines;
    where none does, and in what has more than 200 tokens, they end by the rule of spaCy's sentencizer. A comment
    `# intent = NAME`, as xSID has it, is a category of its document.

    Raises:
        XltError: E503 without any sentence, E511 for a missing column and for one that numbers the tokens, E512 for an
            invalid tag, E516 for a row with another number of cells, E513, E106 and E535 as `text_lines`.
    """
    sentences = _sentences(path, settings, notes)
    first = next(sentences, None)
    if first is None:
        raise error("E503", path=path)
    _check_no_numbers(first, path, settings)
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


def _check_no_numbers(first: _Sentence, path: Path, settings: ReadSettings) -> None:
    """Make sure that the words of a file are not the numbers of those in another column, as in CoNLL-U."""

    def are_numbers(sentence: _Sentence) -> bool:
        return sentence.words == [str(n) for n in range(1, len(sentence.words) + 1)]

    if settings.token_col is None and are_numbers(first):
        row = first_row(text_lines(path, settings.encoding))[1]
        has_others = Columns(path, settings, row).n_filled > 2
        if has_others and all(map(are_numbers, _sentences(path, settings, ReadNotes()))):
            raise error("E511", path=path, line=row[0], column="of tokens as column 1", found="their numbers there")


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
    for block, columns in _blocks(path, settings, ReadNotes()):
        for _, cells in block.rows:
            for i, cell in enumerate(cells):
                if i != columns.token and (tag := TAG.fullmatch(cell)) and tag["label"]:
                    return tag.group()
    return ""


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
            if following is not None:
                following[0].starts_document |= block.starts_document
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
            yield _Sentence(words[start:end], tags[start:end], spaces[start:end], starts_document, block.intent)


def _blocks(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[tuple[_Block, Columns]]:
    lines = text_lines(path, settings.encoding)
    before, first = first_row(lines)
    columns, block = Columns(path, settings, first), _Block()
    for number, line in chain(before, lines):
        cells = columns.cells(line)
        if not any(cells):
            if block.rows:
                yield block, columns
                block = _Block()
            continue
        is_comment = columns.is_comment(line, cells, notes)
        name, value = metadata(line) if is_comment else ("", "")
        is_sentence = bool(value) and name in ABOVE_SENTENCES
        is_docstart = any(cell.casefold() == DOCSTART for cell in (cells[0], *cells[columns.token :][:1]))
        if block.rows and (is_docstart or is_sentence or name in ("newdoc", "newpar")):
            yield block, columns
            block = _Block()
        block.is_sentence |= is_sentence
        if is_docstart or name == "newdoc":
            block.starts_document = True
        elif name == "text" and value:
            block.text = value[1:].strip(" \t")
        elif name == "intent" and value:
            block.intent = value[1:].strip(" \t")
        elif not is_comment:
            block.rows.append((number, cells))
    if block.rows:
        yield block, columns


def _starts(words: list[str], tags: Sequence[str], lang: str) -> list[int]:
    """Where the rule of spaCy's sentencizer begins sentences, never inside an entity."""
    inside = {i for start, end, _ in entities(tags) for i in range(start + 1, end)}
    return [start for start, _ in sentence_ranges(Doc(vocab_of(lang), words=words)) if start not in inside]


def _doc(group: Sequence[_Sentence], settings: ReadSettings, notes: ReadNotes) -> Doc:
    words, tags = [word for one in group for word in one.words], [tag for one in group for tag in one.tags]
    spaces = [space for one in group for space in one.spaces]
    starts: list[bool | int | None] = [i == 0 for one in group for i in range(len(one.words))]
    doc = Doc(vocab_of(settings.lang), words=words, spaces=spaces, sent_starts=starts)
    ents = []
    for start, end, label in entities(tags):
        if tags[start][0] not in STARTS:
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
    doc.cats = {one.intent: 1.0 for one in group if one.intent}
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
