"""Worker processes on this machine, one engine each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from ..sharding import Built, Shard
from .pool import Event
from .recipe import Recipe, identity

# Seconds that a process gets to end by itself
_PATIENCE = 5.0


@dataclass
class _Worker:
    process: Any
    connection: Connection


class ProcessPool:
    """Processes that are fed through pipes; see `Pool`. They end with this one, however it ends.

    Each begins by importing the script that is running, so one of your own needs `if __name__ == "__main__":`.

    recipe (Recipe): How each makes its pipeline.
    size (int): How many.
    gpu_ids (list[int]): The GPU of each; none where left out.
    depth (int): Shards that each has at once.
    """

    name = "local"

    def __init__(self, recipe: Recipe, *, size: int, gpu_ids: list[int] | None = None, depth: int = 3):
        self.recipe = recipe
        self.size = size
        self.depth = depth
        self.gpu_ids = gpu_ids
        self._workers: dict[int, _Worker] = {}

    def start(self, worker: int) -> None:
        """Start a process in place of the one that had the number."""
        self._drop(worker)
        recipe = self.recipe if self.gpu_ids is None else replace(self.recipe, gpu_id=self.gpu_ids[worker])
        # Not forked: a forked process has neither the threads of PyTorch nor a GPU
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, recipe), name=f"worker-{worker}", daemon=True)
        with _no_ctrl_c():
            process.start()
        there.close()
        self._workers[worker] = _Worker(process, here)

    def submit(self, worker: int, shard: Shard) -> None:
        """Give a process a shard."""
        try:
            self._workers[worker].connection.send(shard)
        except OSError:
            # It has died; `wait` says so
            return

    def wait(self) -> list[Event]:
        """Wait until a process has something, or has ended."""
        connections: dict[Any, int] = {one.connection: number for number, one in self._workers.items()}
        ends: dict[Any, int] = {one.process.sentinel: number for number, one in self._workers.items()}
        events = []
        dead = set()
        for found in wait([*connections, *ends]):
            if found in connections:
                number = connections[found]
                try:
                    kind, value = self._workers[number].connection.recv()
                except (EOFError, OSError):
                    dead.add(number)
                else:
                    events.append(Event(number, kind, value))
            elif not self._workers[ends[found]].connection.poll():
                # What it said last is heard first
                dead.add(ends[found])
        return events + [Event(number, "died", self._end_of(number)) for number in sorted(dead)]

    def close(self, *, now: bool) -> None:
        """End all processes; `now`: whatever they are at."""
        for worker in self._workers.values():
            if now:
                worker.process.kill()
            worker.connection.close()
        for worker in self._workers.values():
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _end_of(self, number: int) -> str:
        process = self._workers[number].process
        process.join(_PATIENCE)
        code = process.exitcode
        self._workers[number].connection.close()
        del self._workers[number]
        if code is not None and code < 0:
            try:
                return f"signal {-code} ({signal.Signals(-code).name})"
            except ValueError:
                return f"signal {-code}"
        return f"exit code {code}"

    def _drop(self, number: int) -> None:
        worker = self._workers.pop(number, None)
        if worker is not None:
            worker.connection.close()
            worker.process.kill()
            worker.process.join()


def _work(connection: Connection, recipe: Recipe) -> None:
    """What a worker process does: shards in, what became of them out, until the pipe is closed."""
    # Ctrl-C goes to all processes of a terminal; the one that started this one ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shards: SimpleQueue[Shard] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, shards), daemon=True).start()
    lock = threading.Lock()

    def say(kind: str, value: Any = None) -> None:
        with lock:
            connection.send((kind, value))

    def finished(future: Future[Built]) -> None:
        err = future.exception()
        try:
            if err is None:
                say("built", future.result())
            else:
                say("error", portable(err))
        except OSError:
            # Nobody listens any more
            os._exit(1)

    try:
        processor = recipe.make()
    except Exception as err:
        say("error", portable(err))
        return
    say("ready", identity(processor.nlp))
    while True:
        shard = shards.get()
        try:
            future = processor.submit(shard)
        except Exception as err:
            say("error", portable(err))
            return
        future.add_done_callback(finished)


def _receive(connection: Connection, shards: SimpleQueue[Shard]) -> None:
    """Take what comes at once, so that the other side never waits; and end where it has ended, whatever is going on."""
    while True:
        try:
            shards.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Processes that are started in the block never hear of Ctrl-C."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def portable(err: BaseException) -> Any:
    """An error as it can be sent to another process: itself if it is one of ours, else its words."""
    from ...errors import XltError

    return err if isinstance(err, XltError) else f"{type(err).__name__}: {err}"
