"""Parallel text teaches an encoder to be sure of its own links, or of links that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from .link_loss import link_loss
from .model import AdaptedModel
from .objective import Objective
from .pieces import ParallelPieces

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, eq=False)
class SelfAlign(Objective):
    """Registered objective `spacy_xlt.SelfAlign.v1`: word links become more certain.

    Dou & Neubig 2021 (awesome-align), their self-training objective, with words for pieces and cosines for dot
    products.

    Args:
        pairs: Sentence pairs. Where they have links, these are learned from instead of the encoder's own; those with
            an empty line of links are left out.
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
        # Links that are given and empty teach nothing
        if not self.own_links:
            kept = [i for i, links in enumerate(self._data.links) if links is None or len(links)]
            self._data.keep(kept, "links")
        return self._data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `link_loss`."""
        source, target = (model.words(self._data.sides[i][side] for i in batch) for side in (0, 1))
        links = [None if self.own_links else self._data.links[i] for i in batch]
        return link_loss(source, target, temperature=self.temperature, threshold=self.threshold, links=links)
