"""Modules run in processes of their own, with their output in a file. They end when this process does.

As a program, `python -m spacy_xlt.compare.processes MODULE ...` runs a module as `python -m` does, and ends when the
process that started it is gone: that one holds the other end of our standard input and writes nothing to it.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


class Children:
    """Processes that run modules, so that their memory is given back; they end with this process.

    Args:
        threads: The most threads that each computes with.

    Attributes:
        ended: Whether `end` was called.
    """

    def __init__(self, *, threads: int):
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.ended = False
        self._environment = {**_environment(threads), "PYTHONUNBUFFERED": "1"}

    def run(self, command: Sequence[str], log: Path) -> int:
        """Run `python -m` with a module and its arguments, its output after what is in a file; the exit status."""
        with log.open("ab") as file:
            file.write(f"$ python -m {' '.join(command)}\n".encode("utf8", "backslashreplace"))
            file.flush()
            with self._lock:
                if self.ended:
                    return -signal.SIGTERM
                process = subprocess.Popen(
                    [sys.executable, "-m", __name__, *command],
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    # Ctrl-C is for us: we end our children
                    start_new_session=True,
                )
                self._running.add(process)
            try:
                return process.wait()
            finally:
                self._running.discard(process)
                if process.stdin is not None:
                    process.stdin.close()

    def end(self) -> None:
        """End all that run and what they started, and start no more."""
        with self._lock:
            self.ended = True
        for process in list(self._running):
            # One may have ended just now
            with suppress(ProcessLookupError):
                if os.name == "posix":
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()


def tail(log: Path, lines: int = 12) -> str:
    """The end of a text file."""
    text = log.read_bytes()[-20_000:].decode("utf8", errors="replace")
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment(threads: int) -> dict[str, str]:
    # The order of sets is the same in every run
    environment = {"PYTHONHASHSEED": "0", **os.environ, "PYTHONIOENCODING": "utf8:backslashreplace"}
    asked = environment.get("OMP_NUM_THREADS", "")
    threads = min(threads, int(asked)) if asked.isdigit() else threads
    # PyTorch takes the highest of them
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    # A thread that waits for another one soon leaves its core to it. Beside other work a training of two threads on
    # two cores is six times as fast so; with the cores for itself it is some percent slower.
    environment.setdefault("GOMP_SPINCOUNT", "1000")
    return environment


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
