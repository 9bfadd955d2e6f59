"""Projection along word links: each span goes where the evidence of its links is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spacy.tokens import Span

from .. import __version__
from ..bitext import ENTS, Bitext
from ..errors import error
from . import carry
from .assign import assign
from .boundaries import adjust, is_clause
from .carry import NAMES, Outcome, Placement
from .evidence import Claim, Evidence, Stretch
from .unlinked import between_neighbours, same_spelling

# What part of the best part's gain another part of a span must have at least.
LEAST_PART = 0.4
PARTS = ("one", "several", "discontinuous")


def make_link_projector(
    ents: bool = True, spans_keys: list[str] | None = None, min_score: float = 0.0, parts: str = "one"
) -> LinkProjector:
    """Make the projector from a config.

    ents (bool): Project the entities.
    spans_keys (list[str] | None): The span groups to project; all of the source where left out.
    min_score (float): Spans that are less sure than this are lost, from 0 (keep all) to 1.
    parts (str): What becomes of a span whose words are apart in the translation, with words of others between them:
        "one" keeps the best run of words, "several" makes a span of each, "discontinuous" keeps the parts in the span
        group, in order and with the same entry in `attrs["sources"]`, and the best one in `doc.ents`.
    """
    return LinkProjector(ents=ents, spans_keys=spans_keys, min_score=min_score, parts=parts)


class LinkProjector:
    """Carries spans along word links.

    A target token gains from its strongest link into the span and loses from its strongest link elsewhere; the span
    becomes the run of tokens with the greatest sum, so that a stray link does not stretch it and a gap does not cut
    it. Spans that would claim the same words are placed together, so that the sum over all of them is greatest.
    Particles are left out at the ends of names; clauses take unlinked words at their ends along. Words without links
    are found by their spelling, and spans without any between the links of their neighbours.

    ents, spans_keys, min_score, parts: See `make_link_projector`.
    RAISES (XltError): E401 for a setting of the wrong kind.
    """

    def __init__(
        self,
        *,
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
        parts: str = "one",
    ):
        if not isinstance(ents, bool):
            raise error("E401", setting="ents", value=ents, expected="true or false")
        if isinstance(spans_keys, str) or not all(isinstance(key, str) for key in spans_keys or ()):
            raise error("E401", setting="spans_keys", value=spans_keys, expected="a list of span group names, or null")
        if isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not 0 <= min_score <= 1:
            raise error("E401", setting="min_score", value=min_score, expected="a number from 0 to 1")
        if parts not in PARTS:
            raise error("E401", setting="parts", value=parts, expected=" or ".join(PARTS))
        self.parts = parts
        self.ents = ents
        self.spans_keys = None if spans_keys is None else list(spans_keys)
        self.min_score = float(min_score)

    @property
    def signature(self) -> str:
        """Settings and version in one line."""
        keys = "all" if self.spans_keys is None else ",".join(self.spans_keys)
        settings = f"ents:{'yes' if self.ents else 'no'}|spans_keys:{keys}|min_score:{self.min_score:g}"
        if self.parts != "one":
            settings += f"|parts:{self.parts}"
        return f"LinkProjector|{settings}|version:{__version__}"

    def project(self, bitexts: Iterable[Bitext]) -> list[Bitext]:
        """Annotate the target docs in place: entities, span groups with `attrs["scores"]`, and `bitext.lost`.

        RETURNS (list[Bitext]): The same bitexts, in order.
        RAISES (XltError): E002 for links outside the docs.
        """
        signature = self.signature
        done = []
        for bitext in bitexts:
            groups = carry.spans_to_carry(bitext, ents=self.ents, spans_keys=self.spans_keys)
            if self.ents and ENTS not in groups:
                carry.clear_entities(bitext.target)
            outcomes: dict[str, list[Outcome]] = {key: [] for key in groups}
            if any(groups.values()):
                evidence = Evidence(bitext.alignment.check(len(bitext.source), len(bitext.target)))
                outcomes = {key: self._place(bitext, evidence, spans, key) for key, spans in groups.items()}
            carry.write(bitext, groups, outcomes, first_parts=self.parts == "discontinuous")
            bitext.projector = signature
            done.append(bitext)
        return done

    def _place(self, bitext: Bitext, evidence: Evidence, spans: Sequence[Span], key: str) -> list[Outcome]:
        """Find the places of the spans of one group, one outcome for each in order."""
        ranges = [(span.start, span.end) for span in spans]
        claims: list[Claim | None] = []
        best: list[Stretch | None] = []
        for source in ranges:
            claim = _claim(bitext, evidence, source)
            claims.append(claim)
            best.append(None if claim is None else claim.best())
        if len(spans) > 1:
            assign(ranges, claims, best)
        outcomes: list[Outcome] = []
        for n, (source, claim, stretch) in enumerate(zip(ranges, claims, best, strict=True)):
            outcome: Outcome
            if source[0] == source[1]:
                outcome = "empty"
            elif claim is None or stretch is None:
                stretch = between_neighbours(bitext, evidence, source)
                outcome = "no_links" if stretch is None else Placement(*stretch)
            else:
                others = _apart(n, ranges, best) if len(spans) > 1 and is_clause(bitext, source) else ()
                stretch = adjust(bitext, evidence, source, stretch, name=key in NAMES, others=others)
                best[n] = stretch
                outcome = Placement(stretch.start, stretch.end, confidence(claim, stretch))
            if isinstance(outcome, Placement) and outcome.score < self.min_score:
                outcome = "low_score"
            elif isinstance(outcome, Placement) and self.parts != "one" and claim is not None:
                outcome = self._in_parts(bitext, evidence, claim, outcome, n, ranges, best, name=key in NAMES)
            outcomes.append(outcome)
        return outcomes

    def _in_parts(
        self,
        bitext: Bitext,
        evidence: Evidence,
        claim: Claim,
        first: Placement,
        n: int,
        ranges: Sequence[tuple[int, int]],
        best: Sequence[Stretch | None],
        *,
        name: bool,
    ) -> list[Placement]:
        """A placement and what else the span has of the target, outside the places of other spans."""
        stretch = best[n]
        assert stretch is not None
        found = [Placement(first.start, first.end, first.score)]
        for part in parts_beside(claim, stretch, _apart(n, ranges, best)):
            part = adjust(bitext, evidence, ranges[n], part, name=name)
            if all(part.end <= other.start or other.end <= part.start for other in found):
                found.append(Placement(part.start, part.end, first.score))
        return found


def parts_beside(claim: Claim, first: Stretch, taken: Sequence[Stretch]) -> list[Stretch]:
    """Other runs of words that a span gains from, the best first.

    first (Stretch): The best one.
    taken (Sequence[Stretch]): Places of other spans.
    """
    found: list[Stretch] = []
    least = LEAST_PART * first.total
    while True:
        gaps, position = [], claim.start
        for stretch in (*sorted([first, *taken, *found]), Stretch(claim.start + len(claim.inside), 0, 0.0)):
            gaps.append(claim.within(position, stretch.start))
            position = max(position, stretch.end)
        part = max((gap for gap in gaps if gap is not None), key=lambda gap: gap.total, default=None)
        if part is None or part.total < least or part.total <= 0.0:
            return found
        found.append(part)


def _apart(n: int, ranges: Sequence[tuple[int, int]], best: Sequence[Stretch | None]) -> list[Stretch]:
    """Where the spans are that do not overlap span `n` in the source."""
    start, end = ranges[n]
    return [
        stretch
        for (a, b), stretch in zip(ranges, best, strict=True)
        if stretch is not None and (b <= start or end <= a)
    ]


def _claim(bitext: Bitext, evidence: Evidence, source: tuple[int, int]) -> Claim | None:
    if source[0] == source[1]:
        return None
    if evidence.all_linked(*source):
        return evidence.claim(*source)
    return evidence.claim(*source, extra=same_spelling(bitext, evidence, source))


def confidence(claim: Claim, stretch: Stretch) -> float:
    """How sure a placement is, from 0 to 1: the share of link weight that speaks for it, times the strongest link."""
    inside = against = strongest = 0.0
    for j, (own, foreign) in enumerate(zip(claim.inside, claim.outside, strict=True), start=claim.start):
        if stretch.start <= j < stretch.end:
            inside += own
            against += foreign
            strongest = max(strongest, own)
        else:
            against += own
    return round(strongest * inside / (inside + against), 4) if inside else 0.0
