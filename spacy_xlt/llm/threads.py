"""Many slow calls at once, from ordinary code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

from ..errors import is_fatal

Job = TypeVar("Job")
Result = TypeVar("Result")

# Where Ctrl-C cannot end a wait (Windows), it is looked for so often
_LOOK_SECONDS = 0.5


class Stopped(Exception):
    """Raised by work that ends because of `stop`, without a result."""


def gather(
    work: Callable[[Job, Event], Result],
    jobs: Sequence[Job],
    keep: Callable[[Job, Result], object],
    *,
    n_threads: int,
) -> None:
    """Do jobs in threads, and hand each result on in this thread as soon as it is there.

    Threads are simpler than an event loop, which a notebook has already and a forked process inherits. They are made
    for one call and do not keep the interpreter from ending.

    After an error that would come with every job, no more are begun, and those that are under way are waited for:
    their results are paid for. After one of a single job the others go on. An interrupt waits for nothing.

    Args:
        work: Does one job; called in several threads. Its event says that it had better not wait any longer.
        jobs: The jobs.
        keep: Called in this thread with each job and its result, in the order in which they come.
        n_threads: How many jobs run at once.

    Raises:
        Exception: The first error of `work`, those that would come with every job before others.
    """
    todo: SimpleQueue[Job] = SimpleQueue()
    done: SimpleQueue[tuple[Job, Result] | Exception | None] = SimpleQueue()
    stop = Event()
    errors: list[Exception] = []
    for job in jobs:
        todo.put(job)
    running = min(n_threads, len(jobs))
    try:
        for _ in range(running):
            Thread(target=_run, args=(work, todo, done, stop), daemon=True).start()
        while running:
            try:
                item = done.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
            if item is None:
                running -= 1
            elif isinstance(item, Exception):
                errors.append(item)
            else:
                keep(*item)
    finally:
        stop.set()
        while not done.empty():
            item = done.get()
            if isinstance(item, tuple):
                keep(*item)
    if errors:
        raise min(errors, key=lambda err: not is_fatal(err))


def _run(
    work: Callable[[Job, Event], Result],
    todo: SimpleQueue[Job],
    done: SimpleQueue[tuple[Job, Result] | Exception | None],
    stop: Event,
) -> None:
    """What one thread does. None says that it has ended."""
    try:
        while not stop.is_set():
            job = todo.get_nowait()
            try:
                done.put((job, work(job, stop)))
            except Stopped:
                return
            except Exception as err:
                if is_fatal(err):
                    stop.set()
                done.put(err)
    except Empty:
        pass
    finally:
        done.put(None)
