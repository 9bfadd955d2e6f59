"""Sentences that a projection is not sure of: what is lost or doubtful must not be read as "no entity here"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from spacy.tokens import Doc, Span

from ..bitext import DROP_FLAG, ENTS, Bitext
from ..docs import missing_ranges, runs_of
from ..protocols import Outcome
from ..span_links import span_at
from ..tokens import has_text
from .annotations import Carried, carried, parts_of
from .filters import ProjectionFilter

# Flag of the sentence pairs that hold a lost span.
LOST_FLAG = "lost_span"
# And of those with an end of a lost link.
LOST_LINK_FLAG = "lost_link"
# Flag of the sentence pairs with a span whose markers were lost; the reason of lost spans has the same name
MARKERS_FLAG = "markers_lost"
# What may become of a doubtful sentence.
POLICIES = ("keep", "missing", "drop")


def clear_flags(bitext: Bitext) -> None:
    """Take off what an earlier projection of the same bitext said of its sentence pairs."""
    for n, pair in enumerate(bitext.sentences):
        bitext.sentences[n] = replace(
            pair, flags=tuple(f for f in pair.flags if f not in (LOST_FLAG, LOST_LINK_FLAG, DROP_FLAG))
        )


def flag_outcomes(
    bitext: Bitext, groups: Mapping[str, Sequence[Span]], outcomes: Mapping[str, Sequence[Outcome]]
) -> None:
    """Flag the sentence pairs of spans with what the projector says of them, such as "markers_lost"."""
    flagged: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, spans in groups.items():
        for span, outcome in zip(spans, outcomes[key], strict=True):
            flags = {place.flag for place in parts_of(outcome)} - {""}
            for flag in {MARKERS_FLAG} if outcome == MARKERS_FLAG else flags:
                flagged[flag].append((span.start, span.end))
    for flag, ranges in flagged.items():
        for n in _pairs_of(bitext, ranges):
            _add_flags(bitext, n, (flag,))


def mark_lost(bitext: Bitext, *, policy: str) -> None:
    """Treat the sentence pairs that a lost span belongs to.

    Args:
        bitext: The bitext.
        policy: "keep" changes nothing. "missing" makes the tokens outside entities missing where an entity was lost.
            "drop" flags the pair with "lost_span", and to be left out.
    """
    if policy == "keep" or not bitext.lost:
        return
    # A span without tokens belongs to the sentence it stands in
    lost = [(span.start, max(span.end, span.start + 1)) for span in bitext.lost if policy == "drop" or span.key == ENTS]
    pairs = _pairs_of(bitext, lost)
    if policy == "missing":
        _make_missing(bitext, pairs)
    else:
        for n in pairs:
            _drop(bitext, n, LOST_FLAG)


def drop_lost_links(bitext: Bitext) -> None:
    """Flag the sentence pairs of lost links with "lost_link", and to be left out."""
    spans = [span_at(bitext.source, end) for link in bitext.lost_links for end in (link.head, link.child)]
    for n in _pairs_of(bitext, [(span.start, span.end) for span in spans]):
        _drop(bitext, n, LOST_LINK_FLAG)


def mark_unknown(bitext: Bitext, *, flags: Collection[str] = ()) -> None:
    """Make missing what nothing is known of: sentences of the target without any text on the source side, as of a
    translation that failed, and the tokens outside entities of those with certain flags.

    Args:
        bitext: The bitext.
        flags: Flags of sentence pairs, such as "looping".
    """
    source, target = bitext.source, bitext.target
    unknown = []
    for n, pair in enumerate(bitext.sentences):
        has_no_source = not _has_words(source, pair.source) and _has_words(target, pair.target)
        if has_no_source or any(flag in flags for flag in pair.flags):
            unknown.append(n)
    if unknown:
        _make_missing(bitext, unknown)


def drop_flagged(bitext: Bitext, flags: Collection[str]) -> None:
    """Mark the sentence pairs with one of these flags to be left out of the training corpus."""
    for n, pair in enumerate(bitext.sentences):
        reason = next((flag for flag in pair.flags if flag in flags), None)
        if reason is not None:
            _drop(bitext, n, reason)


def filter_sentences(bitext: Bitext, filters: Mapping[str, ProjectionFilter], *, policy: str) -> None:
    """Flag the sentence pairs that a filter does not accept with the filter's name.

    Args:
        bitext: The bitext.
        filters: By the name that becomes the flag.
        policy: "keep" flags only. "missing" also makes the tokens outside entities missing, and the entities that were
            not accepted. "drop" also flags the pair to be left out.
    """
    by_start: defaultdict[int, list[Carried]] = defaultdict(list)
    for item in carried(bitext):
        by_start[item.target.start].append(item)
    doubtful: set[int] = set()
    refused: set[tuple[int, int]] = set()
    for n, pair in enumerate(bitext.sentences):
        spans = [item for j in range(*pair.target) for item in by_start.get(j, ())]
        for name, sentence_filter in filters.items():
            verdicts = [sentence_filter.accept(score) for score in sentence_filter.score(bitext, n, spans)]
            if all(verdicts):
                continue
            if policy == "drop":
                _drop(bitext, n, name)
            else:
                _add_flags(bitext, n, (name,))
            doubtful.add(n)
            if len(verdicts) == len(spans):
                bad = [item.target for item, good in zip(spans, verdicts, strict=True) if not good and item.key == ENTS]
                refused.update((span.start, span.end) for span in bad)
    if doubtful and policy == "missing":
        _make_missing(bitext, sorted(doubtful), also=refused)


def _make_missing(bitext: Bitext, pairs: Iterable[int], *, also: Iterable[tuple[int, int]] = ()) -> None:
    """In some sentence pairs, make the target's tokens outside entities missing instead of "no entity".

    `also`: token ranges of entities that are to be missing, too.
    """
    target, refused = bitext.target, set(also)
    ents = [ent for ent in target.ents if (ent.start, ent.end) not in refused]
    tokens = {i for n in pairs for i in range(*bitext.sentences[n].target)}
    tokens.update(i for start, end in (*refused, *missing_ranges(target)) for i in range(start, end))
    tokens.difference_update(*(range(ent.start, ent.end) for ent in ents))
    target.set_ents(ents, missing=runs_of(target, tokens), default="outside")


def _pairs_of(bitext: Bitext, ranges: Iterable[tuple[int, int]]) -> list[int]:
    """The sentence pairs that source ranges reach into, in order."""
    tokens = {i for start, end in ranges for i in range(start, end)}
    return [n for n, pair in enumerate(bitext.sentences) if not tokens.isdisjoint(range(*pair.source))]


def _add_flags(bitext: Bitext, n: int, flags: Iterable[str]) -> None:
    """Add flags to a sentence pair, each once."""
    pair = bitext.sentences[n]
    bitext.sentences[n] = replace(pair, flags=tuple(dict.fromkeys([*pair.flags, *flags])))


def _drop(bitext: Bitext, n: int, reason: str) -> None:
    """Mark a sentence pair to be left out, after the flag that says why."""
    pair = bitext.sentences[n]
    if DROP_FLAG not in pair.flags:
        pair = replace(pair, flags=tuple(flag for flag in pair.flags if flag != reason))
    bitext.sentences[n] = pair
    _add_flags(bitext, n, (reason, DROP_FLAG))


def _has_words(doc: Doc, tokens: tuple[int, int]) -> bool:
    return any(has_text(doc[i].text) for i in range(*tokens))
