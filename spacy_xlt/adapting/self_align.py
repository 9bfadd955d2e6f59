"""Parallel text teaches an encoder to be sure of its own links, or of links that are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from ..errors import error
from .link_loss import link_loss
from .model import AdaptedModel, Side
from .objective import Objective
from .texts import Pair

if TYPE_CHECKING:
    import torch


class ParallelPieces:
    """Sentence pairs as pieces, all in memory: 8 bytes a piece.

    Attributes:
        sides: Both sides of the pairs kept.
        pairs: The pairs kept, in the same order.
        n_read: All pairs read.
        lengths: Pieces of both sides of each, special ones counted, as if each had those of the longer: (n_pairs,).

    Raises:
        XltError: E354 where no pair is left, with the numbers of those left out.
    """

    def __init__(self, pairs: Iterable[Pair], model: AdaptedModel):
        self.sides: list[tuple[Side, Side]] = []
        self.pairs: list[Pair] = []
        self.n_read = 0
        for pair in pairs:
            self.n_read += 1
            source, target = model.side(pair.source), model.side(pair.target)
            if source is not None and target is not None:
                self.sides.append((source, target))
                self.pairs.append(pair)
        if not self.pairs:
            reason = f"{self.n_read} read, none with text of at most {model.max_pieces} pieces on both sides"
            raise error("E354", path="The parallel text", reason=reason)
        longest = [max(len(ids) for ids, _ in pair) + model.special for pair in self.sides]
        self.lengths: NDArray[np.int64] = 2 * np.asarray(longest, np.int64)


@dataclass(kw_only=True, eq=False)
class SelfAlign(Objective):
    """Registered objective `spacy_xlt.SelfAlign.v1`: word links become more certain.

    Dou & Neubig 2021 (awesome-align), their self-training objective, with words for pieces and cosines for dot
    products.

    Args:
        pairs: Sentence pairs. Where they have links, these are learned from instead of the encoder's own.
        own_links: Learn from the encoder's own links also where the pairs have some.
        temperature: What the cosines are divided by, as in `EmbeddingAligner`.
        threshold: What a link of the encoder's own must exceed to be learned from, as in `EmbeddingAligner`.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without pairs.
    """

    pairs: Any
    own_links: bool = False
    temperature: float = setting(0.05, gt=0)
    threshold: float = setting(0.3, ge=0, lt=1)

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the pairs into pieces."""
        self._data = ParallelPieces(self.pairs, model)
        self.n_read = self._data.n_read
        return self._data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `link_loss`."""
        source, target = (model.words(self._data.sides[i][side] for i in batch) for side in (0, 1))
        links = [None if self.own_links else self._data.pairs[i].links for i in batch]
        return link_loss(source, target, temperature=self.temperature, threshold=self.threshold, links=links)
