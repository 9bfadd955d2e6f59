"""What every projector shares: which spans of the source to carry, and writing them onto the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import CANDIDATES_GROUP, ENTS, ENTS_GROUP, Bitext, LostSpan, is_candidates
from ..docs import missing_ranges, runs_of

# Groups whose spans are names
NAMES = frozenset({ENTS, CANDIDATES_GROUP})


class Placement(NamedTuple):
    """Where a span went: target tokens `[start, end)`, and how sure that is, from 0 to 1."""

    start: int
    end: int
    score: float


# What became of a source span: its place, its parts from the most important one on, or a key of `REASONS`.
Outcome = Placement | Sequence[Placement] | str


class Carried(NamedTuple):
    """A span of the source and what it became on the target.

    key (str): "ents", or the key of its span group.
    source, target (Span): Both spans; of a span in parts, one of the parts.
    score (float): How sure the projector is.
    """

    key: str
    source: Span
    target: Span
    score: float


def spans_to_carry(
    bitext: Bitext, *, ents: bool = True, spans_keys: Sequence[str] | None = None
) -> dict[str, list[Span]]:
    """The spans of the source, by group.

    ents (bool): Take the entities, under the key "ents", if the source has entity annotation at all.
    spans_keys (Sequence[str] | None): The span groups to take; None for all, without the one that mirrors projected
        entities.
    RETURNS (dict[str, list[Span]]): A key for every group that the source has, also for an empty one.
    """
    source = bitext.source
    groups: dict[str, list[Span]] = {}
    if ents and source.has_annotation("ENT_IOB"):
        groups[ENTS] = list(source.ents)
    if len(source.spans):
        keys = [key for key in source.spans if key != ENTS_GROUP] if spans_keys is None else spans_keys
        groups.update((key, list(source.spans[key])) for key in keys if key in source.spans)
    return groups


def write(
    bitext: Bitext,
    groups: Mapping[str, Sequence[Span]],
    outcomes: Mapping[str, Sequence[Outcome]],
    *,
    first_parts: bool = False,
) -> None:
    """Write projected spans onto the target doc, and what was lost onto the bitext.

    What the target had under the same keys is replaced. A span group gets `attrs["scores"]` and `attrs["sources"]`,
    for each span the index of the source span it comes from: parts of one span have the same; and
    `attrs["source_scores"]` where the source's group has scores of its own. Entities that overlap
    go by score: the best stays in `doc.ents`, the others are in the span group that mirrors the entities, and count
    as lost ("overlap").

    groups (Mapping[str, Sequence[Span]]): From `spans_to_carry`. Without the key "ents" the target's entity
        annotation ends up missing, where the source has none, or is left alone.
    outcomes (Mapping[str, Sequence[Outcome]]): One for each span, by key.
    first_parts (bool): Of an entity in parts, only the first goes to `doc.ents`; all are in the span group.
    """
    bitext.lost = []
    for key, spans in groups.items():
        placed: list[Placed] = []
        for n, (span, outcome) in enumerate(zip(spans, outcomes[key], strict=True)):
            if isinstance(outcome, str):
                if not is_candidates(key):
                    bitext.lost.append(LostSpan(span.start, span.end, span.label_, outcome, key))
            elif isinstance(outcome, Placement):
                placed.append(Placed(n, 0, span, outcome))
            else:
                placed += [Placed(n, part, span, place) for part, place in enumerate(outcome)]
        _write_group(bitext, key, placed, first_parts=first_parts)


class Placed(NamedTuple):
    """A source span, its index in its group, and where it or a part of it went."""

    n: int
    part: int
    span: Span
    place: Placement


def carried(bitext: Bitext) -> list[Carried]:
    """The spans that a projector carried over, with their sources: entities from the mirroring group, span groups.

    Spans that another way of annotating put there, without `attrs["sources"]`, are not among them.
    """
    found = []
    for key, group in bitext.target.spans.items():
        of_ents = key == ENTS_GROUP
        if "sources" not in group.attrs or not (of_ents or key in bitext.source.spans):
            continue
        spans = list(bitext.source.ents) if of_ents else list(bitext.source.spans[key])
        for n, span, score in zip(group.attrs["sources"], group, group.attrs["scores"], strict=True):
            if n >= 0:  # a reviewer may add spans that come from none of the source
                found.append(Carried(ENTS if of_ents else key, spans[n], span, score))
    return found


def clear_entities(target: Doc) -> None:
    """Make the entity annotation of a doc missing."""
    target.spans.pop(ENTS_GROUP, None)
    if target.has_annotation("ENT_IOB"):
        target.set_ents([], default="missing")


def _write_group(bitext: Bitext, key: str, placed: Sequence[Placed], *, first_parts: bool) -> None:
    target = bitext.target
    # Parts of one span stand in the order of the text
    placed = sorted(placed, key=lambda one: (one.n, one.place.start)) if any(one.part for one in placed) else placed
    spans = [_span_on(target, one.span, one.place) for one in placed]
    scores = [one.place.score for one in placed]
    name = ENTS_GROUP if key == ENTS else key
    attrs: dict[str, Any] = {"scores": scores, "sources": [one.n for one in placed]}
    before = bitext.source.spans[key].attrs.get("scores") if key in bitext.source.spans else None
    if before is not None:
        attrs["source_scores"] = [float(before[one.n]) for one in placed]
    target.spans[name] = SpanGroup(target, name=name, attrs=attrs, spans=spans)
    if key != ENTS:
        return
    kept = [i for i in range(len(spans)) if not (first_parts and placed[i].part)]
    if len(kept) > 1:
        losers = overlapping([scores[i] for i in kept], [(placed[i].place.start, placed[i].place.end) for i in kept])
        beaten = [i for n, i in enumerate(kept) if n in losers]
        kept = [i for n, i in enumerate(kept) if n not in losers]
        # A span of which another part stays is not lost
        for n in sorted({placed[i].n for i in beaten} - {placed[i].n for i in kept}):
            span = next(one.span for one in placed if one.n == n)
            bitext.lost.append(LostSpan(span.start, span.end, span.label_, "overlap", key))
    ents = [spans[i] for i in kept]
    if bitext.source.has_annotation("ENT_IOB", require_complete=True):
        target.set_ents(ents, default="outside")
    else:
        target.set_ents(ents, missing=_missing_on(target, bitext, ents), default="outside")


def _span_on(target: Doc, span: Span, place: Placement) -> Span:
    if target.vocab.strings is span.doc.vocab.strings:
        return Span(target, place.start, place.end, label=span.label, kb_id=span.kb_id, span_id=span.id)
    return Span(target, place.start, place.end, label=span.label_, kb_id=span.kb_id_, span_id=span.id_)


def overlapping(scores: Sequence[float], ranges: Sequence[tuple[int, int]]) -> set[int]:
    """Which ranges have to go so that none overlap: the best score stays, of equal ones the first.

    RETURNS (set[int]): Their indices.
    """
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


def _missing_on(target: Doc, bitext: Bitext, ents: Iterable[Span]) -> list[Span]:
    """Target tokens about which the source says nothing: all of a sentence whose source says nothing at all, else
    those whose links all lead to tokens without annotation."""
    unknown = {i for start, end in missing_ranges(bitext.source) for i in range(start, end)}
    known_links: set[int] = set()
    unknown_links: set[int] = set()
    for i, j in bitext.alignment.links.tolist():
        (unknown_links if i in unknown else known_links).add(j)
    missing = unknown_links - known_links
    for pair in bitext.sentences:
        if pair.source_start < pair.source_end and unknown.issuperset(range(*pair.source)):
            missing.update(range(*pair.target))
    return runs_of(target, missing.difference(*(range(ent.start, ent.end) for ent in ents)))
