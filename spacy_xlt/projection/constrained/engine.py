"""Projection by constrained decoding: where the markers of a span would stand in the given target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import XltError, error
from ...protocols import Projector
from ..candidates.ngrams import gains, linked
from ..combining.runs import Run, rescue
from ..evidence import Stretch
from ..markers.marking import STYLES, mark
from ..spanwise import Search, SpanwiseProjector, check_number, not_knowing
from .decoding import Answer, Found, Problem, decode, run_all

_LONG = "too_long"


def make_constrained_projector(
    *,
    translator: Any = None,
    markers: str = "brackets",
    n_best: int = 2,
    slack: float | None = 1.0,
    starts: int | None = 12,
    limit: int = 64,
    length_ratio: float = 2.0,
    max_tokens: int = 60,
    fallback: Any = "links",
    source: str = "en",
    target: str = "pt",
    ents: bool = True,
    spans_keys: list[str] | None = None,
    min_score: float = 0.0,
) -> ConstrainedProjector:
    """Make the projector from a config.

    translator (Forcer | None): What scores, with `force`; the bundled translator where left out.
    markers (str): Kind of markers: "brackets" ([…]), "numbered" ([1: …]), "quotes" or "tags".
    n_best (int): Places found for each span, for all spans of a sentence to be placed together.
    slack (float | None): By how much, in natural logarithms, markers may make more probable what comes after them;
        what could only win by more is pruned. null to prune nothing that could win at all, which is slow.
    starts (int | None): How many tokens a span may begin at, the best by links; null for all of its sentence.
    limit (int): The most places that are scored for a span.
    length_ratio (float): How many times longer than the span its place may be, in tokens.
    max_tokens (int): Sentences with more tokens on a side are left to the fallback: a translator that cuts long texts
        into parts cannot see both markers.
    fallback (Projector | str | None): What places the spans of long sentences: a projector, or "links" for
        LinkProjector; null to have them lost.
    source, target (str): The languages, where nothing is known of a bitext.
    ents, spans_keys, min_score: As LinkProjector's.
    RAISES (XltError): E401 and E412 for a setting that cannot be, E411 for a translator without `force`.
    """
    return ConstrainedProjector(
        translator=translator,
        markers=markers,
        n_best=n_best,
        slack=slack,
        starts=starts,
        limit=limit,
        length_ratio=length_ratio,
        max_tokens=max_tokens,
        fallback=fallback,
        source=source,
        target=target,
        ents=ents,
        spans_keys=spans_keys,
        min_score=min_score,
    )


class ConstrainedProjector(SpanwiseProjector):
    """Marks one span at a time in the source, and finds where the markers go in the target as it is: the two places
    that make the marked target most probable (CODEC, Le et al. 2024, https://arxiv.org/abs/2402.03131).

    The search is exact up to its settings, and those of all spans run side by side. See `constrained.decoding`.

    See `make_constrained_projector` for the settings.
    """

    needs = ("force",)

    def __init__(
        self,
        *,
        translator: Any = None,
        markers: str = "brackets",
        n_best: int = 2,
        slack: float | None = 1.0,
        starts: int | None = 12,
        limit: int = 64,
        length_ratio: float = 2.0,
        max_tokens: int = 60,
        fallback: Any = "links",
        source: str = "en",
        target: str = "pt",
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
    ):
        super().__init__(
            translator=translator, source=source, target=target, ents=ents, spans_keys=spans_keys, min_score=min_score
        )
        if markers not in STYLES:
            raise error("E401", setting="markers", value=markers, expected=" or ".join(STYLES))
        for setting, value in (("n_best", n_best), ("limit", limit), ("max_tokens", max_tokens)):
            check_number(setting, value, 1, float("inf"), whole=True)
        if starts is not None:
            check_number("starts", starts, 1, float("inf"), whole=True)
        if slack is not None:
            check_number("slack", slack, 0, float("inf"))
        check_number("length_ratio", length_ratio, 1, 100)
        if fallback == "links":
            from ..links import LinkProjector

            fallback = LinkProjector(ents=ents, spans_keys=spans_keys)
        if fallback is not None and not isinstance(fallback, Projector):
            raise error("E412", projector=self.name, setting="fallback", value=type(fallback).__name__)
        self.markers = markers
        self.n_best = n_best
        self.slack = None if slack is None else float(slack)
        self.starts = starts
        self.limit = limit
        self.length_ratio = float(length_ratio)
        self.max_tokens = max_tokens
        self.fallback = fallback

    @property
    def own_signature(self) -> str:
        fallback = "none" if self.fallback is None else f"({self.fallback.signature})"
        slack, starts = ("all" if v is None else f"{v:g}" for v in (self.slack, self.starts))
        return (
            f"markers:{self.markers}|n_best:{self.n_best}|slack:{slack}|starts:{starts}|limit:{self.limit}"
            f"|length_ratio:{self.length_ratio:g}|max_tokens:{self.max_tokens}|fallback:{fallback}"
        )

    def project_batch(self, batch: Sequence[Any]) -> list[Run]:
        """As other projectors, then the fallback for long sentences."""
        runs = super().project_batch(batch)
        if self.fallback is not None:
            rescue(self.fallback, runs, unsure=lambda outcome: outcome == _LONG, min_score=self.min_score)
        return runs

    def search(self, searches: Sequence[Search]) -> None:
        """Decode the spans, language by language."""
        for languages in sorted({search.languages for search in searches}):
            own = [search for search in searches if search.languages == languages]
            self._search([search for search in own if self._fits(search)], *languages)

    def _fits(self, search: Search) -> bool:
        if max(search.high - search.low, search.source_high - search.source_low) > self.max_tokens:
            search.reason = _LONG
            return False
        return search.low < search.high

    def _search(self, searches: Sequence[Search], source: str, target: str) -> None:
        def ask(sources: list[str], targets: list[str]) -> list[Answer]:
            try:
                return self.translator.force(sources, targets, source=source, target=target)
            except XltError as err:
                raise not_knowing(err, projector=self.name, source=source, target=target) from err

        problems = [self._problem(search) for search in searches]
        found = run_all([decode(p, limit=self.limit) for p in problems], [p.source for p in problems], ask)
        for search, result in zip(searches, found, strict=True):
            _choose(search, result)

    def _problem(self, search: Search) -> Problem:
        style = STYLES[self.markers]
        source, target = search.work.bitext.source, search.work.bitext.target
        sentence = source[search.source_low : search.source_high]
        offset = sentence.start_char
        span = source[search.start : search.end]
        marked = mark(sentence.text, [(span.start_char - offset, span.end_char - offset)], style)
        fixed = target[search.low : search.high]
        tokens = [(t.idx - fixed.start_char, t.idx + len(t) - fixed.start_char) for t in fixed]
        return Problem(
            marked,
            fixed.text,
            tokens,
            style.opening.format(k=1, l="a"),
            style.closing.format(k=1, l="a"),
            self._starts(search),
            int(self.length_ratio * search.length) + 1,
            n_best=self.n_best,
            slack=self.slack,
        )

    def _starts(self, search: Search) -> list[int]:
        """The tokens that the span may begin at: the linked ones, those beside them, then others; without links all."""
        n = search.high - search.low
        strength = np.asarray(gains(search))
        if self.starts is None or n <= self.starts or not linked(strength.tolist()):
            return list(range(n))
        # A word before a linked one may belong to the span as well
        near = np.maximum(strength, np.append(strength[1:], -1.0) - 0.1)
        return sorted(np.argsort(-near, kind="stable")[: self.starts].tolist())


def _choose(search: Search, found: Found) -> None:
    """Fill in a search: what the places found share of all of their probability is how sure each is."""
    if not found.places:
        return
    scores = np.asarray([place.score for place in found.places])
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    for place, share in zip(found.places, shares.tolist(), strict=True):
        start, end = search.low + place.start, search.low + place.end
        search.choices.append(Stretch(start, end, max(share, 1e-6)))
        search.sure[start, end] = round(share, 4)
