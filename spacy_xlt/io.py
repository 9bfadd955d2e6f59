"""Files and folders that a kill at any moment leaves whole, and locks of folders that it lets go of."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import error, warn

if TYPE_CHECKING:
    from spacy.tokens import Doc

# What the system says where a file cannot be written, whatever is in it.
CANNOT_WRITE = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EIO", "EACCES", "EPERM")
    if hasattr(errno, name)
)
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.\d+\.(?P<end>part|old)", re.DOTALL)

LOCK_NAME = ".lock"
_POLL_SECONDS = 0.2
# So long the processes that a dead one forked have to let go of its lock
_GRACE_SECONDS = 1.0


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an error of the disk name a file: the system names it where one is opened, not where it is written to."""
    try:
        yield
    except OSError as err:
        if err.errno in CANNOT_WRITE and (err.filename is None or _LEFTOVER.fullmatch(Path(str(err.filename)).name)):
            err.filename = str(path)
        raise


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside the final one to write to; it takes the final name when the block ends well, else goes away.

    Raises:
        OSError: Where that cannot be; it names the final path.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            # A disk that cannot be written may not let go of a file, either, and the first error says more
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder beside the final one; it takes the final name when the block ends well, else it goes away.

    A folder that is there under the final name is replaced.

    Raises:
        OSError: Where that cannot be; it names the final path.
    """
    path = Path(path)
    with naming(path):
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


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Remove what a process that was killed in the middle of `replacing` or `replacing_folder` has left below a folder.

    To be called where no other process writes there, before anything is written. Links are not followed.

    Returns:
        What was there and is no more. A folder that was about to be replaced has its name again.

    Raises:
        OSError: Where it cannot be removed.
    """
    removed = []
    for place, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            if (match := _LEFTOVER.fullmatch(name)) is None:
                continue
            path, final = Path(place, name), Path(place, match["name"])
            with naming(path):
                if match["end"] == "old" and not final.exists():
                    # The kill came between the old folder's leaving and the new one's coming
                    os.replace(path, final)
                elif path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            removed.append(path)
        folders[:] = [name for name in folders if _LEFTOVER.fullmatch(name) is None]
    return removed


def is_leftover(name: str, *, of: str) -> bool:
    """Whether a file or folder of this name is what a killed process left when it wrote one of the name `of`."""
    match = _LEFTOVER.fullmatch(name)
    return match is not None and match["name"] == of


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf8"))


def write_docs(path: str | Path, docs: Iterable[Doc], *, store_user_data: bool = False) -> None:
    """Write documents as one `.spacy` file, whole or not at all, with `doc.user_data` such as Bitexts if asked for."""
    write_bytes(path, docs_bytes(docs, store_user_data=store_user_data))


def docs_bytes(docs: Iterable[Doc], *, store_user_data: bool = False) -> bytes:
    """Documents as the bytes of a `.spacy` file."""
    from spacy.tokens import DocBin

    return bytes(DocBin(docs=docs, store_user_data=store_user_data).to_bytes())


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def lock_folder(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Keep a folder for this process until the block ends.

    The system lets go of the lock when the process ends, however it does. The folder gets a file that stays.

    Args:
        folder: Made where it is not there.
        wait: Wait for a process that has it, with a warning.

    Raises:
        XltError: E571 where another process has it, E501 where it is a file.
        OSError: Where it cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise error("E501", path=folder, reason="it is no folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=_GRACE_SECONDS)
    except Timeout as err:
        if not wait:
            raise error("E571", path=folder) from err
        warn("W572", path=folder)
        lock.acquire(poll_interval=_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _sync_folder(folder: Path) -> None:
    # The new name is safe from a power loss only when the folder itself has been written. Windows cannot open one.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
