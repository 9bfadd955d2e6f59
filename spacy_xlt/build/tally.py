"""Counting what a corpus was read with, for one warning at the end instead of one each time."""

from __future__ import annotations

import textwrap
from collections import Counter


class Tally:
    """How often each kind of thing was met, and the first of its kind. It does not grow with the corpus.

    counts (Counter[str]): By kind.
    first (dict[str, str]): By kind, shortened.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, kind: str, example: str) -> None:
        """Count one more of a kind."""
        self.counts[kind] += 1
        if kind not in self.first:
            self.first[kind] = repr(textwrap.shorten(example, 60) or example[:60])
