"""Worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import error
from .shard import Shard, ShardProcessor
from .worker_spec import WorkerSpec
from .workers import DEPTH, WorkerPool, process

# Times that the processes may end one after the other before one of them has started
MOST_FAILED_STARTS = 3


class WorkerProcesses(WorkerPool):
    """Processes on this machine, a pipeline each. They end with this one, however it ends.

    Each begins by importing the script that is running, so one of your own needs `if __name__ == "__main__":`.

    Args:
        spec: How each makes its pipeline.
        size: How many.
        gpu_ids: The GPU of each, or -1 for the CPU.
    """

    death = BrokenProcessPool

    def __init__(self, spec: WorkerSpec, *, size: int, gpu_ids: Sequence[int]):
        super().__init__()
        self.spec = spec
        self.size = size
        self.gpu_ids = gpu_ids
        self._pool: ProcessPoolExecutor | None = None
        self._failed_starts = 0

    def room(self) -> int:
        return DEPTH * self.size

    def submit(self, shard: Shard) -> Future[Any]:
        pool = self._pool or self._make_pool()
        # Large data in the pipes of a pool can block it for good when a process ends
        path = self._folder / shard.name
        path.write_bytes(pickle.dumps(shard))
        try:
            # This starts a process if none is idle
            with _no_ctrl_c():
                return pool.submit(_process, path)
        except BrokenProcessPool as err:
            future: Future[Any] = Future()
            future.set_exception(err)
            return future

    def receive(self, future: Future[Any]) -> Any:
        path: Path = future.result()
        result = pickle.loads(path.read_bytes())
        path.unlink()
        return result

    def replace_worker(self, future: Future[Any]) -> bool:
        # A process that ends breaks the pool: all that was handed out comes back
        if self._pool is None:
            return False
        self._failed_starts = 0 if self._started.value else self._failed_starts + 1
        self.close(now=True)
        if self._failed_starts >= MOST_FAILED_STARTS:
            raise error("E585", reason="each process ended while it started")
        return True

    def close(self, *, now: bool = False) -> None:
        if self._pool is None:
            return
        if now:
            self._alive.close()
        self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._alive.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_pool(self) -> ProcessPoolExecutor:
        # Not forked: a forked process has neither the threads of PyTorch nor a GPU
        context = multiprocessing.get_context("spawn")
        their_end, self._alive = context.Pipe(duplex=False)
        self._started = context.Value("i", 0)
        self._folder = Path(tempfile.mkdtemp(prefix="spacy-xlt-"))
        gpu_ids = context.SimpleQueue()
        for gpu_id in self.gpu_ids:
            gpu_ids.put(gpu_id)
        arguments = (self.spec, gpu_ids, self._started, their_end, self._folder)
        self._pool = ProcessPoolExecutor(self.size, context, initializer=_start, initargs=arguments)
        return self._pool


# In a worker process: its pipeline, or why it could not be made
_worker: ShardProcessor | Exception


def _start(spec: WorkerSpec, gpu_ids: Any, started: Any, alive: Connection, folder: Path) -> None:
    """Begin a worker process."""
    global _worker
    # Ctrl-C goes to all processes of a terminal; the one that started this one ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(alive, folder), daemon=True).start()
    try:
        _worker = spec.start(gpu_ids.get())
    except Exception as err:  # whatever the user's code and other packages raise: the first shard reports it
        _worker = err
    with started.get_lock():
        started.value += 1


def _end_with(alive: Connection, folder: Path) -> None:
    """End this process when the one that started it closes the connection, or ends without having tidied up."""
    alive.poll(None)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _process(path: Path) -> Path:
    path.write_bytes(pickle.dumps(process(_worker, pickle.loads(path.read_bytes()))))
    return path


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
