"""Contrast: what says the same comes nearer, and is told from all else that is in the batch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from .model import AdaptedModel
from .objective import Objective
from .own_links import linked_rows
from .pieces import ParallelPieces, word_keys

if TYPE_CHECKING:
    import torch


def info_nce(
    first: torch.Tensor,
    second: torch.Tensor,
    partners: NDArray[np.int64],
    alike: NDArray[np.bool_],
    temperature: float,
) -> torch.Tensor:
    """How far each row is from being told, by its cosines, from the rivals of its partner; in both directions.

    van den Oord et al. 2018 (InfoNCE).

    Args:
        first: Unit vectors: float, (n, dim).
        second: Unit vectors: float, (m, dim).
        partners: Rows of `first` and of `second` that belong together: int64, (k, 2).
        alike: Where a row of `second` is no rival of what belongs to a row of `first`, such as the partners: bool,
            (n, m).
        temperature: What the cosines are divided by.

    Returns:
        The mean over partners and both directions: float, ().
    """
    import torch

    rows, columns = (torch.from_numpy(side).to(first.device) for side in np.ascontiguousarray(partners.T))
    scaled = first @ second.T / temperature
    # Not infinite, which would have no gradient where there is no rival
    rivals = scaled.masked_fill(torch.from_numpy(alike).to(first.device), torch.finfo(scaled.dtype).min)
    own = scaled[rows, columns]
    misses = [rivals.logsumexp(1)[rows] - own, rivals.logsumexp(0)[columns] - own]
    return torch.nn.functional.softplus(torch.cat(misses)).mean()


def alike(partners: NDArray[np.int64], first: Sequence[Hashable], second: Sequence[Hashable]) -> NDArray[np.bool_]:
    """Where rows say the same as some partners: bool, (n, m).

    Args:
        partners: Rows of `first` and of `second` that belong together: int64, (k, 2).
        first: What each row stands for, such as its text; (n,).
        second: The same, (m,).
    """
    rows, columns = _numbered(first), _numbered(second)
    known = np.zeros((len(first), len(second)), np.bool_)
    known[rows[partners[:, 0]], columns[partners[:, 1]]] = True
    return known[rows[:, None], columns]


def _numbered(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """A number for each, the same where they are the same."""
    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


@dataclass(kw_only=True, eq=False)
class WordContrast(Objective):
    """Registered objective `spacy_xlt.WordContrast.v1`: linked words in context come nearer, as an aligner sees them.

    Rivals of a word's translation are all other words of the batch's translations. A word that stands for the same in
    another sentence is none.

    Args:
        pairs: Sentence pairs, with links or without. Those without any link are left out.
        own_links: Learn from the encoder's own links also where the pairs have some.
        temperature: What the cosines are divided by, as in `EmbeddingAligner`.
        threshold: What a link of the encoder's own, as it was before the training, must exceed.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without links.
    """

    pairs: Any
    own_links: bool = False
    temperature: float = setting(0.05, gt=0)
    threshold: float = setting(0.3, ge=0, lt=1)

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the pairs into pieces, and link those that have no links."""
        self._data = ParallelPieces(self.pairs, model)
        self.n_read = self._data.n_read
        given = [None if self.own_links else links for links in self._data.links]
        settings = {"temperature": self.temperature, "threshold": self.threshold}
        links = linked_rows(model, self._data.sides, given, **settings)
        kept = [i for i, found in enumerate(links) if len(found)]
        self._data.keep(kept, "links")
        self._partners = [links[i] for i in kept]
        return self._data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `info_nce`."""
        sides = [[self._data.sides[i][side] for i in batch] for side in (0, 1)]
        source, target = (model.words(side) for side in sides)
        starts = np.stack([source.starts, target.starts], axis=1)
        partners = np.concatenate([self._partners[i] + start for i, start in zip(batch, starts, strict=True)])
        same = alike(partners, *([key for side in texts for key in word_keys(side)] for texts in sides))
        # In its own sentence, a word is told from itself at another place
        rows, columns = (np.repeat(np.arange(len(batch)), side.lengths) for side in (source, target))
        same &= rows[:, None] != columns
        same[partners[:, 0], partners[:, 1]] = True
        return info_nce(source.vectors, target.vectors, partners, same, self.temperature)
