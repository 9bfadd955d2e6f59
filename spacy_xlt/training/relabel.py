"""Changing the annotation of a document that is read: its labels to ours, and what is too doubtful to missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from spacy.tokens import Doc, Span

from ..bitext import ENTS, ENTS_GROUP
from ..docs import filter_group, replace_ents


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
        replace_ents(doc, [new for ent in doc.ents if (new := _relabelled(ent, labels))])
    for key, group in list(doc.spans.items()):
        if not any(span.label_ in labels for span in group):
            continue
        if key != ENTS_GROUP:
            gone.update(span.label_ for span in group if not labels.get(span.label_, span.label_))
        doc.spans[key] = filter_group(group, doc, [_relabelled(span, labels) for span in group])
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
    replace_ents(doc, [ent for ent in doc.ents if (ent.start, ent.end) not in ranges], missing=ranges)


def _relabelled(span: Span, labels: Mapping[str, str | None]) -> Span | None:
    label = labels.get(span.label_, span.label_)
    if not label:
        return None
    return Span(span.doc, span.start, span.end, label=label, kb_id=span.kb_id, span_id=span.id)
