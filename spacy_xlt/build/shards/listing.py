"""What each shard of a build has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..builder import SUMMARY
from .records import Record, Records

COUNTED = ("spans_in", "spans_projected", "lost_reasons")


@dataclass
class Listing:
    """Lists shards, and adds them up on the way.

    records (Records): The build.
    totals (Counter[str]): Shards, documents, sentences, failed documents and bytes so far.
    by_name (dict[str, Counter[str]]): `spans_in` and `spans_projected` by label, `lost_reasons` by reason.
    missing (int): Files that are not there.
    """

    records: Records
    totals: Counter[str] = field(default_factory=Counter)
    by_name: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTED})
    missing: int = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """YIELDS (dict[str, Any]): A shard as plain data. `files`: size in bytes by path, None where there is none."""
        for record in self.records:
            line = self._line(record)
            self.totals.update({"shards": 1, **{name: line[name] for name in ("docs", "sentences", "docs_failed")}})
            self.totals["bytes"] += sum(size or 0 for size in line["files"].values())
            self.missing += sum(size is None for size in line["files"].values())
            for name, counter in self.by_name.items():
                counter.update(line[name])
            yield line

    def total(self) -> dict[str, Any]:
        """What was listed, added up; `finished` says whether all shards of the build are there."""
        sums = {name: self.totals[name] for name in ("shards", "docs", "sentences", "docs_failed", "bytes")}
        spans = {name: dict(sorted(counter.items())) for name, counter in self.by_name.items()}
        expected = expected_shards(self.records.header)
        finished = self._has_summary() if expected is None else self.totals["shards"] == expected
        whole = finished and not self.missing
        return {**sums, "shards_expected": expected, **spans, "files_missing": self.missing, "finished": whole}

    def _line(self, record: Record) -> dict[str, Any]:
        spans = {name: record.counts.get(name) or {} for name in COUNTED}
        files = {}
        for name in sorted(record.files):
            path = self.records.folder / name
            files[name] = path.stat().st_size if path.is_file() else None
        return {
            "shard": record.shard,
            "docs": record.count("docs"),
            "docs_failed": record.count("failed"),
            "sentences": record.count("sentences"),
            **spans,
            "files": files,
        }

    def _has_summary(self) -> bool:
        # The summary is written last; one from before more was to be done counts other documents
        try:
            summary = json.loads((self.records.folder / SUMMARY).read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(summary, dict) and summary.get("docs") == self.totals["docs"]


def expected_shards(header: Mapping[str, Any]) -> int | None:
    """How many shards a build has when it is finished; None where its header, of an older version, does not tell."""
    inputs, size = header.get("input"), header.get("docs_per_shard")
    if (
        not isinstance(inputs, dict)
        or not isinstance(size, int)
        or not all(isinstance(v, dict) for v in inputs.values())
    ):
        return None
    return -(-sum(one.get("docs", 0) for one in inputs.values()) // size)
