"""Placing several spans together, so that no two that are apart in the source claim the same target words."""

from __future__ import annotations

from collections.abc import Sequence

from .constants import ALTERNATIVES, MAX_NODES, MAX_TOGETHER
from .evidence import SpanLinks, Stretch

Range = tuple[int, int]


def assign(ranges: Sequence[Range], links: Sequence[SpanLinks | None], best: list[Stretch | None]) -> None:
    """Move spans whose best stretches overlap although the spans themselves do not.

    The sum of totals of all spans in a conflict becomes greatest. A span for which nothing is left keeps its best
    stretch, and overlaps.

    Args:
        ranges: Source tokens `[start, end)` of each span.
        links: What their links say.
        best: The best stretch of each by itself; changed in place.
    """
    for cluster in conflicts(ranges, best):
        choices = [_choices(links[n], [best[m] for m in cluster if m != n]) for n in cluster]
        _settle(cluster, ranges, choices, best)


def assign_choices(ranges: Sequence[Range], choices: Sequence[Sequence[Stretch]], best: list[Stretch | None]) -> None:
    """As `assign`, where the stretches to choose from are known.

    Args:
        ranges: Source tokens `[start, end)` of each span.
        choices: For each span, best first; the first `ALTERNATIVES` are considered.
        best: The best stretch of each by itself; changed in place.
    """
    for cluster in conflicts(ranges, best):
        _settle(cluster, ranges, [choices[n][:ALTERNATIVES] for n in cluster], best)


def conflicts(ranges: Sequence[Range], best: Sequence[Stretch | None]) -> list[list[int]]:
    """Groups of spans that are connected by overlapping on the target only; large ones in parts."""
    order = sorted((stretch.start, n) for n, stretch in enumerate(best) if stretch is not None)
    root = list(range(len(best)))

    def find(n: int) -> int:
        while root[n] != n:
            n = root[n]
        return n

    active: list[int] = []
    clash = False
    for start, n in order:
        active = [m for m in active if best[m].end > start]  # type: ignore[union-attr]
        for m in active:
            if not _overlap(ranges[m], ranges[n]):
                root[find(n)] = find(m)
                clash = True
        active.append(n)
    if not clash:
        return []
    groups: dict[int, list[int]] = {}
    for n in range(len(best)):
        groups.setdefault(find(n), []).append(n)
    parts = [group[k : k + MAX_TOGETHER] for group in groups.values() for k in range(0, len(group), MAX_TOGETHER)]
    return [part for part in parts if len(part) > 1]


def _settle(
    cluster: Sequence[int],
    ranges: Sequence[Range],
    choices: Sequence[Sequence[Stretch]],
    best: list[Stretch | None],
) -> None:
    picks = _search([ranges[n] for n in cluster], choices)
    for n, stretch in zip(cluster, picks, strict=True):
        if stretch is not None:
            best[n] = stretch


def _choices(links: SpanLinks | None, rivals: Sequence[Stretch | None]) -> list[Stretch]:
    """The best stretches of a span, and the best ones before and after each of its rivals, best first."""
    if links is None:
        return []
    choices = set(links.stretches(ALTERNATIVES))
    end = links.start + len(links.inside)
    for rival in rivals:
        if rival is not None and len(links.inside) > ALTERNATIVES:
            for clipped in (links.within(links.start, rival.start), links.within(rival.end, end)):
                if clipped is not None:
                    choices.add(clipped)
    return sorted(choices, key=lambda stretch: (-stretch.total, stretch.start, stretch.end))


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two ranges, or stretches, have a token in common."""
    return a[0] < b[1] and b[0] < a[1]


def _fits(k: int, stretch: Stretch, pick: Sequence[Stretch | None], ranges: Sequence[Range]) -> bool:
    """Whether span `k` may have a stretch beside those that others have already."""
    return not any(
        other is not None and _overlap(other, stretch) and not _overlap(ranges[m], ranges[k])
        for m, other in enumerate(pick)
    )


def _search(ranges: Sequence[Range], choices: Sequence[Sequence[Stretch]]) -> list[Stretch | None]:
    """Branch and bound over one stretch, or none, for each span; the greedy solution where that takes too long."""
    n = len(choices)
    bound = [0.0] * (n + 1)
    for k in range(n - 1, -1, -1):
        bound[k] = bound[k + 1] + max((stretch.total for stretch in choices[k]), default=0.0)
    best_total, best_pick = _greedy(ranges, choices)
    nodes = 0

    def descend(k: int, total: float, pick: list[Stretch | None]) -> None:
        nonlocal best_total, best_pick, nodes
        nodes += 1
        if k == n:
            if total > best_total + 1e-9:
                best_total, best_pick = total, list(pick)
            return
        if nodes > MAX_NODES or total + bound[k] <= best_total + 1e-9:
            return
        for stretch in choices[k]:
            if stretch.total > 0.0 and _fits(k, stretch, pick, ranges):
                descend(k + 1, total + stretch.total, [*pick, stretch])
        descend(k + 1, total, [*pick, None])

    descend(0, 0.0, [])
    return best_pick


def _greedy(ranges: Sequence[Range], choices: Sequence[Sequence[Stretch]]) -> tuple[float, list[Stretch | None]]:
    """The stretch with the greatest total first, of each span the first that fits."""
    pick: list[Stretch | None] = [None] * len(choices)
    total = 0.0
    options = [(stretch.total, k, stretch) for k, stretches in enumerate(choices) for stretch in stretches]
    for gain, k, stretch in sorted(options, key=lambda option: (-option[0], option[1])):
        if gain > 0.0 and pick[k] is None and _fits(k, stretch, pick, ranges):
            pick[k] = stretch
            total += gain
    return total, pick
