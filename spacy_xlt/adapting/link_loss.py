"""What an encoder learns from parallel text: to be sure of the links between the words of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..alignment.word_vectors import TextVectors, link_probabilities

if TYPE_CHECKING:
    import torch

    from ..links import Alignment


def link_loss(
    source: TextVectors,
    target: TextVectors,
    *,
    temperature: float,
    threshold: float,
    links: Sequence[Alignment | None],
) -> torch.Tensor:
    """How far the probabilities of links in both directions are from certain, on the links that are learned from.

    Dou & Neubig 2021, their self-training objective, with words for pieces and cosines for dot products.

    Args:
        source: Unit vectors of words, as `AdaptedModel.words` gives them.
        target: The same, of the translations.
        temperature: What the cosines are divided by.
        threshold: A link counts where the geometric mean of both probabilities, as they are now, exceeds it.
        links: Of each sentence pair the links to learn from instead; None for its own.

    Returns:
        From 0 to 1, the mean over links of 1 less the mean of both probabilities: float, ().
    """
    import torch

    (first, real_rows), (second, real_columns) = (side.padded(np.arange(len(side.words))) for side in (source, target))
    real = real_rows[:, :, None] & real_columns[:, None, :]
    by_row, by_column = link_probabilities(torch.bmm(first, second.transpose(1, 2)), real, temperature)
    own = (by_row * by_column).detach() > threshold**2
    learned = real & _replaced(own, links, source, target)
    weights = learned.to(by_row.dtype)
    missed = 1 - (by_row + by_column) / 2
    return (missed * weights).sum() / weights.sum().clamp(min=1)


def _replaced(
    own: torch.Tensor, links: Sequence[Alignment | None], source: TextVectors, target: TextVectors
) -> torch.Tensor:
    """Where links are given, those between words that have pieces in the place of a pair's own: (n, rows, columns)."""
    import torch

    for matrix, given, rows, columns in zip(own, links, source.words, target.words, strict=True):
        if given is not None:
            matrix[:] = False
            matrix[tuple(torch.from_numpy(place).to(own.device) for place in rows_of(given, rows, columns).T)] = True
    return own


def rows_of(links: Alignment, source: NDArray[np.integer], target: NDArray[np.integer]) -> NDArray[np.int64]:
    """Links as rows of the words that have pieces, without those of other words.

    Args:
        links: Word links of a sentence pair.
        source: The words of the source that have pieces, ascending: int, (n_rows,).
        target: The same, of the translation.

    Returns:
        Row of the source and row of the translation: int64, (n, 2).
    """
    pairs = links.links[np.isin(links.links[:, 0], source) & np.isin(links.links[:, 1], target)]
    return np.stack([np.searchsorted(source, pairs[:, 0]), np.searchsorted(target, pairs[:, 1])], axis=1)
