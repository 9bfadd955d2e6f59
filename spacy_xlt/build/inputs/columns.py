"""Columns, document by document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from spacy.tokens import Doc

from ...docs import copy_ents
from ...languages import blank
from ..tally import Tally
from .base import StreamedFile
from .old_conll import ColumnReader, Counts, Sentence
from .settings import InputSettings


class ColumnFile(StreamedFile):
    """A file of columns: a token a line, with its entity tag."""

    def __init__(self, path: Path, name: str, format: str, settings: InputSettings):
        super().__init__(path, name, format, settings)
        self._reader = ColumnReader(
            format=format,
            token_col=settings.token_col,
            tag_col=settings.tag_col,
            n_sents=settings.n_sents,
            labels=settings.labels,
            encoding=settings.encoding,
        )

    @cached_property
    def _columns(self) -> tuple[int, int]:
        return self._reader.columns(self.path)

    def _records(self) -> Iterator[list[Sentence]]:
        return self._reader.groups(self.path)

    def _check(self, record: list[Sentence], tally: Tally) -> bool:
        _, tags = self._reader.tokens(self.path, record, self._columns)
        return bool(self._reader.entities(tags, Counts()))

    def _doc(self, record: list[Sentence]) -> Doc:
        doc = self._reader.doc(self.path, record, self._columns, blank(self.settings.lang).vocab, Counts())
        if self.settings.spans_key:
            copy_ents(doc, self.settings.spans_key)
        return doc
