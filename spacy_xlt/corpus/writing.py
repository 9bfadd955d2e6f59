"""Writing files so that a kill at any moment leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, DocBin


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside the final one to write to; it takes the final name when the block ends well, else goes away.

    YIELDS (Path): Where to write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder beside the final one; it takes the final name when the block ends well, else it goes away.

    A folder that is there under the final name is replaced.

    YIELDS (Path): Where to write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        if path.is_dir():
            os.replace(path, old)
        try:
            os.replace(beside, path)
        except OSError:
            if old.is_dir():
                os.replace(old, path)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    _sync_folder(path.parent)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf8"))


def write_docs(path: str | Path, docs: Iterable[Doc], *, store_user_data: bool = False) -> bytes:
    """Write documents as one `.spacy` file, whole or not at all.

    store_user_data (bool): Also what is in `doc.user_data`, such as Bitexts.
    RETURNS (bytes): What was written.
    """
    data = DocBin(docs=docs, store_user_data=store_user_data).to_bytes()
    write_bytes(path, data)
    return data


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    # The new name is safe from a power loss only when the folder itself has been written. Windows cannot open one.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
