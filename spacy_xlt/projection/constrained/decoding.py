"""Where a pair of markers goes in a fixed text: a best-first search with exact pruning over two places.

CODEC (Le et al. 2024, https://arxiv.org/abs/2402.03131) walks the text piece by piece; here the questions of a step
are put together, so that a model answers those of all spans at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Log-probabilities of the pieces of a text, the end mark's last, and where each piece stands.
Answer = tuple[NDArray[np.float32], NDArray[np.int32]]


class Place(NamedTuple):
    """Tokens `[start, end)` between the markers, and the log-probability of the whole marked text."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Problem:
    """A text and a pair of markers to be put into it.

    source (str): The marked source.
    target (str): The fixed text.
    tokens (Sequence[tuple[int, int]]): Characters of its tokens.
    opening, closing (str): The markers.
    starts (Sequence[int]): Tokens that the markers may begin at.
    longest (int): The most tokens between them.
    n_best (int): How many places to find.
    slack (float | None): How much more probable the markers may make what comes after them, in nats; None for any.
    """

    source: str
    target: str
    tokens: Sequence[tuple[int, int]]
    opening: str
    closing: str
    starts: Sequence[int]
    longest: int
    n_best: int = 5
    slack: float | None = 3.0

    def opened(self, start: int, end: int | None = None, *, closed: bool = False) -> str:
        """The text up to the opening marker; with `end` up to the closing one; with `closed` the whole marked text."""
        first = self.tokens[start][0]
        text = self.target[:first] + self.opening
        if end is None:
            return text
        last = self.tokens[end - 1][1]
        text += self.target[first:last] + self.closing
        return text + self.target[last:] if closed else text


@dataclass
class _Rest:
    """Bounds for what comes after a token: the greatest log-probability seen, and the slack."""

    values: NDArray[np.float64]
    slack: float | None

    def bound(self, token: int) -> float:
        """The most that the text from a token on can have."""
        if self.slack is None:
            return 0.0
        return min(0.0, float(self.values[token]) + self.slack)


@dataclass
class Found:
    """What a search found.

    places (list[Place]): The best, best first.
    asked (int): How many whole marked texts were scored.
    exact (bool): False where the search was cut off.
    """

    places: list[Place] = field(default_factory=list)
    asked: int = 0
    exact: bool = True


# Openings, and places, that are looked into at a time.
OPENINGS, CLOSINGS = 2, 4


def decode(problem: Problem, *, limit: int) -> Generator[list[str], list[Answer], Found]:
    """Find the places with the most probable marked text. Yields texts to be scored, and is sent the answers.

    An opening place can't lead to more than the text up to it, its marker, and the bound for the rest; a pair of
    places not to more than the text up to the closing marker and the bound for the rest. What has the greatest bound
    is looked into first, and the search is over when no bound is above the n-th best found.

    limit (int): The most whole marked texts to score.
    """
    found = Found()
    answers = yield [problem.target, *(problem.opened(start) for start in problem.starts)]
    rest = _Rest(_suffixes(answers[0], problem.tokens), problem.slack)
    ties = count()
    # Entries: bound, tie-breaker, start, end (0 for an opening that was not looked into)
    heap: list[tuple[float, int, int, int]] = []
    for start, answer in zip(problem.starts, answers[1:], strict=True):
        # The end mark after the opening marker is no part of it
        heapq.heappush(heap, (-(float(answer[0][:-1].sum()) + rest.bound(start)), next(ties), start, 0))
    while heap:
        floor = found.places[problem.n_best - 1].score if len(found.places) >= problem.n_best else -np.inf
        if -heap[0][0] <= floor:
            break
        if found.asked >= limit:
            found.exact = False
            break
        openings, pairs = _take(heap, floor)
        texts = [(start, end, False) for start in openings for end in _ends(problem, start)]
        whole = [(start, end, True) for start, end in pairs]
        answers = yield [problem.opened(start, end, closed=closed) for start, end, closed in texts + whole]
        for (start, end, _), answer in zip(texts, answers, strict=False):
            bound = float(answer[0][:-1].sum()) + rest.bound(end)
            heapq.heappush(heap, (-bound, next(ties), start, end))
        for (start, end, _), answer in zip(whole, answers[len(texts) :], strict=True):
            found.asked += 1
            found.places.append(Place(start, end, float(answer[0].sum())))
            _learn(rest, problem, start, end, answer)
        found.places.sort(key=lambda place: -place.score)
    found.places = found.places[: problem.n_best]
    return found


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


def _ends(problem: Problem, start: int) -> range:
    return range(start + 1, min(len(problem.tokens), start + problem.longest) + 1)


def _suffixes(answer: Answer, tokens: Sequence[tuple[int, int]], *, shift: int = 0) -> NDArray[np.float64]:
    """Log-probability of a text from each token on, and of its end: (n_tokens + 1,)."""
    log_probs, spans = answer
    totals = np.cumsum(log_probs[::-1], dtype=np.float64)[::-1]
    firsts = np.searchsorted(spans[:, 1], [start + shift for start, _ in tokens], side="right")
    return np.append(totals[firsts], totals[-1])


def _learn(rest: _Rest, problem: Problem, start: int, end: int, answer: Answer) -> None:
    """Raise the bounds to what the text after the closing marker had."""
    shift = len(problem.opening) + len(problem.closing)
    if end < len(problem.tokens):
        seen = _suffixes(answer, problem.tokens[end:], shift=shift)
        rest.values[end:] = np.maximum(rest.values[end:], seen)


def run_all(
    searches: Sequence[Generator[list[str], list[Answer], Found]],
    sources: Sequence[str],
    ask,
) -> list[Found]:
    """Run searches side by side: each step asks the open questions of all of them at once.

    sources (Sequence[str]): The marked source of each.
    ask (Callable[[list[str], list[str]], list[Answer]]): Scores sources and targets.
    """
    results: list[Found] = [Found() for _ in searches]
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
