"""Word links from the attention of a translator, read off the translation itself or off a given pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import UnknownDirection, error
from ..languages import MULTI, to_spacy
from ..links import Alignment
from ..protocols import Attender, PairContext, TokenPair
from .soft import SYMMETRISATIONS, links_above, symmetrise


def make_attention_aligner(
    *,
    translator: Attender | None = None,
    source: str = "en",
    target: str = "pt",
    threshold: float = 0.4,
    symmetrisation: str = "mean",
    stored: bool = True,
) -> AttentionAligner:
    """Make the aligner from a config. The settings are those of `AttentionAligner`."""
    return AttentionAligner(
        translator, source=source, target=target, threshold=threshold, symmetrisation=symmetrisation, stored=stored
    )


class AttentionAligner:
    """Links words by the guided-alignment head of a translation model.

    Where the attention that came with a translation is stored, its links are taken from there and cost nothing: that
    is one direction only. Otherwise the translator reads both sides, in both directions where it has models for them,
    and what they say is brought together. Stored attention that does not fit the tokens, because the text was
    tokenised anew since, is passed over.

    translator (Attender | None): A translator with `attend`; the bundled one where left out, made when needed.
    source, target (str): The languages, where nothing is known of a pair.
    threshold (float): What the attention must exceed to make a link.
    symmetrisation (str): How both directions become one, see `soft.symmetrise`: "mean", "geometric", "intersection",
        "union" or "grow-diag-final-and". Where there is one direction, its weights are cut at the threshold.
    stored (bool): Use stored attention; if not, always attend.
    RAISES (XltError): E301 for an unknown symmetrisation, E304 for an impossible threshold, E306 for a translator
        without `attend`.
    """

    def __init__(
        self,
        translator: Attender | None = None,
        *,
        source: str = "en",
        target: str = "pt",
        threshold: float = 0.4,
        symmetrisation: str = "mean",
        stored: bool = True,
    ):
        if symmetrisation not in SYMMETRISATIONS:
            raise error("E301", setting="symmetrisation", value=symmetrisation, known=", ".join(SYMMETRISATIONS))
        if not 0 <= threshold <= 1:
            raise error("E304", setting="threshold", value=threshold, expected="a number from 0 to 1")
        if translator is not None and not isinstance(translator, Attender):
            raise error("E306", engine=type(translator).__name__)
        self.source = to_spacy(source)
        self.target = to_spacy(target)
        self.threshold = float(threshold)
        self.symmetrisation = symmetrisation
        self.stored = stored
        self._translator = translator

    @property
    def translator(self) -> Any:
        """What attends; the bundled translator is made at first use."""
        if self._translator is None:
            from ..translation.bergamot.engine import BergamotTranslator

            self._translator = BergamotTranslator()
        return self._translator

    @property
    def signature(self) -> str:
        """The settings, and the translator's signature."""
        settings = f"threshold:{self.threshold:g}|{self.symmetrisation}|stored:{'yes' if self.stored else 'no'}"
        return f"AttentionAligner|{settings}|version:{__version__}|{self.translator.signature}"

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of pairs.

        contexts (Sequence[PairContext] | None): Languages, which override the settings, and stored attention.
        RETURNS (list[Alignment]): In order; a link's score is its attention.
        RAISES (XltError): E307 where there is not one context for each pair; E201 where the translator knows neither
            direction of a pair.
        """
        known = [PairContext()] * len(pairs) if contexts is None else list(contexts)
        if len(known) != len(pairs):
            raise error("E307", n_contexts=len(known), n_pairs=len(pairs))
        result = [Alignment()] * len(pairs)
        to_read: dict[tuple[str, str], list[int]] = {}
        for i, ((source, target), context) in enumerate(zip(pairs, known, strict=True)):
            if self.stored and context.attention is not None and fits(context.attention, source, target):
                kept = context.attention.scores > self.threshold
                result[i] = Alignment(context.attention.links[kept], context.attention.scores[kept])
            elif source and target:
                languages = _known(context.source_lang, self.source), _known(context.target_lang, self.target)
                to_read.setdefault(languages, []).append(i)
        for languages, indices in to_read.items():
            found = self._attend([pairs[i] for i in indices], *languages)
            for i, alignment in zip(indices, found, strict=True):
                result[i] = alignment
        return result

    def _attend(self, pairs: Sequence[TokenPair], source: str, target: str) -> list[Alignment]:
        """Links from the directions that the translator knows."""
        firsts, seconds = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        forward, refusal = self._one_way(firsts, seconds, source, target)
        backward, _ = self._one_way(seconds, firsts, target, source)
        if forward is None and backward is None:
            assert refusal is not None
            raise refusal
        turned = None if backward is None else [weights.T for weights in backward]
        if forward is None or turned is None:
            return [links_above(weights, self.threshold) for weights in forward or turned or []]
        both = zip(forward, turned, strict=True)
        return [symmetrise(*ways, method=self.symmetrisation, threshold=self.threshold) for ways in both]

    def _one_way(
        self, sources: Sequence[Any], targets: Sequence[Any], source: str, target: str
    ) -> tuple[list[NDArray[np.float32]] | None, UnknownDirection | None]:
        try:
            return self.translator.attend(sources, targets, source=source, target=target), None
        except UnknownDirection as err:
            # No model for this direction: the other one may do
            return None, err


def _known(language: str, default: str) -> str:
    return default if language in {"", MULTI} else language


def fits(stored: Alignment, source: Sequence[str], target: Sequence[str]) -> bool:
    """Whether stored attention can be that of these tokens: none of its links is outside."""
    return not len(stored) or bool((stored.links.max(axis=0) < (len(source), len(target))).all())
