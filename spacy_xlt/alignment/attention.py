"""Word links from the attention of a translator, read off the translation itself or off a given pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine, setting
from ..errors import UnknownDirection, error
from ..languages import MULTI, to_spacy
from ..links import Alignment
from ..protocols import Attender, PairContext, TokenPair, Tokens
from .soft import links_above, windows_of_large


@dataclass(kw_only=True, eq=False)
class AttentionAligner(Engine):
    """Links words by the guided-alignment head of a translation model.

    Where the attention that came with a translation is stored, its links are taken from there and cost nothing: that
    is one direction only. Otherwise the translator reads both sides, in both directions where it has models for them,
    and the mean of both counts. Stored attention that does not fit the tokens, because the text was tokenised anew
    since, is passed over.

    Args:
        translator: A translator with `attend`, such as BergamotTranslator. Without one, only stored attention is used.
        source: Language code of the source, for pairs that do not say theirs.
        target: The same for the target.
        threshold: What the attention must exceed to make a link.

    Raises:
        XltError: E150 for an invalid setting, E101 for a translator without `attend`.
    """

    translator: Any = None
    source: str = ""
    target: str = ""
    threshold: float = setting(0.4, ge=0, le=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.translator is not None and not isinstance(self.translator, Attender):
            kind = type(self.translator).__name__
            raise error("E101", name="AttentionAligner", engine=kind, method="attend", setting="translator")
        self._default = [to_spacy(lang) if lang else "" for lang in (self.source, self.target)]

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of pairs.

        Args:
            pairs: Tokens of both sides.
            contexts: One for each pair: languages, which override the settings, and stored attention.

        Returns:
            In order; a link's score is its attention.

        Raises:
            XltError: E308 for a pair without stored attention where there is no translator, E309 where its languages
                are not known.
            UnknownDirection: E201 where the translator knows neither direction of a pair.
        """
        contexts = [PairContext()] * len(pairs) if contexts is None else contexts
        result = [Alignment()] * len(pairs)
        to_read: dict[tuple[str, str], list[int]] = {}
        for i, ((source, target), context) in enumerate(zip(pairs, contexts, strict=True)):
            if context.attention is not None and fits(context.attention, source, target):
                result[i] = context.attention.above(self.threshold)
            elif source and target:
                to_read.setdefault(self._languages(context), []).append(i)
        for languages, indices in to_read.items():
            for i, alignment in zip(indices, self._attend([pairs[i] for i in indices], *languages), strict=True):
                result[i] = alignment
        return result

    def _languages(self, context: PairContext) -> tuple[str, str]:
        if self.translator is None:
            raise error("E308")
        given = (context.source_lang, context.target_lang)
        source, target = (
            default if lang in {"", MULTI} else lang for lang, default in zip(given, self._default, strict=True)
        )
        if not source or not target:
            raise error("E309", engine="AttentionAligner", setting="target" if source else "source")
        return source, target

    def _attend(self, pairs: Sequence[TokenPair], source: str, target: str) -> list[Alignment]:
        """Links from the directions that the translator knows."""
        windows = [windows_of_large(len(first), len(second)) for first, second in pairs]
        cut = list(zip(pairs, windows, strict=True))
        firsts = [pair[0][window.source] for pair, of_pair in cut for window in of_pair]
        seconds = [pair[1][window.target] for pair, of_pair in cut for window in of_pair]
        forward = self._one_way(firsts, seconds, source, target)
        backward = self._one_way(seconds, firsts, target, source)
        if isinstance(forward, UnknownDirection):
            if isinstance(backward, UnknownDirection):
                raise forward
            weights: list[NDArray[np.floating]] = [back.T for back in backward]
        elif isinstance(backward, UnknownDirection):
            weights = forward
        else:
            weights = [(there + back.T) / 2 for there, back in zip(forward, backward, strict=True)]
        links = (links_above(matrix, self.threshold) for matrix in weights)
        return [
            Alignment.concatenate(next(links).shift(w.source.start, w.target.start) for w in of_pair)
            for of_pair in windows
        ]

    def _one_way(
        self, sources: Sequence[Tokens], targets: Sequence[Tokens], source: str, target: str
    ) -> list[NDArray[np.float32]] | UnknownDirection:
        try:
            return self.translator.attend(sources, targets, source=source, target=target)
        except UnknownDirection as err:
            # No model for this direction: the other one may do
            return err


def fits(stored: Alignment, source: Sequence[str], target: Sequence[str]) -> bool:
    """Whether stored attention can be that of these tokens: none of its links is outside."""
    return not len(stored) or bool((stored.links.max(axis=0) < (len(source), len(target))).all())
