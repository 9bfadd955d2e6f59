"""JSON lines, as Prodigy and doccano write them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ...errors import error, warn
from ...languages import blank
from ...readers.settings import lines_named
from ..doccano import as_spans, is_annotated
from ..tally import Tally
from .base import FileInfo, StreamedFile
from .old_jsonl import IGNORE, REJECT, Annotated, AnnotationReader, Malformed, to_doc
from .settings import InputSettings

# A line's number, its data, and what it says where it is known
_Record = tuple[int, dict[str, Any], Annotated | None]


class JsonLinesFile(StreamedFile):
    """A file of JSON lines, with a text and its spans on each. Lines with another answer than "accept" are no
    documents, nor are those whose spans and own tokens do not fit the text.
    """

    def __init__(self, path: Path, name: str, format: str, settings: InputSettings):
        super().__init__(path, name, format, settings)
        self._reader = AnnotationReader(lang=settings.lang, encoding=settings.encoding, widen=True)
        self._misfits = array("Q")

    def _records(self) -> Iterator[_Record]:
        n_lines, self._misfits, self._reader.misfits = 0, array("Q"), []
        for number, data in self._reader.objects(self.path):
            n_lines += 1
            if data.get("answer") in (REJECT, IGNORE):
                continue
            if is_annotated(data):
                try:
                    data = as_spans(data)
                except Malformed as err:
                    raise error("E564", path=self.path, line=number, reason=err) from err
            # Only a line with its own tokens can be left out for them; the others are cut into tokens where needed
            found = self._reader.fitting(self.path, number, data) if data.get("tokens") else None
            if found is None and data.get("tokens"):
                self._misfits.append(number)
                del self._reader.misfits[1:]
                continue
            yield number, data, found
        if not n_lines:
            raise error("E503", path=self.path)

    def _scan(self) -> FileInfo:
        info = super()._scan()
        if misfits := self._reader.misfits:
            lines = lines_named(self._misfits)
            warn("W562", n=len(self._misfits), path=self.path, lines=lines, reason=misfits[0][1], stacklevel=4)
        return info

    def _check(self, record: _Record, tally: Tally) -> bool:
        self._reader.tally = tally
        return bool(self._read(record)[0].spans)

    def _doc(self, record: _Record) -> Doc:
        return self._read(record)[1]

    def _read(self, record: _Record) -> tuple[Annotated, Doc]:
        number, data, found = record
        found = found or self._reader.fitting(self.path, number, data)
        assert found is not None
        labels, vocab = self.settings.labels, blank(self.settings.lang).vocab
        found = replace(found, spans=[span for span in found.spans if labels is None or span[2] in labels])
        return found, to_doc(found, vocab, path=self.path, spans_key=self.settings.spans_key)
