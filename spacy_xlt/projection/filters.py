"""Filters of projected sentences: fewer training sentences, and better ones.

"Complete source", "complete target" and "same counts" are the filters of Ebing & Glavaš (2025, "The Devil is in the
Details"), here as shares with a limit, so that they can be set less strictly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..bitext import Bitext
from ..engine import Engine, setting
from ..links import Alignment
from ..tokens import is_symbol
from .annotations import Carried


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


@dataclass(kw_only=True, eq=False)
class CompleteSourceFilter(Engine):
    """Which share of a source span's words is linked into the projected span. Punctuation does not count."""

    min_share: float = setting(1.0, ge=0, le=1)

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One share for each span."""
        return [_linked_share(bitext, span, of_source=True) for span in spans]

    def accept(self, score: float) -> bool:
        return score >= self.min_share


@dataclass(kw_only=True, eq=False)
class CompleteTargetFilter(CompleteSourceFilter):
    """Which share of a projected span's words is linked to the source span. Punctuation does not count."""

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One share for each span."""
        return [_linked_share(bitext, span, of_source=False) for span in spans]


@dataclass(kw_only=True, eq=False)
class SameCountsFilter(CompleteSourceFilter):
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


@dataclass(kw_only=True, eq=False)
class SpanLengthFilter(Engine):
    """How alike source span and projected span are in length: the shorter's characters by the longer's.

    Compounds make spans shorter in words, so it is characters that are compared; writing systems differ too, and a
    limit that is right for two alphabets is too high for Chinese.
    """

    min_ratio: float = setting(0.4, ge=0, le=1)

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One ratio for each span."""
        lengths = [sorted((len(span.source.text), len(span.target.text))) for span in spans]
        return [low / high if high else 1.0 for low, high in lengths]

    def accept(self, score: float) -> bool:
        return score >= self.min_ratio


@dataclass(kw_only=True, eq=False)
class SpanScoreFilter(Engine):
    """How sure the projector is."""

    min_score: float = setting(0.5, ge=0, le=1)

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """The projector's score of each span."""
        return [span.score for span in spans]

    def accept(self, score: float) -> bool:
        return score >= self.min_score


@dataclass(kw_only=True, eq=False)
class LinkScoreFilter(Engine):
    """How sure the aligner is that a sentence pair says the same; see `link_score`.

    What is low depends on the aligner and on how well its encoder knows the language. Without a `min_score` all is
    accepted, but `spacy xlt build --parallel` finds one for each language.
    """

    min_score: float | None = setting(None, ge=0, le=1)

    def score(self, bitext: Bitext, n: int, spans: Sequence[Carried]) -> list[float]:
        """One number for the sentence."""
        pair = bitext.sentences[n]
        links = bitext.alignment.between(pair.source, pair.target)
        return [link_score(links, pair.source_end - pair.source_start, pair.target_end - pair.target_start)]

    def accept(self, score: float) -> bool:
        return self.min_score is None or score >= self.min_score


def link_score(alignment: Alignment, n_source: int, n_target: int) -> float:
    """The mean score of the best link of each word, 0 for one without, over both sides: from 0 to 1."""
    means = []
    for column, size in enumerate((n_source, n_target)):
        best = np.zeros(max(1, size))
        np.maximum.at(best, alignment.links[:, column], alignment.scores)
        means.append(best.mean())
    return float(np.mean(means))


def _linked_share(bitext: Bitext, span: Carried, *, of_source: bool) -> float:
    links = bitext.alignment.links
    i, j = links[:, 0], links[:, 1]
    inside = (i >= span.source.start) & (i < span.source.end) & (j >= span.target.start) & (j < span.target.end)
    linked = set(links[inside, 0 if of_source else 1].tolist())
    words = [token.i for token in (span.source if of_source else span.target) if not is_symbol(token.text)]
    return sum(word in linked for word in words) / len(words) if words else 1.0
