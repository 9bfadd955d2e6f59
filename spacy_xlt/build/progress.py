"""The numbers of a build while it runs: what is done, how fast, how long it takes; as a bar and in `log.jsonl`."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, RLock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..memory import children_mib, status_mib
from .runlog import FILE_NAME, RunLog

if TYPE_CHECKING:
    from .executors.base import Executor

# Of what came in this time the speeds are taken, and the time that is left
_MINUTE, _RECENT = 60.0, 300.0
# A worker's shards come far apart: of so many for each of them the time that is left is taken, at least
_SHARDS_A_WORKER = 3
_TICK_SECONDS = 1.0


@dataclass
class Sums:
    """What became of documents.

    seconds (Counter[str]): By stage, the time it worked on them; of several workers the sum.
    """

    docs: int = 0
    sentences: int = 0
    spans: int = 0
    shards: int = 0
    failed: int = 0
    hits: int = 0
    misses: int = 0
    seconds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, record: Mapping[str, Any], seconds: Mapping[str, float]) -> Sums:
        """Of one shard, by its line of the manifest."""
        cache = record.get("cache", {})
        return cls(
            docs=record["docs"],
            sentences=record["sentences"],
            spans=sum(record.get("spans_projected", {}).values()),
            shards=1,
            failed=len(record.get("failed", ())),
            hits=cache.get("hits", 0),
            misses=cache.get("misses", 0),
            seconds=Counter(seconds),
        )

    def add(self, other: Sums) -> None:
        """Add what became of others."""
        for name, value in vars(other).items():
            if name != "seconds":
                setattr(self, name, getattr(self, name) + value)
        self.seconds.update(other.seconds)

    def rates(self, what: str = "docs") -> dict[str, float]:
        """Documents or sentences a second of each stage's own time: what one worker's stage does alone."""
        return {name: round(getattr(self, what) / spent, 1) for name, spent in self.seconds.items() if spent > 0}

    @property
    def cache_hit_share(self) -> float:
        """From 0 to 1."""
        return round(self.hits / max(1, self.hits + self.misses), 4)


class Numbers:
    """Counts what a build does, for the bar and the log: `with Numbers(...) as numbers:`.

    Whatever computes the shards, it is told of each one when it is written. A shard may take long, so a thread of its
    own looks at the clock: the log gets its line each minute, and the bar shows that something is alive, while the
    rest waits. It only reads numbers and writes that line. All methods may be called from any thread.

    total_docs, total_shards (int): Of the whole corpus.
    folder (Path | None): The build folder, for the log; no log where left out.
    executor (Executor | None): What computes: its name and how many workers are alive, for the log.
    disable (bool): No bar.
    every (float): Seconds between two lines of the log.
    clock (Callable[[], float]): Seconds that only go forward.
    with_thread (bool): False where the caller calls `tick` every few seconds.
    """

    def __init__(
        self,
        total_docs: int,
        total_shards: int,
        *,
        folder: Path | None = None,
        executor: Executor | None = None,
        disable: bool = False,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        with_thread: bool = True,
    ):
        self.total_docs = total_docs
        self.total_shards = total_shards
        self.executor = executor
        self.before, self.now = Sums(), Sums()
        self._log = None if folder is None else RunLog(folder / FILE_NAME, every=every, clock=clock)
        self._clock = clock
        self._start = clock()
        # When shards were finished, and when the last one that is not among them any more
        self._recent: deque[tuple[float, Sums]] = deque()
        self._forgot: float | None = None
        self._lock = RLock()
        self._stop: Event | None = Event() if with_thread else None
        self._cleanup = ExitStack()
        # A file gets a line each time, so rarely
        seconds = 0.2 if sys.stderr.isatty() else 60.0
        self._redraw = sys.stderr.isatty() and not disable
        self._bar: tqdm[Any] = self._cleanup.enter_context(
            tqdm(
                total=total_docs,
                unit="doc",
                desc="build",
                disable=disable,
                mininterval=seconds,
                maxinterval=seconds,
                bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]",
            )
        )

    def __enter__(self) -> Numbers:
        with self._lock:
            self._start = self._clock()
            if self._log is not None:
                self._log.start(self.to_json())
        if self._stop is not None:
            thread = Thread(target=self._watch, args=(self._stop,), name="numbers", daemon=True)
            self._cleanup.callback(thread.join)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close("finished")
        elif issubclass(kind, Exception):
            self.close("failed", reason=f"{kind.__name__}: {err}")
        else:
            self.close("interrupted", reason=kind.__name__)

    def finished_before(self, record: Mapping[str, Any]) -> None:
        """An earlier run has finished this shard."""
        with self._lock:
            self.before.add(Sums.of(record, {}))
            if not self._bar.disable:
                # The bar begins there; its speed is that of this run
                self._bar.initial += record["docs"]
                self._bar.n += record["docs"]

    def finished(self, record: Mapping[str, Any], seconds: Mapping[str, float] | None = None) -> None:
        """This run has finished a shard.

        record (Mapping[str, Any]): As in the manifest.
        seconds (Mapping[str, float] | None): What each stage took; `record["seconds"]` where left out.
        """
        seconds = record.get("seconds", {}) if seconds is None else seconds
        with self._lock:
            shard = Sums.of(record, seconds)
            self.now.add(shard)
            self._recent.append((self._clock(), shard))
            self._forget()
            self._bar.set_postfix(self._postfix(), refresh=False)
            self._bar.update(record["docs"])
        self.tick()

    def tick(self) -> None:
        """Look at the clock; does nothing most of the time."""
        with self._lock:
            if self._log is not None:
                self._log.update(self.to_json)

    def close(self, event: str = "finished", *, reason: str = "") -> None:
        """End the bar and write the last line of the log. A second time does nothing.

        event (str): "finished", "interrupted" or "failed".
        reason (str): Why, where it is not finished.
        """
        if self._stop is not None:
            self._stop.set()
        with self._lock:
            log, self._log = self._log, None
            if log is not None:
                log.end(event, {**self.to_json(), **({"reason": reason} if reason else {})})
        self._cleanup.close()

    @property
    def seconds_left(self) -> float | None:
        """Estimated from what was finished in the last minutes; None where nothing was yet."""
        with self._lock:
            left = self.total_docs - self.before.docs - self.now.docs
            if left <= 0:
                return 0.0
            if not self._recent:
                return None
            docs = self.now.docs if self._forgot is None else sum(shard.docs for _, shard in self._recent)
            since = self._start if self._forgot is None else self._forgot
            # A shard that is waited for lowers the speed, and what is waited for is at work
            return left * max(self._clock() - since, 1e-9) / max(docs, 1e-9)

    def to_json(self) -> dict[str, Any]:
        """The numbers of a line of the log.

        RETURNS (dict[str, Any]): "docs", "sentences", "spans" (projected), "shards" and "failed" (documents), each with
            what "this_run" did and what "all" runs did, and the "total" where it is known; "docs_per_second" of each
            stage's own time, in the "last_minute" and in "this_run"; "cache_hit_share" of this run, from 0 to 1;
            "seconds_left"; "memory_mib" of this process and "children_mib" of those it started, null where the system
            does not tell; "executor"; "workers".
        """
        with self._lock:
            minute = self._last_minute()
            lately, whole = minute.rates(), self.now.rates()
            left = self.seconds_left
            both = {
                key: {"this_run": getattr(self.now, key), "all": getattr(self.before, key) + getattr(self.now, key)}
                for key in ("docs", "sentences", "spans", "shards", "failed")
            }
            both["docs"]["total"], both["shards"]["total"] = self.total_docs, self.total_shards
            return {
                **both,
                "docs_per_second": {
                    name: {"last_minute": lately.get(name), "this_run": rate} for name, rate in whole.items()
                },
                "cache_hit_share": self.now.cache_hit_share,
                "seconds_left": None if left is None else round(left, 1),
                "memory_mib": status_mib("VmRSS"),
                "children_mib": children_mib(),
                "executor": None if self.executor is None else self.executor.name,
                "workers": self._workers,
            }

    @property
    def _workers(self) -> int:
        return 1 if self.executor is None else self.executor.workers

    def _forget(self) -> None:
        """Keep the shards of the last minutes, and enough of them."""
        now = self._clock()
        enough = _SHARDS_A_WORKER * max(1, self._workers)
        while len(self._recent) > enough and now - self._recent[0][0] > _RECENT:
            self._forgot, _ = self._recent.popleft()

    def _last_minute(self) -> Sums:
        """The shards that were finished in the last minute; the last one where none was."""
        now, sums = self._clock(), Sums()
        for at, shard in reversed(self._recent):
            if sums.shards and now - at > _MINUTE:
                break
            sums.add(shard)
        return sums

    def _postfix(self) -> dict[str, str]:
        shown: dict[str, str] = {}
        left = self.seconds_left
        if left:
            shown["left"] = tqdm.format_interval(left)
        # The slowest stage first: it decides, and there is no room for many
        rates = sorted(self._last_minute().rates("sentences").items(), key=lambda item: item[1])
        shown.update((short_name(name), f"{rate:.0f}/s") for name, rate in rates[:3])
        if self.now.hits:
            shown["cached"] = f"{self.now.cache_hit_share:.0%}"
        if failed := self.before.failed + self.now.failed:
            shown["failed"] = str(failed)
        return shown

    def _watch(self, stop: Event) -> None:
        while not stop.wait(_TICK_SECONDS):
            self.tick()
            if self._redraw:
                with self._lock:
                    self._bar.set_postfix(self._postfix(), refresh=False)
                    self._bar.refresh()


def short_name(name: str) -> str:
    """A component's name for a narrow place: "translator" for "xlt_translator"."""
    return name.removeprefix("xlt_")
