"""Several projectors together: one after another for what the first are unsure of, or all of them by a vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..engine import Engine, invalid_setting, setting
from ..protocols import Outcome, Placement, ProjectionWork, Projector
from .annotations import parts_of, score_of
from .by_translation import check_projector, place_some, relabel
from .links.assignment import settle_choices
from .links.evidence import Stretch
from .queries import Range

# What a vote for words that overlap a place counts for it, at most: less than one for the place itself
PARTIAL = 0.5


@dataclass(kw_only=True, eq=False)
class StackedProjector(Engine):
    """Asks one projector after another: what one is lost about, or less sure of than `min_score`, is the next
    one's. Where none is sure, what the first found counts. `attrs["by"]` says which projector found each span.

    Attributes:
        projectors: The projectors, by names of your choice or as a list.
        order: Their names, the first one to be asked first; in alphabetical order where left out, as configs are.
        min_score: How sure each must be for its word to count, from 0 to 1.

    Raises:
        XltError: E101 for a member that is no projector.
    """

    projectors: Any
    order: Sequence[str] | None = None
    min_score: float = setting(0.5, ge=0, le=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.members = _members(self, self.projectors)
        if self.order is not None:
            if sorted(self.order) != sorted(self.members):
                expected = f"each of {', '.join(self.members)} once"
                raise invalid_setting(type(self).__name__, "order", self.order, expected)
            self.members = {name: self.members[name] for name in self.order}

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went; see `protocols.Projector`."""
        results: list[dict[str, list[Outcome]]] = [
            {key: ["no_candidate"] * len(spans) for key, spans in groups.items()} for _, groups in work
        ]
        unsure = [{key: list(range(len(spans))) for key, spans in groups.items()} for _, groups in work]
        for projector in self.members.values():
            for outcomes, remaining, answers in zip(results, unsure, place_some(projector, work, unsure), strict=True):
                for key, of_group in answers.items():
                    for n, outcome in of_group.items():
                        is_sure = score_of(outcome) >= self.min_score
                        if is_sure or isinstance(outcomes[key][n], str):
                            outcomes[key][n] = relabel(outcome, by=type(projector).__name__)
                        if is_sure:
                            remaining[key].remove(n)
        return results


class _Vote(NamedTuple):
    """A projector's word on one span."""

    name: str
    outcome: Outcome

    @property
    def place(self) -> Range | None:
        """From the first to the last token; None for a lost span."""
        parts = parts_of(self.outcome)
        return (min(part.start for part in parts), max(part.end for part in parts)) if parts else None

    @property
    def score(self) -> float:
        return max(0.0, score_of(self.outcome))


@dataclass(kw_only=True, eq=False)
class VotingProjector(Engine):
    """Each span goes to the place that most of the projectors put it.

    A vote counts as much as its projector is sure, for another place in part where the words overlap, so that of three
    places the one in the middle of the others wins. The spans of a group are placed together: those that are apart in
    the source do not share words. `attrs["by"]` says who voted for the place of each span.

    Attributes:
        projectors: The projectors, by names of your choice or as a list.
        min_share: The share of the projectors that must be for exactly one place, from 0 (any place will do); 0.51 for
            a majority. Spans without it are lost ("no_agreement").

    Raises:
        XltError: E101 for a member that is no projector.
    """

    projectors: Any
    min_share: float = setting(0.0, ge=0, le=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.members = _members(self, self.projectors)

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went; see `protocols.Projector`."""
        answers = {name: projector.place(work) for name, projector in self.members.items()}
        return [
            {
                key: self._count(
                    [(span.start, span.end) for span in spans],
                    [[_Vote(name, answer[n][key][i]) for name, answer in answers.items()] for i in range(len(spans))],
                )
                for key, spans in groups.items()
            }
            for n, (_, groups) in enumerate(work)
        ]

    def _count(self, ranges: Sequence[Range], votes: Sequence[Sequence[_Vote]]) -> list[Outcome]:
        """Place the spans of one group."""
        best = settle_choices(ranges, [_choices(of_span) for of_span in votes])
        return [self._outcome(stretch, of_span) for stretch, of_span in zip(best, votes, strict=True)]

    def _outcome(self, stretch: Stretch | None, votes: Sequence[_Vote]) -> Outcome:
        if stretch is None:
            return next((vote.outcome for vote in votes if isinstance(vote.outcome, str)), "no_candidate")
        agreed = [vote for vote in votes if vote.place == stretch[:2]]
        if len(agreed) / len(votes) < self.min_share:
            return "no_agreement"
        by = "+".join(vote.name for vote in agreed)
        # A span in parts stays one where the parts are what was agreed on
        if not any(isinstance(vote.outcome, Placement) for vote in agreed):
            return relabel(agreed[0].outcome, by=by)
        return Placement(*stretch[:2], round(sum(vote.score for vote in agreed) / len(votes), 4), by=by)


def _choices(votes: Sequence[_Vote]) -> list[Stretch]:
    """The places voted for, with what all votes count for each, best first."""
    cast = [(vote.place, vote.score) for vote in votes if vote.place is not None]
    stretches = [
        # Votes of no weight keep a place that nobody else has a word against
        Stretch(*place, sum(score * _support(place, other) for other, score in cast) + 1e-6)
        for place in {place for place, _ in cast}
    ]
    return sorted(stretches, key=lambda stretch: (-stretch.total, stretch.start, stretch.end))


def _support(place: Range, other: Range) -> float:
    """What a vote for one place counts for another, from 0 to 1."""
    if place == other:
        return 1.0
    common = min(place[1], other[1]) - max(place[0], other[0])
    return PARTIAL * 2 * max(0, common) / (place[1] - place[0] + other[1] - other[0])


def _members(owner: Engine, projectors: Any) -> dict[str, Projector]:
    """The projectors by name, in alphabetical order; those of a list are named by their numbers."""
    if isinstance(projectors, Mapping):
        named = {str(name): projectors[name] for name in sorted(projectors)}
    else:
        named = {f"{n:02d}": projector for n, projector in enumerate(projectors or (), 1)}
    if not named:
        raise invalid_setting(type(owner).__name__, "projectors", projectors, "at least one projector")
    for name, projector in named.items():
        check_projector(type(owner).__name__, f"projectors.{name}", projector)
    return named
