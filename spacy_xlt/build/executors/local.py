"""Shards worked on in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from ..processing import ShardProcessor
from ..sharding import Built, Shard


class InProcess:
    """One pipeline, its components in threads.

    processor (ShardProcessor): The pipeline.
    """

    name = "local"
    workers = 1

    def __init__(self, processor: ShardProcessor):
        self.processor = processor

    def run(self, shards: Iterable[Shard]) -> Iterator[Built]:
        """Work on shards, in order; see `Executor`."""
        begun: deque[Future[Built]] = deque()
        for shard in shards:
            # One place is left, so that this thread never waits for room while a finished shard could be written
            while len(begun) >= self.processor.capacity - 1 or (begun and begun[0].done()):
                yield begun.popleft().result()
            begun.append(self.processor.submit(shard))
        while begun:
            yield begun.popleft().result()

    def close(self, *, now: bool = False) -> None:
        """End the threads."""
        self.processor.close(now=now)
