"""Placing several spans together, so that no two that are apart in the source claim the same target words."""

from __future__ import annotations

from collections.abc import Sequence

from .evidence import Claim, Stretch

# Alternatives considered for each span of a conflict.
CANDIDATES = 12
# Partial placements looked at for one conflict before the best one so far is taken.
NODES = 4000


def assign(ranges: Sequence[tuple[int, int]], claims: Sequence[Claim | None], best: list[Stretch | None]) -> None:
    """Move spans whose best stretches overlap although the spans themselves do not, so that the sum of totals of all
    spans in the conflict is greatest. A span for which nothing is left keeps its best stretch, and overlaps.

    ranges (Sequence[tuple[int, int]]): Source tokens `[start, end)` of each span.
    claims (Sequence[Claim | None]): What their links say.
    best (list[Stretch | None]): The best stretch of each by itself; changed in place.
    """
    for cluster in conflicts(ranges, best):
        choices = [_choices(claims[n], [best[m] for m in cluster if m != n]) for n in cluster]
        _settle(cluster, ranges, choices, best)


def assign_choices(
    ranges: Sequence[tuple[int, int]], choices: Sequence[Sequence[Stretch]], best: list[Stretch | None]
) -> None:
    """The same where the stretches to choose from are known: the spans of a conflict get those with the greatest sum.

    choices (Sequence[Sequence[Stretch]]): For each span, best first; the first `CANDIDATES` are considered.
    best (list[Stretch | None]): The best stretch of each by itself; changed in place.
    """
    for cluster in conflicts(ranges, best):
        _settle(cluster, ranges, [choices[n][:CANDIDATES] for n in cluster], best)


def _settle(
    cluster: Sequence[int],
    ranges: Sequence[tuple[int, int]],
    choices: Sequence[Sequence[Stretch]],
    best: list[Stretch | None],
) -> None:
    found = _search([ranges[n] for n in cluster], choices)
    for n, stretch in zip(cluster, found, strict=True):
        if stretch is not None:
            best[n] = stretch


def _choices(claim: Claim | None, rivals: Sequence[Stretch | None]) -> list[Stretch]:
    """The best stretches of a span, and the best ones before and after each of its rivals, best first."""
    if claim is None:
        return []
    found = set(claim.stretches(CANDIDATES))
    end = claim.start + len(claim.inside)
    for rival in rivals:
        if rival is not None and len(claim.inside) > CANDIDATES:
            for clipped in (claim.within(claim.start, rival.start), claim.within(rival.end, end)):
                if clipped is not None:
                    found.add(clipped)
    return sorted(found, key=lambda stretch: (-stretch.total, stretch.start, stretch.end))


def conflicts(ranges: Sequence[tuple[int, int]], best: Sequence[Stretch | None]) -> list[list[int]]:
    """Groups of spans that are connected by overlapping on the target only."""
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
    return [group for group in groups.values() if len(group) > 1]


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _search(ranges: Sequence[tuple[int, int]], choices: Sequence[Sequence[Stretch]]) -> list[Stretch | None]:
    """Branch and bound over one stretch, or none, for each span; the greedy solution where that takes too long."""
    n = len(choices)
    bound = [0.0] * (n + 1)
    for k in range(n - 1, -1, -1):
        bound[k] = bound[k + 1] + max((stretch.total for stretch in choices[k]), default=0.0)
    best_total, best_pick = _greedy(ranges, choices)
    nodes = 0

    def fits(k: int, stretch: Stretch, pick: list[Stretch | None]) -> bool:
        for m, other in enumerate(pick):
            if other is not None and other.start < stretch.end and stretch.start < other.end:
                if not _overlap(ranges[m], ranges[k]):
                    return False
        return True

    def descend(k: int, total: float, pick: list[Stretch | None]) -> None:
        nonlocal best_total, best_pick, nodes
        nodes += 1
        if k == n:
            if total > best_total + 1e-9:
                best_total, best_pick = total, list(pick)
            return
        if nodes > NODES or total + bound[k] <= best_total + 1e-9:
            return
        for stretch in choices[k]:
            if stretch.total > 0.0 and fits(k, stretch, pick):
                descend(k + 1, total + stretch.total, [*pick, stretch])
        descend(k + 1, total, [*pick, None])

    descend(0, 0.0, [])
    return best_pick


def _greedy(
    ranges: Sequence[tuple[int, int]], choices: Sequence[Sequence[Stretch]]
) -> tuple[float, list[Stretch | None]]:
    pick: list[Stretch | None] = [None] * len(choices)
    total = 0.0
    options = [(stretch.total, k, stretch) for k, stretches in enumerate(choices) for stretch in stretches]
    for gain, k, stretch in sorted(options, key=lambda option: (-option[0], option[1])):
        if gain <= 0.0 or pick[k] is not None:
            continue
        clash = any(
            other is not None
            and other.start < stretch.end
            and stretch.start < other.end
            and not _overlap(ranges[m], ranges[k])
            for m, other in enumerate(pick)
        )
        if not clash:
            pick[k] = stretch
            total += gain
    return total, pick
