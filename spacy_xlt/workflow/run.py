"""The steps of a project run in this process, what they print in a file, and one bar over all of them."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm
from weasel.cli.run import check_rerun, update_lockfile
from weasel.util import load_project_config, split_command, working_dir

from ..compare.processes import tail
from ..device import free_caches
from ..errors import error
from ..memory import release_memory

_INTERRUPTED = 130


def run_steps(folder: Path, steps: Sequence[str], log: Path, expected: Mapping[str, float] | None = None) -> None:
    """Run commands of a project's project.yml as `spacy project run` does: not those that nothing has changed for.

    Most of them take less time than Python takes to start, so that all are run in this process.

    Args:
        folder: The project.
        steps: Names of its commands.
        log: Gets what they print.
        expected: Seconds that each step is expected to take, for a bar; no bar where left out.

    Raises:
        XltError: E596 for a step that fails.
        KeyboardInterrupt: Where a step was interrupted.
    """
    commands = {command["name"]: command for command in load_project_config(folder)["commands"]}
    log = log.resolve()
    with Bar({step: (expected or {}).get(step, 0.0) for step in steps}, shown=expected is not None) as bar:
        for step in steps:
            with working_dir(folder) as here, printing_to(log):
                if not check_rerun(here, commands[step]):
                    bar.skip(step)
                    continue
                with bar.step(step):
                    for line in commands[step]["script"]:
                        _run(step, split_command(line), log)
                    update_lockfile(here, commands[step])
                    give_back()


def give_back() -> None:
    """Give memory back, of a GPU too: the processes of the next step need it."""
    free_caches()
    release_memory()


def _run(step: str, words: Sequence[str], log: Path) -> None:
    print("$", *words, flush=True)
    ours = list(words[:2]) == ["python", "-m"]
    code = run_module(words[2:]) if ours else subprocess.call(words)
    if code:
        end = tail(log)
        # What click says where a command does not say it by itself
        if code == _INTERRUPTED or end.endswith("Aborted!"):
            raise KeyboardInterrupt
        raise error("E596", step=step, log=log, reason=end)


def run_module(words: Sequence[str]) -> int:
    """Run a module as `python -m` does, with its arguments; the exit status."""
    before = sys.argv
    sys.argv = list(words)
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as err:
        return err.code if isinstance(err.code, int) else int(bool(err.code))
    except Exception:  # whatever spaCy and others raise is in the log, as if they ran by themselves
        traceback.print_exc()
        return 1
    finally:
        sys.argv = before
    return 0


@contextmanager
def printing_to(log: Path) -> Iterator[None]:
    """Put what is printed at the end of a file, also by processes that are started."""
    with log.open("a", encoding="utf8", errors="backslashreplace", buffering=1) as file:
        streams = [stream.fileno() for stream in (sys.__stdout__, sys.__stderr__) if stream is not None]
        saved = {number: os.dup(number) for number in streams}
        try:
            for number in saved:
                os.dup2(file.fileno(), number)
            with redirect_stdout(file), redirect_stderr(file):
                yield
        finally:
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)


class Bar:
    """A bar over all steps. Inside a step it moves with the clock, by what the step is expected to take.

    Args:
        expected: Seconds of each step.
        shown: Whether there is a bar.
    """

    def __init__(self, expected: Mapping[str, float], *, shown: bool):
        self._expected = dict(expected)
        self._total = sum(self._expected.values())
        # Seconds of the steps that are finished: as was expected, and as it was; of those that nothing was to do for
        self._done = self._taken = self._skipped = 0.0
        self._terminal: IO[str] | None = None
        # Its own way to the terminal, as the steps print elsewhere
        with suppress(OSError, AttributeError, ValueError):
            self._terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w")
        self._pause = 0.5 if self._terminal is not None and self._terminal.isatty() else 30.0
        form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
        self._tqdm = tqdm(total=self._total, bar_format=form, file=self._terminal, disable=not shown)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self._tqdm.close()
        if self._terminal is not None:
            self._terminal.close()

    def skip(self, name: str) -> None:
        """Pass over a step that nothing is to do for, which says nothing of how fast the others are."""
        self._skipped += self._expected[name]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show a step until the block ends."""
        start, ended = time.perf_counter(), threading.Event()

        def move() -> None:
            while not ended.is_set():
                self._show(name, time.perf_counter() - start)
                ended.wait(self._pause)

        thread = threading.Thread(target=move, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self._done += self._expected[name]
        self._taken += time.perf_counter() - start

    def _show(self, name: str, seconds: float) -> None:
        self._tqdm.n = self._skipped + self._done + min(seconds, self._expected[name])
        self._tqdm.set_description_str(name, refresh=False)
        self._tqdm.set_postfix_str(f"about {duration(self.left(name, seconds))} left")

    def left(self, name: str, seconds: float) -> float:
        """Seconds to the end: the rest is as much slower or faster than expected as what was done.

        Args:
            name: The step that is running.
            seconds: How long it has been.
        """
        moved = self._done + min(seconds, self._expected[name])
        total = self._total - self._skipped
        return (total - moved) * (self._taken + seconds) / moved if moved else total


def duration(seconds: float) -> str:
    """A time for people, such as "40 s" or "12 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
