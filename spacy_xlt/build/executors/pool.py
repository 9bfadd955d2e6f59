"""Several workers that may die: who gets which shard, and what is done again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from spacy.tokens import DocBin

from ...docs import select_docs
from ...errors import XltError, error
from ..sharding import Built, Shard
from .recipe import identity

# Workers that may die over one shard before its documents are tried one by one, and before the build gives up
DEATHS_BEFORE_TRIAL, MOST_DEATHS = 2, 5
# Workers that must die over one document alone: one of them may have died for another reason
DEATHS_OF_A_DOCUMENT = 2
# Workers that may die one after the other without anything being finished
MOST_DEATHS_IN_A_ROW = 12
# How often a worker may fail to start
MOST_FAILED_STARTS = 3
Kind = Literal["ready", "built", "error", "died"]


@dataclass(frozen=True)
class Event:
    """What a worker has to say.

    worker (int): Its number.
    kind (str): "ready" when it has started, "built" for a shard, "error" for an error about a setting, "died".
    value (Any): The worker's `identity`, the Built, the exception, or how it died.
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
    deaths_alone (int): Workers that died over that one.
    is_tried (bool): Whether all documents were tried.
    found (dict[int, str]): Documents that end a worker, and how.
    """

    shard: Shard
    deaths: int = 0
    reason: str = ""
    tried: int | None = None
    deaths_alone: int = 0
    is_tried: bool = False
    found: dict[int, str] = field(default_factory=dict)

    def next_part(self) -> Shard:
        """What to give to a worker."""
        if self.tried is None:
            return replace(self.shard, set_aside={**self.shard.set_aside, **self.found})
        return part_of(self.shard, self.tried)

    def go_on(self) -> None:
        """Try the next document; after the last one, the shard without those that were found."""
        after = -1 if self.tried is None else self.tried
        self.tried = next((n for n in range(after + 1, self.shard.n_docs) if n not in self.shard.set_aside), None)
        self.deaths_alone = 0
        self.is_tried = self.tried is None


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
        self._starting: set[int] = set()
        self._failed_starts: Counter[int] = Counter()
        self._suspects: deque[_Case] = deque()
        # The shard that a worker has for itself
        self._cases: dict[int, _Case] = {}
        self._deaths_in_a_row = 0
        self._engines: dict[str, str] | None = None

    @property
    def workers(self) -> int:
        """Workers that are ready."""
        return len(self._has)

    def run(self, shards: Iterable[Shard]) -> Iterator[Built]:
        """Work on shards; see `Executor`.

        RAISES (XltError): E584 and E591 where workers die and no document is to blame, E585 where none can start, E590
            and E592 where one is not like the others.
        """
        for worker in range(self.pool.size):
            self._start(worker)
        stream = iter(shards)
        following = next(stream, None)
        while following is not None or self._suspects or any(self._has.values()):
            following = self._feed(stream, following)
            for event in self.pool.wait():
                built = self._hear(event)
                if built is not None:
                    yield built

    def close(self, *, now: bool = False) -> None:
        """End all workers."""
        self.pool.close(now=now)

    def _start(self, worker: int) -> None:
        self._starting.add(worker)
        self.pool.start(worker)

    def _feed(self, stream: Iterator[Shard], following: Shard | None) -> Shard | None:
        """Give the workers what there is room for. RETURNS (Shard | None): The next shard, not given yet."""
        for worker, has in self._has.items():
            if self._suspects and not has:
                # A shard that was somebody's last goes alone, so that what happens is its doing
                case = self._cases[worker] = self._suspects.popleft()
                self._give(worker, case.next_part())
        # Where one waits, the workers become empty until one can take it
        room = 1 if self._suspects else self.pool.depth
        for worker, has in self._has.items():
            while following is not None and worker not in self._cases and len(has) < room:
                self._give(worker, following)
                following = next(stream, None)
        return following

    def _give(self, worker: int, shard: Shard) -> None:
        self._has[worker].append(shard)
        self.pool.submit(worker, shard)

    def _hear(self, event: Event) -> Built | None:
        if event.kind == "error":
            raise event.value if isinstance(event.value, XltError) else error("E586", reason=event.value)
        if event.kind == "ready":
            self._check(event.value)
            self._starting.discard(event.worker)
            self._failed_starts[event.worker] = 0
            self._has[event.worker] = deque()
        elif event.kind == "built":
            return self._finished(event)
        elif event.worker in self._starting:
            self._start_again(event)
        else:
            self._bury(event)
        return None

    def _check(self, found: dict[str, Any]) -> None:
        """Make sure that a worker's output is like that of the others."""
        expected = identity()
        if found["versions"] != expected["versions"]:
            raise error("E590", host=found["host"], **_shown(found["versions"], expected["versions"]))
        self._engines = self._engines or found["engines"]
        if found["engines"] != self._engines:
            raise error("E592", host=found["host"], **_shown(found["engines"], self._engines))

    def _finished(self, event: Event) -> Built | None:
        built: Built = event.value
        self._deaths_in_a_row = 0
        has = self._has[event.worker]
        has.remove(next(shard for shard in has if shard.id == built.shard))
        case = self._cases.pop(event.worker, None)
        if case is None or case.tried is None:
            return built
        # A document of a shard that is tried: it is fine
        case.go_on()
        self._suspects.appendleft(case)
        return None

    def _start_again(self, event: Event) -> None:
        self._failed_starts[event.worker] += 1
        if self._failed_starts[event.worker] < MOST_FAILED_STARTS:
            self.pool.start(event.worker)
            return
        # The others go on without it
        self._starting.discard(event.worker)
        if not self._starting and not self._has:
            raise error("E585", reason=event.value)

    def _bury(self, event: Event) -> None:
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= MOST_DEATHS_IN_A_ROW:
            raise error("E591", n=self._deaths_in_a_row, reason=event.value)
        lost = self._has.pop(event.worker)
        case = self._cases.pop(event.worker, None)
        # The first one is done again first
        for one in [case] if case is not None else [_Case(shard) for shard in reversed(lost)]:
            self._suspect(one, str(event.value))
        self._start(event.worker)

    def _suspect(self, case: _Case, reason: str) -> None:
        case.reason = reason
        if case.tried is not None:
            case.deaths_alone += 1
            if case.deaths_alone >= DEATHS_OF_A_DOCUMENT:
                case.found[case.tried] = f"the worker ended: {reason}"
                case.go_on()
        else:
            case.deaths += 1
            if case.deaths >= MOST_DEATHS:
                raise error("E584", n=case.deaths, shard=case.shard.id, reason=reason)
            if case.deaths >= DEATHS_BEFORE_TRIAL and not case.is_tried:
                case.go_on()
        self._suspects.appendleft(case)


def part_of(shard: Shard, number: int) -> Shard:
    """A shard with one document of another one."""
    data = DocBin().from_bytes(shard.data)
    one = select_docs(data, [number])
    one.store_user_data = any(one.user_data)
    return Shard(shard.id, one.to_bytes(), 1)


def _shown(found: dict[str, str], expected: dict[str, str]) -> dict[str, str]:
    """What differs, for a message."""
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    return {
        "found": ", ".join(f"{name} {found.get(name)}" for name in names),
        "expected": ", ".join(f"{name} {expected.get(name)}" for name in names),
    }
