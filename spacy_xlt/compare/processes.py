"""A command in a process of its own, so that its memory is given back, with its output in a file."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ..memory import status_mib

_TO_CHILD_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of Linux


class Process:
    """A running command.

    command (Sequence[str]): What to run.
    log (Path): The file that gets what it prints, after what is there.
    threads (int): The most threads it computes with.
    """

    def __init__(self, command: Sequence[str], log: Path, *, threads: int):
        self.log = log
        self.seconds = 0.0
        self.peak_mib: float | None = None
        self._start = time.perf_counter()
        self._file: IO[bytes] = log.open("ab")
        self._file.write(f"$ {' '.join(command)}\n".encode())
        self._file.flush()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env=_environment(threads),
            # Ctrl-C is for us: we end our children ourselves, in good order
            start_new_session=True,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        peak = peak_mib(self._popen.pid)
        self.peak_mib = max(filter(None, (self.peak_mib, peak)), default=None)
        code = self._popen.poll()
        if code is not None and not self._file.closed:
            self.seconds = time.perf_counter() - self._start
            self._file.close()
        return code

    def end(self, *, patience: float = 5.0) -> None:
        """End it and what it started, the hard way after some seconds."""
        for how in (signal.SIGTERM, signal.SIGKILL if os.name == "posix" else signal.SIGTERM):
            if self._popen.poll() is not None:
                break
            try:
                if os.name == "posix":
                    os.killpg(self._popen.pid, how)
                else:
                    self._popen.terminate()
                self._popen.wait(patience)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue
        self._file.close()

    def tail(self, lines: int = 12) -> str:
        """The end of what it printed."""
        text = self.log.read_bytes()[-20_000:].decode("utf8", errors="replace")
        return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])


def peak_mib(pid: int | str = "self") -> float | None:
    """The most memory that a process has had so far, in MiB; None where the system does not tell."""
    return status_mib("VmHWM", pid=pid)


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment(threads: int) -> dict[str, str]:
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        asked = environment.get(name, "")
        environment[name] = str(min(threads, int(asked)) if asked.isdigit() else threads)
    # The order of sets is the same in every run, and lines reach the log when they are printed
    return {"PYTHONHASHSEED": "0", **environment, "PYTHONUNBUFFERED": "1"}


def _die_with_parent() -> Callable[[], None]:
    """What a child does first: ask to be killed when we are, since it would go on writing in the folder else."""
    # Looked up here: between fork and exec there should be no import
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_TO_CHILD_AT_PARENTS_DEATH, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask
