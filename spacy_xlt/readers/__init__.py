"""Annotated corpora of any format as documents: `.spacy`, columns, JSON lines and brat's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..docs import all_spans
from ..errors import XltError
from .brat import read_brat
from .conll import read_conll
from .docbin import check_doc, read_docbin
from .files import CorpusFile, corpus_files
from .jsonl import read_jsonl
from .lines import read_lines
from .marked import read_marked
from .pubtator import read_pubtator
from .settings import (
    BRAT,
    COLUMNS,
    JSONL,
    LINES,
    MARKED,
    PRODIGY,
    PUBTATOR,
    SPACY,
    SQUAD,
    TACRED,
    TEXTS,
    ReadNotes,
    ReadSettings,
)
from .squad import read_squad
from .tacred import read_tacred
from .texts import read_texts

__all__ = ["CorpusFile", "ReadNotes", "ReadSettings", "corpus_files", "read_corpus", "read_file"]

_READERS: dict[str, Callable[[Path, ReadSettings, ReadNotes], Iterator[Doc]]] = {
    SPACY: read_docbin,
    **dict.fromkeys(COLUMNS, read_conll),
    JSONL: read_jsonl,
    PRODIGY: read_jsonl,
    BRAT: read_brat,
    LINES: read_lines,
    MARKED: read_marked,
    TACRED: read_tacred,
    SQUAD: read_squad,
    TEXTS: read_texts,
    PUBTATOR: read_pubtator,
}


def read_corpus(path: str | Path, *, notes: ReadNotes | None = None, **settings: Any) -> Iterator[Doc]:
    """Read the documents of a corpus one by one, in the order of its files.

    Args:
        path: A file of any known format, compressed or not, or a folder of such files; see `corpus_files`.
        notes: Filled in with what was met.
        **settings: Those of `ReadSettings`: `format`, `lang`, `encoding`, `labels`, `spans_key`, …

    Returns:
        The documents. Their vocabularies are not all the same in a long corpus.

    Raises:
        XltError: For the settings and the path at once, as `ReadSettings` and `corpus_files`; for what is wrong in a
            file when it comes to it, as `read_file`; at the end E522 where `labels` leaves nothing.
    """
    reading = ReadSettings(**settings)
    return _read_files(path, corpus_files(path, reading), reading, ReadNotes() if notes is None else notes)


def _read_files(
    path: str | Path, files: Iterable[CorpusFile], reading: ReadSettings, notes: ReadNotes
) -> Iterator[Doc]:
    for file in files:
        yield from read_file(file, reading, notes=notes)
    notes.check_labels(path, reading)


def read_file(
    file: CorpusFile,
    settings: ReadSettings,
    *,
    notes: ReadNotes | None = None,
    quiet: bool = False,
    skip_corrupt: bool = False,
) -> Iterator[Doc]:
    """Read the documents of one file of a corpus. What is not as it was annotated is warned of at its end, once a kind.

    Args:
        file: From `corpus_files`.
        settings: How it is read.
        notes: Filled in with what was met, at the end of the file.
        quiet: Without the warnings, for a file that was read before.
        skip_corrupt: Leave out the texts of a folder of brat's that cannot be read.

    Raises:
        XltError: With file and line: E503 for an empty file; E513, E106 and E535 for one that cannot be read; E504
            (.spacy), E511, E512 and E516 (columns), E564 and E568 (JSON lines), E536 and E537 (brat) for what is wrong
            in it; E542 for what is beyond the limits of `limits`.
    """
    met = ReadNotes(left_out={} if skip_corrupt else None)
    try:
        for doc in _READERS[file.format](file.path, replace(settings, format=file.format), met):
            check_doc(doc, file.path)
            spans = {(span.start, span.end, span.label_) for span in all_spans(doc)}
            met.labels.update(label for _, _, label in spans)
            yield doc
    except XltError:
        # What was left out may be why
        met.warn(file.path, settings)
        raise
    if not quiet:
        met.warn(file.path, settings)
    if notes is not None:
        notes.update(met)
