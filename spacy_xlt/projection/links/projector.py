"""Projection along word links: each span goes where the evidence of its links is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...engine import Engine, setting
from ...protocols import Outcome, Placement, ProjectionWork
from ..annotations import ENTITY_GROUPS
from .assignment import Range, assign
from .boundaries import adjust, is_clause
from .constants import MIN_PART
from .evidence import LinkIndex, SpanLinks, Stretch

PARTS = ("one", "several", "discontinuous")


@dataclass(kw_only=True, eq=False)
class LinkProjector(Engine):
    """Carries spans along word links.

    A target token gains from its strongest link into the span and loses from its strongest link elsewhere; the span
    becomes the run of tokens with the greatest sum, so that a stray link does not stretch it and a gap does not cut
    it. Spans that would claim the same words are placed together, so that the sum over all of them is greatest.
    Particles are left out at the ends of names; clauses take unlinked words at their ends along. Words without links
    are found by their spelling, and spans without any between the links of their neighbours.

    Attributes:
        parts: What becomes of a span whose words are apart in the translation, with words of others between them:
            "one" keeps the best run of words, "several" makes a span of each, "discontinuous" keeps the parts in the
            span group, in order and with the same entry in `attrs["sources"]`, and the best one in `doc.ents`.
    """

    parts: str = setting("one", choices=PARTS)

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went; see `protocols.Projector`. E002 is raised for links outside the docs."""
        outcomes: list[dict[str, list[Outcome]]] = []
        for bitext, groups in work:
            if not any(groups.values()):
                outcomes.append({key: [] for key in groups})
                continue
            index = LinkIndex(bitext)
            outcomes.append(
                {
                    key: self._place(index, [(s.start, s.end) for s in spans], is_name=key in ENTITY_GROUPS)
                    for key, spans in groups.items()
                }
            )
        return outcomes

    def _place(self, index: LinkIndex, ranges: Sequence[Range], *, is_name: bool) -> list[Outcome]:
        """Find the places of the spans of one group, one outcome for each in order."""
        links = [index.span_links(start, end, spelling=True) if start < end else None for start, end in ranges]
        best = [None if of_span is None else of_span.best() for of_span in links]
        if len(ranges) > 1:
            assign(ranges, links, best)
        outcomes: list[Outcome] = []
        for n, (source, of_span) in enumerate(zip(ranges, links, strict=True)):
            stretch = best[n]
            if source[0] == source[1]:
                outcomes.append("empty")
            elif of_span is None or stretch is None:
                stretch = index.between_neighbours(*source)
                outcomes.append("no_links" if stretch is None else Placement(*stretch))
            else:
                others = _apart(n, ranges, best) if len(ranges) > 1 and is_clause(index, source) else ()
                best[n] = stretch = adjust(index, source, stretch, is_name=is_name, others=others)
                place = Placement(stretch.start, stretch.end, confidence(of_span, stretch))
                if self.parts == "one":
                    outcomes.append(place)
                else:
                    outcomes.append(self._in_parts(index, of_span, place, n, ranges, best, is_name=is_name))
        return outcomes

    def _in_parts(
        self,
        index: LinkIndex,
        links: SpanLinks,
        first: Placement,
        n: int,
        ranges: Sequence[Range],
        best: Sequence[Stretch | None],
        *,
        is_name: bool,
    ) -> list[Placement]:
        """A placement and what else the span has of the target, outside the places of other spans."""
        stretch = best[n]
        assert stretch is not None
        placed = [first]
        for part in _further_parts(links, stretch, _apart(n, ranges, best)):
            part = adjust(index, ranges[n], part, is_name=is_name)
            if all(part.end <= other.start or other.end <= part.start for other in placed):
                placed.append(Placement(part.start, part.end, first.score, in_ents=self.parts == "several"))
        return placed


def confidence(links: SpanLinks, stretch: Stretch) -> float:
    """How sure a placement is, from 0 to 1: the share of link weight that speaks for it, times the strongest link."""
    inside = against = strongest = 0.0
    for j, (own, foreign) in enumerate(zip(links.inside, links.outside, strict=True), start=links.start):
        if stretch.start <= j < stretch.end:
            inside += own
            against += foreign
            strongest = max(strongest, own)
        else:
            against += own
    return round(strongest * inside / (inside + against), 4) if inside else 0.0


def _further_parts(links: SpanLinks, first: Stretch, taken: Sequence[Stretch]) -> list[Stretch]:
    """Other runs of words that a span gains from, best first, outside its best one and the places of other spans."""
    parts: list[Stretch] = []
    end = Stretch(links.start + len(links.inside), 0, 0.0)
    while True:
        gaps, position = [], links.start
        for stretch in (*sorted([first, *taken, *parts]), end):
            gaps.append(links.within(position, stretch.start))
            position = max(position, stretch.end)
        part = max((gap for gap in gaps if gap is not None), key=lambda gap: gap.total, default=None)
        if part is None or part.total < MIN_PART * first.total or part.total <= 0.0:
            return parts
        parts.append(part)


def _apart(n: int, ranges: Sequence[Range], best: Sequence[Stretch | None]) -> list[Stretch]:
    """Where the spans are that do not overlap span `n` in the source."""
    start, end = ranges[n]
    return [
        stretch
        for (a, b), stretch in zip(ranges, best, strict=True)
        if stretch is not None and (b <= start or end <= a)
    ]
