"""Which spans of the source are projected, and writing them onto the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import CANDIDATES_GROUP, ENTS, ENTS_GROUP, Bitext, LostSpan, is_candidates, span_scores
from ..docs import copy_span, missing_ranges, runs_of
from ..protocols import Outcome, Placement
from ..span_links import LINKS_GROUP

# Groups whose spans are entities
ENTITY_GROUPS = frozenset({ENTS, CANDIDATES_GROUP})


class Carried(NamedTuple):
    """A span of the source and what it became on the target.

    Attributes:
        key: "ents", or the key of its span group.
        source: The span of the source.
        target: The span of the target; of a span in parts, one of the parts.
        score: How sure the projector is.
    """

    key: str
    source: Span
    target: Span
    score: float


def spans_to_project(bitext: Bitext, *, ents: bool, spans_keys: Sequence[str] | None) -> dict[str, list[Span]]:
    """The spans of the source, by group.

    Args:
        bitext: The bitext.
        ents: Take the entities, under the key "ents", if the source has entity annotation at all.
        spans_keys: The span groups to take; None for all, without the one that mirrors projected entities.

    Returns:
        A key for every group that the source has, also for an empty one.
    """
    source = bitext.source
    groups: dict[str, list[Span]] = {}
    if ents and source.has_annotation("ENT_IOB"):
        groups[ENTS] = list(source.ents)
    if len(source.spans):
        known = [key for key in source.spans if key not in (ENTS_GROUP, LINKS_GROUP)]
        keys = known if spans_keys is None else spans_keys
        groups.update((key, list(source.spans[key])) for key in keys if key in source.spans)
    return groups


def score_of(outcome: Outcome) -> float:
    """How sure an outcome is: the least sure of its parts; -1 for a lost span."""
    if isinstance(outcome, str):
        return -1.0
    return min(part.score for part in parts_of(outcome))


def parts_of(outcome: Outcome) -> list[Placement]:
    """The places of an outcome; none for a lost span."""
    if isinstance(outcome, str):
        return []
    return [outcome] if isinstance(outcome, Placement) else list(outcome)


def write(bitext: Bitext, groups: Mapping[str, Sequence[Span]], outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """Write projected spans onto the target doc, and what was lost onto the bitext.

    What the target had under the same keys is replaced. A span group gets `attrs["scores"]` and `attrs["sources"]`,
    for each span the index of the source span it comes from: parts of one span have the same; `attrs["by"]` where the
    projector says how it found a span; and `attrs["source_scores"]` where the source's group has scores of its own.
    Entities that overlap go by score: the best stays in `doc.ents`, the others are in the span group that mirrors the
    entities, and count as lost ("overlap").

    Args:
        bitext: The bitext.
        groups: From `spans_to_project`. Without the key "ents" the target's entity annotation is left alone.
        outcomes: One for each span, by key.
    """
    bitext.lost = []
    for key, spans in groups.items():
        placed: list[_Placed] = []
        for n, (span, outcome) in enumerate(zip(spans, outcomes[key], strict=True)):
            if not isinstance(outcome, str):
                # Parts of one span stand in the order of the text
                placed += [_Placed(n, span, place) for place in sorted(parts_of(outcome), key=lambda part: part.start)]
            elif not is_candidates(key):
                bitext.lost.append(_lost(span, outcome, key))
        spans = _write_group(bitext, key, placed)
        if key == ENTS:
            _write_ents(bitext, placed, spans)


class _Placed(NamedTuple):
    """A source span, its index in its group, and where it or a part of it went."""

    n: int
    span: Span
    place: Placement


def carried(bitext: Bitext) -> list[Carried]:
    """The spans that were projected, with their sources: entities from the mirroring group, span groups.

    Spans that another way of annotating put there, without `attrs["sources"]`, are not among them.
    """
    spans: list[Carried] = []
    for name, group in bitext.target.spans.items():
        key = ENTS if name == ENTS_GROUP else name
        if "sources" not in group.attrs or not (key == ENTS or key in bitext.source.spans):
            continue
        sources = list(bitext.source.ents) if key == ENTS else list(bitext.source.spans[key])
        for n, span, score in zip(group.attrs["sources"], group, group.attrs["scores"], strict=True):
            if n >= 0:  # a reviewer may add spans that come from none of the source
                spans.append(Carried(key, sources[n], span, score))
    return spans


def clear_entities(target: Doc) -> None:
    """Make the entity annotation of a doc missing."""
    target.spans.pop(ENTS_GROUP, None)
    if target.has_annotation("ENT_IOB"):
        target.set_ents([], default="missing")


def overlapping(scores: Sequence[float], ranges: Sequence[tuple[int, int]]) -> set[int]:
    """Indices of the ranges that have to go so that none overlap: the best score stays, of equal ones the first."""
    if all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:], strict=False)):
        return set()
    taken: set[int] = set()
    losers = set()
    for i in sorted(range(len(ranges)), key=lambda i: -scores[i]):
        tokens = range(*ranges[i])
        if taken.isdisjoint(tokens):
            taken.update(tokens)
        else:
            losers.add(i)
    return losers


def _lost(span: Span, reason: str, key: str) -> LostSpan:
    return LostSpan(span.start, span.end, span.label_, reason, key)


def _write_group(bitext: Bitext, key: str, placed: Sequence[_Placed]) -> list[Span]:
    name = ENTS_GROUP if key == ENTS else key
    attrs: dict[str, Any] = {
        "scores": [item.place.score for item in placed],
        "sources": [item.n for item in placed],
    }
    before = bitext.source.spans[key].attrs.get("scores") if key in bitext.source.spans else None
    if key == ENTS and (by_span := span_scores(bitext.source, ENTS_GROUP)):
        before = [by_span.get((ent.start, ent.end, ent.label_), 1.0) for ent in bitext.source.ents]
    if before is not None:
        attrs["source_scores"] = [float(before[item.n]) for item in placed]
    if any(item.place.by for item in placed):
        attrs["by"] = [item.place.by for item in placed]
    spans = [copy_span(item.span, bitext.target, item.place.start, item.place.end) for item in placed]
    bitext.target.spans[name] = SpanGroup(bitext.target, name=name, attrs=attrs, spans=spans)
    return spans


def _write_ents(bitext: Bitext, placed: Sequence[_Placed], spans: Sequence[Span]) -> None:
    """Write entities that do not overlap. A span of which another part stays is not lost."""
    target = bitext.target
    wanted = [(item, span) for item, span in zip(placed, spans, strict=True) if item.place.in_ents]
    losers = overlapping([item.place.score for item, _ in wanted], [item.place[:2] for item, _ in wanted])
    kept = [pair for i, pair in enumerate(wanted) if i not in losers]
    beaten = {wanted[i][0].n: wanted[i][0].span for i in sorted(losers)}
    for n in sorted(beaten.keys() - {item.n for item, _ in kept}):
        bitext.lost.append(_lost(beaten[n], "overlap", ENTS))
    ents = [span for _, span in kept]
    if bitext.source.has_annotation("ENT_IOB", require_complete=True):
        target.set_ents(ents, default="outside")
    else:
        target.set_ents(ents, missing=_missing_on(target, bitext, ents), default="outside")


def _missing_on(target: Doc, bitext: Bitext, ents: Iterable[Span]) -> list[Span]:
    """Target tokens about which the source says nothing: all of a sentence whose source says nothing at all, else
    those whose links all lead to tokens without annotation."""
    unknown = {i for start, end in missing_ranges(bitext.source) for i in range(start, end)}
    links = bitext.alignment.links.tolist()
    missing = {j for i, j in links if i in unknown} - {j for i, j in links if i not in unknown}
    for pair in bitext.sentences:
        if pair.source_start < pair.source_end and unknown.issuperset(range(*pair.source)):
            missing.update(range(*pair.target))
    return runs_of(target, missing.difference(*(range(ent.start, ent.end) for ent in ents)))
