"""The members of an ensemble: pipelines of their own, and what the pipeline around it has found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from ..bitext import ENTS_GROUP, candidates_group
from ..docs import missing_ranges, with_vocab
from ..errors import error
from ..probabilities import Scores, SpanKey, annotate_scored, finds, labels_of
from ..subpipeline import SubPipeline
from .combining import Found


class Member(Protocol):
    """What finds spans in documents."""

    def find(self, docs: Sequence[Doc]) -> list[Found]:
        """What it says of each doc; the docs are not changed."""
        ...


class PipelineMember(SubPipeline):
    """A whole spaCy pipeline as a member, of any components that find entities or spans.

    pipeline (str | None): Name or path.
    beam_width, spans_key: See `annotate_scored`.
    """

    def __init__(self, pipeline: str | None, *, name: str, setting: str, beam_width: int, spans_key: str | None):
        super().__init__(pipeline, name=name, setting=setting)
        self.beam_width = beam_width
        self.spans_key = spans_key
        self._labels: frozenset[str] | None = None

    @property
    def labels(self) -> frozenset[str] | None:
        """The labels that it knows; None where it does not say.

        RAISES (XltError): E161 where it has no component that finds entities, or spans.
        """
        if not finds(self.nlp, self.spans_key):
            what = "doc.ents" if self.spans_key is None else "doc.spans"
            known = ", ".join(self.nlp.pipe_names) or "none"
            raise error("E161", name=self.name, setting=self.setting, pipeline=self.pipeline, what=what, known=known)
        return labels_of(self.nlp, self.spans_key)

    def find(self, docs: Sequence[Doc]) -> list[Found]:
        """What it says of copies of the docs."""
        labels = self.labels
        copies = [with_vocab(doc, self.nlp) for doc in docs]
        annotated, scores = annotate_scored(self.nlp, copies, beam_width=self.beam_width, spans_key=self.spans_key)
        return [_found(doc, self.spans_key, labels, scored) for doc, scored in zip(annotated, scores, strict=True)]


class OwnMember:
    """What the components before the ensemble have found, with the scores that they left.

    labels (Iterable[str] | None): The labels that they know; None for all.
    """

    def __init__(self, *, spans_key: str | None, labels: Iterable[str] | None = None):
        self.spans_key = spans_key
        self.labels = None if labels is None else frozenset(labels)

    def find(self, docs: Sequence[Doc]) -> list[Found]:
        """What is on the docs."""
        return [_found(doc, self.spans_key, self.labels, {}) for doc in docs]


class Members:
    """All members of an ensemble: what its component holds as engine.

    members (Mapping[str, PipelineMember]): By name.
    own (str | None): Name of the member that is the pipeline around it, which comes last.
    """

    def __init__(self, members: Mapping[str, PipelineMember], *, own: str | None, spans_key: str | None):
        self.pipelines = dict(members)
        self.own = own
        self.own_member = None if own is None else OwnMember(spans_key=spans_key)

    @property
    def all(self) -> dict[str, Member]:
        """Every member by name."""
        found: dict[str, Member] = dict(self.pipelines)
        if self.own is not None and self.own_member is not None:
            found[self.own] = self.own_member
        return found

    @property
    def signature(self) -> str:
        """The members' signatures."""
        parts = [f"{name}={member.signature}" for name, member in self.pipelines.items()]
        return "Ensemble|" + "|".join([*parts, *([f"own={self.own}"] if self.own is not None else [])])

    def find(self, docs: Sequence[Doc]) -> list[dict[str, Found]]:
        """What each member says of each doc, by member."""
        found = {name: member.find(docs) for name, member in self.all.items()}
        return [{name: of_member[i] for name, of_member in found.items()} for i in range(len(docs))]

    def to_disk(self, path: str | Path) -> None:
        """Save all pipelines, so that the places they came from are not needed any more."""
        folder = Path(path)
        for name, member in self.pipelines.items():
            member.to_disk(folder / name)
        srsly.write_json(folder / "own.json", self._own_data())

    def from_disk(self, path: str | Path) -> Members:
        """The counterpart of `to_disk`."""
        folder = Path(path)
        for name, member in self.pipelines.items():
            member.from_disk(folder / name)
        self._set_own(srsly.read_json(folder / "own.json"))
        return self

    def to_bytes(self) -> bytes:
        """All pipelines with their configs."""
        members = {name: member.to_bytes() for name, member in self.pipelines.items()}
        return bytes(srsly.msgpack_dumps({"members": members, "own": self._own_data()}))

    def from_bytes(self, data: bytes) -> Members:
        """The counterpart of `to_bytes`."""
        stored = srsly.msgpack_loads(data)
        for name, member in self.pipelines.items():
            member.from_bytes(stored["members"][name])
        self._set_own(stored["own"])
        return self

    def inner_pipelines(self) -> list[Language]:
        """The pipelines, loaded."""
        return [member.nlp for member in self.pipelines.values()]

    def _own_data(self) -> dict[str, Any]:
        labels = None if self.own_member is None else self.own_member.labels
        return {"labels": None if labels is None else sorted(labels)}

    def _set_own(self, data: Mapping[str, Any]) -> None:
        if self.own_member is not None and data["labels"] is not None:
            self.own_member.labels = frozenset(data["labels"])


def _found(doc: Doc, spans_key: str | None, labels: frozenset[str] | None, scored: Mapping[SpanKey, float]) -> Found:
    spans = doc.ents if spans_key is None else doc.spans.get(spans_key, ())
    own = {SpanKey(span.start, span.end, span.label_) for span in spans}
    scores = {**dict.fromkeys(own, 1.0), **scored, **_left_scores(doc, spans_key)}
    silent: frozenset[int] = frozenset()
    if spans_key is None:
        silent = frozenset(i for start, end in missing_ranges(doc) for i in range(start, end))
    return Found(own, scores, silent, labels)


def _left_scores(doc: Doc, spans_key: str | None) -> Scores:
    """The scores that projectors left on a doc: how sure the place is, times how probable the span was before."""
    found: Scores = {}
    for key in (ENTS_GROUP if spans_key is None else spans_key, candidates_group(spans_key)):
        group = doc.spans.get(key)
        if group is None or len(group.attrs.get("scores", ())) != len(group):
            continue
        before = group.attrs.get("source_scores") or [1.0] * len(group)
        for span, score, probability in zip(group, group.attrs["scores"], before, strict=True):
            found[SpanKey(span.start, span.end, span.label_)] = float(score) * float(probability)
    return found
