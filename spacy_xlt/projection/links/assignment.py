"""Placing several spans, so that no two that are apart in the source have the same target words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .evidence import Stretch

Range = tuple[int, int]


def settle(
    ranges: Sequence[Range],
    best: Sequence[Stretch | None],
    sureness: Callable[[int], float],
    elsewhere: Callable[[int, list[Stretch]], Stretch | None],
    *,
    may_share: bool = True,
) -> list[Stretch | None]:
    """Move spans whose best places overlap although the spans themselves do not, the surest span first.

    Args:
        ranges: Source tokens `[start, end)` of each span.
        best: The best place of each by itself.
        sureness: How sure a span's best place is.
        elsewhere: The best place of a span that has no word in common with others, or None.
        may_share: Whether a span for which nothing is left keeps its best place, and overlaps; else it has none.

    Returns:
        The places.
    """
    result = list(best)
    clashing = {n for pair in conflicts(ranges, best) for n in pair}
    if not clashing:
        return result
    placed = [n for n in range(len(ranges)) if n not in clashing]
    for n in sorted(clashing, key=lambda n: (-sureness(n), n)):
        others = [result[m] for m in placed if not overlap(ranges[m], ranges[n])]
        taken = [other for other in others if other is not None]
        if any(overlap(other, result[n]) for other in taken):  # type: ignore[arg-type]
            result[n] = elsewhere(n, taken) or (result[n] if may_share else None)
        placed.append(n)
    return result


def settle_choices(
    ranges: Sequence[Range], choices: Sequence[Sequence[Stretch]], *, may_share: bool = True
) -> list[Stretch | None]:
    """The same where each span has a list of places, the best first; None for a span without any."""

    def elsewhere(n: int, taken: list[Stretch]) -> Stretch | None:
        return next((choice for choice in choices[n] if not any(overlap(choice, other) for other in taken)), None)

    best = [of_span[0] if of_span else None for of_span in choices]
    return settle(ranges, best, lambda n: choices[n][0].total, elsewhere, may_share=may_share)


def conflicts(ranges: Sequence[Range], best: Sequence[Stretch | None]) -> list[Range]:
    """Pairs of spans that have words in common on the target only."""
    active: list[int] = []
    pairs = []
    for start, n in sorted((stretch.start, n) for n, stretch in enumerate(best) if stretch is not None):
        active = [m for m in active if best[m].end > start]  # type: ignore[union-attr]
        pairs += [(m, n) for m in active if not overlap(ranges[m], ranges[n])]
        active.append(n)
    return pairs


def overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two ranges, or places, have a token in common."""
    return a[0] < b[1] and b[0] < a[1]
