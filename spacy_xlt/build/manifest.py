"""What a build folder says of itself: which config and input it belongs to, and which shards are finished."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..config import difference
from ..errors import XltError, error
from ..io import LOCK_NAME, check_own_folder, file_digest, inside, json_bytes, write_bytes

FILE_NAME = "manifest.jsonl"
FORMAT = 3
# All that a build folder has, the report among it
OWN_NAMES = frozenset(f"{LOCK_NAME} {FILE_NAME} summary.json report.json report.html target bitext lost".split())


class Manifest:
    """An append-only file of JSON lines: a header, then one line for each shard, in the order they were finished.

    Nothing is written before `open`.

    Args:
        folder: The build folder.
        header: What the build is made from; two builds with the same header have the same output.

    Attributes:
        records: Shard name → its line: `files` (path in the folder → SHA-256), `time` (UTC) and the counts.

    Raises:
        XltError: E505 if the folder holds a build with another header, E581 if the file is damaged, E582 if another
            version wrote it.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.path = folder / FILE_NAME
        self.header = {"format": FORMAT, **header}
        self.records: dict[str, dict[str, Any]] = {}
        # Bytes of whole lines; what follows them was cut off by a kill
        self._size = 0
        if not self.path.exists():
            return
        old, records, size = _read(folder)
        # A build that stopped before any shard was finished protects nothing
        if records:
            if old != self.header:
                raise error("E505", path=folder, difference=difference(old, self.header))
            self.records, self._size = records, size

    def open(self) -> None:
        """Make the folder and the file, or cut off the half of a line that a kill has left."""
        if not self._size:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(self.path, _line(self.header))
        elif self.path.stat().st_size > self._size:
            os.truncate(self.path, self._size)

    def is_finished(self, shard: str) -> bool:
        """Whether a shard has its line, and all its files are as they were written."""
        if shard not in self.records:
            return False
        files = self.records[shard]["files"].items()
        paths = ((file_in(self.path.parent, name), digest) for name, digest in files)
        return all(path.is_file() and file_digest(path) == digest for path, digest in paths)

    def add(self, shard: str, files: Mapping[str, str], counts: Mapping[str, Any]) -> None:
        """Note that a shard is finished; its files must be on the disk by now.

        Args:
            shard: Its name.
            files: Path in the build folder → SHA-256.
            counts: Plain data.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        record = {"shard": shard, "time": now, "files": dict(files), **counts}
        with self.path.open("ab") as file:
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())
        self.records[shard] = record


def file_in(folder: Path, name: str) -> Path:
    """Where a file is that a manifest names, such as "bitext/00000.spacy".

    Raises:
        XltError: E557 if that is outside the build folder.
    """
    return inside(folder, *name.split("/"))


def check_folder(folder: Path) -> None:
    """Make sure that a folder is a build's, or may become one: the first line of its manifest says so.

    Raises:
        XltError: E506 if it holds something else, E581 and E582 as `read_manifest`.
    """
    check_own_folder(folder, what="build", marker=FILE_NAME, is_ours=lambda: "spacy_xlt" in _read(folder)[0])


def read_manifest(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read a manifest without changing anything there; a build may be adding to it.

    Returns:
        The header, and the lines of the finished shards by name, sorted. If a shard was built again, the last of its
        lines counts.

    Raises:
        XltError: E580 if the folder has no manifest or an empty one, E581 if it is damaged, E582 if another
            version wrote it.
    """
    header, records, _ = _read(folder)
    if not header:
        raise error("E580", path=folder, reason=f"its {FILE_NAME} is empty")
    return header, dict(sorted(records.items(), key=lambda item: (len(item[0]), item[0])))


def read_header(folder: Path) -> dict[str, Any]:
    """The header of a manifest; empty if there is none that can be read."""
    try:
        return _read(folder)[0]
    except XltError:
        return {}


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]], int]:
    """Header (empty if there is none yet), lines of shards by name, and the size of all whole lines in bytes."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise error("E580", path=folder, reason=f"it has no {FILE_NAME}")
    header: dict[str, Any] = {}
    records: dict[str, dict[str, Any]] = {}
    size = 0
    # The last part is empty, or a line that was cut off or is being written
    lines = path.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines):
        try:
            record = _parse(path, line, keys=("shard", "files") if number else ())
        except XltError:
            if 0 < number == len(lines) - 1:
                # A loss of power can leave the end of the last line on the disk without its beginning
                break
            raise
        if number:
            records[record["shard"]] = record
        else:
            header = record
            if not isinstance(header.get("format"), int):
                raise error("E581", path=path, reason="its first line is not that of a build")
            if header["format"] != FORMAT:
                raise error("E582", path=path, found=header["format"], known=FORMAT)
        size += len(line) + 1
    return header, records, size


def _parse(path: Path, line: bytes, *, keys: Sequence[str]) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as err:
        raise error("E581", path=path, reason=f"{type(err).__name__}: {err}") from err
    if not isinstance(record, dict) or any(key not in record for key in keys):
        raise error("E581", path=path, reason=f"a line is no object with {' and '.join(keys)}: {str(record)[:80]}")
    if keys and not (str(record["shard"]) == record["shard"] and record["shard"].isdecimal()):
        raise error("E581", path=path, reason=f"a line names no shard: {str(record)[:80]}")
    return record


def _line(record: Mapping[str, Any]) -> bytes:
    return json_bytes(record, sort_keys=True)
