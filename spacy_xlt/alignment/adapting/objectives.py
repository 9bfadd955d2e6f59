"""What an encoder learns from parallel text: its own mutual links, and masked pieces seen through the other side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

from .data import Side

# Of the pieces to guess, what share is masked, and what share is replaced by another piece; the rest stays.
_MASKED, _REPLACED = 0.8, 0.1
_GUESSED = 0.15
_FAR = -1e4


@dataclass
class Rows:
    """Sentences as one padded batch, with special pieces around each.

    ids (int64, (n, length)): Pieces.
    mask (int64, (n, length)): 1 where there is a piece.
    words (int64, (n, length)): Which of the words that have pieces each belongs to, counted from 0; -1 elsewhere.
    distinct (list[int32, (n_words,)]): The token index of those words.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    words: torch.Tensor
    distinct: list[NDArray[np.int32]]


def pad(sides: Sequence[Side], encoder: Any, device: torch.device) -> Rows:
    """Put sentences into one padded batch."""
    import torch

    before, after = len(encoder.prefix), len(encoder.suffix)
    length = before + after + max(len(side.pieces) for side in sides)
    ids = np.full((len(sides), length), encoder.pad, np.int64)
    mask = np.zeros_like(ids)
    words = np.full_like(ids, -1)
    distinct = []
    for row, side in enumerate(sides):
        size = len(side.pieces)
        ids[row, : before + size + after] = [*encoder.prefix, *side.pieces.tolist(), *encoder.suffix]
        mask[row, : before + size + after] = 1
        found, index = np.unique(side.words, return_inverse=True)
        words[row, before : before + size] = index
        distinct.append(found)
    tensors = [torch.from_numpy(array).to(device) for array in (ids, mask, words)]
    return Rows(tensors[0], tensors[1], tensors[2], distinct)


def word_vectors(hidden: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors of words, compared as `EmbeddingAligner` compares them: means of pieces, less the sentence's mean.

    hidden (float, (n, length, dim)): Vectors of pieces.
    RETURNS (float, (n, n_words, dim), and bool, (n, n_words)): Vectors, and which of them are words.
    """
    import torch

    n_words = max(len(found) for found in rows.distinct)
    # One row more takes what belongs to no word
    index = torch.where(rows.words < 0, n_words, rows.words)
    sums = hidden.new_zeros(len(hidden), n_words + 1, hidden.shape[2])
    sums = sums.scatter_add(1, index[:, :, None].expand_as(hidden), hidden)[:, :n_words]
    counts = hidden.new_zeros(len(hidden), n_words + 1)
    counts = counts.scatter_add(1, index, torch.ones_like(index, dtype=hidden.dtype))[:, :n_words]
    real = counts > 0
    means = sums / counts.clamp(min=1)[:, :, None]
    centre = means.sum(dim=1, keepdim=True) / (real.sum(dim=1) + 2)[:, None, None]
    return torch.nn.functional.normalize(means - centre, dim=2) * real[:, :, None], real


def link_loss(
    source: tuple[torch.Tensor, torch.Tensor],
    target: tuple[torch.Tensor, torch.Tensor],
    *,
    temperature: float,
    threshold: float,
    given: torch.Tensor | None = None,
) -> torch.Tensor:
    """How far the probabilities of links in both directions are from certain, on the links that are learned from.

    Dou & Neubig 2021, their self-training objective, with words for pieces and cosines for dot products.
    source, target: Vectors and masks, as `word_vectors` gives them.
    temperature (float): What the cosines are divided by.
    threshold (float): A link counts where the geometric mean of both probabilities, as they are now, exceeds it.
    given (bool, (n, n_source, n_target) | None): Links to learn from instead.
    RETURNS (float, ()): From 0 to 1, the mean over links of 1 less the mean of both probabilities.
    """
    import torch

    (first, real_first), (second, real_second) = source, target
    scaled = torch.bmm(first, second.transpose(1, 2)) / temperature
    by_row = torch.softmax(scaled.masked_fill(~real_second[:, None, :], _FAR), dim=2)
    by_column = torch.softmax(scaled.masked_fill(~real_first[:, :, None], _FAR), dim=1)
    if given is None:
        given = (by_row * by_column).detach() > threshold**2
    links = (given & real_first[:, :, None] & real_second[:, None, :]).to(scaled.dtype)
    missed = 1 - (by_row + by_column) / 2
    return (missed * links).sum() / links.sum().clamp(min=1)


def link_mask(links: Sequence[NDArray[np.int32]], source: Rows, target: Rows, device: torch.device) -> torch.Tensor:
    """Given links as a mask over the words that have pieces: bool, (n, n_source, n_target)."""
    import torch

    size = (len(links), max(map(len, source.distinct)), max(map(len, target.distinct)))
    mask = np.zeros(size, bool)
    for row, pairs in enumerate(links):
        first, second = source.distinct[row], target.distinct[row]
        i, j = (np.searchsorted(known, pairs[:, side]) for side, known in enumerate((first, second)))
        inside = (i < len(first)) & (j < len(second))
        i, j, pairs = i[inside], j[inside], pairs[inside]
        same = (first[i] == pairs[:, 0]) & (second[j] == pairs[:, 1])
        mask[row, i[same], j[same]] = True
    return torch.from_numpy(mask).to(device)


class MaskedPieces:
    """Translation language modelling (Conneau & Lample 2019): guess masked pieces of both sides read together.

    The guess is among the pieces of the parallel text alone, by their embeddings, which stay as they are.

    embeddings (float, (vocab, dim)): The encoder's.
    vocabulary (int64, (n,)): The pieces to guess among, sorted.
    mask_id (int): The piece that masks.
    """

    def __init__(self, embeddings: torch.Tensor, vocabulary: NDArray[np.int64], mask_id: int, *, dim: int):
        import torch

        self.mask_id = mask_id
        self.vocabulary = torch.from_numpy(vocabulary).to(embeddings.device)
        self.embeddings = embeddings[self.vocabulary].detach().float()
        width = self.embeddings.shape[1]
        self.head = torch.nn.Sequential(
            torch.nn.Linear(dim, width), torch.nn.GELU(), torch.nn.LayerNorm(width), torch.nn.Linear(width, width)
        ).to(embeddings.device)
        self.bias = torch.nn.Parameter(torch.zeros(len(vocabulary), device=embeddings.device))

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is learned besides the encoder, by name."""
        return {**dict(self.head.named_parameters()), "bias": self.bias}

    def mask(self, ids: torch.Tensor, free: torch.Tensor, generator: torch.Generator) -> tuple[Any, Any]:
        """Choose pieces to guess.

        ids (int64, (n, length)): Pieces, special ones included.
        free (bool, (n, length)): Those that may be masked.
        generator (torch.Generator): On the CPU.
        RETURNS (int64 and bool, (n, length)): The pieces to read, and which of them to guess.
        """
        import torch

        chance = torch.rand(ids.shape, generator=generator).to(ids.device)
        guessed = free & (chance < _GUESSED)
        how = torch.rand(ids.shape, generator=generator).to(ids.device)
        other = torch.randint(len(self.vocabulary), ids.shape, generator=generator).to(ids.device)
        masked = torch.where(guessed & (how < _MASKED), self.mask_id, ids)
        replaced = guessed & (how >= _MASKED) & (how < _MASKED + _REPLACED)
        return torch.where(replaced, self.vocabulary[other], masked), guessed

    def loss(self, hidden: torch.Tensor, ids: torch.Tensor, guessed: torch.Tensor) -> torch.Tensor:
        """Mean negative log-probability of the pieces to guess, in nats.

        hidden (float, (n, length, dim)): The encoder's output for the masked pieces.
        """
        import torch

        if not guessed.any():
            return hidden.sum() * 0
        logits = self.head(hidden[guessed].float()) @ self.embeddings.T + self.bias
        return torch.nn.functional.cross_entropy(logits, torch.searchsorted(self.vocabulary, ids[guessed]))
