"""What the files of every format have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, DocBin

from ...compression import reason_of
from ...errors import error, warn
from ...io import file_digest
from ..tally import Tally
from .settings import InputSettings

Range = tuple[int, int]
_WARNINGS = {"widened": "W535", "overlapping": "W536", "in pieces": "W537", "empty": "W538"}


@dataclass(frozen=True)
class FileInfo:
    """What a file holds.

    docs (int): Documents.
    annotated (int): Those with an entity or a span.
    """

    docs: int
    annotated: int


class InputFile(ABC):
    """A file of a corpus, of which nothing is kept in memory.

    What one object says belongs together: where the file has changed between two calls, the later one is an error.

    name (str): Its path in the input folder, with "/" between; no other file of the corpus has it.
    path (Path): Where it lies.
    format (str): "spacy", "iob2", "conll", "tsv", "jsonl" or "brat".
    """

    # Looking at many files again after each slice would take longer than reading it
    _is_one_file = True

    def __init__(self, path: Path, name: str, format: str, settings: InputSettings):
        self.path = path
        self.name = name
        self.format = format
        self.settings = settings
        self._seen: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.format!r})"

    def digest(self) -> str:
        """SHA-256 of the bytes as they lie on the disk, as hexadecimal digits.

        RAISES (XltError): E535 where the file cannot be read, E538 where it changed.
        """
        with self._same():
            return self._digest()

    def scan(self) -> FileInfo:
        """Read everything, and so find every error. What is not as it was annotated is said in one warning a kind.

        RAISES (XltError): E503 for an empty file, E535 for one that cannot be read, E538 for one that changed; E504
            (.spacy), E511 to E513 (columns), E232, E236, E564 and E566 (JSON lines), E513, E536 and E537 (brat) for
            what is wrong in it, with file and line.
        """
        with self._same():
            return self._scan()

    def slices(self, ranges: Iterable[Range]) -> Iterator[DocBin]:
        """The documents of each range, in one pass through the file.

        ranges (Iterable[Range]): First document and the one after the last, ascending and without overlap; read one
            by one as the slices are taken.
        YIELDS (DocBin): The documents of a range.
        RAISES (XltError): As `scan`, for what is read; E538 also where the file has fewer documents than asked for.
        RAISES (ValueError): For ranges that go back.
        """
        with self._same():
            for found in self._slices(_ascending(ranges)):
                if self._is_one_file:
                    self._check_same()
                yield found

    def _digest(self) -> str:
        return file_digest(self.path)

    @abstractmethod
    def _scan(self) -> FileInfo: ...

    @abstractmethod
    def _slices(self, ranges: Iterator[Range]) -> Iterator[DocBin]: ...

    def _state(self) -> Any:
        """What is another one when the file is: size, time and number."""
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns, found.st_ino

    def _check_same(self) -> None:
        state = self._state()
        if self._seen is not None and self._seen != state:
            raise error("E538", path=self.path, reason="its size or its time is another one")
        self._seen = state

    @contextmanager
    def _same(self) -> Iterator[None]:
        """See that the file is the same before and after the block, and as it was at the first call."""
        try:
            self._check_same()
            yield
            self._check_same()
        except OSError as err:
            raise error("E535", path=self.path, reason=reason_of(err)) from err

    def _too_few(self, n_docs: int, stop: int) -> Exception:
        return error("E538", path=self.path, reason=f"it has {n_docs} documents, and {stop} were asked for")


class StreamedFile(InputFile):
    """A file whose documents are read one after the other."""

    @abstractmethod
    def _records(self) -> Iterator[Any]:
        """Each document as it stands in the file, read as little as can be."""

    @abstractmethod
    def _check(self, record: Any, tally: Tally) -> bool:
        """Find what is wrong with a document. RETURNS (bool): Whether it is annotated."""

    @abstractmethod
    def _doc(self, record: Any) -> Doc:
        """A document. Its vocabulary is asked for anew each time, as a long corpus would fill it."""

    def _scan(self) -> FileInfo:
        n_docs, n_annotated, tally = 0, 0, Tally()
        for record in self._records():
            n_docs += 1
            n_annotated += self._check(record, tally)
        self._warn(tally)
        return FileInfo(n_docs, n_annotated)

    def _warn(self, tally: Tally) -> None:
        for kind, code in _WARNINGS.items():
            if tally.counts[kind]:
                spans_key = self.settings.spans_key
                hint = (
                    f"The span group {spans_key!r} has them all." if spans_key else "Set --spans-key to have them all."
                )
                warn(code, path=self.path, n=tally.counts[kind], first=tally.first[kind], hint=hint, stacklevel=5)

    def _slices(self, ranges: Iterator[Range]) -> Iterator[DocBin]:
        records, at = self._records(), 0
        for start, stop in ranges:
            found = DocBin()
            while at < stop:
                record = next(records, None)
                if record is None:
                    raise self._too_few(at, stop)
                if at >= start:
                    found.add(self._doc(record))
                at += 1
            yield found


def shown_name(path: str) -> str:
    """A file's name as text, also where its bytes are no UTF-8, as names may be anywhere but on Windows."""
    return os.fsencode(path).decode("utf8", "backslashreplace")


def _ascending(ranges: Iterable[Range]) -> Iterator[Range]:
    last = 0
    for start, stop in ranges:
        if not last <= start <= stop:
            raise ValueError(f"the range {start} to {stop} does not come after {last}")
        last = stop
        yield start, stop
