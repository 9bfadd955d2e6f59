"""Outputs that are no files: pipes, devices, and what standard output and error go to."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import error


def stream_of(status: os.stat_result) -> int | None:
    """1 or 2 where a file is what standard output or error goes to."""
    for stream in (1, 2):
        with suppress(OSError):
            if os.path.samestat(status, os.fstat(stream)):
                return stream
    return None


def is_stdout(path: str | Path) -> bool:
    """Whether a path names what standard output goes to, where that is not nothing."""
    with suppress(OSError):
        return stream_of(os.stat(path)) == 1 and not os.path.samefile(path, os.devnull)
    return False


@contextmanager
def passing_on(path: Path, status: os.stat_result) -> Iterator[Path]:
    """A path to write to, whose bytes then go to a pipe, a device of characters, or a stream that is open."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    stream = stream_of(status)
    if stream is None and not (stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)):
        raise error("E501", path=path, reason="it is neither a file nor a pipe")
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder, "bytes")
        yield beside
        with beside.open("rb") as file, _opened(path, stream) as target:
            shutil.copyfileobj(file, target)


def _opened(path: Path, stream: int | None) -> IO[bytes]:
    if stream is None:
        return path.open("wb")
    # Opened anew, a file would be written to from its beginning, below what is printed
    for printed in filter(None, (sys.stdout, sys.stderr)):
        printed.flush()
    return os.fdopen(os.dup(stream), "wb")
