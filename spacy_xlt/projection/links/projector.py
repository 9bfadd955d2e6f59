"""Projection along word links: each span goes to the place that is most likely by its links and its ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...engine import Engine, setting
from ...protocols import Outcome, Placement, ProjectionWork
from .assignment import Range, overlap, settle
from .evidence import LinkIndex, Stretch
from .scorer import Places, score_places

PARTS = ("one", "several", "discontinuous")
# Of a span in parts: how much of the link weight of the best part another part must have
MIN_PART = 0.4


@dataclass(kw_only=True, eq=False)
class LinkProjector(Engine):
    """Carries spans along word links.

    Every place that a span may have in the target is scored by the links of its tokens and by its two ends: the links
    there and beside them, and whether there is punctuation on both sides alike (see `scorer`). The most likely one is
    taken. The surest span of a document is placed first; another that is apart from it in the source goes elsewhere,
    unless it has no links to other words. No place ends inside a bracket or a quotation that it opens, but that of a
    span that is linked one to one to the same words, which is these. Words without links are linked by their spelling,
    and spans without any are found between the links of their neighbours.

    A score is the geometric mean of the probability of the place and of the share of link weight that speaks for it
    times the strongest link.

    Attributes:
        parts: What becomes of a span whose words are apart in the translation, with words of others between them:
            "one" keeps the best run of words, "several" makes a span of each, "discontinuous" keeps the parts in the
            span group, in order and with the same entry in `attrs["sources"]`, and the best one in `doc.ents`.
    """

    output_version: ClassVar[int] = 3
    parts: str = setting("one", choices=PARTS)

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went; see `protocols.Projector`. E002 is raised for links outside the docs."""
        asked = [n for n, (_, groups) in enumerate(work) if any(groups.values())]
        indices = [LinkIndex(work[n][0]) for n in asked]
        ranges = [[(s.start, s.end) for spans in work[n][1].values() for s in spans] for n in asked]
        outcomes: list[dict[str, list[Outcome]]] = [{key: [] for key in groups} for _, groups in work]
        for n, index, of_bitext, places in zip(asked, indices, ranges, score_places(indices, ranges), strict=True):
            for source, of_span in zip(of_bitext, places, strict=True):
                if of_span is not None and (copy := index.copy_of(*source)):
                    of_span.move(*copy)
            rest = iter(places)
            for key, spans in work[n][1].items():
                group = [next(rest) for _ in spans]
                outcomes[n][key] = self._place(index, [(s.start, s.end) for s in spans], group)
        return outcomes

    def _place(self, index: LinkIndex, ranges: Sequence[Range], places: Sequence[Places | None]) -> list[Outcome]:
        """Place the spans of one group, one outcome for each in order."""
        best = settle(
            ranges,
            [None if of_span is None else of_span.best for of_span in places],
            lambda n: places[n].probability,  # type: ignore[union-attr]
            lambda n, taken: places[n].elsewhere(taken),  # type: ignore[union-attr]
        )
        outcomes: list[Outcome] = []
        for source, of_span, stretch in zip(ranges, places, best, strict=True):
            if source[0] == source[1]:
                outcomes.append("empty")
            elif of_span is None or stretch is None:
                stretch = index.between_neighbours(*source)
                outcomes.append("no_links" if stretch is None else Placement(*stretch))
            else:
                first = Placement(stretch.start, stretch.end, of_span.score_of(stretch))
                if self.parts == "one":
                    outcomes.append(first)
                    continue
                taken = [
                    other
                    for place, other in zip(ranges, best, strict=True)
                    if other is not None and not overlap(place, source)
                ]
                outcomes.append(self._in_parts(of_span, first, taken))
        return outcomes

    def _in_parts(self, places: Places, first: Placement, taken: Sequence[Stretch]) -> list[Placement]:
        """A placement and what else the span has of the target, outside the places of other spans."""
        placed = [first]
        while True:
            own = [Stretch(part.start, part.end, 0.0) for part in placed]
            part = places.elsewhere([*taken, *own])
            if part is None or places.weight(*part[:2]) < MIN_PART * places.weight(first.start, first.end):
                return placed
            placed.append(Placement(part.start, part.end, first.score, in_ents=self.parts == "several"))
