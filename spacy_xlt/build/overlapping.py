"""Functions one after the other, each in a thread of its own: while one item is translated another is aligned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from queue import SimpleQueue
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Any

Stage = Callable[[Any], Any]


class OverlappedStages:
    """A line of stages. An item goes through all of them in order; items stay in the order they came in.

    The models of the stages compute outside Python's lock, so that threads do overlap. How many items are in the line
    is bounded, so that a fast stage cannot fill the memory in front of a slow one.

    stages (Sequence[Stage]): What is done, each called from one thread only, always the same.
    waiting (int): Items that may wait in the line beside those that the stages work on.
    at_start (Callable[[], None] | None): What each thread does first.
    """

    def __init__(self, stages: Sequence[Stage], *, waiting: int = 2, at_start: Callable[[], None] | None = None):
        self.stopping = Event()
        self.capacity = len(stages) + waiting
        self._at_start = at_start
        # Nothing comes into the line after its end
        self._lock, self._closed = Lock(), False
        self._places = BoundedSemaphore(self.capacity)
        self._queues: list[SimpleQueue[tuple[Future[Any], Any] | None]] = [SimpleQueue() for _ in stages]
        self._threads = [
            Thread(target=self._work, args=(number, stage), name=f"stage-{number}", daemon=True)
            for number, stage in enumerate(stages)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, item: Any) -> Future[Any]:
        """Put an item into the line; waits while the line is full.

        RETURNS (Future[Any]): What the last stage makes of it, or the error that one of them raised; CancelledError
            where the line was closed.
        """
        self._places.acquire()
        future: Future[Any] = Future()
        future.add_done_callback(lambda _: self._places.release())
        with self._lock:
            if not self._closed:
                self._queues[0].put((future, item))
                return future
        future.set_exception(CancelledError())
        return future

    def close(self, *, now: bool = False) -> None:
        """End the threads, after what is in the line; or `now`, after what each stage is at."""
        if now:
            self.stopping.set()
        with self._lock:
            if not self._closed:
                self._queues[0].put(None)
            self._closed = True
        for thread in self._threads:
            thread.join()

    def _work(self, number: int, stage: Stage) -> None:
        if self._at_start is not None:
            self._at_start()
        following = self._queues[number + 1] if number + 1 < len(self._queues) else None
        while (task := self._queues[number].get()) is not None:
            future, item = task
            try:
                if self.stopping.is_set():
                    raise CancelledError
                item = stage(item)
            except BaseException as err:
                future.set_exception(err)
                continue
            if following is None:
                future.set_result(item)
            else:
                following.put((future, item))
            # Not kept until the next one comes: an item can be large
            del task, future, item
        if following is not None:
            following.put(None)
