"""The links of a bitext, to be asked about spans."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import LOWER

from ...bitext import Bitext, SentencePair
from ...tokens import is_symbol

# The weight of a link between words that have no other and are spelled the same
SPELLING = 0.5
# The score of a place that only the links of the neighbours point at
POSITION = 0.25
# How many times longer than the span, and one more, such a place may be, in tokens
POSITION_RATIO = 2


class Stretch(NamedTuple):
    """A run of target tokens `[start, end)` and what speaks for it."""

    start: int
    end: int
    total: float


class LinkIndex:
    """The links, words and sentences of a bitext, read once, to be asked about spans.

    Words of a sentence that have no link and are spelled the same on both sides are linked, in order.

    Args:
        bitext: The bitext. Its weak links are used where the aligner gave them. Scores above 1 are scaled down to 1,
            and a link with a score of 0 or less counts for none.

    Attributes:
        sources: The source token of each link, in order: int64, (n_links,).
        targets: Its target token.
        strengths: Its weight: float32.
        is_scored: Whether the aligner gave scores; without, all are 1.

    Raises:
        XltError: E002 for links outside the docs.
    """

    def __init__(self, bitext: Bitext):
        self.bitext = bitext
        alignment = bitext.alignment.check(len(bitext.source), len(bitext.target))
        alignment = alignment if alignment.weak_links is None else alignment.weak_links
        weighs = alignment.scores > 0
        self.sources, self.targets = alignment.links[weighs].T.astype(np.int64)
        self.strengths = alignment.scores[weighs]
        self.is_scored = bool((self.strengths != 1.0).any())
        top = self.strengths.max(initial=0.0)
        if top > 1.0:
            self.strengths = self.strengths / top
        pairs = self._same_spelling()
        if pairs:
            # Sources of these pairs have no other link, so that their order is that of all links
            new = np.asarray(sorted(pairs), np.int64).T
            places = np.searchsorted(self.sources, new[0])
            self.sources, self.targets = np.insert(np.stack([self.sources, self.targets]), places, new, axis=1)
            self.strengths = np.insert(self.strengths, places, SPELLING)

    # The same as lists, which are faster for a single span
    @cached_property
    def link_sources(self) -> list[int]:
        return self.sources.tolist()

    @cached_property
    def link_targets(self) -> list[int]:
        return self.targets.tolist()

    @cached_property
    def weights(self) -> list[float]:
        return self.strengths.tolist()

    @cached_property
    def columns(self) -> dict[int, list[tuple[int, float]]]:
        """For each target token that has links, its source tokens and their weights."""
        columns: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for i, j, weight in zip(self.link_sources, self.link_targets, self.weights, strict=True):
            columns[j].append((i, weight))
        # A plain one, which has no new keys when it is asked for others
        return dict(columns)

    @cached_property
    def source_words(self) -> list[str]:
        return [token.text for token in self.bitext.source]

    @cached_property
    def target_words(self) -> list[str]:
        return [token.text for token in self.bitext.target]

    def _same_spelling(self) -> list[tuple[int, int]]:
        """Pairs of words of a sentence without links that are spelled the same, but for function words and symbols."""
        source, target = self.bitext.source, self.bitext.target
        free_source, free_target = _without(self.sources, len(source)), _without(self.targets, len(target))
        # Most words of the two languages are different: what is left is looked at one by one
        keys = source.to_array(LOWER)[free_source].tolist(), target.to_array(LOWER)[free_target].tolist()
        shared = set(keys[0]).intersection(keys[1])
        if not shared:
            return []
        pair_of_target = _pair_of([pair.target for pair in self.bitext.sentences], len(target))
        places: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for j, key in zip(free_target.tolist(), keys[1], strict=True):
            if key in shared:
                places[pair_of_target[j], target[j].text.lower()].append(j)
        free: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for i, key in zip(free_source.tolist(), keys[0], strict=True):
            if key not in shared:
                continue
            word = self._pair_of[i], source[i].text.lower()
            if word in places and not is_symbol(word[1]) and not source[i].is_stop:
                free[word].append(i)
        return [pair for word, here in free.items() for pair in zip(here, places[word], strict=False)]

    @cached_property
    def _pair_of(self) -> list[int]:
        """For each source token the first sentence pair that it is in, or -1."""
        return _pair_of([pair.source for pair in self.bitext.sentences], len(self.bitext.source))

    def sentence_of(self, i: int) -> SentencePair:
        """The sentence pair that source token `i` is in; both docs as one pair where it is in none."""
        n = self._pair_of[i] if 0 <= i < len(self._pair_of) else -1
        if n >= 0:
            return self.bitext.sentences[n]
        return SentencePair(0, len(self.bitext.source), 0, len(self.bitext.target))

    def sentences_of(self, start: int, end: int) -> SentencePair:
        """The sentence pair of source tokens `[start, end)`, or what reaches over those of the first and the last."""
        first = self.sentence_of(start)
        if end <= first.source_end:
            return first
        last = self.sentence_of(end - 1)
        return SentencePair(
            min(first.source_start, last.source_start),
            max(first.source_end, last.source_end),
            min(first.target_start, last.target_start),
            max(first.target_end, last.target_end),
        )

    def links_of(self, start: int, end: int) -> range:
        """Which links come from source tokens `[start, end)`: indices of `link_targets` and `weights`."""
        first = bisect_left(self.link_sources, start)
        return range(first, bisect_left(self.link_sources, end, lo=first))

    def is_linked(self, i: int) -> bool:
        """Whether source token `i` has a link."""
        return len(self.links_of(i, i + 1)) > 0

    def copy_of(self, start: int, end: int) -> tuple[int, int] | None:
        """The target tokens `[start, end)` that are the same words as a source span, linked to it one to one in order.

        Returns:
            None where there are no such, or other words are linked to them as well.
        """
        links = self.links_of(start, end)
        if len(links) != end - start:
            return None
        first, stop = self.link_targets[links.start], self.link_targets[links.start] + end - start
        is_in_order = (
            self.link_sources[links.start : links.stop] == list(range(start, end))
            and self.link_targets[links.start : links.stop] == list(range(first, stop))
            and self.source_words[start:end] == self.target_words[first:stop]
        )
        return (first, stop) if is_in_order and all(len(self.columns[j]) == 1 for j in range(first, stop)) else None

    def leads_to(self, i: int) -> int:
        """About where source token `i` went, or would have gone: between the targets of the links beside it."""
        k = bisect_left(self.link_sources, i)
        beside = self.link_targets[max(0, k - 1) : k + 1] or [self.sentence_of(i).target_start]
        return sum(beside) // len(beside)

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

    def strongest(self, j: int, start: int, end: int) -> tuple[float, float]:
        """The strongest link of target token `j` to source tokens `[start, end)`, and to others; 0 without links."""
        inside = outside = 0.0
        for i, weight in self.columns.get(j, ()):
            if start <= i < end:
                inside = max(inside, weight)
            else:
                outside = max(outside, weight)
        return inside, outside


def _pair_of(ranges: Sequence[tuple[int, int]], n_tokens: int) -> list[int]:
    """For each token the first range `[start, end)` that it is in, or -1."""
    pair_of = [-1] * n_tokens
    for n in range(len(ranges) - 1, -1, -1):
        start, end = ranges[n]
        pair_of[start:end] = [n] * (end - start)
    return pair_of


def _without(linked: NDArray[np.int64], n_tokens: int) -> NDArray[np.int64]:
    """The tokens that are not among the linked ones."""
    free = np.ones(n_tokens, bool)
    free[linked] = False
    return free.nonzero()[0]
