"""`VotingProjector`: several projectors vote on the place of each span."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ... import __version__
from ...bitext import Bitext
from ...errors import error
from ..assign import assign_choices
from ..carry import Outcome, Placement
from ..evidence import Stretch
from ..spanwise import BATCH, check_number, check_spans_settings, spans_signature
from .members import check_members, numbers_for
from .runs import Run, ask, score_of, start_run

# What a vote for words that overlap a place counts for it, at most: less than one for the place itself.
PARTIAL = 0.5


def make_voting_projector(
    projectors: Mapping[str, Any],
    weights: Mapping[str, float] | float = 1.0,
    by_score: bool = True,
    min_share: float = 0.0,
    ents: bool = True,
    spans_keys: list[str] | None = None,
    min_score: float = 0.0,
) -> VotingProjector:
    """Make the projector from a config.

    projectors (dict[str, Projector]): The projectors by names of your choice.
    weights (dict[str, float] | float): What the vote of each counts; one number for all.
    by_score (bool): A vote counts as much as its projector is sure; if not, all of them count in full.
    min_share (float): The share of the weights that must be for exactly one place, from 0 (any place will do); 0.51
        for a majority. Spans without it are lost ("no_agreement").
    ents, spans_keys, min_score: As LinkProjector's.
    RAISES (XltError): E401, E412 or E414 for a setting that cannot be.
    """
    return VotingProjector(
        projectors,
        weights=weights,
        by_score=by_score,
        min_share=min_share,
        ents=ents,
        spans_keys=spans_keys,
        min_score=min_score,
    )


class Vote(NamedTuple):
    """A projector's word on one span.

    name (str): Which projector.
    outcome (Outcome): What it found.
    weight (float): What its vote counts.
    """

    name: str
    outcome: Outcome
    weight: float


class VotingProjector:
    """Each span goes to the place that most of the projectors put it, by weight. A vote for another place counts in
    part where the words overlap, so that of three places the one in the middle of the others wins. The spans of a
    group are placed together: those that are apart in the source do not share words.

    See `make_voting_projector` for the settings.
    """

    def __init__(
        self,
        projectors: Mapping[str, Any] | Sequence[Any],
        *,
        weights: Mapping[str, float] | float = 1.0,
        by_score: bool = True,
        min_share: float = 0.0,
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
    ):
        check_spans_settings(ents, spans_keys, min_score)
        check_number("min_share", min_share, 0, 1)
        if not isinstance(by_score, bool):
            raise error("E401", setting="by_score", value=by_score, expected="true or false")
        self.projectors = check_members(type(self).__name__, projectors, None)
        self.weights = numbers_for(type(self).__name__, self.projectors, "weights", weights, default=1.0)
        if not any(self.weights.values()):
            raise error("E414", projector=type(self).__name__, setting="weights", value=weights, expected="one above 0")
        self.by_score = by_score
        self.min_share = float(min_share)
        self.ents = ents
        self.spans_keys = None if spans_keys is None else list(spans_keys)
        self.min_score = float(min_score)

    @property
    def signature(self) -> str:
        """The settings, and the signatures of the projectors."""
        members = "|".join(f"{self.weights[n]:g}:({p.signature})" for n, p in self.projectors.items())
        own = f"by_score:{'yes' if self.by_score else 'no'}|min_share:{self.min_share:g}"
        return f"VotingProjector|{own}|{spans_signature(self)}|version:{__version__}|{members}"

    def project(self, bitexts: Iterable[Bitext]) -> list[Bitext]:
        """Annotate the target docs in place. `attrs["by"]` of a group says who voted for the place of each span.

        RETURNS (list[Bitext]): The same bitexts, in order.
        """
        stream, done, signature = iter(bitexts), [], self.signature
        while batch := list(islice(stream, BATCH)):
            runs = [start_run(b, ents=self.ents, spans_keys=self.spans_keys, reason="no_candidate") for b in batch]
            wanted = [{key: range(len(spans)) for key, spans in run.groups.items()} for run in runs]
            answers = {name: ask(projector, runs, wanted) for name, projector in self.projectors.items()}
            for n, run in enumerate(runs):
                for key in run.groups:
                    self._count(run, key, {name: found[n].get(key, {}) for name, found in answers.items()})
                run.write()
                run.bitext.projector = signature
            done += batch
        return done

    def _count(self, run: Run, key: str, answers: Mapping[str, Mapping[int, Outcome]]) -> None:
        """Place the spans of one group."""
        spans = run.groups[key]
        votes = [
            [Vote(name, found[n], self.weights[name]) for name, found in answers.items() if n in found]
            for n in range(len(spans))
        ]
        ranges = [(span.start, span.end) for span in spans]
        choices = [self._choices(of_span) for of_span in votes]
        best: list[Stretch | None] = [of_span[0] if of_span else None for of_span in choices]
        if len(spans) > 1:
            assign_choices(ranges, choices, best)
        total = sum(self.weights.values())
        for n, (stretch, of_span) in enumerate(zip(best, votes, strict=True)):
            if stretch is None:
                reasons = [vote.outcome for vote in of_span if isinstance(vote.outcome, str)]
                run.outcomes[key][n] = reasons[0] if reasons else "no_candidate"
                continue
            agreed = [vote for vote in of_span if _extent(vote.outcome) == (stretch.start, stretch.end)]
            run.outcomes[key][n] = self._outcome(stretch, agreed, total)
            run.ways[key][n] = "+".join(vote.name for vote in agreed)

    def _outcome(self, stretch: Stretch, agreed: Sequence[Vote], total: float) -> Outcome:
        share = sum(vote.weight for vote in agreed) / total
        score = round(sum(vote.weight * _score(vote.outcome) for vote in agreed) / total, 4)
        if share < self.min_share:
            return "no_agreement"
        if score < self.min_score:
            return "low_score"
        # A span in parts stays one where the parts are what was agreed on
        parts = next((v.outcome for v in agreed if not isinstance(v.outcome, (str, Placement))), None)
        if parts is not None and all(not isinstance(v.outcome, Placement) for v in agreed):
            return parts
        return Placement(stretch.start, stretch.end, score)

    def _choices(self, votes: Sequence[Vote]) -> list[Stretch]:
        """The places voted for, with what all votes count for each, best first."""
        cast = [
            (place, vote.weight * (_score(vote.outcome) if self.by_score else 1.0))
            for vote in votes
            if (place := _extent(vote.outcome)) is not None
        ]
        found = [
            # Votes of no weight keep a place that nobody else has a word against
            Stretch(*place, sum(weight * _support(place, other) for other, weight in cast) + 1e-6)
            for place in {place for place, _ in cast}
        ]
        return sorted(found, key=lambda stretch: (-stretch.total, stretch.start, stretch.end))


def _extent(outcome: Outcome) -> tuple[int, int] | None:
    """From the first to the last token of an outcome; None for a lost span."""
    if isinstance(outcome, str):
        return None
    parts = [outcome] if isinstance(outcome, Placement) else list(outcome)
    return min(part.start for part in parts), max(part.end for part in parts)


def _score(outcome: Outcome) -> float:
    return max(0.0, score_of(outcome))


def _support(place: tuple[int, int], other: tuple[int, int]) -> float:
    """What a vote for one place counts for another, from 0 to 1."""
    if place == other:
        return 1.0
    common = min(place[1], other[1]) - max(place[0], other[0])
    return PARTIAL * 2 * max(0, common) / (place[1] - place[0] + other[1] - other[0])
