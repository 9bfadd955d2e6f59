"""What projectors share that ask a translator about each span and place the spans of a document together afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from spacy.tokens import Doc, Span
from spacy.util import registry

from ..engine import Engine
from ..errors import UnknownDirection, error
from ..languages import MULTI, to_spacy
from ..protocols import Outcome, Placement, ProjectionWork, Projector
from .links.assignment import settle_choices
from .links.evidence import LinkIndex, Stretch
from .links.features import FOREIGN
from .links.projector import LinkProjector
from .links.scorer import score_places

DEFAULT_TRANSLATOR = "spacy_xlt.BergamotTranslator.v1"
# What a token without links costs: little, so that links decide, and enough for the shorter of two places to win
UNLINKED = 0.1
# Of a sentence of more tokens only a part is read, of so many source tokens
LONG = 512
_PART = 128

Range = tuple[int, int]


@dataclass
class SpanQuery:
    """A source span to be found: which tokens of the target it may be, and what was found.

    Attributes:
        index: The bitext.
        start: First source token of the span.
        end: The source token behind its last one.
        source_low: First source token of its sentence, or sentences.
        source_high: The source token behind the last one.
        low: First target token of the sentence.
        high: The target token behind its last one.
        choices: Possible places, best first; totals are above 0, and of the best places of all spans of a conflict the
            greatest sum wins.
        confidence: How sure each place is, from 0 to 1.
        reason: Why there are no choices: a key of `bitext.REASONS`.
    """

    index: LinkIndex
    start: int
    end: int
    source_low: int
    source_high: int
    low: int
    high: int
    choices: list[Stretch] = field(default_factory=list)
    confidence: dict[Range, float] = field(default_factory=dict)
    reason: str = "no_candidate"

    @classmethod
    def of(cls, index: LinkIndex, start: int, end: int) -> SpanQuery:
        """The query for source tokens `[start, end)` in the sentences that they are in, or parts of very long ones."""
        pair = index.sentences_of(start, end)
        source, target = pair.source, pair.target
        if max(source[1] - source[0], target[1] - target[0]) > LONG:
            # A translator reads all of it for each span: so a part of it, the same for spans that are near each other
            low = source[0] + (start - source[0]) // _PART * _PART
            source = low, min(source[1], max(low + _PART, end))
            places = index.leads_to(source[0]), index.leads_to(source[1])
            low = min(max(target[0], min(places) - _PART // 4), target[1])
            target = low, min(target[1], max(low, *places) + _PART // 4, low + 4 * _PART)
        return cls(index, start, end, *source, *target)

    @property
    def length(self) -> int:
        """Source tokens."""
        return self.end - self.start

    @property
    def source(self) -> Doc:
        return self.index.bitext.source

    @property
    def target(self) -> Doc:
        return self.index.bitext.target

    @property
    def text(self) -> str:
        """The text of the source span."""
        return self.source[self.start : self.end].text.strip()

    def gains(self) -> list[float]:
        """What links say about each target token of the sentence: the strongest link from the span, less the strongest
        one from elsewhere."""
        gains = []
        for j in range(self.low, self.high):
            inside, outside = self.index.strongest(j, self.start, self.end)
            gains.append(inside - FOREIGN * outside if inside or outside else -UNLINKED)
        return gains


@dataclass(kw_only=True, eq=False)
class TranslationProjector(Engine, ABC):
    """Finds places for each span, then places all spans of a group together: those that are apart in the source do
    not share words on the target. A subclass writes `search`.

    Attributes:
        translator: What translates or scores; the bundled translator where left out, made when needed.
        source: The source language, for bitexts that do not say theirs.
        target: The target language, likewise.

    Raises:
        XltError: E101 for a translator without the method that is needed.
    """

    # The method that the translator must have
    needs: ClassVar[str] = "translate"

    translator: Any = None
    source: str | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.source, self.target = (None if code is None else to_spacy(code) for code in (self.source, self.target))
        if self.translator is not None and not callable(getattr(self.translator, self.needs, None)):
            kind = type(self.translator).__name__
            name = type(self).__name__
            raise error("E101", name=name, engine=kind, method=self.needs, setting="translator")

    def details(self) -> dict[str, Any]:
        return {"translator": self.used_translator}

    @cached_property
    def used_translator(self) -> Any:
        """The translator; the bundled one is made at first use."""
        return registry.get("misc", DEFAULT_TRANSLATOR)() if self.translator is None else self.translator

    @abstractmethod
    def search(self, queries: Sequence[SpanQuery], source: str, target: str) -> None:
        """Fill in `choices` and `confidence`, or `reason`, of each query, all of the same two languages."""

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went; see `protocols.Projector`.

        Raises:
            XltError: E410 where the translator lacks the direction of a bitext, E309 where its languages are not known.
        """
        by_bitext: list[dict[Range, SpanQuery]] = []
        by_languages: defaultdict[tuple[str, str], list[SpanQuery]] = defaultdict(list)
        for bitext, groups in work:
            ranges = sorted({(span.start, span.end) for spans in groups.values() for span in spans if len(span)})
            queries: dict[Range, SpanQuery] = {}
            if ranges:
                index = LinkIndex(bitext)
                queries = {place: SpanQuery.of(index, *place) for place in ranges}
                by_languages[self._languages(bitext.source_lang, bitext.target_lang)] += queries.values()
            by_bitext.append(queries)
        for (source, target), of_languages in sorted(by_languages.items(), key=lambda item: item[0]):
            try:
                self.search(of_languages, source, target)
            except UnknownDirection as err:
                name = type(self).__name__
                raise error("E410", projector=name, source=source, target=target, reason=err.message) from err
        return [
            {key: self._place(spans, queries) for key, spans in groups.items()}
            for (_, groups), queries in zip(work, by_bitext, strict=True)
        ]

    def _languages(self, source: str, target: str) -> tuple[str, str]:
        known = [
            default if code in ("", MULTI) else code for code, default in ((source, self.source), (target, self.target))
        ]
        if None in known:
            raise error("E309", engine=type(self).__name__, setting="source` and `target")
        return known[0], known[1]  # type: ignore[return-value]

    def _place(self, spans: Sequence[Span], queries: Mapping[Range, SpanQuery]) -> list[Outcome]:
        ranges = [(span.start, span.end) for span in spans]
        best = settle_choices(ranges, [queries[place].choices if place in queries else [] for place in ranges])
        index = next((query.index for query in queries.values()), None)
        by_links = [None] * len(ranges) if index is None else score_places([index], [ranges])[0]
        outcomes: list[Outcome] = []
        for source, stretch, places in zip(ranges, best, by_links, strict=True):
            if source not in queries:
                outcomes.append("empty")
            elif stretch is None:
                outcomes.append(queries[source].reason)
            else:
                query = queries[source]
                score = query.confidence[stretch.start, stretch.end]
                # Of what a translation found, links know better where it begins and ends
                stretch = (places and places.within(stretch.start, stretch.end)) or stretch
                outcomes.append(Placement(stretch.start, stretch.end, score, by=type(self).__name__))
        return outcomes


@dataclass(kw_only=True, eq=False)
class FallbackProjector(TranslationProjector):
    """Leaves what it is lost about for one reason to another projector.

    Attributes:
        fallback: What places those spans: a projector, or "links" for LinkProjector; null to have them lost.

    Raises:
        XltError: E101 for a fallback that is no projector.
    """

    # Reason of the spans that go to the fallback
    left_over: ClassVar[str]
    # Flag of what it places
    flag: ClassVar[str] = ""

    fallback: Any = "links"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fallback = LinkProjector() if self.fallback == "links" else self.fallback
        if self._fallback is not None:
            check_projector(type(self).__name__, "fallback", self._fallback)

    def details(self) -> dict[str, Any]:
        return {**super().details(), "fallback": self._fallback}

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """As other projectors, then the fallback. What it is lost about stays as it was."""
        outcomes = super().place(work)
        if self._fallback is None:
            return outcomes
        wanted = [
            {
                key: [n for n, outcome in enumerate(of_group) if outcome == self.left_over]
                for key, of_group in of.items()
            }
            for of in outcomes
        ]
        for of_bitext, answers in zip(outcomes, place_some(self._fallback, work, wanted), strict=True):
            for key, of_group in answers.items():
                for n, outcome in of_group.items():
                    if not isinstance(outcome, str):
                        of_bitext[key][n] = relabel(outcome, by=type(self._fallback).__name__, flag=self.flag)
        return outcomes


def check_projector(owner: str, name: str, value: Any) -> None:
    """Raise E101 where a setting is no projector."""
    if not isinstance(value, Projector):
        raise error("E101", name=owner, engine=type(value).__name__, method="place", setting=name)


def place_some(
    projector: Projector, work: ProjectionWork, wanted: Sequence[Mapping[str, Sequence[int]]]
) -> list[dict[str, dict[int, Outcome]]]:
    """What a projector makes of some spans: for each bitext the outcomes by group and index.

    Args:
        projector: The projector.
        work: Bitexts and spans.
        wanted: For each bitext the indices of the spans to ask about, by group. The other spans of their sentences are
            shown to the projector, so that it can place all of them together.
    """
    asked = [n for n, indices in enumerate(wanted) if any(indices.values())]
    shown = [_spans_in_context(*work[n], wanted[n]) for n in asked]
    parts = [
        (work[n][0], {key: [work[n][1][key][i] for i in indices] for key, indices in by_key.items()})
        for n, by_key in zip(asked, shown, strict=True)
    ]
    answers: list[dict[str, dict[int, Outcome]]] = [{} for _ in work]
    for n, by_key, outcomes in zip(asked, shown, projector.place(parts), strict=True):
        for key, indices in by_key.items():
            of_group = dict(zip(indices, outcomes[key], strict=True))
            answers[n][key] = {i: of_group[i] for i in wanted[n].get(key, ())}
    return answers


def relabel(outcome: Outcome, *, by: str, flag: str = "") -> Outcome:
    """An outcome with another name of what found it."""
    if isinstance(outcome, str):
        return outcome
    if isinstance(outcome, Placement):
        return outcome._replace(by=by, flag=flag)
    return [part._replace(by=by, flag=flag) for part in outcome]


def _spans_in_context(
    bitext: Any, groups: Mapping[str, Sequence[Span]], wanted: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """Indices of all spans of the sentences that the wanted spans are in, by group."""
    # A span without tokens belongs to the sentence it stands in
    tokens = {
        i
        for key, indices in wanted.items()
        for n in indices
        for i in range(groups[key][n].start, max(groups[key][n].end, groups[key][n].start + 1))
    }
    for pair in bitext.sentences:
        if not tokens.isdisjoint(range(*pair.source)):
            tokens.update(range(*pair.source))
    return {
        key: [
            n
            for n, span in enumerate(spans)
            if n in wanted.get(key, ()) or not tokens.isdisjoint(range(span.start, span.end))
        ]
        for key, spans in groups.items()
    }
