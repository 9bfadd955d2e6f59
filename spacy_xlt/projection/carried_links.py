"""Carrying links and records to the spans that their ends became."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ..bitext import DROP_FLAG, ENTS, ENTS_GROUP, Bitext, LostLink, dropped_pairs
from ..span_links import LINKS_GROUP, End, Link, Record, SpanLinks, get_links, set_links, span_at

# Why a link was lost, beside the reasons of its ends
SAME_WORDS, NOT_PROJECTED = "same_words", "not_projected"


def carry_links(bitext: Bitext, keys: Collection[str]) -> None:
    """Write the source's links and records onto the target, between the spans that were projected.

    A link is as sure as it was, times the less sure one of its ends. One that has lost an end is listed in
    `bitext.lost_links` with the reason for which the span was lost, as is one whose ends came to the same words; a
    record with its anchor and all its roles, or a role, likewise. The direction is that of the ends, whatever their
    order in the text.

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
        gone = None if record.anchor in places else record.anchor
        if gone:
            bitext.lost_links.append(LostLink(gone, gone, record.label, reason(gone)))
        for _, label, anchor, end in _roles(source, record):
            if lost := gone or (None if end in places else end):
                bitext.lost_links.append(LostLink(anchor, end, label, reason(lost)))
    moved = kept.moved(lambda end: places[end][0] if end in places else None)
    # Between spans of which a link was lost, "no link" is not what the source says
    moved.complete = source.complete and not bitext.lost_links
    set_links(bitext.target, moved)


def cut_links(bitext: Bitext) -> None:
    """Take away links between a sentence that is left out of the projected corpus and another, and list them as lost.

    They are gone in `training_target`, and no other pair is less known for that.
    """
    target, links = bitext.target, get_links(bitext.target)
    gone = {i for pair, _ in dropped_pairs(bitext) for i in range(*pair.target)}
    if not gone or LINKS_GROUP not in bitext.source.spans:
        return
    keys = {end.key for end in links.ends()}
    source_of = {place: end for key in keys for end, (place, _) in carried_ends(bitext, key).items()}

    def is_there(end: End) -> bool:
        span = span_at(target, end)
        return gone.isdisjoint(range(span.start, span.end))

    def lose(head: End, child: End, label: str) -> None:
        # Spans that a reviewer added have no source
        if head in source_of and child in source_of:
            bitext.lost_links.append(LostLink(source_of[head], source_of[child], label, DROP_FLAG))

    kept = SpanLinks(complete=links.complete)
    for link in links.links:
        if is_there(link.head) == is_there(link.child):
            kept.links.append(link)
        else:
            lose(link.head, link.child, link.label)
    for record in links.records:
        roles = list(_roles(links, record))
        stays = is_there(record.anchor) if record.anchor else any(is_there(end) for *_, end in roles)
        cut = [role for role in roles if is_there(role[-1]) != stays]
        for _, label, anchor, end in cut:
            lose(anchor, end, label)
        left = [role for n, role in enumerate(record.roles) if all(n != one[0] for one in cut)]
        kept.records.append(replace(record, roles=tuple(left)))
    set_links(target, kept)


def _roles(links: SpanLinks, record: Record) -> Iterator[tuple[int, str, End, End]]:
    """The number of each role, its label as that of a link, and its ends: two anchors, or an anchor and a span.

    Where one of them is not there, the other stands for it.
    """
    for n, (role, end) in enumerate(record.roles):
        child = end if isinstance(end, End) else links.records[end].anchor
        anchor = record.anchor or child
        if anchor is not None:
            yield n, f"{record.label}.{role}", anchor, child or anchor


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
