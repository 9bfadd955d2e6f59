"""Scores of all places that a span may have in the target.

A place is scored as in a semi-Markov model (Sarawagi & Cohen 2004): each token in it adds something, and so do its two
ends, so that the best place and the probability of each are found in time linear in the tokens. The weights of the
features are learned from texts with gold on both sides (`benchmarks/fit_projector.py`), the same for all languages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ...device import batches_by_length
from .assignment import Range
from .evidence import LinkIndex, Stretch
from .features import Features, Floats, Ints, Spans, Texts, features_of

Doubles = NDArray[np.float64]

# Tokens of several spans that are scored at once
_COLUMNS = 1 << 14
# Added to what speaks for a place that would end where it may not
_BOUND = -20.0
_NEVER = -1e9


@dataclass(slots=True)
class Places:
    """All places that one span may have.

    Attributes:
        best: The best of them, or where the span is moved to.
        probability: Its probability, from 0 to 1.
        score: How sure it is, from 0 to 1: see `LinkProjector`.
        low: The first target token that a place may have.
        starts: What speaks for a place that begins with each token, less the sum of the tokens before it: (n_tokens,).
        ends: What speaks for one that ends with it, and the sum up to it.
        enclosed: See `Features`.
        links: Likewise.
        total: The logarithm of the sum over all places of the exponential of what speaks for each.
    """

    best: Stretch
    probability: float
    score: float
    low: int
    starts: Doubles
    ends: Doubles
    enclosed: Ints
    links: Floats
    total: float

    def weight(self, start: int, end: int) -> float:
        """The sum over target tokens `[start, end)` of their strongest links to the span."""
        return float(self.links[0, start - self.low : end - self.low].sum())

    def move(self, start: int, end: int) -> None:
        """Take target tokens `[start, end)` for the best place."""
        first, last = start - self.low, end - 1 - self.low
        best = Stretch(start, end, float(self.starts[first] + self.ends[last]))
        if best[:2] != self.best[:2]:
            self.probability = float(np.exp(min(0.0, best.total - self.total)))
            self.score, self.best = self.score_of(best), best

    def score_of(self, place: Stretch) -> float:
        """How sure any place is, from 0 to 1."""
        if place is self.best:
            return self.score
        probability = np.exp(min(0.0, place.total - self.total))
        first, last = np.asarray([[place.start], [place.end - 1]]) - self.low
        return float(_scores(probability, self.links, first, last, np.asarray([0, len(self.starts)]))[0])

    def score_at(self, start: int, end: int) -> float:
        """How sure it is that target tokens `[start, end)` are the place, from 0 to 1; 0 where no links reach."""
        if (start, end) == self.best[:2]:
            return self.score
        if start < self.low or end > self.low + len(self.starts):
            return 0.0
        total = self.starts[start - self.low] + self.ends[end - 1 - self.low]
        return self.score_of(Stretch(start, end, float(total)))

    def within(self, start: int, end: int) -> Stretch | None:
        """The best place in target tokens `[start, end)`; None where there are no links."""
        low, high = max(start - self.low, 0), min(end - self.low, len(self.starts))
        if low >= high or not self.links[0, low:high].any():
            return None
        best: Stretch | None = None
        starts, ends, (before, behind) = self.starts[low:high], self.ends[low:high], self.enclosed[:, low:high]
        # A place never ends inside a bracket or a quotation that it opens
        for pair in set(before.tolist()) & set(behind.tolist()):
            opening, closing = np.where(before == pair, starts, _NEVER), np.where(behind == pair, ends, _NEVER)
            totals = np.maximum.accumulate(opening) + closing
            last = int(totals.argmax())
            first = int(opening[: last + 1].argmax())
            if totals[last] > _NEVER / 2 and (best is None or totals[last] > best.total):
                best = Stretch(self.low + low + first, self.low + low + last + 1, float(totals[last]))
        return best

    def elsewhere(self, taken: Sequence[Stretch]) -> Stretch | None:
        """The best place that has a link and no token in common with others; None where there is none."""
        end = self.low + len(self.starts)
        position, options = self.low, []
        for other in (*sorted(taken), Stretch(end, end, 0.0)):
            option = self.within(position, other.start)
            if option is not None and self.weight(option.start, option.end) > 0:
                options.append(option)
            position = max(position, other.end)
        return max(options, key=lambda option: option.total, default=None)


def score_places(indices: Sequence[LinkIndex], ranges: Sequence[Sequence[Range]]) -> list[list[Places | None]]:
    """Score the places of the spans of several bitexts.

    Args:
        indices: The bitexts.
        ranges: For each of them source tokens `[start, end)` of its spans.

    Returns:
        For each bitext and span all its places; None for a span without links.
    """
    result: list[list[Places | None]] = [[None] * len(of_bitext) for of_bitext in ranges]
    texts = Texts(indices, ranges) if any(ranges) else None
    if texts is None or not texts.origins:
        return result
    spans = texts.spans
    is_scored = np.asarray([index.is_scored for index in indices])[spans.bitext]
    for kind in ("scored", "unscored"):
        which = np.flatnonzero(is_scored == (kind == "scored"))
        for batch in batches_by_length((spans.high - spans.low)[which].tolist(), batch_tokens=_COLUMNS):
            chosen = spans.chosen(which[batch])
            for n, places in zip(which[batch].tolist(), _places(chosen, features_of(texts, chosen), kind), strict=True):
                bitext, k = texts.origins[n]
                result[bitext][k] = places
    return result


@cache
def weights() -> dict[str, dict[str, Floats]]:
    """The learned weights: for links with scores and without, of `inside`, `starts` and `ends` of `Features`.

    Each has two rows, (2, n_features): the weights for all spans, and what is added for clauses.
    """
    stored = json.loads(files(__package__).joinpath("weights.json").read_text("utf8"))
    return {kind: {name: np.asarray(rows, np.float32) for name, rows in of.items()} for kind, of in stored.items()}


def _places(spans: Spans, features: Features, kind: str) -> Iterator[Places]:
    """The places of each span, from its features."""
    inside, starts, ends = (
        general @ getattr(features, name) + features.clause * (of_clauses @ getattr(features, name))
        for name, (general, of_clauses) in weights()[kind].items()
    )
    sizes = spans.high - spans.low
    in_window = np.arange(int(sizes.max())) < sizes[:, None]

    def padded(values: Floats, fill: float) -> Doubles:
        block = np.full(in_window.shape, fill)
        block[in_window] = values
        return block

    sums = np.cumsum(padded(inside, 0.0), axis=1)
    before = np.concatenate([np.zeros((len(sums), 1)), sums[:, :-1]], axis=1)
    opening = padded(starts + _BOUND * features.bound[0], _NEVER) - before
    closing = padded(ends + _BOUND * features.bound[1], _NEVER) + sums
    reached = np.maximum.accumulate(opening, axis=1)
    totals = reached + closing
    last = totals.argmax(axis=1)
    chosen = np.arange(len(totals))
    # The first of equal ones, as the running maximum is reached there
    first = (reached == reached[chosen, last][:, None]).argmax(axis=1)
    best = totals[chosen, last]
    total = np.maximum(best, _partition(opening, closing))
    probability = np.exp(np.minimum(0.0, best - total))
    scores = _scores(probability, features.links, first, last, features.first)
    enclosed, column = features.enclosed, features.first[:-1]
    balanced = enclosed[0, column + first] == enclosed[1, column + last]
    rows = zip(
        *(
            array.tolist()
            for array in (spans.low, sizes, column, first, last, best, probability, scores, total, balanced)
        ),
        strict=True,
    )
    for n, (low, size, k, a, b, value, sure, score, of_all, is_balanced) in enumerate(rows):
        arrays = opening[n, :size], closing[n, :size], enclosed[:, k : k + size], features.links[:, k : k + size]
        places = Places(Stretch(low + a, low + b + 1, value), sure, score, low, *arrays, of_all)
        other = None if is_balanced else places.within(low, low + size)
        if other is not None:
            places.move(other.start, other.end)
        yield places


def _partition(opening: Doubles, closing: Doubles) -> Doubles:
    """The logarithm of the sum over all places of the exponential of what speaks for each: (n_spans,)."""
    highest = opening.max(axis=1, keepdims=True), closing.max(axis=1, keepdims=True)
    begun = np.cumsum(np.exp(opening - highest[0]), axis=1)
    # No place is left over only where all are far below both maxima
    with np.errstate(divide="ignore"):
        return np.log((begun * np.exp(closing - highest[1])).sum(axis=1)) + highest[0][:, 0] + highest[1][:, 0]


def _scores(probability: Doubles, links: Floats, first: Ints, last: Ints, column: Ints) -> Doubles:
    """How sure places are: the geometric mean of their probability and of the share of link weight for them.

    Args:
        probability: Of each place: (n_places,).
        links: See `Features`.
        first: The first token of each place, counted from the first column of its span.
        last: Its last one.
        column: The first column of each span, and behind those of the last: (n_places + 1,).
    """
    own, foreign = np.concatenate([np.zeros((2, 1)), np.cumsum(links, axis=1, dtype=np.float64)], axis=1)
    start, end = column[:-1] + first, column[:-1] + last + 1
    weight = own[end] - own[start]
    against = own[column[1:]] - own[column[:-1]] - weight + foreign[end] - foreign[start]
    strongest = np.maximum.reduceat(np.append(links[0], 0), np.stack([start, end], axis=1).ravel())[::2]
    share = strongest * weight / np.maximum(weight + against, 1e-12)
    return np.round(np.sqrt(np.clip(probability * share, 0.0, 1.0)), 4)
