"""Changing the annotation of a document that is read: its labels to ours, and what is too doubtful to missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import ENTS, ENTS_GROUP, missing_ranges


def labels_of(doc: Doc) -> dict[str, Counter[str]]:
    """Labels and their numbers, of the entities ("ents") and of each span group but the one with projected scores."""
    found = {ENTS: Counter(ent.label_ for ent in doc.ents)} if doc.has_annotation("ENT_IOB") else {}
    for key, group in doc.spans.items():
        if key != ENTS_GROUP:
            found[key] = Counter(span.label_ for span in group)
    return found


def map_labels(doc: Doc, labels: Mapping[str, str | None]) -> Counter[str]:
    """Give the spans of a document other labels, in place.

    labels (Mapping[str, str | None]): From a label to another one, or to "" or None: such spans go, and their words are
        outside of entities.
    RETURNS (Counter[str]): How many spans each label lost.
    """
    gone: Counter[str] = Counter()
    if any(ent.label_ in labels for ent in doc.ents):
        gone.update(ent.label_ for ent in doc.ents if not labels.get(ent.label_, ent.label_))
        _set_ents(doc, [new for ent in doc.ents if (new := _relabelled(ent, labels))])
    for key, group in list(doc.spans.items()):
        if not any(span.label_ in labels for span in group):
            continue
        if key != ENTS_GROUP:
            gone.update(span.label_ for span in group if not labels.get(span.label_, span.label_))
        changed = [_relabelled(span, labels) for span in group]
        attrs = {name: _of_those(value, changed) for name, value in group.attrs.items()}
        spans = [span for span in changed if span is not None]
        doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=spans)
    return gone


def doubtful(doc: Doc, min_score: float) -> tuple[list[Span], bool]:
    """The entities whose projection is less sure than `min_score`, and whether a span of a group is.

    Of the group that mirrors projected entities only those count that are entities: the others lost their place.
    """
    ents, in_group = [], False
    own = {(ent.start, ent.end, ent.label): ent for ent in doc.ents}
    for key, group in doc.spans.items():
        for span, score in zip(group, group.attrs.get("scores", ()), strict=False):
            if score >= min_score:
                continue
            if key != ENTS_GROUP:
                in_group = True
            elif (ent := own.get((span.start, span.end, span.label))) is not None:
                ents.append(ent)
    return ents, in_group


def n_scores(doc: Doc) -> int:
    """Spans of a document that a projector gave a score."""
    return sum(len(group.attrs.get("scores", ())) for group in doc.spans.values())


def set_missing(doc: Doc, ents: Iterable[Span]) -> None:
    """Make the annotation of entities missing: they may be one or not."""
    ranges = {(ent.start, ent.end) for ent in ents}
    _set_ents(doc, [ent for ent in doc.ents if (ent.start, ent.end) not in ranges], missing=ranges)


def copy_ents(doc: Doc, key: str) -> bool:
    """Copy the entities to a span group, where the document does not have it.

    RETURNS (bool): Whether it has the group now. A group cannot say that annotation is missing, so a document where
        some is gets none.
    """
    if key in doc.spans:
        return True
    if not doc.has_annotation("ENT_IOB", require_complete=True):
        return False
    doc.spans[key] = SpanGroup(doc, name=key, spans=list(doc.ents))
    return True


def _set_ents(doc: Doc, ents: list[Span], *, missing: Iterable[tuple[int, int]] = ()) -> None:
    """Replace the entities; what was missing stays so."""
    ranges = [*missing_ranges(doc), *missing]
    doc.set_ents(ents, missing=[Span(doc, start, end) for start, end in ranges], default="outside")


def _relabelled(span: Span, labels: Mapping[str, str | None]) -> Span | None:
    label = labels.get(span.label_, span.label_)
    if not label:
        return None
    return Span(span.doc, span.start, span.end, label=label, kb_id=span.kb_id, span_id=span.id)


def _of_those(value: Any, spans: list[Span | None]) -> Any:
    """A list with an item for each span, without the items of those that are gone."""
    if not isinstance(value, (list, tuple)) or len(value) != len(spans):
        return value
    return [item for item, span in zip(value, spans, strict=True) if span is not None]
