"""One process at a time in a folder. The system lets go of the lock when the process ends, however it does."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from .errors import error, warn

FILE_NAME = ".lock"
# Other processes cannot read what is locked on Windows, which is the first byte
_TEXT_STARTS = 1
_POLL_SECONDS = 0.2
# So long a lock may have no holder with a name: one that has not written it yet, or a dead one whose forked processes
# have not come to let go of it.
_GRACE_SECONDS = 2.0


class FolderLock:
    """Keeps a folder for this process: `with FolderLock(folder, busy="E571"):`.

    The folder gets a file that stays; who holds the lock is written in it. What was locked in a process is not locked
    by the processes that it forks: they cannot keep it when it ends.

    folder (str | Path): It is made where it is not there.
    busy (str): Code of the error where another process has it.
    waiting (str | None): Code of the warning, given once, with which to wait for the other process instead.
    RAISES (XltError): `busy`, on entering; E501 where the folder is a file. OSError where it cannot be written.
    """

    def __init__(self, folder: str | Path, *, busy: str, waiting: str | None = None):
        from filelock import FileLock

        self.folder = Path(folder)
        self.path = self.folder / FILE_NAME
        self._busy, self._waiting = busy, waiting
        self._lock = FileLock(self.path)

    def __enter__(self) -> FolderLock:
        from filelock import Timeout

        if self.folder.exists() and not self.folder.is_dir():
            raise error("E501", path=self.folder, reason="it is no folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._acquire()
        except Timeout as err:
            if self._waiting is None:
                raise error(self._busy, path=self.folder, holder=self._holder()) from err
            warn(self._waiting, path=self.folder, holder=self._holder())
            self._lock.acquire(poll_interval=_POLL_SECONDS)
        self._write({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(None)
        self._lock.release()

    def _acquire(self) -> None:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            if self._holder():
                raise
            self._lock.acquire(timeout=_GRACE_SECONDS, poll_interval=_GRACE_SECONDS / 40)

    def _write(self, holder: dict[str, object] | None) -> None:
        # Only for messages, so a full disk is no reason to stop
        with suppress(OSError), self.path.open("r+b", buffering=0) as file:
            file.truncate(_TEXT_STARTS)
            if holder is not None:
                file.seek(_TEXT_STARTS)
                file.write(json.dumps(holder).encode())

    def _holder(self) -> str:
        """Who has the lock, as part of a sentence; "" where that is not known."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(_TEXT_STARTS)
                found = json.loads(file.read(1000))
                pid, host, since = int(found["pid"]), str(found["host"]), str(found["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        if host == socket.gethostname():
            # A dead one has not had time to say that it let go
            return f" (process {pid}, since {since})" if _is_alive(pid) else ""
        return f" (process {pid} on {host}, since {since})"


class BuildLock(FolderLock):
    """Keeps a build folder for this process.

    wait (bool): Wait until another process is finished with it.
    RAISES (XltError): E571, on entering, where another process has it, with its number and since when.
    """

    def __init__(self, folder: str | Path, *, wait: bool = False):
        super().__init__(folder, busy="E571", waiting="W572" if wait else None)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        # There, signal 0 ends the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
