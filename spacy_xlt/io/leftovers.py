"""What is being written: its names, the locks that say so, and what a killed process left of it."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import XltError

# What the system says where a file cannot be written, whatever is in it.
CANNOT_WRITE = frozenset(
    getattr(errno, name)
    for name in (
        "ENOSPC EDQUOT EROFS EFBIG EIO EACCES EPERM EISDIR ENOTDIR EEXIST ELOOP ENAMETOOLONG EBUSY ETXTBSY ENXIO"
    ).split()
    if hasattr(errno, name)
)
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<token>[0-9a-f]{12})\.(?P<end>part|old)", re.DOTALL)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an error of the disk name a file: the system names it where one is opened, not where it is written to."""
    try:
        yield
    except OSError as err:
        if err.errno in CANNOT_WRITE and (err.filename is None or _LEFTOVER.fullmatch(Path(str(err.filename)).name)):
            err.filename = str(path)
        raise
    except XltError:
        raise
    except Exception as err:
        # Libraries in Rust (safetensors, tokenizers) have errors of their own for what the system says
        if (found := re.search(r"\(os error (\d+)\)", str(err))) is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from err


def names_beside(final: Path) -> tuple[Path, Path]:
    """Names that nobody can guess, for what is being written and for what it replaces."""
    name, token = _short(final.name), secrets.token_hex(6)
    return final.with_name(f".{name}.{token}.part"), final.with_name(f".{name}.{token}.old")


def _short(name: str) -> str:
    """A name that leaves room for more; most disks take 255 bytes."""
    return name if len(os.fsencode(name)) < 230 else name[:50]


def is_leftover(name: str, *, of: str) -> bool:
    """Whether a file or folder of this name is what a killed process left when it wrote one of the name `of`."""
    match = _LEFTOVER.fullmatch(name)
    return match is not None and match["name"] == _short(of)


@contextmanager
def held(handle: int | None) -> Iterator[None]:
    """Keep something open and locked as a sign that it is being written; the system lets go when the process ends."""
    if os.name != "posix" and handle is not None:
        # Windows renames nothing that is open
        os.close(handle)
        handle = None
    try:
        if handle is not None:
            _lock(handle)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file or folder; False where another process has it. Not every system and disk knows such locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Remove what a process that was killed in the middle of `replacing` or `replacing_folder` has left below a folder.

    What a process is writing stays, and so does whatever else there is. Links are not followed.

    Returns:
        What was there and is no more. A folder that was about to be replaced has its name again.

    Raises:
        OSError: Where it cannot be removed.
    """
    removed = []
    for place, folders, files in os.walk(folder):
        removed += _remove(Path(place), sorted(folders + files))
        folders[:] = [name for name in folders if _LEFTOVER.fullmatch(name) is None]
    return removed


def remove_leftovers_of(path: str | Path) -> list[Path]:
    """The same for one file or folder that was to be written, whether it is there or not."""
    final = Path(os.path.realpath(path))
    if not final.parent.is_dir():
        return []
    names = sorted(name for name in os.listdir(final.parent) if is_leftover(name, of=final.name))
    return _remove(final.parent, names, of=final.name)


def _remove(place: Path, names: Iterable[str], of: str = "") -> list[Path]:
    removed = []
    for name in names:
        path = place / name
        if (match := _LEFTOVER.fullmatch(name)) is None or path.is_symlink() or _is_being_written(path):
            continue
        final = place / (of or match["name"])
        with naming(path):
            if match["end"] == "old" and not os.path.lexists(final):
                # The kill came between the old folder's leaving and the new one's coming
                os.replace(path, final)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        removed.append(path)
    return removed


def _is_being_written(leftover: Path) -> bool:
    part = leftover.with_name(f"{leftover.name.rpartition('.')[0]}.part")
    try:
        handle = os.open(part, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return not _lock(handle)
    finally:
        os.close(handle)
