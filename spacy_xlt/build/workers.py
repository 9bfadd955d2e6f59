"""Workers that process the shards of a build, each of which may end at any moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from spacy.language import Language
from spacy.tokens import DocBin

from ..docs import select_docs
from ..errors import XltError, error
from .shard import Corrections, Shard, ShardProcessor, ShardResult
from .worker_spec import WorkerSpec, share_of_cores

# Workers that may end one after the other without anything being finished. To find a document that ends its worker,
# a shard of n documents takes 3 + log2(n)
MOST_DEATHS = 20
# Workers that may end over a shard of which no document alone ends one
MOST_DEATHS_OF_A_SHARD = 3
# Shards that are handed out for each worker, so that none waits for the next one
DEPTH = 2


class WorkerPool(ABC):
    """Workers of which each may end at any moment, be it killed from outside or by a document.

    To be used in a `with` statement, which ends what was started.

    A shard that was handed out when its worker ended is processed again while nothing else is, first as it is, because
    a machine can fail for any reason. If the worker ends again, the shard is halved until the documents that end their
    worker are found; they are set aside, and the rest is processed.
    """

    # What a future raises whose worker has ended
    death: type[Exception]

    def __init__(self) -> None:
        self._deaths_in_a_row = 0

    @abstractmethod
    def room(self) -> int:
        """Shards that may be handed out at once."""

    @abstractmethod
    def submit(self, shard: Shard) -> Future[Any]:
        """Hand out a shard."""

    @abstractmethod
    def receive(self, future: Future[Any]) -> Any:
        """What `process` returned, or raise `death`."""

    @abstractmethod
    def replace_worker(self, future: Future[Any]) -> bool:
        """Replace the worker that had this shard and has ended; False if that is done already."""

    @abstractmethod
    def close(self, *, now: bool = False) -> None:
        """End what was started; `now`: whatever it is at."""

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(now=kind is not None)

    def run(self, shards: Iterable[Shard]) -> Iterator[ShardResult]:
        """Process shards, which are read as there is room for them.

        Yields:
            A result for each, in any order.

        Raises:
            XltError: What is wrong with a setting; E584 and E591 if workers end and no document is the cause, E585 if
                none can be started.
        """
        stream = iter(shards)
        running: dict[Future[Any], Shard] = {}
        again: deque[Shard] = deque()
        while True:
            while not again and len(running) < self.room() and (shard := next(stream, None)) is not None:
                running[self.submit(shard)] = shard
            if running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    shard = running.pop(future)
                    result = self._result(future)
                    if result is None:
                        again.append(shard)
                    else:
                        yield result
            elif again:
                yield self._retry(again.popleft())
            else:
                return

    def _result(self, future: Future[Any]) -> ShardResult | None:
        """What became of a shard; None if its worker has ended."""
        try:
            result = self.receive(future)
        except self.death as err:
            self._deaths_in_a_row += self.replace_worker(future)
            if self._deaths_in_a_row >= MOST_DEATHS:
                raise error("E591", n=self._deaths_in_a_row) from err
            return None
        if isinstance(result, ShardResult):
            self._deaths_in_a_row = 0
            return result
        raise result if isinstance(result, XltError) else error("E586", reason=result)

    def _retry(self, shard: Shard) -> ShardResult:
        """Process a shard again, without the documents that end their worker."""
        n_deaths = 1
        while True:
            result = self._result(self.submit(shard))
            if result is not None:
                return result
            n_deaths += 1
            numbers = [number for number in range(shard.n_docs) if number not in shard.set_aside]
            if deadly := self._deadly(shard, numbers):
                reasons = dict.fromkeys(deadly, "the worker that processed it ended")
                shard = replace(shard, set_aside={**shard.set_aside, **reasons})
                n_deaths = 0
            elif n_deaths >= MOST_DEATHS_OF_A_SHARD:
                raise error("E584", n=n_deaths, shard=shard.name)

    def _deadly(self, shard: Shard, numbers: Sequence[int]) -> list[int]:
        """Which of some documents end their worker, where all of them together did."""
        middle = len(numbers) // 2
        # A single document gets another chance
        parts = [numbers[:middle], numbers[middle:]] if middle else [numbers]
        deadly: list[int] = []
        for part in parts:
            if self._result(self.submit(_part_of(shard, part))) is None:
                deadly += self._deadly(shard, part) if middle else part
        return deadly


def process(worker: ShardProcessor | Exception, shard: Shard) -> ShardResult | XltError | str:
    """Process a shard in a worker, with its pipeline or why it could not be made.

    Returns:
        The result, or what is wrong with a setting: errors of other packages may not be picklable.
    """
    try:
        if isinstance(worker, Exception):
            raise worker
        return worker(shard)
    except XltError as err:
        return err
    except Exception as err:  # of the machine: see `is_fatal`
        return f"{type(err).__name__}: {err}"


def make_workers(
    nlp: Language,
    *,
    executor: str = "local",
    workers: int = 0,
    gpu_id: int = -1,
    corrections: Corrections | None = None,
    code: Path | None = None,
) -> WorkerPool | None:
    """Choose where shards are processed; no worker is started yet.

    Args:
        nlp: The pipeline.
        executor: "local" or "ray".
        workers: Pipelines at once. "local": worker processes; 0 for none, all is done in this one. "ray": 0 for as
            many as the cluster has room for.
        gpu_id: The first GPU, or -1 for the CPU. Local workers are spread over the GPUs from there on.
        code: Python file with the user's own registered functions.

    Returns:
        The workers; None if all is done in this process.

    Raises:
        XltError: E510 for an invalid setting, E589 for a GPU that is not there, E106 and E588 if Ray or its cluster
            is not there.
    """
    if executor not in ("local", "ray"):
        raise error("E510", setting="--executor", value=executor, expected="local or ray")
    if workers < 0:
        raise error("E510", setting="--workers", value=workers, expected="a number from 0")
    if executor == "ray":
        from .ray import RayWorkers

        # On the machine of an actor, other programs may use the other cores
        spec = WorkerSpec.of(nlp, corrections=corrections, code=code, threads=0 if gpu_id >= 0 else 1)
        return RayWorkers(spec, size=workers, on_gpu=gpu_id >= 0)
    if workers == 0:
        return None
    from .processes import WorkerProcesses

    spec = WorkerSpec.of(nlp, corrections=corrections, code=code, threads=share_of_cores(workers))
    return WorkerProcesses(spec, size=workers, gpu_ids=_gpus(workers, first=gpu_id))


def _gpus(n_workers: int, *, first: int) -> list[int]:
    if first < 0:
        return [-1] * n_workers
    import torch

    n_gpus = torch.cuda.device_count()
    if first >= n_gpus:
        raise error("E589", first=first, has=n_gpus)
    return [first + worker % (n_gpus - first) for worker in range(n_workers)]


def _part_of(shard: Shard, numbers: Sequence[int]) -> Shard:
    """A shard with some documents of another one."""
    part = select_docs(DocBin().from_bytes(shard.data), numbers)
    # A DocBin that was read has the user data and does not know it
    part.store_user_data = True
    return Shard(shard.name, part.to_bytes(), len(numbers))
