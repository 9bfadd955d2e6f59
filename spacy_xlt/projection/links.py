"""Projection along word links: each span goes where the evidence of its links is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spacy.tokens import Span

from .. import __version__
from ..bitext import Bitext
from ..errors import error
from . import carry
from .assign import assign
from .boundaries import adjust
from .carry import ENTS, Outcome, Placement
from .evidence import Claim, Evidence, Stretch


def make_link_projector(ents: bool = True, spans_keys: list[str] | None = None) -> LinkProjector:
    """Make the projector from a config.

    ents (bool): Project the entities.
    spans_keys (list[str] | None): The span groups to project; all of the source where left out.
    """
    return LinkProjector(ents=ents, spans_keys=spans_keys)


class LinkProjector:
    """Carries spans along word links.

    A target token gains from its strongest link into the span and loses from its strongest link elsewhere; the span
    becomes the run of tokens with the greatest sum, so that a stray link does not stretch it and a gap does not cut
    it. Spans that would claim the same words are placed together, so that the sum over all of them is greatest.
    Particles are left out at the ends of names; clauses take unlinked words at their ends along.

    ents, spans_keys: See `make_link_projector`.
    """

    def __init__(self, *, ents: bool = True, spans_keys: Sequence[str] | None = None):
        if not isinstance(ents, bool):
            raise error("E401", setting="ents", value=ents, expected="true or false")
        if isinstance(spans_keys, str) or not all(isinstance(key, str) for key in spans_keys or ()):
            raise error("E401", setting="spans_keys", value=spans_keys, expected="a list of span group names, or null")
        self.ents = ents
        self.spans_keys = None if spans_keys is None else list(spans_keys)

    @property
    def signature(self) -> str:
        """Settings and version in one line."""
        keys = "all" if self.spans_keys is None else ",".join(self.spans_keys)
        return f"LinkProjector|ents:{self.ents}|spans_keys:{keys}|version:{__version__}"

    def project(self, bitexts: Iterable[Bitext]) -> list[Bitext]:
        """Annotate the target docs in place: entities, span groups with `attrs["scores"]`, and `bitext.lost`.

        RETURNS (list[Bitext]): The same bitexts, in order.
        """
        done = []
        for bitext in bitexts:
            groups = carry.spans_to_carry(bitext, ents=self.ents, spans_keys=self.spans_keys)
            if self.ents and ENTS not in groups:
                carry.clear_entities(bitext.target)
            outcomes: dict[str, list[Outcome]] = {}
            if any(groups.values()):
                evidence = Evidence(bitext.alignment)
                outcomes = {key: place(bitext, evidence, spans, key) for key, spans in groups.items()}
            carry.write(bitext, groups, outcomes or {key: [] for key in groups})
            bitext.projector = self.signature
            done.append(bitext)
        return done


def place(bitext: Bitext, evidence: Evidence, spans: Sequence[Span], key: str) -> list[Outcome]:
    """Find the places of the spans of one group.

    RETURNS (list[Outcome]): One for each span, in order.
    """
    ranges = [(span.start, span.end) for span in spans]
    claims: list[Claim | None] = []
    best: list[Stretch | None] = []
    for start, end in ranges:
        claim = evidence.claim(start, end) if start < end else None
        claims.append(claim)
        best.append(None if claim is None else claim.best())
    if len(spans) > 1:
        assign(ranges, claims, best)
    outcomes: list[Outcome] = []
    for source, claim, stretch in zip(ranges, claims, best, strict=True):
        if claim is None or stretch is None:
            outcomes.append("no_links" if source[0] < source[1] else "empty")
            continue
        stretch = adjust(bitext, evidence, source, stretch, name=key == ENTS)
        outcomes.append(Placement(stretch.start, stretch.end, confidence(claim, stretch)))
    return outcomes


def confidence(claim: Claim, stretch: Stretch) -> float:
    """How sure a placement is, from 0 to 1: the share of link weight that speaks for it."""
    inside, against = 0.0, 0.0
    for j, (own, foreign) in enumerate(zip(claim.inside, claim.outside, strict=True), start=claim.start):
        if stretch.start <= j < stretch.end:
            inside += own
            against += foreign
        else:
            against += own
    return round(inside / (inside + against), 4) if inside else 0.0
