"""What projectors share that ask a translator about each span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from spacy.tokens import Span
from spacy.util import registry

from ..errors import error
from ..protocols import Outcome, Placement, ProjectionWork, Projector
from .links.evidence import Stretch
from .links.projector import LinkProjector
from .links.scorer import score_places
from .queries import SearchProjector, SpanQuery

DEFAULT_TRANSLATOR = "spacy_xlt.BergamotTranslator.v1"


@dataclass(kw_only=True, eq=False)
class TranslationProjector(SearchProjector):
    """Asks a translator about each span. A subclass writes `search`.

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

    def trimmed(
        self, queries: Sequence[SpanQuery | None], places: Sequence[Stretch | None]
    ) -> Sequence[Stretch | None]:
        """Of what a translation found, links know better where it begins and ends."""
        asked = [query for query in queries if query is not None]
        if not asked:
            return places
        by_links = iter(score_places([asked[0].index], [[(query.start, query.end) for query in asked]])[0])
        ends: list[Stretch | None] = []
        for query, place in zip(queries, places, strict=True):
            linked = None if query is None else next(by_links)
            ends.append((linked.within(place.start, place.end) if linked and place else None) or place)
        return ends


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
