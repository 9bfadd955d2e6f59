"""The input of a build: counted in one pass, and read again shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from spacy.tokens import Doc
from tqdm import tqdm

from ..bitext import ENTS_GROUP
from ..errors import XltError, error, warn
from ..io import docs_bytes
from ..readers import CorpusFile, ReadNotes, ReadSettings, corpus_files, read_file
from ..readers.settings import SPACY
from ..textfiles import open_bytes
from .shard import Shard, shard_name

# Seconds after which there is a bar while the input is counted
_BAR_AFTER = 2.0


@dataclass(frozen=True)
class BuildInput:
    """A corpus that was read once, so that nothing in it is an error later.

    Attributes:
        path: A file or a folder.
        reading: How it is read.
        files: Its files, in order.
        known: By file name `sha256`, `docs` and `annotated` (documents with an entity, a span or a category), and
            `texts_left_out` of a folder of brat's where some cannot be read, and `lines_left_out` of JSON lines, by
            their answer ("misfit": spans that do not fit the text); or `left_out` with the code of its error.
    """

    path: Path
    reading: ReadSettings
    files: Sequence[CorpusFile]
    known: dict[str, dict[str, Any]]

    @classmethod
    def scan(
        cls, path: Path, reading: ReadSettings, *, before: dict[str, Any], skip_corrupt: bool, silent: bool
    ) -> BuildInput:
        """Read every file of a corpus, which finds every error. One that an earlier run has read is not read again.

        Args:
            before: The manifest's header of the earlier run.
            skip_corrupt: Leave out a file, or a text of a folder of brat's, that cannot be read, with a warning.
        """
        files, known, met = corpus_files(path, reading, skip_corrupt=skip_corrupt), {}, ReadNotes()
        old = before.get("input", {}) if before.get("reading") == plain(reading) else {}
        for file in tqdm(files, desc="read", unit="file", delay=_BAR_AFTER, disable=silent):
            digest = file.digest()
            seen = old.get(file.name, {})
            if seen.get("sha256") == digest and "docs" in seen and "texts_left_out" not in seen:
                known[file.name] = seen
                continue
            notes = ReadNotes()
            try:
                docs = read_file(file, reading, notes=notes, skip_corrupt=skip_corrupt)
                annotated = [_is_annotated(doc) for doc in docs]
                known[file.name] = {"sha256": digest, "docs": len(annotated), "annotated": sum(annotated)}
                if lines := {**notes.answers, **({"misfit": len(notes.misfits)} if notes.misfits else {})}:
                    known[file.name]["lines_left_out"] = lines
                if notes.left_out:
                    known[file.name]["texts_left_out"] = sorted(notes.left_out)
                met.update(notes)
            except XltError as err:
                if not skip_corrupt:
                    raise
                warn("W583", path=file.path, size=_size(file), reason=err.message)
                known[file.name] = {"sha256": digest, "left_out": err.code}
        if not old:
            met.check_labels(path, reading)
        return cls(path, reading, files, known)

    @property
    def n_docs(self) -> int:
        """Documents of all files."""
        return sum(file.get("docs", 0) for file in self.known.values())

    @property
    def is_annotated(self) -> bool:
        """Whether any document has an entity or a span."""
        return any(file.get("annotated") for file in self.known.values())

    def docs(self) -> Iterator[Doc]:
        """All documents."""
        return (doc for _, doc in self._numbered(1, range(self.n_docs)))

    def shards(self, size: int, numbers: Collection[int]) -> Iterator[Shard]:
        """Read the documents of some shards.

        Args:
            size: Documents in a shard.
            numbers: Of the shards.

        Raises:
            XltError: E583 if a file has changed; the errors of `read_file`.
        """
        for number, numbered in groupby(self._numbered(size, numbers), key=lambda one: one[0] // size):
            if number in numbers:
                docs = [doc for _, doc in numbered]
                yield Shard(shard_name(number), docs_bytes(docs, store_user_data=True), len(docs))

    def _numbered(self, size: int, numbers: Collection[int]) -> Iterator[tuple[int, Doc]]:
        """Documents with their numbers, of all files that have documents of these shards."""
        first = 0
        for file in self.files:
            n_docs = self.known[file.name].get("docs", 0)
            if n_docs and any(number in numbers for number in range(first // size, -(-(first + n_docs) // size))):
                n_read = 0
                skips = "texts_left_out" in self.known[file.name]
                for doc in read_file(file, self.reading, quiet=True, skip_corrupt=skips):
                    n_read += 1
                    if n_read <= n_docs:
                        yield first + n_read - 1, doc
                if n_read != n_docs:
                    raise error("E583", path=file.path, expected=n_docs, found=n_read)
            first += n_docs


@dataclass(frozen=True)
class DocInput:
    """Documents that are made when they are asked for, in the place of a `BuildInput`.

    Attributes:
        path: What messages name.
        reading: In what language they are.
        known: What they depend on: name → `sha256` and more.
        n_docs: How many they are.
        make: Makes one, of its number.
    """

    path: Path
    reading: ReadSettings
    known: dict[str, dict[str, Any]]
    n_docs: int
    make: Callable[[int], Doc]
    is_annotated: bool = True

    def docs(self) -> Iterator[Doc]:
        """All documents."""
        return map(self.make, range(self.n_docs))

    def shards(self, size: int, numbers: Collection[int]) -> Iterator[Shard]:
        """As `BuildInput.shards`."""
        for number in numbers:
            docs = [self.make(n) for n in range(number * size, min((number + 1) * size, self.n_docs))]
            yield Shard(shard_name(number), docs_bytes(docs, store_user_data=True), len(docs))


def plain(reading: ReadSettings) -> dict[str, Any]:
    """The settings as plain data."""
    return {**asdict(reading), "labels": sorted(reading.labels or ())}


def _size(file: CorpusFile) -> str:
    """How much is in a file that cannot be read."""
    if file.format != SPACY:
        with suppress(XltError), open_bytes(file.path) as lines:
            return f"{sum(1 for _ in lines)} lines"
    return f"{file.path.stat().st_size} bytes"


def _is_annotated(doc: Doc) -> bool:
    return bool(doc.ents or doc.cats) or any(len(group) for key, group in doc.spans.items() if key != ENTS_GROUP)
