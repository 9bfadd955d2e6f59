"""Checksums of files, folders and plain data."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(
        json.dumps(data, sort_keys=True, ensure_ascii=False).encode("utf8", "backslashreplace")
    ).hexdigest()


def path_digest(path: Path) -> str:
    """Checksum of a file, or of the names and contents of all files below a folder. An unchanged file is read once."""
    if path.is_file():
        stat = path.stat()
        return _unchanged_digest(path, stat.st_size, stat.st_mtime_ns)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return fingerprint([[file.relative_to(path).as_posix(), path_digest(file)] for file in files])


@cache
def _unchanged_digest(path: Path, size: int, changed: int) -> str:
    return file_digest(path)
