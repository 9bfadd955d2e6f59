"""The documents of a build for people outside spaCy, as JSON lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from spacy.tokens import Doc

from ...errors import error
from ...io import replacing
from ...languages import blank
from .output import check_file
from .parquet import ParquetWriter, check_installed
from .reading import bitext_of, check_found, read_sources, read_targets, translated
from .records import Record, Records
from .rows import Row, bitext_row, target_row
from .sampling import BITEXT, TARGET, WHAT

JSONL, PARQUET = "jsonl", "parquet"
FORMATS = (JSONL, PARQUET)
# Of the rows; what is only added does not change it
EXPORT_FORMAT = 1


class RowWriter(Protocol):
    """What takes rows."""

    def write(self, row: Row) -> None: ...


@dataclass
class Exporter:
    """Writes a row for each document and language of a build.

    format (str): "jsonl" or "parquet".
    what (str): "target" for the target documents as they are trained on, "bitext" for both sides with their links.
    lang (str): Only this target language; all where left out.
    rows (int): How many rows were written.
    RAISES (XltError): E510 for settings that cannot be; E555 for "parquet" without pyarrow; E580 where no shard is
        finished.
    """

    records: Records
    format: str = JSONL
    what: str = TARGET
    lang: str = ""
    rows: int = 0
    _langs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for setting, value, known in (("--format", self.format, FORMATS), ("--what", self.what, WHAT)):
            if value not in known:
                raise error("E510", setting=setting, value=value, expected=" or ".join(known))
        if self.format == PARQUET:
            check_installed()
        self.records.check_any()

    def write(
        self, path: Path, *, overwrite: bool = False, progress: Callable[[int], object] = lambda n_shards: None
    ) -> None:
        """Write the rows, whole or not at all.

        progress (Callable[[int], object]): Called with a number of shards each time that many more are done.
        RAISES (XltError): E550 for a shard that cannot be read; E552 for a language that is not there; E553, E554 for
            what must not be written over; E556 where there is nothing to export.
        """
        check_file(path, self.records.folder, overwrite=overwrite)
        with replacing(path) as beside:
            with self._open(beside) as writer:
                for record in self.records:
                    self._langs.update(record.langs)
                    for row in self._rows_of(record):
                        writer.write(row)
                        self.rows += 1
                    progress(1)
            check_found(
                self.records.folder, n_docs=self.rows, known=self._langs, lang=self.lang, what=f"a {self.format} file"
            )

    def _open(self, path: Path) -> AbstractContextManager[RowWriter]:
        if self.format == JSONL:
            return JsonLinesWriter(path)
        header = self.records.header
        about = {"format": EXPORT_FORMAT, "what": self.what, "spacy_xlt": header.get("spacy_xlt")}
        return ParquetWriter(path, with_links=self.what == BITEXT, about={**about, "engines": header.get("engines")})

    def _rows_of(self, record: Record) -> Iterator[Row]:
        if self.lang and self.lang not in record.langs:
            return
        folder = self.records.folder
        found = list(translated(folder, record, read_sources(folder, record), self.lang))
        targets: dict[str, list[Doc]] = {}
        if self.what == TARGET:
            bins = read_targets(folder, record, found)
            targets = {lang: list(docs.get_docs(blank(lang).vocab)) for lang, docs in bins.items()}
        for one in found:
            bitext = bitext_of(folder, record, one)
            row = target_row(targets[one.lang][one.place], bitext) if targets else bitext_row(bitext)
            yield {"shard": record.shard, "doc": one.number, **row}


class JsonLinesWriter:
    """Writes rows as JSON lines; to be used in a `with` statement."""

    def __init__(self, path: Path):
        self._file = path.open("w", encoding="utf8", newline="\n")

    def __enter__(self) -> JsonLinesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, row: Row) -> None:
        """Add a row."""
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
