"""What an encoder learns from parallel text: to be sure of the links between the words of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .word_vectors import TextVectors, link_probabilities

if TYPE_CHECKING:
    import torch


def words_of(hidden: torch.Tensor, words: Sequence[NDArray[np.int32]], *, first: int) -> TextVectors:
    """Unit vectors of words, as `EmbeddingAligner` compares them: means of pieces, less the sentence's mean.

    Args:
        hidden: Vectors of the pieces of a padded batch: float, (n, length, dim).
        words: For each sentence, which word each piece is of, ascending: int32, (n_pieces of the sentence,).
        first: Where the pieces begin, behind the special ones.
    """
    import torch

    rows = torch.cat([hidden[row, first : first + len(owners)] for row, owners in enumerate(words)])
    return TextVectors(rows, words).averaged().centred().normalised()


def link_loss(
    source: TextVectors,
    target: TextVectors,
    *,
    temperature: float,
    threshold: float,
    links: Sequence[NDArray[np.int32]] | None = None,
) -> torch.Tensor:
    """How far the probabilities of links in both directions are from certain, on the links that are learned from.

    Dou & Neubig 2021, their self-training objective, with words for pieces and cosines for dot products.

    Args:
        source: Unit vectors of words, as `words_of` gives them.
        target: The same, of the translations.
        temperature: What the cosines are divided by.
        threshold: A link counts where the geometric mean of both probabilities, as they are now, exceeds it.
        links: Token pairs of each sentence pair to learn from instead: int32, (n_links, 2).

    Returns:
        From 0 to 1, the mean over links of 1 less the mean of both probabilities: float, ().
    """
    import torch

    (first, real_rows), (second, real_columns) = (side.padded(np.arange(len(side.words))) for side in (source, target))
    real = real_rows[:, :, None] & real_columns[:, None, :]
    by_row, by_column = link_probabilities(torch.bmm(first, second.transpose(1, 2)), real, temperature)
    if links is None:
        learned = real & ((by_row * by_column).detach() > threshold**2)
    else:
        learned = torch.from_numpy(_mask(links, source, target, tuple(real.shape))).to(real.device)
    weights = learned.to(by_row.dtype)
    missed = 1 - (by_row + by_column) / 2
    return (missed * weights).sum() / weights.sum().clamp(min=1)


def _mask(
    links: Sequence[NDArray[np.int32]], source: TextVectors, target: TextVectors, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Links between tokens as a mask over the words that have pieces: (n, n_source, n_target)."""
    mask = np.zeros(shape, bool)
    for matrix, pairs, rows, columns in zip(mask, links, source.words, target.words, strict=True):
        pairs = pairs[np.isin(pairs[:, 0], rows) & np.isin(pairs[:, 1], columns)]
        matrix[np.searchsorted(rows, pairs[:, 0]), np.searchsorted(columns, pairs[:, 1])] = True
    return mask
