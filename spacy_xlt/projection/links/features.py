"""What is known of the tokens that a projected span may begin with, end with or have in it.

All of it comes from links, punctuation, brackets and the ends of sentences: nothing here knows a word or a letter of
any language. The arrays are over all spans of many bitexts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .assignment import Range
from .evidence import LinkIndex
from .words import read_words

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

# What a link from outside a span counts against one from inside
FOREIGN = 0.5
# What a token costs in a place that has no link, or links that cancel out
GAP = 0.02
# What a weight is measured by before its logarithm is taken
_EPSILON = 0.01
# No place begins or ends with a token that has a stronger link than this to other words, and none to the span
_OF_OTHERS = 0.5
# From about so many source tokens on, a span is a clause rather than a name
_CLAUSE = 7.0
# Besides its own length, how many tokens beyond its outermost links a place may reach
_MARGIN = 6


class Spans(NamedTuple):
    """Source spans and where to look for them: int64, (n_spans,) each.

    Attributes:
        bitext: Which bitext each is in.
        start: Its first source token; all tokens are counted in their documents.
        end: The one behind its last.
        source_low: The first source token of its sentence, or sentences.
        source_high: The one behind their last.
        target_low: The same for the target.
        target_high: Likewise.
        low: The first target token that it may have.
        high: The one behind the last.
    """

    bitext: Ints
    start: Ints
    end: Ints
    source_low: Ints
    source_high: Ints
    target_low: Ints
    target_high: Ints
    low: Ints
    high: Ints

    def chosen(self, which: Sequence[int] | Ints) -> Spans:
        """Some of the spans."""
        return Spans(*(column[which] for column in self))


class Texts:
    """The words and links of several bitexts, one behind the other, and the spans that have links.

    Args:
        indices: The bitexts.
        ranges: For each of them source tokens `[start, end)` of its spans.

    Attributes:
        origins: For each span which bitext and which of its ranges it is.
        spans: The spans.
        offsets: The first source and target token of each bitext: int64, (n_bitexts, 2).
        source: The words of the sources, in the spans and beside them.
        target: The words of the targets, where the spans may be and beside that.
        first_link: The first link of each target token, and behind the last: int64, (n_target + 1,).
        link_sources: The source token of each link: int64, (n_links,).
        weights: Its weight: float32.
    """

    def __init__(self, indices: Sequence[LinkIndex], ranges: Sequence[Sequence[Range]]):
        sizes = np.asarray([(len(index.bitext.source), len(index.bitext.target)) for index in indices], np.int64)
        self.offsets = np.cumsum(sizes, axis=0) - sizes
        n_source, n_target = sizes.sum(axis=0).tolist()
        source, target = np.repeat(self.offsets, [len(index.sources) for index in indices], axis=0).T
        sources = np.concatenate([index.sources for index in indices]) + source
        targets = np.concatenate([index.targets for index in indices]) + target
        self.origins, self.spans = self._spans(indices, ranges, sources, targets)
        order = np.argsort(targets)
        self.link_sources = sources[order]
        self.weights = np.concatenate([index.strengths for index in indices])[order]
        self.first_link = np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=n_target))])
        of_source, of_target = self.offsets[self.spans.bitext].T
        self.source = read_words(
            [index.bitext.source for index in indices],
            _covered(self.spans.start + of_source - 1, self.spans.end + of_source + 1, n_source),
        )
        self.target = read_words(
            [index.bitext.target for index in indices],
            _covered(self.spans.low + of_target - 1, self.spans.high + of_target + 1, n_target),
        )

    def _spans(
        self, indices: Sequence[LinkIndex], ranges: Sequence[Sequence[Range]], sources: Ints, targets: Ints
    ) -> tuple[list[Range], Spans]:
        """The spans that have links."""
        origins = [(n, k) for n, of_bitext in enumerate(ranges) for k in range(len(of_bitext))]
        bitext = np.asarray(origins, np.int64).reshape(-1, 2)[:, 0]
        start, end = np.asarray([span for of_bitext in ranges for span in of_bitext], np.int64).reshape(-1, 2).T
        of_source, of_target = self.offsets[bitext].T
        first, behind = np.searchsorted(sources, start + of_source), np.searchsorted(sources, end + of_source)
        kept = np.flatnonzero((start < end) & (first < behind))
        bitext, start, end, of_target = bitext[kept], start[kept], end[kept], of_target[kept]
        asked = zip(*(column.tolist() for column in (bitext, start, end)), strict=True)
        pairs = [indices[n].sentences_of(a, b) for n, a, b in asked]
        sentences = np.asarray([(*pair.source, *pair.target) for pair in pairs], np.int64)
        source_low, source_high, target_low, target_high = sentences.reshape(-1, 4).T
        low, high = source_low, source_high
        if len(kept):
            links = np.stack([first[kept], behind[kept]], axis=1).ravel()
            low = np.minimum.reduceat(np.append(targets, 0), links)[::2] - of_target
            high = np.maximum.reduceat(np.append(targets, 0), links)[::2] - of_target + 1
        # Links may lead out of the sentence
        target_low, target_high = np.minimum(target_low, low), np.maximum(target_high, high)
        margin = _MARGIN + end - start
        low, high = np.maximum(target_low, low - margin), np.minimum(target_high, high + margin)
        spans = Spans(bitext, start, end, source_low, source_high, target_low, target_high, low, high)
        return [origins[k] for k in kept.tolist()], spans


def _covered(starts: Ints, ends: Ints, n_tokens: int) -> Bools:
    """Which tokens are in one of some ranges `[start, end)`, which may reach one token beyond the text."""
    changes = np.bincount(np.maximum(starts, 0), minlength=n_tokens + 1)
    changes -= np.bincount(np.minimum(ends, n_tokens), minlength=n_tokens + 1)
    return np.cumsum(changes[:n_tokens]) > 0


class Features(NamedTuple):
    """A column for each target token that a span may have, for several spans.

    Attributes:
        first: The first column of each span, and behind those of the last: int64, (n_spans + 1,).
        clause: From 0 to 1, how much of a clause the span is: float32, (n_columns,).
        inside: What may speak for the token being in the place: float32, (3, n_columns).
        starts: What may speak for a place that begins with it: float32, (15, n_columns).
        ends: What may speak for one that ends with it.
        bound: Whether a place may not begin with the token, and may not end with it: bool, (2, n_columns).
        enclosed: Which pair of brackets or quotation marks is open before and behind it, 0 for none: int64,
            (2, n_columns).
        links: The strongest link to the span, and to other words: float32, (2, n_columns).
    """

    first: Ints
    clause: Floats
    inside: Floats
    starts: Floats
    ends: Floats
    bound: Bools
    enclosed: Ints
    links: Floats


def features_of(texts: Texts, spans: Spans) -> Features:
    """What is known of each token for each span."""
    sizes = spans.high - spans.low
    first = np.concatenate([[0], np.cumsum(sizes)])
    span = np.repeat(np.arange(len(sizes)), sizes)
    token = np.arange(len(span)) + (spans.low - first[:-1])[span]
    source_offset, target_offset = texts.offsets[spans.bitext].T
    row = token + target_offset[span]
    links = _Links(texts, row)
    begin, behind = spans.start + source_offset, spans.end + source_offset
    is_inside = (links.sources >= links.spread(begin[span])) & (links.sources < links.spread(behind[span]))
    inside, outside = links.strongest(is_inside), links.strongest(~is_inside)
    gain = inside - np.float32(FOREIGN) * outside
    gain = np.where(gain > 0, gain, np.minimum(gain, np.float32(-GAP)))
    symbol = texts.target.symbol[row]
    symbols_before = np.concatenate([[0], np.cumsum(texts.source.symbol)])
    has_symbol = (symbols_before[behind] > symbols_before[begin])[span]
    clause = (1 / (1 + np.exp(_CLAUSE - (spans.end - spans.start)))).astype(np.float32)[span]
    columns = _Columns(texts, spans, span, token, row, inside, outside)
    joiner = texts.target.joiner[row] > 0
    of_others = (inside == 0) & (outside > _OF_OTHERS)
    bound = np.stack([joiner | _beside(joiner, span, step) | of_others for step in (-1, 1)])
    return Features(
        first,
        clause,
        np.stack([gain, symbol, symbol * has_symbol]).astype(np.float32),
        _end_features(columns, links, begin[span], -1),
        _end_features(columns, links, behind[span] - 1, 1),
        bound,
        _enclosed(texts, row, first),
        np.stack([inside, outside]),
    )


class _Links:
    """The links of the target tokens in some rows."""

    def __init__(self, texts: Texts, row: Ints):
        first = texts.first_link[row]
        counts = texts.first_link[row + 1] - first
        ends = np.cumsum(counts)
        self.counts = counts
        self.has_links = counts > 0
        self.first = (ends - counts)[self.has_links]
        link = np.repeat(first - ends + counts, counts) + np.arange(int(ends[-1]))
        self.sources, self.weights = texts.link_sources[link], texts.weights[link]

    def spread(self, values: Ints) -> Ints:
        """The value of each row for each of its links."""
        return np.repeat(values, self.counts)

    def strongest(self, chosen: Bools) -> Floats:
        """The strongest of the chosen links of each row, 0 where there is none."""
        result = np.zeros(len(self.counts), np.float32)
        result[self.has_links] = np.maximum.reduceat(np.where(chosen, self.weights, np.float32(0)), self.first)
        return result


class _Columns(NamedTuple):
    """What the features of both ends are made of; see `features_of`."""

    texts: Texts
    spans: Spans
    span: Ints
    token: Ints
    row: Ints
    inside: Floats
    outside: Floats


def _end_features(columns: _Columns, links: _Links, edge: Ints, step: int) -> Floats:
    """What may speak for a place that begins (step -1) or ends (step 1) with each token.

    Args:
        columns: The tokens.
        links: Their links.
        edge: The source token at that end of each one's span.
        step: From the token to the one beside the place.
    """
    texts, spans, span, _, row = columns[:5]
    source_last = (spans.source_low if step < 0 else spans.source_high - 1) + texts.offsets[spans.bitext, 0]
    source_ends = edge == source_last[span]
    target_ends = columns.token == (spans.target_low if step < 0 else spans.target_high - 1)[span]
    # Punctuation may be a token of its own or be attached to one, on this side of the end or beyond it
    inner, outer = ("before", "after") if step < 0 else ("after", "before")
    inner_source, inner_target = getattr(texts.source, inner)[edge], getattr(texts.target, inner)[row]
    outer_source = getattr(texts.source, outer)[np.where(source_ends, edge, edge + step)] * ~source_ends
    outer_target = getattr(texts.target, outer)[np.where(target_ends, row, row + step)] * ~target_ends
    source_stops, target_stops = source_ends | (outer_source > 0), target_ends | (outer_target > 0)
    is_word = ~target_stops
    if step > 0:
        source_stops, target_stops = source_stops | (inner_source > 0), target_stops | (inner_target > 0)
    at_edge = links.strongest(links.sources == links.spread(edge))
    of_neighbour = links.strongest(links.sources == links.spread(edge + step))
    neighbour = _beside(of_neighbour, span, step) * ~source_ends
    inside, outside = _beside(columns.inside, span, step), _beside(columns.outside, span, step)
    features = [
        source_stops & target_stops,
        source_stops & ~target_stops,
        ~source_stops & target_stops,
        inner_source != inner_target,
        at_edge,
        _log(at_edge),
        neighbour,
        _log(neighbour),
        _log(columns.inside),
        _log(columns.outside),
        columns.inside - columns.outside,
        _log(inside) * is_word,
        _log(outside) * is_word,
        (inside - outside) * is_word,
        texts.target.symbol[row] != texts.source.symbol[edge],
    ]
    return np.stack([feature.astype(np.float32) for feature in features])


def _log(weights: Floats) -> Floats:
    """The logarithm of weights, moved so that it is 0 where there is no link."""
    return np.log(1 + weights / np.float32(_EPSILON))


def _beside(values: NDArray[Scalar], span: Ints, step: int) -> NDArray[Scalar]:
    """The values of the tokens beside each, 0 where a span's columns begin or end."""
    result = np.zeros_like(values)
    same = span[1:] == span[:-1]
    if step < 0:
        result[1:] = np.where(same, values[:-1], result[1:])
    else:
        result[:-1] = np.where(same, values[1:], result[:-1])
    return result


def _enclosed(texts: Texts, row: Ints, first: Ints) -> Ints:
    """The innermost pair of marks around the front and the back of each column, by its number in the span's window."""
    brackets, quotes = texts.target.brackets[row], texts.target.quotes[row] % 2
    result = np.zeros((2, len(row)), np.int64)
    marked = np.flatnonzero((brackets != 0) | (quotes != 0))
    spans = np.searchsorted(first, marked, side="right") - 1
    for span in np.unique(spans).tolist():
        columns = marked[spans == span]
        pairs = _pairs(columns.tolist(), brackets[columns].tolist(), quotes[columns].tolist())
        # Those inside others are written over them
        for number, (opened, closed) in enumerate(sorted(pairs), start=1):
            result[0, opened + 1 : closed + 1] = result[1, opened:closed] = number
    return result


def _pairs(columns: Sequence[int], brackets: Sequence[float], quotes: Sequence[float]) -> list[tuple[int, int]]:
    """The columns of marks that open and close each other; those without a partner are left out.

    Args:
        columns: Those with a bracket or a quotation mark, in order.
        brackets: How many brackets each opens, less those that it closes.
        quotes: Whether each has a quotation mark, which closes one that is open, or else opens one.
    """
    pairs: list[tuple[int, int]] = []
    is_open: list[tuple[str, int]] = []

    def close(kind: str, column: int) -> bool:
        place = max((n for n, (other, _) in enumerate(is_open) if other == kind), default=None)
        if place is None:
            return False
        pairs.append((is_open[place][1], column))
        del is_open[place:]
        return True

    for column, net, quote in zip(columns, brackets, quotes, strict=True):
        is_open += [("bracket", column)] * int(max(net, 0))
        if quote and not close("quotation", column):
            is_open.append(("quotation", column))
        for _ in range(int(max(-net, 0))):
            close("bracket", column)
    return pairs
