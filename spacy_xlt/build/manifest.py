"""What a build folder says of itself: which config and input it belongs to, and which shards are finished."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import XltError, error
from ..io import file_digest, is_leftover, write_bytes
from ..locks import FILE_NAME as LOCK
from .runlog import FILE_NAME as LOG
from .sharding import shard_id

FILE_NAME = "manifest.jsonl"
FORMAT = 2
# How many differences a message names: an input can have thousands of files
_NAMED = 10
# Threads that check what is finished, and the shards that they are given at a time
_CHECKERS, _CHECKED_AT_ONCE = 4, 1000


class Manifest:
    """An append-only file of JSON lines: a header, then one line for each finished shard, as they are finished.

    Of the lines only their places are kept in memory, as there may be a million. Nothing is written before `open`.

    folder (Path): The build folder.
    header (Mapping[str, Any]): What the build is made from; two builds with the same header have the same output.
    RAISES (XltError): E505 where the folder holds a build with another header, E506 where it holds something else, E581
        where the file is broken, E582 where a newer version wrote it.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.path = folder / FILE_NAME
        self.header = {"format": FORMAT, **header}
        self._places: dict[str, int] = {}
        # Bytes of whole lines; what follows them was cut off by a kill
        self._size = 0
        self._read()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, shard: str) -> bool:
        return shard in self._places

    def open(self) -> None:
        """Begin to write: make the folder and the file, or cut off the half of a line that a kill has left."""
        if not self._size:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(self.path, _line(self.header))
            self._size = self.path.stat().st_size
        elif self.path.stat().st_size > self._size:
            with self.path.open("r+b") as file:
                file.truncate(self._size)

    def finished(self, shard: str, folder: Path, *, verify: bool = True) -> dict[str, Any] | None:
        """What was noted of a shard, where its files are all there; else None.

        verify (bool): With the checksums that they were written with.
        """
        if shard not in self._places:
            return None
        record = self.record(shard)
        paths = ((folder / name, digest) for name, digest in record["files"].items())
        whole = all(path.is_file() and (not verify or file_digest(path) == digest) for path, digest in paths)
        return record if whole else None

    def finished_of(self, n_shards: int, *, verify: bool = True) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """The number of each shard of a build with so many, and what `finished` says of it."""

        def check(number: int) -> dict[str, Any] | None:
            return self.finished(shard_id(number), self.path.parent, verify=verify)

        with ThreadPoolExecutor(_CHECKERS) as pool:
            for first in range(0, n_shards, _CHECKED_AT_ONCE):
                numbers = range(first, min(first + _CHECKED_AT_ONCE, n_shards))
                yield from zip(numbers, pool.map(check, numbers), strict=True)

    def record(self, shard: str) -> dict[str, Any]:
        """What was noted of a shard."""
        ((_, record),) = iter_records(self.path.parent, [self._places[shard]])
        return record

    def add(self, shard: str, record: Mapping[str, Any]) -> None:
        """Note that a shard is finished; its files must be on the disk by now.

        record (Mapping[str, Any]): At least "files": relative path → SHA-256.
        """
        line = _line({"shard": shard, **record})
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._places[shard] = self._size
        self._size += len(line)

    def _read(self) -> None:
        folder = self.path.parent
        if not self.path.exists():
            check_folder(folder)
            return
        header, self._places = index(folder)
        if not self._places:
            # Stopped before anything was finished, for example by a setting that could not work: nothing to protect
            return
        if header != self.header:
            raise error("E505", path=folder, difference=difference(header, self.header))
        last = max(self._places.values())
        with self.path.open("rb") as file:
            self._size = last + len(next(_lines_at(file, [last])))


def check_folder(folder: Path) -> None:
    """Make sure that a folder is a build's, or may become one.

    RAISES (XltError): E506 where it holds something else.
    """
    if not folder.exists() or (folder / FILE_NAME).exists():
        return
    if not folder.is_dir() or any(not _is_ours(path.name) for path in folder.iterdir()):
        raise error("E506", path=folder, manifest=FILE_NAME)


def _is_ours(name: str) -> bool:
    # What a build may write before there is a manifest, or leave when it is killed while it writes that
    return name in (LOCK, LOG) or is_leftover(name, of=FILE_NAME)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The settings that differ between two sets of them, with both values, in one line."""
    parts = list(_differences(old, new))
    more = [f"and {len(parts) - _NAMED} more"] if len(parts) > _NAMED else []
    return "; ".join(parts[:_NAMED] + more)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], *, inside: str = "") -> Iterator[str]:
    for key in sorted({*old, *new}, key=str):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, inside=f"{inside}{key}.")
        elif before != after:
            yield f"{inside}{key} was {before!r} and is {after!r}"


def index(folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Read a manifest through, keeping only where its lines are.

    RETURNS (tuple): The header, empty where there is none yet; and by shard the byte at which its line begins. Of a
        shard that was done again the last line counts.
    RAISES (XltError): E580 where the folder has no manifest, E581 for one that is broken, E582 for a newer version's.
    """
    path = folder / FILE_NAME
    header: dict[str, Any] = {}
    places: dict[str, int] = {}
    for place, record in iter_records(folder):
        if place:
            shard = record.get("shard")
            if not isinstance(shard, str) or not isinstance(record.get("files"), dict):
                raise error("E581", path=path, reason=f"a line has no shard and files: {str(record)[:80]}")
            places[shard] = place
        else:
            header = record
            if not isinstance(found := header.get("format"), int) or found > FORMAT:
                raise error("E582", path=path, found=found, known=FORMAT)
    return header, places


def read_header(folder: Path) -> dict[str, Any]:
    """The header of a manifest; empty where there is none that can be read."""
    try:
        return next((record for _, record in iter_records(folder, [0])), {})
    except XltError:
        return {}


def input_digests(header: Mapping[str, Any]) -> frozenset[str]:
    """SHA-256 of the files that a build read, of which the first format had nothing else."""
    files = header.get("input", {}).values()
    return frozenset(one["sha256"] if isinstance(one, dict) else one for one in files)


def iter_records(folder: Path, places: Iterable[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a manifest one line at a time, without changing anything there.

    places (Iterable[int] | None): Read only the lines that begin at these bytes, in this order; all where left out.
    YIELDS (tuple[int, dict[str, Any]]): The byte at which a line begins and what it says. The first line of the file
        is the header; a shard that was done again has several, of which the last one counts.
    RAISES (XltError): E580 where the folder has no manifest, E581 for a line that is no manifest's.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise error("E580", path=folder, reason=f"it has no {FILE_NAME}")
    with path.open("rb") as file:
        at, lines = 0, file if places is None else _lines_at(file, places)
        for line in lines:
            # A line without its end is half a line; one more may be on its way while the build runs
            if not line.endswith(b"\n"):
                return
            place = at if places is None else file.tell() - len(line)
            try:
                record = _object(path, line)
            except XltError:
                if places is None and place and not next(lines, b""):
                    # So is the last one where a loss of power has left its end on the disk and not its beginning
                    return
                raise
            yield place, record
            at += len(line)


def _lines_at(file: BinaryIO, places: Iterable[int]) -> Iterator[bytes]:
    for place in places:
        file.seek(place)
        yield file.readline()


def _object(path: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf8"))
    except ValueError as err:
        raise error("E581", path=path, reason=f"{type(err).__name__}: {err}") from err
    if not isinstance(found, dict):
        raise error("E581", path=path, reason=f"{type(found).__name__}, not an object")
    return found


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n").encode("utf8")
