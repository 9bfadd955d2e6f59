"""Several workers that may die: who gets which shard, and what is done again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from spacy.tokens import DocBin

from ...errors import XltError, error
from ..reading import select_docs
from ..sharding import Built, Shard

# Workers that may die over one shard before its documents are tried one by one, and before the build gives up
DEATHS_BEFORE_TRIAL, MOST_DEATHS = 2, 5
# Workers that may die one after the other before any of them is ready
MOST_FAILED_STARTS = 3
Kind = Literal["ready", "built", "error", "died"]


@dataclass(frozen=True)
class Event:
    """What a worker has to say.

    worker (int): Its number.
    kind (str): "ready" when it has started, "built" for a shard, "error" for an error about a setting, "died".
    value (Any): The Built, the exception, or how it died.
    """

    worker: int
    kind: Kind
    value: Any = None


class Pool(Protocol):
    """Workers by number."""

    name: str
    size: int
    # Shards that a worker can have at once, so that it never waits for the next one
    depth: int

    def start(self, worker: int) -> None:
        """Start a worker, or another one in its place."""

    def submit(self, worker: int, shard: Shard) -> None:
        """Give a worker a shard."""

    def wait(self) -> list[Event]:
        """Wait until there is something new."""

    def close(self, *, now: bool) -> None:
        """End all workers."""


@dataclass
class _Case:
    """A shard over which workers have died.

    reason (str): How the last one died.
    tried (int | None): The document that is tried alone, while they are tried one by one.
    found (dict[int, str]): Documents that end a worker, and how.
    """

    shard: Shard
    deaths: int = 0
    reason: str = ""
    tried: int | None = None
    found: dict[int, str] = field(default_factory=dict)


class PoolExecutor:
    """Spreads shards over the workers of a pool; see `Executor`.

    A shard whose worker dies is done again by another one, first as it is, because a machine can fail for any reason;
    then its documents are tried one by one, and those that end a worker are set aside with the reason.

    pool (Pool): The workers.
    """

    def __init__(self, pool: Pool):
        self.pool = pool
        self.name = pool.name
        # What each worker that is ready has, in order
        self._has: dict[int, deque[Shard]] = {}
        self._suspects: deque[_Case] = deque()
        # The shard that a worker has for itself
        self._cases: dict[int, _Case] = {}
        self._failed_starts = 0

    @property
    def workers(self) -> int:
        """Workers that are ready."""
        return len(self._has)

    def run(self, shards: Iterable[Shard]) -> Iterator[Built]:
        """Work on shards; see `Executor`.

        RAISES (XltError): E584 where workers die over a shard and no document is to blame, E585 where none can start.
        """
        for worker in range(self.pool.size):
            self.pool.start(worker)
        stream = iter(shards)
        following = next(stream, None)
        while following is not None or self._suspects or any(self._has.values()):
            for worker, has in self._has.items():
                if self._suspects and not has:
                    self._give_suspect(worker)
                while following is not None and worker not in self._cases and len(has) < self.pool.depth:
                    if self._suspects and has:
                        # Let it become empty for the suspect
                        break
                    self._give(worker, following)
                    following = next(stream, None)
            for event in self.pool.wait():
                built = self._hear(event)
                if built is not None:
                    yield built

    def close(self, *, now: bool = False) -> None:
        """End all workers."""
        self.pool.close(now=now)

    def _give(self, worker: int, shard: Shard) -> None:
        self._has[worker].append(shard)
        self.pool.submit(worker, shard)

    def _give_suspect(self, worker: int) -> None:
        """A shard that was somebody's last goes alone, so that what happens is its doing."""
        case = self._suspects.popleft()
        self._cases[worker] = case
        self._give(worker, self._next_part(case))

    def _next_part(self, case: _Case) -> Shard:
        if case.tried is None:
            return replace(case.shard, set_aside={**case.shard.set_aside, **case.found})
        return part_of(case.shard, case.tried)

    def _hear(self, event: Event) -> Built | None:
        if event.kind == "ready":
            self._failed_starts = 0
            self._has[event.worker] = deque()
        elif event.kind == "built":
            has = self._has[event.worker]
            has.remove(next(shard for shard in has if shard.id == event.value.shard))
            case = self._cases.pop(event.worker, None)
            if case is None or case.tried is None:
                built: Built = event.value
                return built
            self._go_on_trying(case)
        elif event.kind == "error":
            raise event.value if isinstance(event.value, XltError) else error("E586", reason=event.value)
        else:
            self._bury(event)
        return None

    def _go_on_trying(self, case: _Case) -> None:
        numbers = (n for n in range(case.shard.n_docs) if n not in case.shard.set_aside and n not in case.found)
        after = -1 if case.tried is None else case.tried
        case.tried = next((n for n in numbers if n > after), None)
        if case.tried is None and not case.found:
            raise error("E584", n=case.deaths, shard=case.shard.id, reason=case.reason)
        self._suspects.appendleft(case)

    def _bury(self, event: Event) -> None:
        if event.worker not in self._has:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise error("E585", reason=event.value)
        lost = self._has.pop(event.worker, deque())
        trial = self._cases.pop(event.worker, None)
        if trial is not None and trial.tried is not None:
            trial.found[trial.tried] = f"the worker ended: {event.value}"
            self._go_on_trying(trial)
        else:
            for shard in reversed(lost):
                self._suspect(trial or _Case(shard), str(event.value))
        self.pool.start(event.worker)

    def _suspect(self, case: _Case, reason: str) -> None:
        case.deaths += 1
        case.reason = reason
        if case.deaths >= MOST_DEATHS:
            raise error("E584", n=case.deaths, shard=case.shard.id, reason=reason)
        if case.deaths >= DEATHS_BEFORE_TRIAL and not case.found:
            self._go_on_trying(case)
        else:
            self._suspects.appendleft(case)


def part_of(shard: Shard, number: int) -> Shard:
    """A shard with one document of another one."""
    data = DocBin().from_bytes(shard.data)
    one = select_docs(data, [number])
    one.store_user_data = any(one.user_data)
    return Shard(shard.id, one.to_bytes(), 1)
