"""Folders of ours: which they are, what lies inside them, and who may write there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import error, warn
from .leftovers import is_leftover

LOCK_NAME = ".lock"
# What a name would need to lead elsewhere
_NOT_IN_NAMES = frozenset("/\\\0")
_POLL_SECONDS = 0.2
# So long the processes that a dead one forked have to let go of its lock
_GRACE_SECONDS = 1.0


def inside(folder: str | Path, *names: str) -> Path:
    """A path in a folder, of names that a file or a person gave, one for each level.

    Raises:
        XltError: E557 where it would lead out of the folder, also through a link.
    """
    path = Path(folder)
    try:
        plain = all(name not in ("", ".", "..") and not _NOT_IN_NAMES & set(name) for name in names)
        path = path.joinpath(*names)
        if plain and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            return path
    except (ValueError, TypeError):
        # What cannot be a name at all
        pass
    raise error("E557", name="/".join(map(str, names)), folder=folder)


def check_own_folder(folder: str | Path, *, what: str, marker: str, is_ours: Callable[[], bool]) -> None:
    """Make sure that a folder is new, empty, or holds what we write, before anything in it is touched.

    Args:
        what: What it is to hold, in words.
        marker: The file in it that says so.
        is_ours: Whether the marker that is there is one of ours.

    Raises:
        XltError: E506 if it holds something else; those of `is_ours`.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        ours = False
    elif os.path.lexists(folder / marker):
        ours = is_ours()
    else:
        # The lock comes before the marker, and a kill may leave half a marker
        ours = all(
            (path.name == LOCK_NAME and not path.is_symlink() and path.is_file() and not path.stat().st_size)
            or is_leftover(path.name, of=marker)
            for path in folder.iterdir()
        )
    if not ours:
        raise error("E506", path=folder, what=what, marker=marker)


def check_new_folder(folder: str | Path) -> None:
    """Make sure that a folder can be written: that there is nothing yet, or an empty one, and who may write around it.

    Raises:
        XltError: E553 where there is something, E501 where nothing can be written.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise error("E553", path=folder, reason="is there already")
    around = next(parent for parent in Path(os.path.realpath(folder)).parents if parent.exists())
    if not around.is_dir():
        raise error("E501", path=folder, reason=f"{around} is no folder")
    if not os.access(around, os.W_OK):
        raise error("E501", path=folder, reason=f"{around} may not be written to")


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
