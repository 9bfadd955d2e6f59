"""What a projector found, before it is written, and asking another projector about some of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spacy.tokens import Doc, Span, SpanGroup

from ...bitext import ENTS, ENTS_GROUP, Bitext
from ...errors import error
from ...protocols import Projector
from .. import carry
from ..carry import Outcome, Placement


@dataclass
class Run:
    """A bitext and what was found for its spans.

    groups (dict[str, list[Span]]): The spans of the source, by group.
    outcomes (dict[str, list[Outcome]]): One for each span.
    ways (dict[str, list[str]]): The name of what found it, for each span.
    """

    bitext: Bitext
    groups: dict[str, list[Span]]
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    ways: dict[str, list[str]] = field(default_factory=dict)

    def write(self) -> None:
        """Annotate the target, and note in `attrs["by"]` of each group what found each span."""
        carry.write(self.bitext, self.groups, self.outcomes)
        for key, ways in self.ways.items():
            group = self.bitext.target.spans[ENTS_GROUP if key == ENTS else key]
            group.attrs = {**group.attrs, "by": [ways[n] for n in group.attrs["sources"]]}


def start_run(bitext: Bitext, *, ents: bool, spans_keys: Sequence[str] | None, reason: str) -> Run:
    """A run in which nothing is found yet: all spans are lost for one reason."""
    groups = carry.spans_to_carry(bitext, ents=ents, spans_keys=spans_keys)
    if ents and ENTS not in groups:
        carry.clear_entities(bitext.target)
    outcomes: dict[str, list[Outcome]] = {key: [reason] * len(spans) for key, spans in groups.items()}
    return Run(bitext, groups, outcomes, {key: [""] * len(spans) for key, spans in groups.items()})


def name_of(projector: Projector) -> str:
    """How a projector is named in `attrs["by"]`."""
    return type(projector).__name__


def ask(
    projector: Projector, runs: Sequence[Run], wanted: Sequence[Mapping[str, Sequence[int]]]
) -> list[dict[str, dict[int, Outcome]]]:
    """What a projector makes of some spans; nothing is written.

    wanted (Sequence[Mapping[str, Sequence[int]]]): For each run the indices of the spans to ask about, by group. The
        other spans of their sentences are shown to the projector, so that it can place all of them together.
    RETURNS (list[dict[str, dict[int, Outcome]]]): For each run the outcomes of those spans, by group and index. Groups
        that the projector leaves out are left out.
    RAISES (XltError): E413 where the projector does not say which source spans its spans come from.
    """
    todo = [n for n, indices in enumerate(wanted) if any(indices.values())]
    shown = [_shown(runs[n], wanted[n]) for n in todo]
    copies = [_copy(runs[n], indices) for n, indices in zip(todo, shown, strict=True)]
    projector.project(copies)
    result: list[dict[str, dict[int, Outcome]]] = [{} for _ in runs]
    for n, indices, copy in zip(todo, shown, copies, strict=True):
        for key, of_key in wanted[n].items():
            found = _read(projector, copy, key, indices[key])
            if found is not None:
                result[n][key] = {i: found[i] for i in of_key}
    return result


def rescue(
    projector: Projector, runs: Sequence[Run], *, unsure: Callable[[Outcome], bool], min_score: float = 0.0
) -> None:
    """Have a projector place the spans of which another was unsure. What it is lost about stays as it was, and what it
    is less sure of than `min_score` is lost."""
    wanted = [
        {key: [n for n, outcome in enumerate(of_key) if unsure(outcome)] for key, of_key in run.outcomes.items()}
        for run in runs
    ]
    for run, found in zip(runs, ask(projector, runs, wanted), strict=True):
        for key, of_key in found.items():
            for n, outcome in of_key.items():
                if not isinstance(outcome, str):
                    run.outcomes[key][n] = outcome if score_of(outcome) >= min_score else "low_score"
                    run.ways[key][n] = name_of(projector)


def score_of(outcome: Outcome) -> float:
    """How sure an outcome is: the least sure of its parts; -1 for a lost span."""
    if isinstance(outcome, str):
        return -1.0
    if isinstance(outcome, Placement):
        return outcome.score
    return min(part.score for part in outcome)


def _shown(run: Run, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Indices of all spans of the sentences that the wanted spans are in."""
    tokens: set[int] = set()
    for key, indices in wanted.items():
        for n in indices:
            span = run.groups[key][n]
            # A span without tokens belongs to the sentence it stands in
            place = range(span.start, max(span.end, span.start + 1))
            tokens.update(place)
            for pair in run.bitext.sentences:
                if pair.source_start < place.stop and place.start < pair.source_end:
                    tokens.update(range(*pair.source))
    return {
        key: [
            n
            for n, span in enumerate(spans)
            if n in wanted.get(key, ()) or not tokens.isdisjoint(range(span.start, span.end))
        ]
        for key, spans in run.groups.items()
    }


def _copy(run: Run, indices: Mapping[str, Sequence[int]]) -> Bitext:
    """The bitext with a bare target and some of the spans of the source."""
    bitext = run.bitext
    source = bitext.source
    complete = all(len(of_key) == len(run.groups[key]) for key, of_key in indices.items())
    if not complete or set(source.spans) - set(run.groups) or (ENTS not in run.groups and source.ents):
        source = _bare(bitext.source)
        for key, of_key in indices.items():
            spans = [run.groups[key][n] for n in of_key]
            own = [Span(source, s.start, s.end, label=s.label, kb_id=s.kb_id, span_id=s.id) for s in spans]
            if key == ENTS:
                source.set_ents(own, default="outside")
            else:
                source.spans[key] = SpanGroup(source, name=key, spans=own)
    return Bitext(
        source,
        _bare(bitext.target),
        bitext.alignment,
        source_lang=bitext.source_lang,
        target_lang=bitext.target_lang,
        sentences=list(bitext.sentences),
        engine=bitext.engine,
        aligner=bitext.aligner,
        attention=bitext.attention,
    )


def _bare(doc: Doc) -> Doc:
    words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        starts = [token.is_sent_start for token in doc]
    return Doc(doc.vocab, words=words, spaces=spaces, sent_starts=starts)


def _read(projector: Projector, copy: Bitext, key: str, indices: Sequence[int]) -> dict[int, Outcome] | None:
    """What a projector wrote, by index in the original group; None where it left out the group."""
    name = ENTS_GROUP if key == ENTS else key
    group = copy.target.spans[name] if name in copy.target.spans else None
    lost = [span.reason for span in copy.lost if span.key == key and span.reason != "overlap"]
    if group is None:
        return None
    if "sources" not in group.attrs or len(group.attrs.get("scores", ())) != len(group):
        raise error("E413", projector=name_of(projector), group=name)
    parts: dict[int, list[Placement]] = {}
    for n, span, score in zip(group.attrs["sources"], group, group.attrs["scores"], strict=True):
        parts.setdefault(n, []).append(Placement(span.start, span.end, score))
    reasons = iter(lost)
    found: dict[int, Outcome] = {}
    for n, index in enumerate(indices):
        placed = parts.get(n)
        found[index] = next(reasons, "no_candidate") if placed is None else placed[0] if len(placed) == 1 else placed
    return found
