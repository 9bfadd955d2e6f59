"""Filters of projected sentences: fewer training sentences, and better ones.

"Complete source", "complete target" and "same counts" are the filters of Ebing & Glavaš (2025, "The Devil is in the
Details"), here as shares with a limit, so that they can be set less strictly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..bitext import Bitext
from ..errors import error
from .boundaries import is_symbol
from .carry import Carried


@runtime_checkable
class ProjectionFilter(Protocol):
    """What the projector's `filters` must offer."""

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """How good the projection of sentence pair `n` is, from 0 to 1: one number for each of its carried spans, or
        a single one for the sentence as such."""
        ...

    def accept(self, score: float) -> bool:
        """Whether that is good enough."""
        ...


class _Limit:
    """A filter that accepts from a limit on."""

    setting = "min_share"

    def __init__(self, limit: float):
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 <= limit <= 1:
            raise error("E401", setting=self.setting, value=limit, expected="a number from 0 to 1")
        self.limit = float(limit)

    def accept(self, score: float) -> bool:
        """Whether the score reaches the limit."""
        return score >= self.limit


class CompleteSourceFilter(_Limit):
    """Which share of a source span's words is linked into the projected span. Punctuation does not count."""

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One share for each span."""
        return [_linked_share(bitext, one, of_source=True) for one in spans]


class CompleteTargetFilter(_Limit):
    """Which share of a projected span's words is linked to the source span. Punctuation does not count."""

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One share for each span."""
        return [_linked_share(bitext, one, of_source=False) for one in spans]


class SameCountsFilter(_Limit):
    """Whether both sides of a sentence pair have the same number of entities of each label."""

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """The share of entities that have a counterpart; 1 where there are none on either side."""
        pair = bitext.sentences[n]
        first, second = (
            Counter(ent.label_ for ent in doc.ents if start <= ent.start < end)
            for doc, (start, end) in ((bitext.source, pair.source), (bitext.target, pair.target))
        )
        total = first.total() + second.total()
        return [2 * (first & second).total() / total if total else 1.0]


class SpanLengthFilter(_Limit):
    """How alike source span and projected span are in length: the shorter's characters by the longer's."""

    setting = "min_ratio"

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One ratio for each span."""
        lengths = [sorted((len(one.source.text), len(one.target.text))) for one in spans]
        return [low / high if high else 1.0 for low, high in lengths]


class SpanScoreFilter(_Limit):
    """How sure the projector is."""

    setting = "min_score"

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """The projector's score of each span."""
        return [one.score for one in spans]


def make_complete_source_filter(*, min_share: float = 1.0) -> CompleteSourceFilter:
    """Accept spans of whose source words at least this share is linked into the projected span."""
    return CompleteSourceFilter(min_share)


def make_complete_target_filter(*, min_share: float = 1.0) -> CompleteTargetFilter:
    """Accept spans of whose projected words at least this share is linked to the source span."""
    return CompleteTargetFilter(min_share)


def make_same_counts_filter(*, min_share: float = 1.0) -> SameCountsFilter:
    """Accept sentences of whose entities at least this share has a counterpart of the same label."""
    return SameCountsFilter(min_share)


def make_length_filter(*, min_ratio: float = 0.4) -> SpanLengthFilter:
    """Accept spans whose shorter side has at least this share of the longer side's characters.

    Compounds make spans shorter in words, so it is characters that are compared; writing systems differ too, and a
    limit that is right for two alphabets is too high for Chinese.
    """
    return SpanLengthFilter(min_ratio)


def make_score_filter(*, min_score: float = 0.5) -> SpanScoreFilter:
    """Accept spans that the projector is at least this sure of."""
    return SpanScoreFilter(min_score)


def _linked_share(bitext: Bitext, one: Carried, *, of_source: bool) -> float:
    links = bitext.alignment.links
    i, j = links[:, 0], links[:, 1]
    inside = (i >= one.source.start) & (i < one.source.end) & (j >= one.target.start) & (j < one.target.end)
    linked = set(links[inside, 0 if of_source else 1].tolist())
    words = [token.i for token in (one.source if of_source else one.target) if not is_symbol(token.text)]
    return sum(word in linked for word in words) / len(words) if words else 1.0
