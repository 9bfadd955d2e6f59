"""Batches that there is not the memory for, run in halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import error, warn
from ..memory import free_caches, is_out_of_memory

Result = TypeVar("Result")


@dataclass
class Halving:
    """Runs batches, and those that there is not the memory for in halves.

    engine (str): What to call the engine in messages.
    most (int | None): The most pieces of a batch, once one had too many.
    """

    engine: str
    most: int | None = None

    def run(
        self, run: Callable[[list[int]], Sequence[Result]], batch: list[int], lengths: Sequence[int]
    ) -> list[Result]:
        """Run a batch.

        RETURNS (list[Result]): In the batch's order.
        RAISES (XltError): E226 where a single text is too much.
        """
        size = len(batch) * max(lengths[i] for i in batch)
        if len(batch) == 1 or self.most is None or size <= self.most:
            try:
                return list(run(batch))
            except Exception as err:
                if not is_out_of_memory(err):
                    raise
                if len(batch) == 1:
                    raise error("E226", engine=self.engine, n_pieces=size) from err
                if self.most is None:
                    warn("W220", engine=self.engine, size=size)
                self.most = size // 2
            # Outside of the handler, where nothing holds on to what the failed run has computed
            free_caches()
        half = len(batch) // 2
        return [*self.run(run, batch[:half], lengths), *self.run(run, batch[half:], lengths)]
