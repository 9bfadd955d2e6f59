"""What word links say about where a span went: a gain for each target token, and stretches with a great total."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from heapq import nlargest
from typing import NamedTuple

from ..links import Alignment

# What a link from outside the span counts against one from inside.
FOREIGN = 0.5
# What a token between linked ones costs that has no link, or links that cancel out.
GAP = 0.02


class Stretch(NamedTuple):
    """A run of target tokens `[start, end)` and the total of their gains."""

    start: int
    end: int
    total: float


class Claim(NamedTuple):
    """What the links say about one source span.

    start (int): First target token that is linked to the span.
    inside (list[float]): For the tokens from the first to the last linked one, the strongest link from the span.
    outside (list[float]): The same for links from elsewhere.
    """

    start: int
    inside: list[float]
    outside: list[float]

    def gains(self) -> list[float]:
        """What each token adds to a stretch it belongs to."""
        return [_gain(own, foreign) for own, foreign in zip(self.inside, self.outside, strict=True)]

    def best(self) -> Stretch:
        """The stretch with the greatest total (Kadane's algorithm), or the best single token where none is positive."""
        total = best = 0.0
        start = best_start = best_end = 0
        for i, (own, foreign) in enumerate(zip(self.inside, self.outside, strict=True)):
            if total <= 0.0:
                start, total = i, 0.0
            total += _gain(own, foreign)
            if total > best:
                best, best_start, best_end = total, start, i + 1
        if best > 0.0:
            return Stretch(self.start + best_start, self.start + best_end, best)
        return self._strongest()

    def _strongest(self) -> Stretch:
        # Nothing but words that others claim more: the one that is lost least
        i = max(range(len(self.inside)), key=lambda i: (self.inside[i] > 0, self.inside[i] - self.outside[i]))
        return Stretch(self.start + i, self.start + i + 1, self.inside[i] - self.outside[i])

    def stretches(self, limit: int) -> list[Stretch]:
        """The stretches that begin and end at linked tokens and have the greatest totals, best first.

        Of a span with more linked tokens than twice `limit`, the best one only: there would be too many.
        """
        ends = [i for i, own in enumerate(self.inside) if own > 0.0]
        if len(ends) > 2 * limit:
            return [self.best()]
        gains, found = self.gains(), []
        for n, first in enumerate(ends):
            total, position = 0.0, first
            for last in ends[n:]:
                total += sum(gains[position : last + 1])
                position = last + 1
                found.append(Stretch(self.start + first, self.start + last + 1, total))
        return nlargest(limit, found, key=lambda stretch: stretch.total)

    def within(self, start: int, end: int) -> Stretch | None:
        """The best stretch inside target tokens `[start, end)`; None where nothing there speaks for the span."""
        low, high = max(start - self.start, 0), max(end - self.start, 0)
        if not any(own > 0.0 for own in self.inside[low:high]):
            return None
        return Claim(self.start + low, self.inside[low:high], self.outside[low:high]).best()


class Evidence:
    """The links of a bitext, to be asked about spans.

    alignment (Alignment): Its links, or its weak links where it has them; scores above 1 are scaled down to 1, others
        must not be negative.
    """

    def __init__(self, alignment: Alignment):
        alignment = alignment.weak_links if alignment.weak_links is not None else alignment
        self.source: list[int] = alignment.links[:, 0].tolist()
        self.target: list[int] = alignment.links[:, 1].tolist()
        self.weights: list[float] = alignment.scores.tolist()
        if self.weights and max(self.weights) > 1.0:
            top = max(self.weights)
            self.weights = [weight / top for weight in self.weights]
        columns: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for i, j, weight in zip(self.source, self.target, self.weights, strict=True):
            columns[j].append((i, weight))
        # A plain one, which has no new keys when it is asked for others
        self.columns: dict[int, list[tuple[int, float]]] = dict(columns)

    def links_of(self, start: int, end: int) -> range:
        """Which links come from source tokens `[start, end)`: indices of `source`, `target` and `weights`."""
        first = bisect_left(self.source, start)
        return range(first, bisect_left(self.source, end, lo=first))

    def all_linked(self, start: int, end: int) -> bool:
        """Whether each of source tokens `[start, end)` has a link."""
        return len({self.source[k] for k in self.links_of(start, end)}) == end - start

    def claim(self, start: int, end: int, extra: Sequence[tuple[int, float]] = ()) -> Claim | None:
        """What the links say about source tokens `[start, end)`; None where there is no link.

        extra (Sequence[tuple[int, float]]): More evidence from the span itself: target tokens and weights.
        """
        own: dict[int, float] = {}
        for k in self.links_of(start, end):
            j, weight = self.target[k], self.weights[k]
            if weight > own.get(j, 0.0):
                own[j] = weight
        for j, weight in extra:
            own[j] = max(weight, own.get(j, 0.0))
        if not own:
            return None
        first, last = min(own), max(own)
        inside, outside = [], []
        for j in range(first, last + 1):
            inside.append(own.get(j, 0.0))
            foreign = 0.0
            for i, weight in self.columns.get(j, ()):
                if weight > foreign and not start <= i < end:
                    foreign = weight
            outside.append(foreign)
        return Claim(first, inside, outside)

    def links_to(self, i: int) -> list[tuple[int, float]]:
        """Where source token `i` leads: target tokens and weights."""
        return [(self.target[k], self.weights[k]) for k in self.links_of(i, i + 1)]

    def best_source(self, j: int) -> int | None:
        """The source token that target token `j` is linked to most; None without links."""
        if j not in self.columns:
            return None
        return max(self.columns[j], key=lambda link: link[1])[0]

    def weight(self, i: int, j: int) -> float:
        """The weight of a link, 0 where there is none."""
        return max((weight for source, weight in self.columns.get(j, ()) if source == i), default=0.0)

    def balance(self, j: int, start: int, end: int) -> float:
        """How much more target token `j` is linked to source tokens `[start, end)` than to others; 0 without links."""
        own = foreign = 0.0
        for i, weight in self.columns.get(j, ()):
            if start <= i < end:
                own = max(own, weight)
            else:
                foreign = max(foreign, weight)
        return own - foreign


def _gain(own: float, foreign: float) -> float:
    gain = own - FOREIGN * foreign
    if gain > 0.0:
        return gain
    return gain if gain < -GAP else -GAP
