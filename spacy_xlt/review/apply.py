"""Putting corrections into a bitext: spans that a person has seen take the place of the projected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import DROP_FLAG, ENTS, ENTS_GROUP, REVIEWED, Bitext, LostSpan, SentencePair, is_candidates
from ..docs import missing_ranges
from ..readers.jsonl import ACCEPT, REJECT
from .records import Correction, Corrections, Mark

# Of a span that comes from no span of the source
NO_SOURCE = -1


def apply_corrections(bitext: Bitext, corrections: Corrections) -> list[str]:
    """Apply those that are about the sentences of a bitext, in place.

    A sentence that is done gets the spans of its correction and no others; one with marks on some of its spans keeps
    the rest; one that was rejected is flagged "dropped" and "reviewed", so that it is left out of what is trained on.
    Reviewed spans have the score 1.0, and True in `attrs["reviewed"]` of their span group; one without a source has -1
    in `attrs["sources"]`. Projected spans that were taken away are lost ("reviewed").

    RETURNS (list[str]): The ids of the corrections that were applied.
    """
    found = corrections.for_bitext(bitext)
    for number, correction in found:
        pair = bitext.sentences[number]
        if correction.answer == REJECT:
            flags = tuple(dict.fromkeys((*pair.flags, DROP_FLAG, REVIEWED)))
            bitext.sentences[number] = replace(pair, flags=flags)
            continue
        keys = [ENTS, *(key for key in bitext.target.spans if key != ENTS_GROUP and not is_candidates(key))]
        keys += [span[3] for span in correction.annotated.spans]
        keys += [span[3] for mark in correction.marks for span in (mark.before, mark.after) if span]
        for key in dict.fromkeys(keys):
            _Group(bitext, key).correct(pair, correction)
    return [correction.id for _, correction in found]


@dataclass
class _Entry:
    """A span of the target.

    n (int | None): Its index in the group before; of a new one, that of the span it was made from.
    """

    start: int
    end: int
    label: str
    source: int
    score: float | None
    n: int | None = None
    reviewed: bool = False

    @property
    def place(self) -> tuple[int, int, str]:
        return self.start, self.end, self.label


class _Group:
    """The entities of a target with the group that mirrors them, or a span group.

    bitext (Bitext): Its target is changed.
    key (str): "ents" or the key of the group.
    """

    def __init__(self, bitext: Bitext, key: str):
        self.bitext, self.key = bitext, key
        self.name = ENTS_GROUP if key == ENTS else key
        self.target: Doc = bitext.target
        self.group: Sequence[Span] = list(self.target.spans[self.name]) if self.name in self.target.spans else []
        self.attrs: dict[str, Any] = dict(self.target.spans[self.name].attrs) if self.group else {}
        if key == ENTS:
            self.sources = list(bitext.source.ents)
        else:
            self.sources = list(bitext.source.spans[key]) if key in bitext.source.spans else []
        self.entries = [
            _Entry(s.start, s.end, s.label_, self._old("sources", n, NO_SOURCE), self._old("scores", n, None), n)
            for n, s in enumerate(self.group)
        ]
        for one, entry in enumerate(self.entries):
            entry.reviewed = self._old("reviewed", one, False)
        if key == ENTS:
            known = {entry.place for entry in self.entries}
            ents = ((ent.start, ent.end, ent.label_) for ent in self.target.ents)
            self.entries += [_Entry(*place, NO_SOURCE, None) for place in ents if place not in known]

    def _old(self, name: str, n: int, default: Any) -> Any:
        values = self.attrs.get(name)
        return values[n] if isinstance(values, list | tuple) and len(values) == len(self.group) else default

    def correct(self, pair: SentencePair, correction: Correction) -> None:
        """Replace the entries of a sentence."""
        first, last = pair.target
        done = correction.answer == ACCEPT
        marks = [m for m in correction.marks if any(span and span[3] == self.key for span in (m.before, m.after))]
        before = {(m.before[0] + first, m.before[1] + first, m.before[2]) for m in marks if m.before}
        if done:
            spans = [span for span in correction.annotated.spans if span[3] == self.key]
            gone = [entry for entry in self.entries if first <= entry.start and entry.end <= last]
        else:
            spans = [m.after for m in marks if m.after and m.after[3] == self.key]
            after = {(start + first, end + first, label) for start, end, label, _ in spans}
            gone = [entry for entry in self.entries if entry.place in before | after]
        if not (spans or gone or done):
            return
        new = []
        for start, end, label, _ in spans:
            place = (start + first, end + first, label)
            source, n = self._origin(place, pair, marks)
            new.append(_Entry(*place, source, 1.0, n, reviewed=True))
        kept = [entry for entry in self.entries if entry not in gone]
        if self.key == ENTS:
            taken = {token for entry in new for token in range(entry.start, entry.end)}
            beaten = [entry for entry in kept if not taken.isdisjoint(range(entry.start, entry.end))]
            kept = [entry for entry in kept if entry not in beaten]
            self._lose(beaten, kept + new, "overlap")
        self._lose(gone, kept + new, REVIEWED)
        self._find_again(new)
        self._write(sorted(kept + new, key=lambda entry: (entry.start, entry.end)))
        if self.key == ENTS:
            self._set_ents(kept, new, pair.target if done else None)

    def _origin(self, place: tuple[int, int, str], pair: SentencePair, marks: Sequence[Mark]) -> tuple[int, int | None]:
        """The index of the source span, and of the projected span, that a span comes from."""
        here = (place[0] - pair.target_start, place[1] - pair.target_start, place[2], self.key)
        mark = next((mark for mark in marks if mark.after == here), None)
        if mark and mark.lost:
            at = (mark.lost[0] + pair.source_start, mark.lost[1] + pair.source_start, mark.lost[2])
            places = [(span.start, span.end, span.label_) for span in self.sources]
            return (places.index(at) if at in places else NO_SOURCE), None
        if mark and mark.before:
            start, end, label, _ = mark.before
            place = (start + pair.target_start, end + pair.target_start, label)
        found = next((entry for entry in self.entries if entry.place == place), None)
        return (found.source, found.n) if found else (NO_SOURCE, None)

    def _lose(self, gone: Sequence[_Entry], there: Sequence[_Entry], reason: str) -> None:
        """Note sources of which nothing is there any more."""
        still = {entry.source for entry in there}
        for n in sorted({entry.source for entry in gone} - still):
            if 0 <= n < len(self.sources):
                span = self.sources[n]
                self._forget(span)
                self.bitext.lost.append(LostSpan(span.start, span.end, span.label_, reason, self.key))

    def _find_again(self, new: Sequence[_Entry]) -> None:
        for entry in new:
            if 0 <= entry.source < len(self.sources):
                self._forget(self.sources[entry.source])

    def _forget(self, span: Span) -> None:
        place = (span.start, span.end, span.label_, self.key, "source")
        self.bitext.lost = [s for s in self.bitext.lost if (s.start, s.end, s.label, s.key, s.side) != place]

    def _write(self, entries: Sequence[_Entry]) -> None:
        attrs: dict[str, Any] = {
            **self.attrs,
            "scores": [1.0 if entry.score is None else entry.score for entry in entries],
            "sources": [entry.source for entry in entries],
            "reviewed": [entry.reviewed for entry in entries],
        }
        for name, values in self.attrs.items():
            if name in ("scores", "sources", "reviewed") or not isinstance(values, list | tuple):
                continue
            if len(values) == len(self.group):
                of_new = 1.0 if all(isinstance(value, float) for value in values) else REVIEWED
                attrs[name] = [of_new if entry.n is None else values[entry.n] for entry in entries]
        spans = [self._span(entry) for entry in entries]
        self.target.spans[self.name] = SpanGroup(self.target, name=self.name, spans=spans, attrs=attrs)

    def _span(self, entry: _Entry) -> Span:
        like = self.group[entry.n] if entry.n is not None else None
        if like is None and 0 <= entry.source < len(self.sources):
            like = self.sources[entry.source]
        kb_id, span_id = ("", "") if like is None else (like.kb_id_, like.id_)
        return Span(self.target, entry.start, entry.end, label=entry.label, kb_id=kb_id, span_id=span_id)

    def _set_ents(self, kept: Sequence[_Entry], new: Sequence[_Entry], done: tuple[int, int] | None) -> None:
        target = self.target
        if not new and not target.has_annotation("ENT_IOB"):
            return
        there = {entry.place for entry in kept}
        ents = [ent for ent in target.ents if (ent.start, ent.end, ent.label_) in there]
        ents += [self._span(entry) for entry in new]
        known = {token for ent in ents for token in range(ent.start, ent.end)} | set(range(*(done or (0, 0))))
        missing = [i for start, end in missing_ranges(target) for i in range(start, end) if i not in known]
        target.set_ents(ents, missing=[target[i : i + 1] for i in missing], default="outside")
