"""Which words of the target are meant, where those that were answered for spans stand there more than once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence

from .finding import Found, Words
from .links.assignment import overlap
from .queries import Range, SpanQuery

# How sure it is that the n-th mention of a span is the n-th of its translation, where there are as many
IN_ORDER = 0.9

# What links say for target tokens `[start, end)` to be those of a span: from 0 to 1
Evidence = Callable[[SpanQuery, Range], float]


def resolve(
    queries: Sequence[SpanQuery],
    answers: Mapping[int, str],
    source: Words,
    target: Words,
    *,
    evidence: Evidence,
) -> dict[int, dict[Range, float]]:
    """Find the words that were answered for the spans of a sentence.

    Longer spans are placed first; what is inside them in the source is looked for inside them in the target, and what
    is apart from them elsewhere. Of several places of the same words, the n-th is that of the n-th mention in the
    source where there are as many, else the one with most evidence, else the one at the most similar place.

    Args:
        queries: The spans.
        answers: The words for each, by its index.
        source: The source sentence.
        target: The target sentence.
        evidence: What links say.

    Returns:
        For each span whose words are there, by its index: places, the best first, and how well each fits, from 0 to 1.
        The sum is 1 for words that are there as answered, and not claimed by another span.
    """
    result: dict[int, dict[Range, float]] = {}
    chosen: dict[int, Range] = {}
    for n in sorted(answers, key=lambda n: (-queries[n].length, queries[n].start)):
        query = queries[n]
        found = _trimmed(target.find(answers[n]), query)
        mentions = [place[:2] for place in source.find(query.text)]
        for other, place in chosen.items():
            found, mentions = _fitting(query, found, mentions, queries[other], place)
        if found:
            weights = _weights(query, found, mentions, source, target, evidence)
            fit = {place[:2]: weights[place[:2]] * place.quality for place in found}
            result[n] = {
                place: fit[place] * (1 - _difference(query, place, source, target)) for place in weights if fit[place]
            }
            chosen[n] = next(iter(result[n]))
    for n, places in result.items():
        against = sum(_contradict(queries[n], chosen[n], queries[m], chosen[m]) for m in chosen if m != n)
        result[n] = {place: value / (1 + against) for place, value in places.items()}
    return result


def _trimmed(found: Sequence[Found], query: SpanQuery) -> list[Found]:
    """Places without tokens of punctuation at the ends where the span has none there."""
    words = query.index.target_words
    result = []
    for start, end, quality in found:
        low, high = start, end
        while low < high and not _is_mark(query.text[:1]) and _is_mark(words[low]):
            low += 1
        while low < high and not _is_mark(query.text[-1:]) and _is_mark(words[high - 1]):
            high -= 1
        result.append(Found(low, high, quality) if low < high else Found(start, end, quality))
    return result


def _is_mark(text: str) -> bool:
    """Whether a text is punctuation alone. Signs that belong to numbers, such as %, are not."""
    return all(unicodedata.category(char)[0] == "P" and unicodedata.bidirectional(char) != "ET" for char in text)


def _fitting(
    query: SpanQuery, found: list[Found], mentions: list[Range], other: SpanQuery, place: Range
) -> tuple[list[Found], list[Range]]:
    """The places of a span, and its mentions in the source, that fit those of another span, where there are such."""
    ranges = other.start, other.end
    if _is_inside((query.start, query.end), ranges):
        fitting = [item for item in found if _is_inside(item, place)]
        beside = [item for item in mentions if _is_inside(item, ranges)]
    elif overlap((query.start, query.end), ranges):
        return found, mentions
    else:
        fitting = [item for item in found if not overlap(item, place)]
        beside = [item for item in mentions if not overlap(item, ranges)]
    return (fitting, beside) if fitting else (found, mentions)


def _weights(
    query: SpanQuery,
    found: Sequence[Found],
    mentions: Sequence[Range],
    source: Words,
    target: Words,
    evidence: Evidence,
) -> dict[Range, float]:
    """How likely each place is to be the one that is meant, the best first; the sum is 1."""
    places = [item[:2] for item in found]
    own = next((n for n, item in enumerate(mentions) if overlap(item, (query.start, query.end))), None)
    if len(places) == 1:
        return {places[0]: 1.0}
    if own is not None and len(mentions) == len(places):
        rest = (1 - IN_ORDER) / (len(places) - 1)
        return {places[own]: IN_ORDER} | {place: rest for place in places if place != places[own]}
    values = {place: evidence(query, place) for place in places}
    total = sum(values.values())
    if total > 0:
        return {place: values[place] / total for place in sorted(places, key=lambda place: -values[place])}
    expected = sum(source.where(query.start, query.end))
    nearest = sorted(places, key=lambda place: abs(sum(target.where(*place)) - expected))
    return dict.fromkeys(nearest, 1 / len(places))


def _difference(query: SpanQuery, place: Range, source: Words, target: Words) -> float:
    """How different the shares are that a span has of its sentence, and a place of the translation: from 0 to 1."""
    (start, end), (first, last) = source.where(query.start, query.end), target.where(*place)
    return abs((end - start) - (last - first))


def _contradict(query: SpanQuery, place: Range, other: SpanQuery, of_other: Range) -> bool:
    """Whether one of two places must be wrong: spans that are apart have the same words, or one has left another."""
    one, two = (query.start, query.end), (other.start, other.end)
    if not overlap(one, two):
        return overlap(place, of_other)
    if _is_inside(one, two):
        return not _is_inside(place, of_other)
    return _is_inside(two, one) and not _is_inside(of_other, place)


def _is_inside(inner: Sequence[float], outer: Sequence[float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]
