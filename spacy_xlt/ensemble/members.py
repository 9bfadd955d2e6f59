"""The members of an ensemble: pipelines of their own, and what the pipeline around it has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import srsly
from spacy.tokens import Doc

from ..bitext import ENTS_GROUP, candidates_group
from ..docs import missing_ranges, with_vocab
from ..errors import error
from ..io import inside
from ..probabilities import Scores, SpanKey, annotate_scored, finds, labels_of
from ..subpipeline import SubPipeline
from .combining import MemberSpans


class PipelineMember(SubPipeline):
    """A whole spaCy pipeline as a member, of any components that find entities or spans.

    Args:
        pipeline: Name or path.
        name: The component's name, for errors.
        setting: The component's setting that names the pipeline, for errors.
        beam_width: See `annotate_scored`.
        spans_key: See `annotate_scored`.
    """

    def __init__(self, pipeline: str | None, *, name: str, setting: str, beam_width: int, spans_key: str | None):
        super().__init__(pipeline, name=name, setting=setting)
        self.beam_width = beam_width
        self.spans_key = spans_key

    @property
    def labels(self) -> frozenset[str] | None:
        """The labels that it knows; None where it does not say.

        Raises:
            XltError: E161 where it has no component that finds entities, or spans.
        """
        if not finds(self.nlp, self.spans_key):
            what = "doc.ents" if self.spans_key is None else "doc.spans"
            known = ", ".join(self.nlp.pipe_names) or "none"
            raise error("E161", name=self.name, setting=self.setting, pipeline=self.pipeline, what=what, known=known)
        return labels_of(self.nlp, self.spans_key)

    def find(self, docs: Sequence[Doc]) -> list[MemberSpans]:
        """What it says of copies of the docs."""
        labels = self.labels
        copies = [with_vocab(doc, self.nlp.vocab) for doc in docs]
        annotated, scores = annotate_scored(self.nlp, copies, beam_width=self.beam_width, spans_key=self.spans_key)
        return [_spans_of(doc, self.spans_key, labels, scored) for doc, scored in zip(annotated, scores, strict=True)]


class Members:
    """All members of an ensemble: what its component holds as engine.

    Args:
        pipelines: By name.
        own: Name of the member that is the pipeline around it, which comes last.
        spans_key: The span group to find; the entities where left out.

    Attributes:
        own_labels: The labels that the pipeline around it knows; None for all.
    """

    def __init__(self, pipelines: Mapping[str, PipelineMember], *, own: str | None, spans_key: str | None):
        self.pipelines = dict(pipelines)
        self.own = own
        self.own_labels: frozenset[str] | None = None
        self._spans_key = spans_key

    @property
    def labels(self) -> dict[str, frozenset[str] | None]:
        """The labels that each member knows, by name; None where it does not say."""
        labels = {name: member.labels for name, member in self.pipelines.items()}
        return labels if self.own is None else {**labels, self.own: self.own_labels}

    @property
    def signature(self) -> str:
        """The members' signatures."""
        parts = [f"{name}={member.signature}" for name, member in self.pipelines.items()]
        return "Ensemble|" + "|".join([*parts, *([f"own={self.own}"] if self.own is not None else [])])

    def find(self, docs: Sequence[Doc]) -> list[dict[str, MemberSpans]]:
        """What each member says of each doc, by member; the docs are not changed."""
        by_member = {name: member.find(docs) for name, member in self.pipelines.items()}
        if self.own is not None:
            by_member[self.own] = [_spans_of(doc, self._spans_key, self.own_labels, {}) for doc in docs]
        return [{name: spans[i] for name, spans in by_member.items()} for i in range(len(docs))]

    def to_disk(self, path: str | Path) -> None:
        """Save all pipelines, so that the places they came from are not needed any more."""
        folder = Path(path)
        for name, member in self.pipelines.items():
            member.to_disk(inside(folder, name))
        srsly.write_json(folder / "own.json", self._sorted_own())

    def from_disk(self, path: str | Path) -> Members:
        """The counterpart of `to_disk`."""
        folder = Path(path)
        for name, member in self.pipelines.items():
            member.from_disk(inside(folder, name))
        self._set_own(srsly.read_json(folder / "own.json"))
        return self

    def to_bytes(self) -> bytes:
        """All pipelines with their configs."""
        members = {name: member.to_bytes() for name, member in self.pipelines.items()}
        return bytes(srsly.msgpack_dumps({"members": members, "own": self._sorted_own()}))

    def from_bytes(self, data: bytes) -> Members:
        """The counterpart of `to_bytes`."""
        stored = srsly.msgpack_loads(data)
        for name, member in self.pipelines.items():
            member.from_bytes(stored["members"][name])
        self._set_own(stored["own"])
        return self

    def _sorted_own(self) -> list[str] | None:
        return None if self.own_labels is None else sorted(self.own_labels)

    def _set_own(self, labels: list[str] | None) -> None:
        self.own_labels = None if labels is None else frozenset(labels)


def _spans_of(
    doc: Doc, spans_key: str | None, labels: frozenset[str] | None, scored: Mapping[SpanKey, float]
) -> MemberSpans:
    """What a member has put on a doc, with the probabilities that are known."""
    spans = doc.ents if spans_key is None else doc.spans.get(spans_key, ())
    chosen = {SpanKey(span.start, span.end, span.label_) for span in spans}
    scores = {**dict.fromkeys(chosen, 1.0), **scored, **_projected_scores(doc, spans_key)}
    silent: frozenset[int] = frozenset()
    if spans_key is None:
        silent = frozenset(i for start, end in missing_ranges(doc) for i in range(start, end))
    return MemberSpans(chosen, scores, silent, labels)


def _projected_scores(doc: Doc, spans_key: str | None) -> Scores:
    """The scores that projectors left on a doc: how sure the place is, times how probable the span was before."""
    scores: Scores = {}
    for key in (ENTS_GROUP if spans_key is None else spans_key, candidates_group(spans_key)):
        group = doc.spans.get(key)
        if group is None or len(group.attrs.get("scores", ())) != len(group):
            continue
        before = group.attrs.get("source_scores") or [1.0] * len(group)
        for span, score, probability in zip(group, group.attrs["scores"], before, strict=True):
            scores[SpanKey(span.start, span.end, span.label_)] = float(score) * float(probability)
    return scores
