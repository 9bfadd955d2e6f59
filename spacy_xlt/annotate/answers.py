"""What a language model's answer says of the tokens of a text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from spacy.tokens import Doc

from ..llm.answers import without_thoughts
from ..llm.api import Answer
from ..probabilities import SpanKey
from .copies import Copy
from .tags import Tagged, TagSet

# Why a sentence is not annotated
REFUSED, TRUNCATED, EMPTY, OTHER = "refused", "cut off", "empty", "another text"
# Why something that was marked is not annotated
CHANGED, BROKEN, UNKNOWN, OVERLAP = "words changed", "half of a pair", "another label", "overlap"
_FINISHES = {"refusal": REFUSED, "length": TRUNCATED}
# An answer that has less in common with the text is another one
_LEAST_SIMILARITY = 0.5

# The tokens that characters `[start, end)` of a text touch
Tokens = Callable[[int, int], list[int]]


@dataclass(frozen=True)
class Reading:
    """What an answer says of a text.

    Attributes:
        spans: Spans of tokens.
        missing: Tokens of which it says nothing.
        left_out: Marked spans that are not among them, by the reason.
    """

    spans: frozenset[SpanKey]
    missing: frozenset[int]
    left_out: Counter[str]


class _Repeated(NamedTuple):
    """The part of an answer that is the text with tags."""

    tagged: Tagged
    copy: Copy


def read_answer(answer: Answer, text: str, tags: TagSet, tokens: Tokens, *, overlapping: bool) -> Reading | str:
    """Read an answer to the prompt `annotate`.

    Args:
        answer: The answer.
        text: What the model was to put tags into.
        tags: Of the labels.
        tokens: Tells the tokens of the text.
        overlapping: Whether spans may overlap; else the longest stay.

    Returns:
        Why it cannot be used, where that is so.
    """
    if answer.finish in _FINISHES:
        return _FINISHES[answer.finish]
    said = without_thoughts(answer.text)
    if not said:
        return EMPTY
    best = _repeated(said, text, tags)
    if best is None or best.copy.similarity < _LEAST_SIMILARITY:
        return OTHER
    return _reading(*best, tokens, overlapping=overlapping)


def _repeated(said: str, text: str, tags: TagSet) -> _Repeated | None:
    """The line that is most like the text, or the whole answer; of equal ones the last with tags. None where all are
    too long or too short.

    A fence, a title, comments and the text in another language are on lines of their own.
    """
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    tagged = [tags.read(one, text) for one in dict.fromkeys([*reversed(lines), said])]
    every = [_Repeated(one, Copy(one.text, text)) for one in tagged]
    possible = [one for one in every if one.copy.most_similarity >= _LEAST_SIMILARITY]
    return max(possible, key=lambda one: (one.copy.similarity, bool(one.tagged.spans)), default=None)


def _reading(tagged: Tagged, copy: Copy, tokens: Tokens, *, overlapping: bool) -> Reading:
    spans: set[SpanKey] = set()
    left_out = Counter({BROKEN: len(tagged.broken), UNKNOWN: tagged.unknown})
    unclear = [copy.around(*place) for place in tagged.broken] + copy.lacking
    for start, end, label in tagged.spans:
        place = copy.place(start, end)
        if place is None:
            unclear.append(copy.around(start, end))
            left_out[CHANGED] += 1
        elif inside := tokens(*place):
            spans.add(SpanKey(inside[0], inside[-1] + 1, label))
    missing = {i for place in unclear for i in tokens(*place)}
    kept = spans if overlapping else longest(spans)
    missing |= tokens_of(spans - kept)
    left_out[OVERLAP] = len(spans) - len(kept)
    return Reading(frozenset(kept), frozenset(missing - tokens_of(kept)), +left_out)


def tokens_of(spans: Iterable[SpanKey]) -> set[int]:
    """The tokens inside of spans."""
    return {i for span in spans for i in range(span.start, span.end)}


def longest(spans: Iterable[SpanKey]) -> set[SpanKey]:
    """Spans that do not overlap: longer ones stay before shorter ones, then the first."""
    kept: set[SpanKey] = set()
    taken: set[int] = set()
    for span in sorted(spans, key=lambda span: (span.start - span.end, span)):
        if taken.isdisjoint(range(span.start, span.end)):
            kept.add(span)
            taken.update(range(span.start, span.end))
    return kept


def tokens_at(doc: Doc) -> Callable[[int], Tokens]:
    """What tells the tokens of a part of a document that begins at some character.

    White space at either end is not among them.
    """
    starts = [token.idx for token in doc]
    ends = [token.idx + len(token) for token in doc]

    def tokens(offset: int, start: int, end: int) -> list[int]:
        found = list(range(bisect_right(ends, offset + start), bisect_left(starts, offset + end)))
        while found and doc[found[0]].text.isspace():
            del found[0]
        while found and doc[found[-1]].text.isspace():
            del found[-1]
        return found

    return lambda offset: partial(tokens, offset)
