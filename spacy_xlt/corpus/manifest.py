"""What a build folder says of itself: which config and input it belongs to, and which shards are finished."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import error
from .writing import file_digest

FILE_NAME = "manifest.jsonl"
FORMAT = 1


class Manifest:
    """An append-only file of JSON lines: a header, then one line for each finished shard.

    folder (Path): The build folder.
    header (Mapping[str, Any]): What the build is made from; two builds with the same header have the same output.
    RAISES (XltError): E505 where the folder holds a build with another header, E506 where it holds something else, E581
        where the file is broken.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.path = folder / FILE_NAME
        self.header = {"format": FORMAT, **header}
        self.shards: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            self._read()
        elif folder.exists() and any(folder.iterdir()):
            raise error("E506", path=folder, manifest=FILE_NAME)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._append(self.header)

    def is_finished(self, shard: str, folder: Path) -> bool:
        """Whether a shard's files are all there with the checksums that they were written with."""
        done = self.shards.get(shard)
        if done is None:
            return False
        paths = ((folder / name, digest) for name, digest in done["files"].items())
        return all(path.is_file() and file_digest(path) == digest for path, digest in paths)

    def add(self, shard: str, record: Mapping[str, Any]) -> None:
        """Note that a shard is finished; its files must be on the disk by now.

        record (Mapping[str, Any]): At least "files": relative path → SHA-256.
        """
        self.shards[shard] = dict(record)
        self._append({"shard": shard, **record})

    def _read(self) -> None:
        lines = self.path.read_bytes().split(b"\n")
        # A kill in the middle of a write leaves a last line without its end: that shard is done again.
        whole, torn = lines[:-1], lines[-1]
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(sum(len(line) + 1 for line in whole))
        if len(whole) < 2:
            # Stopped before anything was finished, for example by a setting that could not work: nothing to protect
            self.path.unlink()
            self._append(self.header)
            return
        header, shards = _parsed(self.path, whole)
        if header != self.header:
            raise error("E505", path=self.path.parent, difference=difference(header, self.header))
        self.shards = shards

    def _append(self, record: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf8") as file:
            file.write(json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())


def difference(old: Mapping[str, Any], new: Mapping[str, Any], *, inside: str = "") -> str:
    """The settings that differ between two sets of them, with both values, in one line."""
    parts = []
    for key in sorted({*old, *new}, key=str):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            parts.append(difference(before, after, inside=f"{inside}{key}."))
        else:
            parts.append(f"{inside}{key} was {before!r} and is {after!r}")
    return "; ".join(parts)


def read_manifest(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What a build folder says of itself, without changing anything there.

    RETURNS (tuple): The header, and the records of the finished shards by name, in order.
    RAISES (XltError): E580 where the folder holds no build of which a shard is finished, E581 for a broken manifest.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise error("E580", path=folder, reason=f"it has no {FILE_NAME}")
    # What follows the last line break is half a line
    header, shards = _parsed(path, path.read_bytes().split(b"\n")[:-1])
    if not shards:
        raise error("E580", path=folder, reason="no shard of it is finished")
    return header, dict(sorted(shards.items()))


def _parsed(path: Path, lines: Sequence[bytes]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The header, and the records by shard.

    RAISES (XltError): E581 for a line that is no manifest's.
    """
    try:
        header, *records = (json.loads(line) for line in lines)
        return header, {record["shard"]: {k: v for k, v in record.items() if k != "shard"} for record in records}
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise error("E581", path=path, reason=f"{type(err).__name__}: {err}") from err
