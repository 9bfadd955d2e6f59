"""The bar that shows how far a build is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from tqdm import tqdm

from .shard import ShardCounts


class BuildProgress:
    """A bar over the documents of a build, with the counts so far: `with BuildProgress(n_docs) as progress:`.

    Args:
        n_docs: Documents of the whole input.
        finished: The counts of shards that an earlier run finished: they do not count in the speed.
        silent: No bar.
    """

    def __init__(self, n_docs: int, finished: Iterable[Mapping[str, Any]] = (), *, silent: bool = False):
        self._total = ShardCounts()
        for counts in finished:
            self._total.add(counts)
        # A file gets a line each time, so rarely
        seconds = 0.2 if sys.stderr.isatty() else 60.0
        self._bar = tqdm(
            total=n_docs,
            initial=self._total.docs,
            unit="doc",
            desc="build",
            disable=silent,
            mininterval=seconds,
            maxinterval=seconds,
        )

    def __enter__(self) -> BuildProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def add(self, counts: Mapping[str, Any]) -> None:
        """Count a shard that this run has finished."""
        total = self._total
        total.add(counts)
        shown = {"spans": total.spans_projected.total(), "lost": total.lost_reasons.total()}
        more = {"cached": f"{total.cache_hit_share:.0%}" if total.cache["hits"] else "", "failed": len(total.failed)}
        self._bar.set_postfix({**shown, **{name: value for name, value in more.items() if value}}, refresh=False)
        self._bar.update(counts["docs"])
