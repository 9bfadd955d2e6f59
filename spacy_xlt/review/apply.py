"""Putting corrections into a bitext: spans that a person has seen take the place of the projected ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spacy.tokens import Span, SpanGroup

from ..bitext import DROP_FLAG, ENTS, ENTS_GROUP, REVIEWED, Bitext, LostSpan, SentencePair, is_annotation
from ..docs import missing_ranges
from ..projection.carried_links import carry_links, cut_links
from ..readers.jsonl import ACCEPT, REJECT
from ..span_links import LINKS_GROUP
from .links import correct_links

if TYPE_CHECKING:
    from .records import Correction

# Of a span that comes from no span of the source
NO_SOURCE = -1
_Place = tuple[int, int, str]


def apply_corrections(bitext: Bitext, corrections: Sequence[tuple[int, Correction]]) -> None:
    """Apply corrections to sentences of a bitext, in place.

    A sentence that is done gets the spans of its correction and no others; one with marks on some of its spans keeps
    the rest; one that was rejected is flagged "dropped" and "reviewed", so that it is left out of what is trained on.
    Links follow their ends; where a correction says which there are, see `correct_links`.
    Reviewed spans have the score 1.0, and True in `attrs["reviewed"]` of their span group; one without a source has -1
    in `attrs["sources"]`. Projected spans that were taken away are lost ("reviewed").

    Args:
        bitext: Changed.
        corrections: Each with the number of the sentence pair that it is about.
    """
    for number, correction in corrections:
        _correct_spans(bitext, number, correction)
    if LINKS_GROUP in bitext.target.spans:
        # What a link joins may have another place now, or be there again
        carry_links(bitext, [ENTS, *filter(is_annotation, bitext.source.spans)])
    correct_links(bitext, corrections)
    cut_links(bitext)


def _correct_spans(bitext: Bitext, number: int, correction: Correction) -> None:
    pair = bitext.sentences[number]
    if correction.answer == REJECT:
        flags = tuple(dict.fromkeys((*pair.flags, DROP_FLAG, REVIEWED)))
        bitext.sentences[number] = replace(pair, flags=flags)
        return
    keys = [ENTS, *filter(is_annotation, bitext.target.spans)]
    keys += [span[3] for span in correction.spans]
    keys += [span[3] for mark in correction.marks for span in (mark.before, mark.after) if span]
    for key in dict.fromkeys(keys):
        _Group(bitext, key).correct(pair, correction)


@dataclass
class _Entry:
    """A span of the target, and which span of the source it comes from."""

    place: _Place
    source: int
    score: float | None
    # Its index in the group before; of a new one, that of the span it was made from
    old: int | None = None
    reviewed: bool = False


class _Group:
    """The entities of a target with the group that mirrors them, or a span group."""

    def __init__(self, bitext: Bitext, key: str):
        self.bitext, self.key, self.target = bitext, key, bitext.target
        self.name = ENTS_GROUP if key == ENTS else key
        group = self.target.spans.get(self.name, [])
        self.spans = list(group)
        self.attrs: dict[str, Any] = dict(group.attrs) if self.spans else {}
        self.sources = list(bitext.source.ents if key == ENTS else bitext.source.spans.get(key, []))
        sources, scores = self._values("sources", NO_SOURCE), self._values("scores", None)
        reviewed = self._values(REVIEWED, False)
        self.entries = [
            _Entry(_place(span), sources[n], scores[n], n, reviewed[n]) for n, span in enumerate(self.spans)
        ]
        if key == ENTS:
            mirrored = {entry.place for entry in self.entries}
            ents = map(_place, self.target.ents)
            self.entries += [_Entry(place, NO_SOURCE, None) for place in ents if place not in mirrored]

    def _values(self, name: str, default: Any) -> Sequence[Any]:
        """A group's attribute with an entry for each span."""
        values = self.attrs.get(name)
        is_of_spans = isinstance(values, list | tuple) and len(values) == len(self.spans)
        return values if is_of_spans else [default] * len(self.spans)  # type: ignore[return-value]

    def correct(self, pair: SentencePair, correction: Correction) -> None:
        """Replace the entries of a sentence."""
        first, last = pair.target
        done = correction.answer == ACCEPT
        marks = [mark for mark in correction.marks if self.key in {s[3] for s in (mark.before, mark.after) if s}]
        if done:
            spans = [span for span in correction.spans if span[3] == self.key]
            gone = [entry for entry in self.entries if first <= entry.place[0] and entry.place[1] <= last]
        else:
            spans = [mark.after for mark in marks if mark.after and mark.after[3] == self.key]
            marked = {_moved(span, first) for span in [*spans, *(mark.before for mark in marks if mark.before)]}
            gone = [entry for entry in self.entries if entry.place in marked]
        if not (spans or gone or done):
            return
        # By the place that each was moved from, or placed for
        origins = {mark.after: mark for mark in reversed(marks) if mark.after}
        new = []
        for span in spans:
            mark = origins.get(span)
            if mark and mark.lost:
                places = [_place(source) for source in self.sources]
                at = _moved(mark.lost, pair.source_start)
                source, old = (places.index(at) if at in places else NO_SOURCE), None
            else:
                at = _moved(mark.before if mark and mark.before else span, first)
                like = next((entry for entry in self.entries if entry.place == at), None)
                source, old = (like.source, like.old) if like else (NO_SOURCE, None)
            new.append(_Entry(_moved(span, first), source, 1.0, old, reviewed=True))
        kept = [entry for entry in self.entries if entry not in gone]
        if self.key == ENTS:
            tokens = {token for entry in new for token in range(*entry.place[:2])}
            beaten = [entry for entry in kept if not tokens.isdisjoint(range(*entry.place[:2]))]
            kept = [entry for entry in kept if entry not in beaten]
            self._lose(beaten, kept + new, "overlap")
        self._lose(gone, kept + new, REVIEWED)
        self._forget({entry.source for entry in new})
        self._write(sorted(kept + new, key=lambda entry: entry.place[:2]))
        if self.key == ENTS and (new or self.target.has_annotation("ENT_IOB")):
            self._set_ents(kept, new, range(first, last) if done else range(0))

    def _lose(self, gone: Iterable[_Entry], present: Iterable[_Entry], reason: str) -> None:
        """Note sources of which nothing is there any more."""
        lost = {entry.source for entry in gone} - {entry.source for entry in present}
        self._forget(lost)
        for n in sorted(lost):
            if 0 <= n < len(self.sources):
                self.bitext.lost.append(LostSpan(*_place(self.sources[n]), reason, self.key))

    def _forget(self, sources: Iterable[int]) -> None:
        """Take sources off the list of lost spans."""
        places = {_place(self.sources[n]) for n in sources if 0 <= n < len(self.sources)}

        def is_meant(span: LostSpan) -> bool:
            return (span.key, span.side) == (self.key, "source") and (span.start, span.end, span.label) in places

        self.bitext.lost = [span for span in self.bitext.lost if not is_meant(span)]

    def _write(self, entries: Sequence[_Entry]) -> None:
        attrs: dict[str, Any] = {
            **self.attrs,
            "scores": [1.0 if entry.score is None else entry.score for entry in entries],
            "sources": [entry.source for entry in entries],
            REVIEWED: [entry.reviewed for entry in entries],
        }
        for name, values in self.attrs.items():
            if name in ("scores", "sources", REVIEWED) or not isinstance(values, list | tuple):
                continue
            if len(values) == len(self.spans):
                of_new = 1.0 if all(isinstance(value, float) for value in values) else REVIEWED
                attrs[name] = [of_new if entry.old is None else values[entry.old] for entry in entries]
        spans = [self._span(entry) for entry in entries]
        self.target.spans[self.name] = SpanGroup(self.target, name=self.name, spans=spans, attrs=attrs)

    def _span(self, entry: _Entry) -> Span:
        start, end, label = entry.place
        like = self.spans[entry.old] if entry.old is not None else None
        if like is None and 0 <= entry.source < len(self.sources):
            like = self.sources[entry.source]
        kb_id, span_id = ("", "") if like is None else (like.kb_id_, like.id_)
        return Span(self.target, start, end, label=label, kb_id=kb_id, span_id=span_id)

    def _set_ents(self, kept: Iterable[_Entry], new: Iterable[_Entry], done: range) -> None:
        """Set the entities; what is missing stays missing, but in the tokens that are done."""
        places = {entry.place for entry in kept}
        ents = [ent for ent in self.target.ents if _place(ent) in places] + [self._span(entry) for entry in new]
        annotated = {token for ent in ents for token in range(ent.start, ent.end)} | set(done)
        missing = [i for start, end in missing_ranges(self.target) for i in range(start, end) if i not in annotated]
        self.target.set_ents(ents, missing=[self.target[i : i + 1] for i in missing], default="outside")


def _place(span: Span) -> _Place:
    return span.start, span.end, span.label_


def _moved(span: tuple[int, int, str, str], by: int) -> _Place:
    return span[0] + by, span[1] + by, span[2]
