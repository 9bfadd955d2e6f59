"""What word links say about where a span went: a gain for each target token, and stretches with a great total."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from functools import cached_property, lru_cache
from heapq import nlargest
from typing import NamedTuple

from ...bitext import Bitext, SentencePair
from ...tokens import is_symbol
from .constants import FOREIGN, GAP, LONG, PARTICLE, POSITION, POSITION_RATIO, SPELLING


class Stretch(NamedTuple):
    """A run of target tokens `[start, end)` and the total of their gains."""

    start: int
    end: int
    total: float


class SpanLinks(NamedTuple):
    """What the links say about one source span.

    Attributes:
        start: First target token that is linked to the span.
        inside: For the tokens from the first to the last linked one, the strongest link from the span.
        outside: The same for links from elsewhere.
    """

    start: int
    inside: list[float]
    outside: list[float]

    def gains(self) -> list[float]:
        """What each token adds to a stretch it belongs to."""
        return [_gain(inside, outside) for inside, outside in zip(self.inside, self.outside, strict=True)]

    def best(self) -> Stretch:
        """The stretch with the greatest total (Kadane's algorithm), or the best single token where none is positive."""
        total = best = 0.0
        start = best_start = best_end = 0
        for i, (inside, outside) in enumerate(zip(self.inside, self.outside, strict=True)):
            if total <= 0.0:
                start, total = i, 0.0
            total += _gain(inside, outside)
            if total > best:
                best, best_start, best_end = total, start, i + 1
        if best > 0.0:
            return Stretch(self.start + best_start, self.start + best_end, best)
        # Nothing but words that others claim more: the one that is lost least
        i = max(range(len(self.inside)), key=lambda i: (self.inside[i] > 0, self.inside[i] - self.outside[i]))
        return Stretch(self.start + i, self.start + i + 1, self.inside[i] - self.outside[i])

    def stretches(self, limit: int) -> list[Stretch]:
        """The stretches that begin and end at linked tokens and have the greatest totals, best first.

        Of a span with more linked tokens than twice `limit`, the best one only: there would be too many.
        """
        linked = [i for i, weight in enumerate(self.inside) if weight > 0.0]
        if len(linked) > 2 * limit:
            return [self.best()]
        gains, stretches = self.gains(), []
        for n, first in enumerate(linked):
            total, position = 0.0, first
            for last in linked[n:]:
                total += sum(gains[position : last + 1])
                position = last + 1
                stretches.append(Stretch(self.start + first, self.start + last + 1, total))
        return nlargest(limit, stretches, key=lambda stretch: stretch.total)

    def within(self, start: int, end: int) -> Stretch | None:
        """The best stretch inside target tokens `[start, end)`; None where nothing there speaks for the span."""
        low, high = max(start - self.start, 0), max(end - self.start, 0)
        if not any(weight > 0.0 for weight in self.inside[low:high]):
            return None
        return SpanLinks(self.start + low, self.inside[low:high], self.outside[low:high]).best()


class LinkIndex:
    """The links, words and sentences of a bitext, read once, to be asked about spans.

    Args:
        bitext: The bitext. Its weak links are used where the aligner gave them. Scores above 1 are scaled down to 1,
            others must not be negative.

    Raises:
        XltError: E002 for links outside the docs.
    """

    def __init__(self, bitext: Bitext):
        self.bitext = bitext
        alignment = bitext.alignment.check(len(bitext.source), len(bitext.target))
        alignment = alignment if alignment.weak_links is None else alignment.weak_links
        self.link_sources: list[int] = alignment.links[:, 0].tolist()
        self.link_targets: list[int] = alignment.links[:, 1].tolist()
        self.weights: list[float] = alignment.scores.tolist()
        top = max(self.weights, default=0.0)
        if top > 1.0:
            self.weights = [weight / top for weight in self.weights]
        columns: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for i, j, weight in zip(self.link_sources, self.link_targets, self.weights, strict=True):
            columns[j].append((i, weight))
        # A plain one, which has no new keys when it is asked for others
        self.columns: dict[int, list[tuple[int, float]]] = dict(columns)

    @cached_property
    def source_words(self) -> list[str]:
        return [token.text for token in self.bitext.source]

    @cached_property
    def target_words(self) -> list[str]:
        return [token.text for token in self.bitext.target]

    @cached_property
    def _pair_of(self) -> list[int]:
        """For each source token the first sentence pair that it is in, or -1."""
        pair_of = [-1] * len(self.bitext.source)
        for n in range(len(self.bitext.sentences) - 1, -1, -1):
            pair = self.bitext.sentences[n]
            pair_of[pair.source_start : pair.source_end] = [n] * (pair.source_end - pair.source_start)
        return pair_of

    def sentence_of(self, i: int) -> SentencePair:
        """The sentence pair that source token `i` is in; both docs as one pair where it is in none."""
        n = self._pair_of[i] if 0 <= i < len(self._pair_of) else -1
        if n >= 0:
            return self.bitext.sentences[n]
        return SentencePair(0, len(self.bitext.source), 0, len(self.bitext.target))

    def links_of(self, start: int, end: int) -> range:
        """Which links come from source tokens `[start, end)`: indices of `link_targets` and `weights`."""
        first = bisect_left(self.link_sources, start)
        return range(first, bisect_left(self.link_sources, end, lo=first))

    def is_linked(self, i: int) -> bool:
        """Whether source token `i` has a link."""
        return len(self.links_of(i, i + 1)) > 0

    def span_links(self, start: int, end: int, *, spelling: bool = False) -> SpanLinks | None:
        """What the links say about source tokens `[start, end)`; None where there is no link.

        `spelling`: let words of the span without links count as linked to words that are spelled the same.
        """
        inside: dict[int, float] = {}
        for k in self.links_of(start, end):
            j, weight = self.link_targets[k], self.weights[k]
            if weight > inside.get(j, 0.0):
                inside[j] = weight
        if spelling:
            inside.update(dict.fromkeys(self.same_spelling(start, end), SPELLING))
        if not inside:
            return None
        first, last = min(inside), max(inside)
        outside = []
        for j in range(first, last + 1):
            foreign = 0.0
            for i, weight in self.columns.get(j, ()):
                if weight > foreign and not start <= i < end:
                    foreign = weight
            outside.append(foreign)
        return SpanLinks(first, [inside.get(j, 0.0) for j in range(first, last + 1)], outside)

    def same_spelling(self, start: int, end: int) -> list[int]:
        """Target words without links that are spelled as words without links of a source span, in the same sentence.

        Particles and punctuation do not count.
        """
        words = {
            word.lower()
            for i, word in enumerate(self.source_words[start:end], start)
            if not self.is_linked(i) and not is_particle(word) and not is_symbol(word)
        }
        if not words:
            return []
        low, high = self.sentence_of(start).target_start, self.sentence_of(end - 1).target_end
        places = [self._unlinked.get(word, []) for word in words]
        if high - low > LONG:
            # There a word may well be again and again: the place that is nearest to where the words beside it lead
            places = [_nearest(found, self.leads_to(start)) for found in places]
        return sorted(j for found in places for j in found[bisect_left(found, low) : bisect_left(found, high)])

    def leads_to(self, i: int) -> int:
        """About where source token `i` went, or would have gone: between the targets of the links beside it."""
        k = bisect_left(self.link_sources, i)
        beside = self.link_targets[max(0, k - 1) : k + 1] or [self.sentence_of(i).target_start]
        return sum(beside) // len(beside)

    @cached_property
    def _unlinked(self) -> dict[str, list[int]]:
        """Where in the target each word, in lower case, stands without a link."""
        places: dict[str, list[int]] = {}
        for j, word in enumerate(self.target_words):
            if j not in self.columns:
                places.setdefault(word.lower(), []).append(j)
        return places

    def between_neighbours(self, start: int, end: int) -> Stretch | None:
        """The unlinked target words between the links of the words beside a source span.

        Returns:
            None where the neighbours' links are not in order, or there are more words between them than a translation
            of the span would have, or none but punctuation.
        """
        pair = self.sentence_of(start)
        if not pair.source_start <= end - 1 < pair.source_end:
            return None
        # Words beside the span may have no link either, and theirs would then be in the same gap
        left, right = start - 1, end
        if left >= pair.source_start and not self.is_linked(left):
            return None
        if right < pair.source_end and not self.is_linked(right):
            return None
        low, high = pair.target
        if left >= pair.source_start:
            low = max(self.link_targets[k] for k in self.links_of(left, left + 1)) + 1
        if right < pair.source_end:
            high = min(self.link_targets[k] for k in self.links_of(right, right + 1))
        if any(j in self.columns for j in range(low, high)):
            return None
        while low < high and is_symbol(self.target_words[low]):
            low += 1
        while low < high and is_symbol(self.target_words[high - 1]):
            high -= 1
        fits = 0 < high - low <= POSITION_RATIO * (end - start) + 1
        return Stretch(low, high, POSITION) if fits else None

    def links_to(self, i: int) -> list[tuple[int, float]]:
        """Where source token `i` leads: target tokens and weights."""
        return [(self.link_targets[k], self.weights[k]) for k in self.links_of(i, i + 1)]

    def best_source(self, j: int) -> int | None:
        """The source token that target token `j` is linked to most; None without links."""
        if j not in self.columns:
            return None
        return max(self.columns[j], key=lambda link: link[1])[0]

    def weight(self, i: int, j: int) -> float:
        """The weight of a link, 0 where there is none."""
        return max((weight for source, weight in self.columns.get(j, ()) if source == i), default=0.0)

    def strongest(self, j: int, start: int, end: int) -> tuple[float, float]:
        """The strongest link of target token `j` to source tokens `[start, end)`, and to others; 0 without links."""
        inside = outside = 0.0
        for i, weight in self.columns.get(j, ()):
            if start <= i < end:
                inside = max(inside, weight)
            else:
                outside = max(outside, weight)
        return inside, outside


@lru_cache(maxsize=1 << 16)
def is_particle(text: str) -> bool:
    """Whether a word looks like an article, a preposition or a conjunction: short and in lower case.

    Scripts without case, where this says nothing, have none.
    """
    return len(text) <= PARTICLE and text.isalpha() and text.islower()


def _gain(inside: float, outside: float) -> float:
    gain = inside - FOREIGN * outside
    if gain > 0.0:
        return gain
    return gain if gain < -GAP else -GAP


def _nearest(places: list[int], middle: int) -> list[int]:
    """The one of ascending places that is nearest to another."""
    behind = bisect_left(places, middle)
    return sorted(places[max(0, behind - 1) : behind + 1], key=lambda j: abs(j - middle))[:1]
