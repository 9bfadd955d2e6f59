"""Projection by candidates: places of the target, chosen by how well they and the span translate into each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import XltError, error
from ..evidence import Stretch
from ..spanwise import Search, SpanwiseProjector, check_number, not_knowing
from .generated import Generator
from .ngrams import Range, candidates
from .scoring import PairScorer, both_ways

NORMALIZE = ("self", "length")


def make_candidate_projector(
    *,
    translator: Any = None,
    generator: Any = None,
    prompt: str = "{span}",
    beams: int = 10,
    pool: int = 12,
    length_ratio: float = 2.0,
    normalize: str = "self",
    evidence: float = 3.0,
    source: str = "en",
    target: str = "pt",
    ents: bool = True,
    spans_keys: list[str] | None = None,
    min_score: float = 0.0,
) -> CandidateProjector:
    """Make the projector from a config.

    translator (Scorer | None): What scores, in both directions; the bundled translator where left out.
    generator (NBestTranslator | None): What writes candidates besides the n-grams of the target.
    prompt (str): What the generator is given: a text with {span}, {label} and {sentence} in it.
    beams (int): How many texts the generator writes for each span.
    pool (int): How many n-grams are scored for each span, the best by links; 0 for the generator's alone.
    length_ratio (float): How many times longer than the span a candidate may be, in tokens.
    normalize (str): "self" to count a text's probability relative to how probable it is given itself, or "length".
    evidence (float): How much links count besides translation; 0 for none.
    source, target (str): The languages, where nothing is known of a bitext.
    ents, spans_keys, min_score: As LinkProjector's.
    RAISES (XltError): E401 for a setting that cannot be, E411 for an engine without the methods that are needed.
    """
    return CandidateProjector(
        translator=translator,
        generator=generator,
        prompt=prompt,
        beams=beams,
        pool=pool,
        length_ratio=length_ratio,
        normalize=normalize,
        evidence=evidence,
        source=source,
        target=target,
        ents=ents,
        spans_keys=spans_keys,
        min_score=min_score,
    )


class CandidateProjector(SpanwiseProjector):
    """Chooses among places of the target by translation probability in both directions (T-Projection, García-Ferrero
    et al. 2023, https://arxiv.org/abs/2212.10548), each place used once.

    Where that method's generator is a fine-tuned model, all n-grams of the target do as well, if links leave out the
    hopeless ones. The links also count in the choice, as two texts that translate into each other may both stand
    there.

    See `make_candidate_projector` for the settings.
    """

    needs = ("score",)

    def __init__(
        self,
        *,
        translator: Any = None,
        generator: Any = None,
        prompt: str = "{span}",
        beams: int = 10,
        pool: int = 12,
        length_ratio: float = 2.0,
        normalize: str = "self",
        evidence: float = 3.0,
        source: str = "en",
        target: str = "pt",
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
    ):
        super().__init__(
            translator=translator, source=source, target=target, ents=ents, spans_keys=spans_keys, min_score=min_score
        )
        check_number("beams", beams, 1, 10_000, whole=True)
        check_number("pool", pool, 0 if generator is not None else 1, 10_000, whole=True)
        check_number("length_ratio", length_ratio, 1, 100)
        check_number("evidence", evidence, 0, 100)
        if normalize not in NORMALIZE:
            raise error("E401", setting="normalize", value=normalize, expected=" or ".join(NORMALIZE))
        self.generator = None
        if generator is not None:
            self.generator = Generator(generator, prompt=prompt, beams=beams, projector=self.name)
        self.pool = pool
        self.length_ratio = float(length_ratio)
        self.normalize = normalize
        self.evidence = float(evidence)

    @property
    def own_signature(self) -> str:
        generator = "none" if self.generator is None else self.generator.signature
        return (
            f"pool:{self.pool}|length_ratio:{self.length_ratio:g}|normalize:{self.normalize}"
            f"|evidence:{self.evidence:g}|generator:{generator}"
        )

    def search(self, searches: Sequence[Search]) -> None:
        """Score the candidates of all spans, language by language."""
        for languages in sorted({search.languages for search in searches}):
            self._search([search for search in searches if search.languages == languages], *languages)

    def _search(self, searches: Sequence[Search], source: str, target: str) -> None:
        written = [] if self.generator is None else self.generator.places(searches, source=source, target=target)
        rows: list[tuple[Search, Range, float]] = []
        for n, search in enumerate(searches):
            own = dict(candidates(search, pool=self.pool, length_ratio=self.length_ratio)) if self.pool else {}
            if self.generator is not None:
                for place in written[n]:
                    own.setdefault(place, 1.0)
            rows += [(search, place, links) for place, links in own.items()]
        pairs = [(search.text, search.target_text(*place)) for search, place, _ in rows]
        scorer = PairScorer(self.translator)
        try:
            alike = both_ways(scorer, pairs, source=source, target=target, normalize=self.normalize)
        except XltError as err:
            raise not_knowing(err, projector=self.name, source=source, target=target) from err
        found: dict[int, list[tuple[Range, float]]] = {}
        for (search, place, links), value in zip(rows, alike.tolist(), strict=True):
            found.setdefault(id(search), []).append(
                (place, value * float(np.exp(self.evidence * (min(links, 1.0) - 1))))
            )
        for search in searches:
            _choose(search, found.get(id(search), []))


def _choose(search: Search, found: Sequence[tuple[Range, float]]) -> None:
    """Fill in a search from its places and how good each is, from 0 to 1."""
    ordered = sorted((item for item in found if item[1] > 0), key=lambda item: (-item[1], item[0]))
    total = sum(value for _, value in ordered)
    search.choices = [Stretch(*place, value) for place, value in ordered]
    # As sure as the place is good, and better than the others
    search.sure = {place: round(float(np.sqrt(value * value / total)), 4) for place, value in ordered}
