"""What an objective must offer, so that `spacy xlt adapt` can train a model with it beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine, setting
from .texts import ParallelLines, Sentences, StoredBitexts, check_source

if TYPE_CHECKING:
    import torch

    from .model import AdaptedModel


@dataclass(kw_only=True, eq=False)
class Objective(Engine):
    """Base class of objectives. A subclass is a keyword-only dataclass, registered as the class itself.

    Args:
        weight: How often it has a batch, relative to the weights of the others.
    """

    weight: float = setting(1.0, gt=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        # Sentences, pairs or others that `prepare` has read; those that cannot be used are left out
        self.n_read = 0
        if hasattr(self, "sentences"):
            check_source(type(self).__name__, "sentences", self.sentences, wrong=(ParallelLines, StoredBitexts))
        if hasattr(self, "pairs"):
            check_source(type(self).__name__, "pairs", self.pairs, wrong=(Sentences,))

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Read what it learns from and cut it into pieces, and give the model the heads that it needs.

        Args:
            model: The encoder.

        Returns:
            Pieces of the longest text of each item, special ones counted: (n_items,).

        Raises:
            XltError: E354 where there is nothing to learn from.
        """
        raise NotImplementedError

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """The loss of some of the items, by their indices: float, ()."""
        raise NotImplementedError
