"""What every projector shares: which spans of the source to carry, and writing them onto the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import ENTS_GROUP, Bitext, LostSpan, missing_ranges

ENTS = "ents"
# Why a span was lost.
REASONS = {
    "empty": "the source span has no tokens",
    "no_links": "no word of the span is linked, and nothing else says where it went",
    "low_score": "its place is less sure than the projector's `min_score`",
    "overlap": "another entity has a better claim to its place: it is in the span group, but not in `doc.ents`",
}
# Flag of the sentence pairs that hold a lost span and are to be left out.
DROP_FLAG = "lost_span"


class Placement(NamedTuple):
    """Where a span went: target tokens `[start, end)`, and how sure that is, from 0 to 1."""

    start: int
    end: int
    score: float


# What became of a source span: its place, or a key of `REASONS`.
Outcome = Placement | str


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


def write(bitext: Bitext, groups: Mapping[str, Sequence[Span]], outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """Write projected spans onto the target doc, and what was lost onto the bitext.

    What the target had under the same keys is replaced. Entities that overlap go by score: the best stays in
    `doc.ents`, the others are in the span group that mirrors the entities, and count as lost ("overlap").

    groups (Mapping[str, Sequence[Span]]): From `spans_to_carry`. Without the key "ents" the target's entity
        annotation ends up missing, where the source has none, or is left alone.
    outcomes (Mapping[str, Sequence[Outcome]]): One for each span, by key.
    """
    bitext.lost = []
    for key, spans in groups.items():
        placed = [(span, outcome) for span, outcome in zip(spans, outcomes[key], strict=True) if outcome not in REASONS]
        if len(placed) < len(spans):
            for span, outcome in zip(spans, outcomes[key], strict=True):
                if isinstance(outcome, str):
                    bitext.lost.append(LostSpan(span.start, span.end, span.label_, outcome, key))
        _write_group(bitext, key, placed)  # type: ignore[arg-type]


def clear_entities(target: Doc) -> None:
    """Make the entity annotation of a doc missing."""
    target.spans.pop(ENTS_GROUP, None)
    if target.has_annotation("ENT_IOB"):
        target.set_ents([], default="missing")


def _write_group(bitext: Bitext, key: str, placed: Sequence[tuple[Span, Placement]]) -> None:
    target = bitext.target
    spans = [_span_on(target, span, place) for span, place in placed]
    scores = [place.score for _, place in placed]
    if key != ENTS:
        target.spans[key] = SpanGroup(target, name=key, attrs={"scores": scores}, spans=spans)
        return
    target.spans[ENTS_GROUP] = SpanGroup(target, name=ENTS_GROUP, attrs={"scores": scores}, spans=spans)
    kept = spans
    if len(spans) > 1:
        losers = overlapping(scores, [(place.start, place.end) for _, place in placed])
        if losers:
            kept = [span for i, span in enumerate(spans) if i not in losers]
            for i in sorted(losers):
                span = placed[i][0]
                bitext.lost.append(LostSpan(span.start, span.end, span.label_, "overlap", key))
    if bitext.source.has_annotation("ENT_IOB", require_complete=True):
        target.set_ents(kept, default="outside")
    else:
        target.set_ents(kept, missing=_missing_on(target, bitext, kept), default="outside")


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
    return _runs(target, missing.difference(*(range(ent.start, ent.end) for ent in ents)))


def _runs(doc: Doc, tokens: Iterable[int]) -> list[Span]:
    """Spans over runs of neighbouring tokens."""
    runs: list[list[int]] = []
    for i in sorted(tokens):
        if runs and runs[-1][1] == i:
            runs[-1][1] = i + 1
        else:
            runs.append([i, i + 1])
    return [Span(doc, start, end) for start, end in runs]


def mark_lost(bitext: Bitext, *, missing: bool = False, drop: bool = False) -> None:
    """Keep what was lost from being read as "no entity here".

    missing (bool): In target sentences that a lost entity belongs to, make all tokens outside entities missing.
    drop (bool): Flag the sentence pairs that any lost span belongs to with "lost_span".
    """
    if not bitext.lost:
        return
    lost = [span for span in bitext.lost if drop or span.key == ENTS]
    touched = [n for n, pair in enumerate(bitext.sentences) if any(_touches(pair.source, span) for span in lost)]
    if missing:
        ents = bitext.target.ents
        tokens = {i for n in touched for i in range(*bitext.sentences[n].target)}
        tokens.difference_update(*(range(ent.start, ent.end) for ent in ents))
        before = {i for start, end in missing_ranges(bitext.target) for i in range(start, end)}
        bitext.target.set_ents(list(ents), missing=_runs(bitext.target, tokens | before), default="outside")
    if drop:
        for n in touched:
            pair = bitext.sentences[n]
            flags = tuple(dict.fromkeys([*pair.flags, DROP_FLAG]))
            bitext.sentences[n] = replace(pair, flags=flags)


def _touches(sentence: tuple[int, int], span: LostSpan) -> bool:
    # A span without tokens belongs to the sentence it stands in
    return sentence[0] < max(span.end, span.start + 1) and span.start < sentence[1]
