"""Projection by constrained decoding: where the markers of a span would stand in the given target."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from .by_translation import FallbackProjector
from .links.evidence import Stretch
from .marking import STYLES, mark
from .queries import SpanQuery

# How much more probable, in natural logarithms, markers may make what comes after them; what could only win by more is
# pruned
SLACK = 1.0
# The most whole marked texts that are scored for a span
LIMIT = 64
# How many times longer than the span its place may be, and one more, in tokens
LENGTH_RATIO = 2
# Sentences with more tokens on a side are left to the fallback: a translator that cuts long texts into parts cannot see
# both markers
MAX_TOKENS = 60
# A word before a linked one may belong to the span as well: what it has less than that one
BEFORE_LINKED = 0.1
# Openings, and places, that are looked into at a time
OPENINGS, CLOSINGS = 2, 4

# Log-probabilities of the pieces of a text, the end mark's last, and where each piece stands
Answer = tuple[NDArray[np.float32], NDArray[np.int32]]


@dataclass(kw_only=True, eq=False)
class ConstrainedProjector(FallbackProjector):
    """Marks one span at a time in the source, and finds where the markers go in the target as it is: the two places
    that make the marked target most probable (CODEC, Le et al. 2024, https://arxiv.org/abs/2402.03131).

    The search is exact up to its limits, and those of all spans run side by side; see `decode`. Long sentences go to
    the fallback. The translator needs `force`.

    Attributes:
        n_best: Places found for each span, for all spans of a sentence to be placed together.
        starts: How many tokens a span may begin at, the best by links; null for all of its sentence.
    """

    needs: ClassVar[str] = "force"
    left_over: ClassVar[str] = "too_long"

    n_best: int = setting(2, ge=1)
    starts: int | None = setting(12, ge=1)

    def search(self, queries: Sequence[SpanQuery], source: str, target: str) -> None:
        """Decode the spans of sentences that are not too long."""

        def ask(sources: list[str], targets: list[str]) -> list[Answer]:
            return self.used_translator.force(sources, targets, source=source, target=target)

        fitting = []
        for query in queries:
            if max(query.high - query.low, query.source_high - query.source_low) > MAX_TOKENS:
                query.reason = self.left_over
            elif query.low < query.high:
                fitting.append(query)
        problems = [self._problem(query) for query in fitting]
        results = run_all([decode(p) for p in problems], [p.source for p in problems], ask)
        for query, places in zip(fitting, results, strict=True):
            _choose(query, places)

    def _problem(self, query: SpanQuery) -> Problem:
        style = STYLES["brackets"]
        sentence = query.source[query.source_low : query.source_high]
        span = query.source[query.start : query.end]
        place = span.start_char - sentence.start_char, span.end_char - sentence.start_char
        fixed = query.target[query.low : query.high]
        return Problem(
            source=mark(sentence.text, [place], style),
            target=fixed.text,
            tokens=[(t.idx - fixed.start_char, t.idx + len(t) - fixed.start_char) for t in fixed],
            opening=style.opening,
            closing=style.closing,
            starts=self._starts(query),
            longest=LENGTH_RATIO * query.length + 1,
            n_best=self.n_best,
        )

    def _starts(self, query: SpanQuery) -> list[int]:
        """The tokens that the span may begin at: the linked ones, those beside them, then others; without links all."""
        n = query.high - query.low
        gains = np.asarray(query.gains())
        if self.starts is None or n <= self.starts or not (gains > 0).any():
            return list(range(n))
        near = np.maximum(gains, np.append(gains[1:], -1.0) - BEFORE_LINKED)
        return sorted(np.argsort(-near, kind="stable")[: self.starts].tolist())


def _choose(query: SpanQuery, places: Sequence[Place]) -> None:
    """Fill in a query: what each place has of the probability of all places is how sure it is."""
    if not places:
        return
    scores = np.asarray([place.score for place in places])
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    for place, share in zip(places, shares.tolist(), strict=True):
        start, end = query.low + place.start, query.low + place.end
        query.choices.append(Stretch(start, end, max(share, 1e-6)))
        query.confidence[start, end] = round(share, 4)


class Place(NamedTuple):
    """Tokens `[start, end)` between the markers, and the log-probability of the whole marked text."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A text and a pair of markers to be put into it.

    Attributes:
        source: The marked source.
        target: The fixed text.
        tokens: Characters of its tokens.
        opening: The marker before the place.
        closing: The marker behind it.
        starts: Tokens that the place may begin at.
        longest: The most tokens of the place.
        n_best: How many places to find.
        slack: How much more probable the markers may make what comes after them, in nats; infinite for an exact search.
        limit: The most whole marked texts to score.
    """

    source: str
    target: str
    tokens: Sequence[tuple[int, int]]
    opening: str
    closing: str
    starts: Sequence[int]
    longest: int
    n_best: int
    slack: float = SLACK
    limit: int = LIMIT

    def opened(self, start: int, end: int | None = None, *, closed: bool = False) -> str:
        """The text up to the opening marker; with `end` up to the closing one; with `closed` the whole marked text."""
        first = self.tokens[start][0]
        text = self.target[:first] + self.opening
        if end is None:
            return text
        last = self.tokens[end - 1][1]
        text += self.target[first:last] + self.closing
        return text + self.target[last:] if closed else text

    def ends(self, start: int) -> range:
        """Where a place that begins at a token may end."""
        return range(start + 1, min(len(self.tokens), start + self.longest) + 1)

    def suffixes(self, answer: Answer, *, first: int = 0, shift: int = 0) -> NDArray[np.float64]:
        """Log-probability of a text from each token on, beginning with `first`, and of its end: (n_tokens + 1,).

        `shift`: by how many characters the tokens have moved.
        """
        log_probs, spans = answer
        totals = np.cumsum(log_probs[::-1], dtype=np.float64)[::-1]
        firsts = np.searchsorted(spans[:, 1], [start + shift for start, _ in self.tokens[first:]], side="right")
        return np.append(totals[firsts], totals[-1])


def decode(problem: Problem) -> Generator[list[str], list[Answer], list[Place]]:
    """Find the places with the most probable marked text, best first.

    Yields texts to be scored, and is sent the answers.

    A best-first search with exact pruning: an opening place can't lead to more than the text up to it, its marker, and
    the bound for the rest; a pair of places not to more than the text up to the closing marker and the bound for the
    rest. What has the greatest bound is looked into first, and the search is over when no bound is above the n-th best
    found.
    """
    places: list[Place] = []
    answers = yield [problem.target, *(problem.opened(start) for start in problem.starts)]
    # The greatest log-probability seen of the text from each token on
    rest = problem.suffixes(answers[0])
    ties = count()
    # Entries: bound, tie-breaker, start, end (0 for an opening that was not looked into)
    heap: list[tuple[float, int, int, int]] = []

    def push(answer: Answer, start: int, end: int = 0) -> None:
        bound = min(0.0, float(rest[end or start]) + problem.slack)
        # The end mark after the marker is no part of the text up to it
        heapq.heappush(heap, (-(float(answer[0][:-1].sum()) + bound), next(ties), start, end))

    for start, answer in zip(problem.starts, answers[1:], strict=True):
        push(answer, start)
    while heap and len(places) < problem.limit:
        floor = places[problem.n_best - 1].score if len(places) >= problem.n_best else -np.inf
        if -heap[0][0] <= floor:
            break
        openings, pairs = _take(heap, floor)
        halves = [(start, end) for start in openings for end in problem.ends(start)]
        texts = [problem.opened(*half) for half in halves]
        answers = yield texts + [problem.opened(*pair, closed=True) for pair in pairs]
        for half, answer in zip(halves, answers, strict=False):
            push(answer, *half)
        for (start, end), answer in zip(pairs, answers[len(halves) :], strict=True):
            places.append(Place(start, end, float(answer[0].sum())))
            if end < len(problem.tokens):
                shift = len(problem.opening) + len(problem.closing)
                rest[end:] = np.maximum(rest[end:], problem.suffixes(answer, first=end, shift=shift))
        places.sort(key=lambda place: -place.score)
    return places[: problem.n_best]


def _take(heap: list[tuple[float, int, int, int]], floor: float) -> tuple[list[int], list[tuple[int, int]]]:
    """The next few openings and pairs of places, as far as they can still be among the best."""
    openings: list[int] = []
    pairs: list[tuple[int, int]] = []
    while heap and -heap[0][0] > floor and len(openings) < OPENINGS and len(pairs) < CLOSINGS:
        _, _, start, end = heapq.heappop(heap)
        if end:
            pairs.append((start, end))
        else:
            openings.append(start)
    return openings, pairs


def run_all(
    searches: Sequence[Generator[list[str], list[Answer], list[Place]]],
    sources: Sequence[str],
    ask: Callable[[list[str], list[str]], list[Answer]],
) -> list[list[Place]]:
    """Run searches side by side: each step asks the open questions of all of them at once.

    Args:
        searches: From `decode`.
        sources: The marked source of each.
        ask: Scores sources and targets.
    """
    results: list[list[Place]] = [[] for _ in searches]
    waiting = [(n, search, next(search)) for n, search in enumerate(searches)]
    while waiting:
        firsts = [sources[n] for n, _, texts in waiting for _ in texts]
        answers = iter(ask(firsts, [text for _, _, texts in waiting for text in texts]))
        after = []
        for n, search, texts in waiting:
            try:
                after.append((n, search, search.send([next(answers) for _ in texts])))
            except StopIteration as done:
                results[n] = done.value
        waiting = after
    return results
