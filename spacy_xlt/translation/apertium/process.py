"""A pipeline of Apertium's programs that stays up and answers text after text."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from typing import IO

from ...errors import error

_CHUNK = 1 << 16


class PipelineFailure(Exception):
    """The pipeline gave no answer to a text; what it said of it is the message."""


class Pipeline:
    """Programs that hand a stream on from one to the next, each on its own core if there are enough.

    Texts go in and come out between NULs. Both ends are served by one loop that never waits for one of them, so
    that a full pipe on one side cannot hold up the other.

    commands (Sequence[Sequence[str]]): The programs with their arguments.
    timeout (float): The most seconds without a sign of life while an answer is due.
    RAISES (XltError): E238 where a program is not installed.
    """

    def __init__(self, commands: Sequence[Sequence[str]], *, timeout: float):
        self._timeout = timeout
        self._complaints = tempfile.TemporaryFile()
        self._processes: list[subprocess.Popen[bytes]] = []
        # The programs read bytes as the locale says
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        stdin: int | IO[bytes] = subprocess.PIPE
        try:
            for command in commands:
                process = subprocess.Popen(
                    command, stdin=stdin, stdout=subprocess.PIPE, stderr=self._complaints, env=environment, bufsize=0
                )
                if self._processes:
                    # Only the next program holds it now, so that each notices when its neighbour has gone
                    stdin.close()  # type: ignore[union-attr]
                self._processes.append(process)
                assert process.stdout is not None
                stdin = process.stdout
        except OSError as err:
            _end(self._processes, os.getpid())
            raise error("E238", what=command[0], reason=err.strerror or str(err), package="apertium") from err
        first, last = self._processes[0].stdin, self._processes[-1].stdout
        assert first is not None and last is not None
        self._in: IO[bytes] = first
        self._out: IO[bytes] = last
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)
        self.close = weakref.finalize(self, _end, self._processes, os.getpid())

    def exchange(self, texts: Sequence[bytes], receive: Callable[[bytes], None]) -> None:
        """Send texts and hand each answer on as soon as it is there.

        texts (Sequence[bytes]): Without NULs.
        receive (Callable[[bytes], None]): Gets the answers, in order.
        RAISES (PipelineFailure): Where a program ended or is silent for too long. The pipeline is of no more use then.
        """
        waiting = memoryview(b"".join(text + b"\0" for text in texts))
        due = len(texts)
        received = bytearray()
        last = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._in, selectors.EVENT_WRITE)
            while due:
                ready = {key.fileobj for key, _ in selector.select(self._timeout)}
                if not ready or time.monotonic() - last > self._timeout:
                    raise PipelineFailure(f"no answer within {self._timeout:g} seconds (`timeout`)")
                if self._in in ready:
                    waiting = waiting[self._write(waiting[:_CHUNK]) :]
                    last = time.monotonic()
                    if not waiting:
                        selector.unregister(self._in)
                if self._out in ready:
                    start = len(received)
                    received += self._read()
                    last = time.monotonic()
                    while (end := received.find(b"\0", start)) >= 0 and due:
                        receive(bytes(received[:end]))
                        del received[: end + 1]
                        start = 0
                        due -= 1

    def complained(self, of: bytes) -> bool:
        """Whether a program wrote these words about what it read so far."""
        size = os.fstat(self._complaints.fileno()).st_size
        return size > 0 and of in os.pread(self._complaints.fileno(), size, 0)

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._in.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as err:
            raise PipelineFailure(self._last_words()) from err

    def _read(self) -> bytes:
        data = os.read(self._out.fileno(), _CHUNK)
        if not data:
            raise PipelineFailure(self._last_words())
        return data

    def _last_words(self) -> str:
        """Which programs ended, and what they wrote about it."""
        time.sleep(0.05)
        ended = [str(process.args[0]) for process in self._processes if process.poll() is not None]  # type: ignore[index]
        # The file is also the programs' own; its place is shared with them and must not move
        size = os.fstat(self._complaints.fileno()).st_size
        words = os.pread(self._complaints.fileno(), 500, max(0, size - 500)).decode("utf8", "replace")
        return " ".join(f"{', '.join(ended) or 'a program'} ended. {words}".split())


def _end(processes: list[subprocess.Popen[bytes]], owner: int) -> None:
    """End the programs; in a forked copy of the process that started them, only let go of them."""
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if os.getpid() == owner:
            process.kill()
            process.wait()
        else:
            process.returncode = 0
