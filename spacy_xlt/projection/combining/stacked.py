"""`StackedProjector`: each projector handles what the ones before it were unsure of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from ... import __version__
from ...bitext import Bitext
from ..spanwise import BATCH, check_number, check_spans_settings, spans_signature
from .members import check_members, numbers_for
from .runs import Run, ask, name_of, score_of, start_run


def make_stacked_projector(
    projectors: Mapping[str, Any],
    order: Sequence[str] | None = None,
    min_scores: Mapping[str, float] | float = 0.5,
    ents: bool = True,
    spans_keys: list[str] | None = None,
    min_score: float = 0.0,
) -> StackedProjector:
    """Make the projector from a config.

    projectors (dict[str, Projector]): The projectors by names of your choice.
    order (list[str] | None): Their names, the first one to be asked first; in alphabetical order where left out, as
        configs are.
    min_scores (dict[str, float] | float): How sure each must be for its word to count; one number for all.
    ents, spans_keys, min_score: As LinkProjector's.
    RAISES (XltError): E401, E412 or E414 for a setting that cannot be.
    """
    return StackedProjector(
        projectors, order=order, min_scores=min_scores, ents=ents, spans_keys=spans_keys, min_score=min_score
    )


class StackedProjector:
    """Asks one projector after another: what one is lost about, or less sure of than its `min_scores`, is the next
    one's. Where none is sure, what the first found counts.

    See `make_stacked_projector` for the settings.
    """

    def __init__(
        self,
        projectors: Mapping[str, Any] | Sequence[Any],
        *,
        order: Sequence[str] | None = None,
        min_scores: Mapping[str, float] | float = 0.5,
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
    ):
        check_spans_settings(ents, spans_keys, min_score)
        self.projectors = check_members(type(self).__name__, projectors, order)
        self.min_scores = numbers_for(type(self).__name__, self.projectors, "min_scores", min_scores, default=0.5)
        for value in self.min_scores.values():
            check_number("min_scores", value, 0, 1)
        self.ents = ents
        self.spans_keys = None if spans_keys is None else list(spans_keys)
        self.min_score = float(min_score)

    @property
    def signature(self) -> str:
        """The settings, and the signatures of the projectors in their order."""
        members = "|".join(f"{self.min_scores[n]:g}:({p.signature})" for n, p in self.projectors.items())
        return f"StackedProjector|{spans_signature(self)}|version:{__version__}|{members}"

    def project(self, bitexts: Iterable[Bitext]) -> list[Bitext]:
        """Annotate the target docs in place. `attrs["by"]` of a group says which projector found each span.

        RETURNS (list[Bitext]): The same bitexts, in order.
        """
        stream, done, signature = iter(bitexts), [], self.signature
        while batch := list(islice(stream, BATCH)):
            runs = [start_run(b, ents=self.ents, spans_keys=self.spans_keys, reason="") for b in batch]
            self._fill(runs)
            for run in runs:
                run.write()
                run.bitext.projector = signature
            done += batch
        return done

    def _fill(self, runs: Sequence[Run]) -> None:
        sure = [{key: [False] * len(spans) for key, spans in run.groups.items()} for run in runs]
        for name, projector in self.projectors.items():
            wanted = [
                {key: [n for n, is_sure in enumerate(of_key) if not is_sure] for key, of_key in of_run.items()}
                for of_run in sure
            ]
            for run, of_run, found in zip(runs, sure, ask(projector, runs, wanted), strict=True):
                for key, of_key in found.items():
                    for n, outcome in of_key.items():
                        is_sure = score_of(outcome) >= self.min_scores[name]
                        if is_sure or isinstance(run.outcomes[key][n], str):
                            run.outcomes[key][n] = outcome
                            run.ways[key][n] = name_of(projector)
                            of_run[key][n] = is_sure
        for run in runs:
            for outcomes in run.outcomes.values():
                for n, outcome in enumerate(outcomes):
                    if outcome == "":
                        outcomes[n] = "no_candidate"
                    elif 0 <= score_of(outcome) < self.min_score:
                        outcomes[n] = "low_score"
