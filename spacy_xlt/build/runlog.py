"""`log.jsonl`: a line of numbers a minute while a build runs, for people and for programs that watch it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import warn

FILE_NAME = "log.jsonl"


class RunLog:
    """A file of JSON lines that a build adds to; one that is gone on with goes on in the same file.

    Each line has "event" ("started", "running", and at the end what `end` is told), "time" (UTC, for people) and
    "seconds" since the start of this run, which no change of the clock touches; then what it is given. A line is
    written in one piece; half of one that a kill has left is cut off at the next start. What cannot be written stops
    nothing: it is said once, and tried again with the next line.

    path (str | Path): The file.
    every (float): Seconds between two lines, at least.
    clock (Callable[[], float]): Seconds that only go forward.
    now (Callable[[], datetime]): The time of day, in UTC.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ):
        self.path = Path(path)
        self.every = every
        self._clock = clock
        self._now = now
        self._start = self._last = clock()
        self._is_said = False

    def start(self, values: Mapping[str, Any]) -> None:
        """Write the first line of a run."""
        self._start = self._clock()
        self.mend()
        self._write("started", values)

    def mend(self) -> None:
        """Cut off half of a line that a kill has left."""
        try:
            if self.path.exists() and self.path.stat().st_size > (whole := _whole_size(self.path)):
                os.truncate(self.path, whole)
        except OSError as err:
            self._complain(err)

    def update(self, values: Callable[[], Mapping[str, Any]]) -> None:
        """Write a line where the last one is old enough; costs nothing else.

        values (Callable[[], Mapping[str, Any]]): Makes what is in it.
        """
        if self._clock() - self._last >= self.every:
            self._write("running", values())

    def end(self, event: str, values: Mapping[str, Any]) -> None:
        """Write the last line of a run.

        event (str): How it ended: "finished", "interrupted" or "failed".
        """
        self._write(event, values)

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        self._last = self._clock()
        time_of_day = self._now().isoformat(timespec="seconds").replace("+00:00", "Z")
        record = {"event": event, "time": time_of_day, "seconds": round(self._last - self._start, 1), **values}
        try:
            self._append((json.dumps(record, ensure_ascii=False) + "\n").encode("utf8"))
        except OSError as err:
            self._complain(err)

    def _append(self, line: bytes) -> None:
        with self.path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                written = file.write(line)
                while written < len(line):
                    # On a full disk there is room for a part; the next write then says that it is full
                    written += file.write(line[written:])
            except OSError:
                file.truncate(size)
                raise

    def _complain(self, err: OSError) -> None:
        if not self._is_said:
            warn("W573", path=self.path, reason=err.strerror or err)
            self._is_said = True


def _whole_size(path: Path) -> int:
    """The bytes of a file's whole lines: what follows the last line break was cut off by a kill."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0
