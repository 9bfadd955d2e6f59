"""Whether the files of a build are those that it wrote."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...io import file_digest, is_leftover
from ..sharding import BITEXT, LOST, TARGET
from .records import Record, Records

# Shards whose files are being read or wait for it
_AHEAD = 64


class Problem(NamedTuple):
    """What is wrong with a file.

    kind (str): "missing", "changed", "unreadable", "extra" (no finished shard has it) or "left over" (half of a file,
        from a run that was killed).
    shard (str): "" where it belongs to none.
    """

    kind: str
    file: str
    shard: str = ""
    reason: str = ""


@dataclass
class Verifier:
    """Compares the files of a build with the checksums that its manifest has.

    threads (int): Files read at the same time; the number of cores where it is 0.
    files, bytes (int): Files whose checksums were taken, and their size.
    """

    records: Records
    threads: int = 0
    files: int = 0
    bytes: int = 0

    def problems(self, progress: Callable[[int], object] = lambda n_shards: None) -> Iterator[Problem]:
        """YIELDS (Problem): What is wrong: first by shard, then files that belong to none, by name.

        progress (Callable[[int], object]): Called with a number of shards each time that many more are done.
        """
        # Numbers instead of names: a build may have millions of files
        known: set[int] = set()
        for record, found in self._checked():
            known.update(map(hash, record.files))
            yield from found
            progress(1)
        for name in _files_in(self.records.folder):
            if is_leftover(name.split("/")[-1]):
                yield Problem("left over", name)
            elif name.split("/")[0] in (TARGET, BITEXT, LOST) and hash(name) not in known:
                yield Problem("extra", name)

    def _checked(self) -> Iterator[tuple[Record, list[Problem]]]:
        waiting: deque[tuple[Record, list[Future[tuple[int, Problem | None]]]]] = deque()
        with ThreadPoolExecutor(self.threads or os.cpu_count() or 1) as pool:
            try:
                for record in self.records:
                    checks = [pool.submit(self._check, record, name) for name in sorted(record.files)]
                    waiting.append((record, checks))
                    if len(waiting) >= _AHEAD:
                        yield self._results(*waiting.popleft())
                while waiting:
                    yield self._results(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _results(
        self, record: Record, checks: list[Future[tuple[int, Problem | None]]]
    ) -> tuple[Record, list[Problem]]:
        results = [check.result() for check in checks]
        self.files += len(results)
        self.bytes += sum(size for size, _ in results)
        return record, [problem for _, problem in results if problem]

    def _check(self, record: Record, name: str) -> tuple[int, Problem | None]:
        path = self.records.folder / name
        try:
            size = path.stat().st_size
            digest = file_digest(path)
        except FileNotFoundError:
            return 0, Problem("missing", name, record.shard)
        except OSError as err:
            return 0, Problem("unreadable", name, record.shard, err.strerror or str(err))
        return size, None if digest == record.files[name] else Problem("changed", name, record.shard)


def _files_in(folder: Path) -> Iterator[str]:
    """Paths of all files, relative to the folder, in order; a folder that stands in for a whole one is named itself."""
    for at, folders, files in os.walk(folder):
        inside = Path(at).relative_to(folder)
        left_over = [name for name in folders if is_leftover(name)]
        folders[:] = sorted(set(folders) - set(left_over))
        yield from ((inside / name).as_posix() for name in sorted([*files, *left_over]))
