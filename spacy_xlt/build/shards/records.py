"""The finished shards of a build, one record in memory at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import error
from ..manifest import FILE_NAME, index, iter_records
from ..sharding import BITEXT, TARGET

SUFFIX = ".spacy"


@dataclass(frozen=True)
class Record:
    """A finished shard.

    files (dict[str, str]): SHA-256 by path in the build folder.
    counts (dict[str, Any]): What the build counted: `docs`, `sentences`, `spans_in` and so on.
    """

    shard: str
    files: dict[str, str]
    counts: dict[str, Any]

    @property
    def bitext(self) -> str:
        """The file of the source documents with their bitexts."""
        return f"{BITEXT}/{self.shard}{SUFFIX}"

    def target(self, lang: str) -> str:
        """The file of the documents in a target language."""
        return f"{TARGET}/{lang}-{self.shard}{SUFFIX}"

    @property
    def langs(self) -> list[str]:
        """The target languages of which it has documents, sorted."""
        first, last = f"{TARGET}/", f"-{self.shard}{SUFFIX}"
        found = (name for name in self.files if name.startswith(first) and name.endswith(last))
        return sorted(name[len(first) : -len(last)] for name in found)

    def count(self, name: str) -> int:
        """A count, summed over labels or reasons where it has some; 0 where an older version did not count it."""
        value = self.counts.get(name, 0)
        return sum(value.values()) if isinstance(value, dict) else len(value) if isinstance(value, list) else value


class Records:
    """The finished shards of a build folder by name, in order, as the manifest had them when this was made.

    Only the place of each record in the file is kept: some 100 bytes a shard.

    folder (Path): The build folder.
    RAISES (XltError): E580 for what is no build folder, E581 for a manifest that is broken, E582 for a newer version's.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.header, places = index(folder)
        if not self.header:
            raise error("E580", path=folder, reason=f"its {FILE_NAME} is empty")
        self._places = array("q", (places[shard] for shard in sorted(places)))

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Record]:
        for _, data in iter_records(self.folder, self._places):
            yield Record(
                shard=data.pop("shard"),
                files=data.pop("files"),
                counts=data,
            )

    def check_any(self) -> None:
        """Make sure that there is something to read.

        RAISES (XltError): E580 where no shard is finished.
        """
        if not self:
            raise error("E580", path=self.folder, reason="no shard of it is finished")
