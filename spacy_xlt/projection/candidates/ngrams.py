"""Places of the target that may be a span's: all n-grams up to a length, those with the best links first."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from itertools import accumulate

from ..boundaries import is_symbol
from ..evidence import FOREIGN
from ..spanwise import Search
from ..unlinked import same_spelling

# What a token without links costs: little, so that links decide, and enough for the shorter of two places to win.
UNLINKED = 0.1
# What one token more or less than the source span has costs where links don't decide.
LENGTH = 0.02
# Of spans longer than this only the places near the best one by links are looked at: so many tokens to each side.
LONG, AROUND = 20, 6

Range = tuple[int, int]


def gains(search: Search) -> list[float]:
    """What links say about each target token of the span's sentence: the strongest link from the span, less the
    strongest one from elsewhere."""
    evidence = search.work.evidence
    extra = dict(same_spelling(search.work.bitext, evidence, (search.start, search.end)))
    found = []
    for j in range(search.low, search.high):
        own, foreign = extra.get(j, 0.0), 0.0
        for i, weight in evidence.columns.get(j, ()):
            if search.start <= i < search.end:
                own = max(own, weight)
            else:
                foreign = max(foreign, weight)
        found.append(own - FOREIGN * foreign if own or foreign else -UNLINKED)
    return found


def linked(strengths: Sequence[float]) -> bool:
    """Whether links say anything for a span: some token has more for it than against."""
    return any(strength > 0 for strength in strengths)


def candidates(search: Search, *, pool: int, length_ratio: float) -> list[tuple[Range, float]]:
    """The places that are most likely by links, at most `pool`, with what the links say for each.

    Places of up to `length_ratio` times the tokens of the span, and one more, that do not begin or end with
    punctuation unless the span does. Where no link speaks for any of them, all of them.

    RETURNS (list[tuple[Range, float]]): Target tokens and evidence, the best first. The evidence is the sum of the
        gains of the tokens over that of the best place: 1 for the best, below 0 where links speak against a place.
        Without links it is 1 for all.
    """
    strengths = gains(search)
    has_links = linked(strengths)
    totals = [0.0, *accumulate(strengths)]
    target, source = search.work.bitext.target, search.work.bitext.source
    symbols = [is_symbol(target[j].text) for j in range(search.low, search.high)]
    opens, closes = is_symbol(source[search.start].text), is_symbol(source[search.end - 1].text)
    longest = int(length_ratio * search.length) + 1
    starts, ends = _near(search, totals, has_links=has_links)
    found = []
    for first in starts:
        if symbols[first] and not opens:
            continue
        for last in ends:
            if not first < last <= first + longest or (symbols[last - 1] and not closes):
                continue
            gain = totals[last] - totals[first] if has_links else 1.0
            found.append((gain - LENGTH * abs(last - first - search.length), gain, first, last))
    best = nlargest(pool if has_links else len(found), found, key=lambda item: (item[0], -item[2], -item[3]))
    top = max((gain for _, gain, _, _ in best), default=0.0)
    scale = top if top > 0 else 1.0
    return [((search.low + first, search.low + last), gain / scale) for _, gain, first, last in best]


def _near(search: Search, totals: Sequence[float], *, has_links: bool) -> tuple[range, range]:
    """Where places may begin and end: everywhere; of a long span near the ends of the best place by links, or of the
    same part of the sentence."""
    n = search.high - search.low
    if search.length <= LONG:
        return range(n), range(1, n + 1)
    if has_links:
        first, last = _best(totals)
    else:
        scale = n / max(1, search.source_high - search.source_low)
        first, last = (round(scale * (i - search.source_low)) for i in (search.start, search.end))
    return (
        range(max(0, first - AROUND), min(n, first + AROUND + 1)),
        range(max(1, last - AROUND), min(n, last + AROUND) + 1),
    )


def _best(totals: Sequence[float]) -> Range:
    """The place with the greatest gain, from the sums of the gains before each token."""
    lowest, best = 0, (float("-inf"), 0, 0)
    for last in range(1, len(totals)):
        if totals[last - 1] < totals[lowest]:
            lowest = last - 1
        if totals[last] - totals[lowest] > best[0]:
            best = totals[last] - totals[lowest], lowest, last
    return best[1], best[2]
