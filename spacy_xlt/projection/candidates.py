"""Projection by candidates: places of the target, chosen by how well they and the span translate into each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from ..errors import error
from ..protocols import Forcer, Scorer
from ..tokens import is_symbol
from .by_translation import TranslationProjector
from .links.evidence import Stretch
from .queries import Range, SpanQuery
from .slots import Slot, SlotSentence

# How many times longer than the span a candidate may be, and one more, in tokens
LENGTH_RATIO = 2
# What one token more or less than the source span has costs where links don't decide
LENGTH = 0.02
# Of spans longer than this only the places near the best one by links are looked at: so many tokens to each side
LONG, AROUND = 20, 6


@dataclass(kw_only=True, eq=False)
class CandidateProjector(TranslationProjector):
    """Chooses among places of the target by translation probability in both directions (T-Projection, García-Ferrero
    et al. 2023, https://arxiv.org/abs/2212.10548), each place used once.

    Where that method's generator is a fine-tuned model, all n-grams of the target do as well, if links leave out the
    hopeless ones. The links also count in the choice, as two texts that translate into each other may both stand
    there. The translator needs `score`, and should know both directions.

    Attributes:
        pool: How many n-grams are scored for each span, the best by links.
        evidence: How much links count besides translation; 0 for none.
        generator: A `SpanGenerator`, whose candidates are scored as well, and instead of all n-grams where there are no
            links.

    Raises:
        XltError: E101 for a generator that is none.
    """

    needs: ClassVar[str] = "score"

    pool: int = setting(12, ge=1)
    evidence: float = setting(3.0, ge=0, le=100)
    generator: Any = setting(None, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator is not None and not callable(getattr(self.generator, "fill", None)):
            kind = type(self.generator).__name__
            raise error("E101", name=type(self).__name__, engine=kind, method="fill", setting="generator")

    def details(self) -> dict[str, Any]:
        # Without one the signature is that of versions that had none
        return {**super().details(), **({} if self.generator is None else {"generator": self.generator})}

    def search(self, queries: Sequence[SpanQuery], source: str, target: str) -> None:
        """Score the candidates of all spans."""
        allowed = [Places.of(query) for query in queries]
        generated = [()] * len(queries) if self.generator is None else generate(self.generator, queries, allowed)
        rows = [
            (query, place, links)
            for query, places, more in zip(queries, allowed, generated, strict=True)
            for place, links in places.best(query, pool=self.pool, more=more)
        ]
        pairs = [(query.text, query.target[slice(*place)].text.strip()) for query, place, _ in rows]
        likeness = likeness_of(self.used_translator, pairs, source=source, target=target)
        goodness: defaultdict[int, dict[Range, float]] = defaultdict(dict)
        for (query, place, links), value in zip(rows, likeness.tolist(), strict=True):
            goodness[id(query)][place] = value * float(np.exp(self.evidence * (min(links, 1.0) - 1)))
        for query in queries:
            _choose(query, goodness[id(query)])


def _choose(query: SpanQuery, goodness: dict[Range, float]) -> None:
    """Fill in a query from its places and how good each is, from 0 to 1."""
    ordered = sorted((item for item in goodness.items() if item[1] > 0), key=lambda item: (-item[1], item[0]))
    total = sum(value for _, value in ordered)
    query.choices = [Stretch(*place, value) for place, value in ordered]
    # As sure as the place is good, and better than the others
    query.confidence = {place: round(float(np.sqrt(value * value / total)), 4) for place, value in ordered}


@dataclass(frozen=True)
class Places:
    """The places that a span may be in. They do not begin or end with punctuation unless the span does.

    Attributes:
        gains: Target tokens `[start, end)`, counted from the first one of the sentence, and the sum of the gains of the
            tokens by links.
        has_links: Whether a link speaks for any of them; if not, all have 1.
    """

    gains: dict[Range, float]
    has_links: bool

    @classmethod
    def of(cls, query: SpanQuery) -> Places:
        gains = query.gains()
        has_links = any(gain > 0 for gain in gains)
        totals = [0.0, *accumulate(gains)]
        source_words, target_words = query.index.source_words, query.index.target_words
        symbols = [is_symbol(word) for word in target_words[query.low : query.high]]
        opens, closes = is_symbol(source_words[query.start]), is_symbol(source_words[query.end - 1])
        longest = LENGTH_RATIO * query.length + 1
        starts, ends = _where(query, totals, has_links=has_links)
        places = {}
        for first in starts:
            if symbols[first] and not opens:
                continue
            for last in ends:
                if not first < last <= first + longest or (symbols[last - 1] and not closes):
                    continue
                places[first, last] = totals[last] - totals[first] if has_links else 1.0
        return cls(places, has_links)

    def best(self, query: SpanQuery, *, pool: int, more: Collection[Range] = ()) -> list[tuple[Range, float]]:
        """The places to choose from, with what the links say for each.

        Args:
            pool: How many, the most likely by links.
            more: Others, counted as in `gains`. Without links these alone, or all places where there are none.

        Returns:
            Target tokens `[start, end)` and the weight of their links, the best first. The weight is the sum of the
            gains of the tokens over that of the best place: 1 for the best, below 0 where links speak against a place.
            Without links it is 1 for all.
        """

        def value(place: Range) -> tuple[float, int, int]:
            first, last = place
            return self.gains[place] - LENGTH * abs(last - first - query.length), -first, -last

        if self.has_links:
            best = nlargest(pool, self.gains, key=value)
            best += sorted(set(more).difference(best), key=value, reverse=True)
        else:
            best = sorted(more or self.gains, key=value, reverse=True)
        top = max((self.gains[place] for place in best), default=0.0)
        scale = top if top > 0 else 1.0
        return [((query.low + first, query.low + last), self.gains[first, last] / scale) for first, last in best]


def candidates(query: SpanQuery, *, pool: int) -> list[tuple[Range, float]]:
    """The places that are most likely by links, at most `pool`; all where no link speaks for any. See `Places.best`."""
    return Places.of(query).best(query, pool=pool)


def generate(generator: Any, queries: Sequence[SpanQuery], allowed: Sequence[Places]) -> list[set[Range]]:
    """What a generator holds for the place of each span, counted from the first token of the target sentence.

    Args:
        generator: A `SpanGenerator`.
        queries: The spans.
        allowed: The places that each may be in.
    """
    by_sentence: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    for n, query in enumerate(queries):
        by_sentence[id(query.index), query.low, query.high].append(n)
    sentences, owners = [], []
    for numbers in by_sentence.values():
        first = queries[numbers[0]]
        tokens = first.target[first.low : first.high]
        slots = [(n, Slot(label, list(allowed[n].gains))) for n in numbers for label in queries[n].labels]
        spaces = [bool(token.whitespace_) for token in tokens]
        sentences.append(SlotSentence([token.text for token in tokens], spaces, [slot for _, slot in slots]))
        owners.append([n for n, _ in slots])
    found: list[set[Range]] = [set() for _ in queries]
    for of_sentence, fillings in zip(owners, generator.fill(sentences), strict=True):
        for n, of_slot in zip(of_sentence, fillings, strict=True):
            found[n].update((filling.start, filling.end) for filling in of_slot)
    return found


def _where(query: SpanQuery, totals: Sequence[float], *, has_links: bool) -> tuple[range, range]:
    """Where places may begin and end: everywhere; of a long span near the ends of the best place by links, or of the
    same part of the sentence."""
    n = query.high - query.low
    if query.length <= LONG:
        return range(n), range(1, n + 1)
    if has_links:
        first, last = _best_place(totals)
    else:
        scale = n / max(1, query.source_high - query.source_low)
        first, last = (round(scale * (i - query.source_low)) for i in (query.start, query.end))
    return (
        range(max(0, first - AROUND), min(n, first + AROUND + 1)),
        range(max(1, last - AROUND), min(n, last + AROUND) + 1),
    )


def _best_place(totals: Sequence[float]) -> Range:
    """The place with the greatest gain, from the sums of the gains before each token."""
    lowest, best = 0, (float("-inf"), 0, 0)
    for last in range(1, len(totals)):
        if totals[last - 1] < totals[lowest]:
            lowest = last - 1
        if totals[last] - totals[lowest] > best[0]:
            best = totals[last] - totals[lowest], lowest, last
    return best[1], best[2]


def likeness_of(
    translator: Scorer, pairs: Sequence[tuple[str, str]], *, source: str, target: str
) -> NDArray[np.float64]:
    """How alike the texts of each pair are in meaning, from 0 to 1: (n,).

    The mean of the two directions' log-probabilities by the piece, so that long and short texts compare, as a
    probability. A direction counts relative to how probable its text is given itself, at most 1 (NMTScore, Vamvas and
    Sennrich 2022, https://arxiv.org/abs/2204.13692).
    """
    there = _relative(translator, pairs, source, target)
    back = _relative(translator, [(b, a) for a, b in pairs], target, source)
    return np.exp((there + back) / 2)


def _relative(translator: Scorer, pairs: Sequence[tuple[str, str]], source: str, target: str) -> NDArray[np.float64]:
    """Natural log-probability of the second text of each pair, over its pieces, less that given itself: (n,).

    Of a translator that does not tell pieces apart, over its words and the end mark. Each pair is scored once.
    """
    texts = sorted({*pairs, *((b, b) for _, b in pairs)})
    firsts, seconds = [a for a, _ in texts], [b for _, b in texts]
    if isinstance(translator, Forcer):
        forced = translator.force(firsts, seconds, source=source, target=target)
        means = [float(log_probs.mean()) for log_probs, _ in forced]
    else:
        scores = translator.score(firsts, seconds, source=source, target=target)
        means = [float(score) / (len(text.split()) + 1) for score, text in zip(scores, seconds, strict=True)]
    mean_of = dict(zip(texts, means, strict=True))
    return np.minimum(0.0, [mean_of[a, b] - mean_of[b, b] for a, b in pairs])
