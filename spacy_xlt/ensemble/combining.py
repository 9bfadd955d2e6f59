"""From what several members say of a document to one set of spans."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..probabilities import Scores, SpanKey

METHODS = ("mean", "union", "intersection", "priority")


@dataclass
class MemberSpans:
    """What a member says of a document.

    Attributes:
        spans: Its choice.
        scores: How probable these are, and others that it did not choose.
        silent: Tokens of which it says nothing: the annotation is missing there.
        labels: The labels that it knows; None for all.
    """

    spans: set[SpanKey]
    scores: Scores
    silent: frozenset[int] = frozenset()
    labels: frozenset[str] | None = None

    def has_say(self, span: SpanKey) -> bool:
        """Whether the member could have found a span: it knows the label, and is silent about none of the tokens."""
        if span in self.scores:
            return True
        if self.labels is not None and span.label not in self.labels:
            return False
        return self.silent.isdisjoint(range(span.start, span.end))


@dataclass(frozen=True)
class Combined:
    """A span with its combined score, and the score that each member gave it that has one, by name."""

    span: SpanKey
    score: float
    members: Mapping[str, float] = field(default_factory=dict)


def mapped_labels(labels: Iterable[str], mapping: Mapping[str, str]) -> frozenset[str]:
    """Labels under the names that a mapping gives them; "" leaves one out."""
    return frozenset(mapping.get(label, label) for label in labels) - {""}


def renamed(member: MemberSpans, mapping: Mapping[str, str]) -> MemberSpans:
    """What a member says, with its labels mapped; of spans that become one, the more probable counts."""
    if not mapping:
        return member
    scores: Scores = {}
    for span, score in member.scores.items():
        new = _renamed_span(span, mapping)
        if new.label:
            scores[new] = max(score, scores.get(new, 0.0))
    spans = {new for span in member.spans if (new := _renamed_span(span, mapping)).label}
    labels = None if member.labels is None else mapped_labels(member.labels, mapping)
    return MemberSpans(spans, scores, member.silent, labels)


def _renamed_span(span: SpanKey, mapping: Mapping[str, str]) -> SpanKey:
    return span._replace(label=mapping.get(span.label, span.label))


def combine(
    members: Mapping[str, MemberSpans],
    *,
    method: str,
    weights: Mapping[str, float],
    threshold: float,
    overlapping: bool = False,
) -> list[Combined]:
    """One set of spans from what the members found in a document.

    Args:
        members: By name, the most trusted one first.
        method: "mean": the weighted mean of the members' probabilities decides, as in Ebing & Glavaš (2025), who
            average the outputs for each token; members that have no say on a span do not count. "union": what any
            member chose. "intersection": what all chose that have a say. "priority": what the first chose, then what
            the second chose beside it, and so on.
        weights: By member.
        threshold: For "mean", spans below it are left out, from 0 to 1.
        overlapping: Whether spans may overlap. Else the set whose scores above the threshold have the greatest sum.

    Returns:
        In the order of the text.
    """
    if method == "mean":
        means = [_mean(span, members, weights) for span in {span for m in members.values() for span in m.scores}]
        combined = [item for item in means if item.score >= threshold]
        # A span at the threshold is worth as good as nothing, and still more than none
        return _pick(combined, lambda item: item.score - threshold + 1e-6, overlapping)
    chosen = {span for member in members.values() for span in member.spans}
    if method == "intersection":
        chosen = {span for span in chosen if all(span in m.spans or not m.has_say(span) for m in members.values())}
    combined = [_mean(span, members, weights) for span in chosen]
    if method == "priority" and not overlapping:
        return _by_priority(combined, members)
    return _pick(combined, lambda item: max(item.members.values(), default=0.0) + 1e-6, overlapping)


def best_set(ranges: Sequence[tuple[int, int]], gains: Sequence[float]) -> list[int]:
    """The ranges that do not overlap with the greatest sum of gains: weighted interval scheduling, exact.

    Args:
        ranges: `[start, end)`, start < end.
        gains: One for each, above 0.

    Returns:
        Their indices, in the order of the ranges' ends. Of equally good sets the one whose last ranges come first in
        (end, start) order.
    """
    order = sorted(range(len(ranges)), key=lambda i: (ranges[i][1], ranges[i][0]))
    ends = [ranges[i][1] for i in order]
    best = [0.0]
    before = []
    for n, i in enumerate(order):
        before.append(bisect_right(ends, ranges[i][0], hi=n))
        best.append(max(best[-1], gains[i] + best[before[-1]]))
    picked = []
    n = len(order)
    while n:
        if best[n] > best[n - 1]:
            picked.append(order[n - 1])
            n = before[n - 1]
        else:
            n -= 1
    return picked[::-1]


def _mean(span: SpanKey, members: Mapping[str, MemberSpans], weights: Mapping[str, float]) -> Combined:
    scores = {name: member.scores[span] for name, member in members.items() if span in member.scores}
    total = sum(weights[name] for name, member in members.items() if member.has_say(span))
    mean = sum(weights[name] * score for name, score in scores.items()) / total if total else 0.0
    return Combined(span, mean, scores)


def _pick(combined: Iterable[Combined], gain: Callable[[Combined], float], overlapping: bool) -> list[Combined]:
    ordered = sorted(combined, key=lambda item: item.span)
    if overlapping:
        return ordered
    chosen = best_set([item.span[:2] for item in ordered], [gain(item) for item in ordered])
    return [ordered[i] for i in chosen]


def _by_priority(combined: Iterable[Combined], members: Mapping[str, MemberSpans]) -> list[Combined]:
    by_span = {item.span: item for item in combined}
    taken: set[int] = set()
    chosen = []
    for member in members.values():
        for span in sorted(member.spans & by_span.keys()):
            tokens = range(span.start, span.end)
            if taken.isdisjoint(tokens):
                taken.update(tokens)
                chosen.append(by_span[span])
    return sorted(chosen, key=lambda item: item.span)
