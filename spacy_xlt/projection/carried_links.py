"""Carrying links and records to the spans that their ends became."""

from __future__ import annotations

from collections.abc import Collection

from ..bitext import ENTS, ENTS_GROUP, Bitext, LostLink
from ..span_links import LINKS_GROUP, End, Link, SpanLinks, get_links, set_links, span_at

# Why a link was lost, beside the reasons of its ends
SAME_WORDS, NOT_PROJECTED = "same_words", "not_projected"


def carry_links(bitext: Bitext, keys: Collection[str]) -> None:
    """Write the source's links and records onto the target, between the spans that were projected.

    A link is as sure as it was, times the less sure one of its ends. One that has lost an end is listed in
    `bitext.lost_links` with the reason for which the span was lost, as is one whose ends came to the same words; a
    record with its anchor, or a role, likewise. The direction is that of the ends, whatever their order in the text.

    Args:
        bitext: With projected spans.
        keys: The groups that were projected, "ents" among them.
    """
    source = get_links(bitext.source)
    bitext.lost_links = []
    if LINKS_GROUP not in bitext.source.spans:
        if LINKS_GROUP in bitext.target.spans:
            # Its own links, of spans that are no more
            own = get_links(bitext.target)
            set_links(bitext.target, own.moved(lambda end: None if end.key in keys else end))
        return
    places = {end: place for key in keys for end, place in carried_ends(bitext, key).items()}
    reasons = {(lost.key, lost.start, lost.end, lost.label): lost.reason for lost in bitext.lost}

    def reason(end: End) -> str:
        span = span_at(bitext.source, end)
        return reasons.get((end.key, span.start, span.end, span.label_), NOT_PROJECTED)

    kept = SpanLinks(records=source.records, complete=source.complete)
    for link in source.links:
        lost = next((end for end in (link.head, link.child) if end not in places), None)
        why = SAME_WORDS if lost is None and _same_words(bitext, link, places) else lost and reason(lost)
        if why:
            bitext.lost_links.append(LostLink(link.head, link.child, link.label, why))
        else:
            score = link.score * min(places[link.head][1], places[link.child][1])
            kept.links.append(Link(link.head, link.child, link.label, score))
    for record in source.records:
        ends = [(role, end) for role, end in (("", record.anchor), *record.roles) if isinstance(end, End)]
        for role, end in ends:
            if end not in places:
                label = f"{record.label}.{role}" if role else record.label
                bitext.lost_links.append(LostLink(record.anchor or end, end, label, reason(end)))
    moved = kept.moved(lambda end: places[end][0] if end in places else None)
    # Between spans of which a link was lost, "no link" is not what the source says
    moved.complete = source.complete and not bitext.lost_links
    set_links(bitext.target, moved)


def carried_ends(bitext: Bitext, key: str) -> dict[End, tuple[End, float]]:
    """What the spans of a group became, and how sure that is; of one in parts, the surest part."""
    target = bitext.target
    group = target.spans.get(ENTS_GROUP if key == ENTS else key)
    if group is None or "sources" not in group.attrs:
        return {}
    among = {(ent.start, ent.end, ent.label): n for n, ent in enumerate(target.ents)}
    places: dict[End, tuple[End, float]] = {}
    for n, (span, source, score) in enumerate(zip(group, group.attrs["sources"], group.attrs["scores"], strict=True)):
        index = among.get((span.start, span.end, span.label)) if key == ENTS else n
        end = End(key, source)
        # A reviewer may add spans that come from none of the source
        if source >= 0 and index is not None and score > places.get(end, (end, -1.0))[1]:
            places[end] = End(key, index), float(score)
    return places


def _same_words(bitext: Bitext, link: Link, places: dict[End, tuple[End, float]]) -> bool:
    """Whether the ends of a link came to the same words, and were not on the same in the source."""
    before = [span_at(bitext.source, end) for end in (link.head, link.child)]
    after = [span_at(bitext.target, places[end][0]) for end in (link.head, link.child)]
    was, now = ((first.start, first.end) == (second.start, second.end) for first, second in (before, after))
    return now and not was
