"""What projectors share that ask about each span and place the spans of a document together afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from spacy.tokens import Doc, Span

from ..engine import Engine
from ..errors import UnknownDirection, error
from ..languages import MULTI, to_spacy
from ..protocols import Outcome, Placement, ProjectionWork
from .links.assignment import settle_choices
from .links.evidence import LinkIndex, Stretch
from .links.features import FOREIGN

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
        labels: The labels of the spans that are there, each once.
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
    labels: tuple[str, ...] = ()
    choices: list[Stretch] = field(default_factory=list)
    confidence: dict[Range, float] = field(default_factory=dict)
    reason: str = "no_candidate"

    @classmethod
    def of(cls, index: LinkIndex, start: int, end: int, *, labels: Sequence[str] = ()) -> SpanQuery:
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
        return cls(index, start, end, *source, *target, labels=tuple(labels))

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


class SearchProjector(Engine, ABC):
    """Finds places for each span, then places all spans of a group together: those that are apart in the source do
    not share words on the target. A subclass has the settings `source` and `target`, and writes `search`.

    Attributes:
        source: The source language, for bitexts that do not say theirs.
        target: The target language, likewise.
    """

    # Whether a span for which no other words are left shares those of another, or is lost
    may_share: ClassVar[bool] = True

    source: str | None
    target: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.source, self.target = (None if code is None else to_spacy(code) for code in (self.source, self.target))

    @abstractmethod
    def search(self, queries: Sequence[SpanQuery], source: str, target: str) -> None:
        """Fill in `choices` and `confidence`, or `reason`, of each query, all of the same two languages."""

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went; see `protocols.Projector`.

        Raises:
            XltError: E410 where the direction of a bitext is not known, E309 where its languages are not.
        """
        by_bitext: list[dict[Range, SpanQuery]] = []
        by_languages: defaultdict[tuple[str, str], list[SpanQuery]] = defaultdict(list)
        for bitext, groups in work:
            labels: defaultdict[Range, dict[str, None]] = defaultdict(dict)
            for span in (span for spans in groups.values() for span in spans if len(span)):
                labels[span.start, span.end][span.label_] = None
            queries: dict[Range, SpanQuery] = {}
            if labels:
                index = LinkIndex(bitext)
                queries = {place: SpanQuery.of(index, *place, labels=tuple(labels[place])) for place in sorted(labels)}
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
        asked = [queries.get((span.start, span.end)) for span in spans]
        ranges = [(span.start, span.end) for span in spans]
        choices = [[] if query is None else query.choices for query in asked]
        best = settle_choices(ranges, choices, may_share=self.may_share)
        outcomes: list[Outcome] = []
        for query, stretch, ends in zip(asked, best, self.trimmed(asked, best), strict=True):
            if query is None:
                outcomes.append("empty")
            elif stretch is None or ends is None:
                outcomes.append(query.reason)
            else:
                score = query.confidence[stretch.start, stretch.end]
                outcomes.append(Placement(ends.start, ends.end, score, by=type(self).__name__))
        return outcomes

    def trimmed(
        self, queries: Sequence[SpanQuery | None], places: Sequence[Stretch | None]
    ) -> Sequence[Stretch | None]:
        """The places of the spans of one group with the ends that they get: the same ones unless a subclass differs."""
        return places
