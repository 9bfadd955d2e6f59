"""Leaving sentences out of a document."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import Bitext, SentencePair, missing_ranges
from ..projection.carry import DROP_FLAG


def dropped_pairs(bitext: Bitext, flags: Collection[str] = ()) -> list[tuple[SentencePair, str]]:
    """The sentence pairs that are left out of the projected corpus.

    flags (Collection[str]): Flags to leave out besides "lost_span", which projectors give.
    RETURNS (list[tuple[SentencePair, str]]): Each with the first of its flags that is a reason.
    """
    found = []
    for pair in bitext.sentences:
        reason = next((flag for flag in pair.flags if flag == DROP_FLAG or flag in flags), None)
        if reason is not None:
            found.append((pair, reason))
    return found


def training_target(bitext: Bitext, flags: Collection[str] = ()) -> Doc:
    """The target doc without the sentences that are left out; see `dropped_pairs`."""
    dropped = [pair.target for pair, _ in dropped_pairs(bitext, flags)]
    return without(bitext.target, dropped) if dropped else bitext.target


def without(doc: Doc, ranges: Iterable[tuple[int, int]]) -> Doc:
    """A copy of a doc without some of its tokens, with sentences, entities, span groups and categories.

    ranges (Iterable[tuple[int, int]]): Token ranges `[start, end)` to leave out. Spans that reach into one go too.
    """
    gone = {i for start, end in ranges for i in range(start, end)}
    kept = [i for i in range(len(doc)) if i not in gone]
    place = {old: new for new, old in enumerate(kept)}
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        # what follows a gap begins anew
        follows = {new for old, new in pairwise(kept) if new != old + 1}
        starts = [bool(doc[i].is_sent_start) or i in follows for i in kept]
    copy = Doc(
        doc.vocab,
        words=[doc[i].text for i in kept],
        spaces=[bool(doc[i].whitespace_) for i in kept],
        sent_starts=starts,
    )
    copy.cats = dict(doc.cats)

    def moved(span: Span) -> Span | None:
        if not gone.isdisjoint(range(span.start, span.end)) or span.start == span.end:
            return None
        start = place[span.start]
        return Span(copy, start, start + len(span), label=span.label, kb_id=span.kb_id, span_id=span.id)

    if doc.has_annotation("ENT_IOB"):
        missing = [copy[place[i] : place[i] + 1] for s, e in missing_ranges(doc) for i in range(s, e) if i in place]
        copy.set_ents([span for ent in doc.ents if (span := moved(ent))], missing=missing, default="outside")
    for key, group in doc.spans.items():
        pairs = [(i, span) for i, old in enumerate(group) if (span := moved(old))]
        attrs = {
            name: [values[i] for i, _ in pairs] if isinstance(values, list) and len(values) == len(group) else values
            for name, values in group.attrs.items()
        }
        copy.spans[key] = SpanGroup(copy, name=key, attrs=attrs, spans=[span for _, span in pairs])
    return copy
