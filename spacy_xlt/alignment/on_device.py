"""Links of many pairs at once with PyTorch, on the device where the vectors are; only links come back.

The rules are those of `matching`, which works pair by pair with numpy and at any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..device import batches_by_length
from .matching import Matched

if TYPE_CHECKING:
    import torch

# Pairs that have a method here; "softmax" is that of cosines.
METHODS = ("softmax", "inter")
# Cells of the padded matrices of a batch, in float32 64 MiB.
_BATCH_CELLS = 1 << 24


class Texts:
    """Vectors of several texts in one tensor.

    vectors (float, (n_rows, dim)): Those of all texts, one text behind the other.
    lengths (int64, (n_texts,)): Rows of each, on the CPU.
    """

    def __init__(self, vectors: torch.Tensor, lengths: NDArray[np.int64]):
        self.vectors = vectors
        self.lengths = lengths
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else np.zeros(0, np.int64)

    def owners(self) -> torch.Tensor:
        """Which text each row is of: int64, (n_rows,)."""
        import torch

        owners = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return torch.from_numpy(owners).to(self.vectors.device)

    def centered(self) -> Texts:
        """Each text without its mean, taken with two zero vectors more, as `EmbeddingAligner` does."""
        import torch

        owners = self.owners()
        sums = self.vectors.new_zeros((len(self.lengths), self.vectors.shape[1])).index_add_(0, owners, self.vectors)
        counts = torch.from_numpy(self.lengths + 2).to(sums)
        return Texts(self.vectors - (sums / counts[:, None])[owners], self.lengths)

    def normalised(self) -> Texts:
        """Rows of length one; a zero row stays one."""
        import torch

        norms = torch.linalg.vector_norm(self.vectors, dim=1, keepdim=True)
        return Texts(self.vectors / torch.where(norms > 0, norms, 1), self.lengths)

    def averaged(self, words: Sequence[NDArray[np.int64]]) -> tuple[Texts, list[NDArray[np.int64]]]:
        """One vector a word instead of one a piece.

        words (Sequence[int64, (n_pieces,)]): The word of each piece of each text, ascending.
        RETURNS: The words' means, and which words they are.
        """
        import torch

        distinct = [np.unique(word, return_counts=True) for word in words]
        lengths = np.asarray([len(found) for found, _ in distinct], np.int64)
        counts = np.concatenate([n for _, n in distinct]) if distinct else np.zeros(0, np.int64)
        owners = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(self.vectors.device)
        sums = self.vectors.new_zeros((len(counts), self.vectors.shape[1])).index_add_(0, owners, self.vectors)
        means = sums / torch.from_numpy(counts).to(sums)[:, None]
        return Texts(means, lengths), [found for found, _ in distinct]

    def padded(self, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Some of the texts as a block.

        chosen (int64, (n,)): Their indices.
        RETURNS (float, (n, longest, dim), and bool, (n, longest)): The second is false where there is padding.
        """
        import torch

        lengths = self.lengths[chosen]
        places = np.arange(lengths.max(initial=0))
        real = places < lengths[:, None]
        rows = np.where(real, self.starts[chosen][:, None] + places, 0)
        index = torch.from_numpy(rows).to(self.vectors.device)
        return self.vectors[index], torch.from_numpy(real).to(self.vectors.device)


def link_pairs(
    texts: Texts, pairs: Sequence[tuple[int, int]], *, method: str, temperature: float, threshold: float
) -> list[Matched]:
    """Link the rows of pairs of texts.

    texts (Texts): Pieces or words, centred or not.
    pairs (Sequence[tuple[int, int]]): Source and target text of each pair.
    method (str): "softmax" (of cosines over the temperature; threshold for the geometric mean) or "inter" (mutual
        argmax; threshold for the cosine moved to [0, 1]).
    RETURNS (list[Matched]): Links and scores in order of the pairs, as the functions of `matching` give them.
    """
    texts = texts.normalised()
    result: list[Matched] = [(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))] * len(pairs)
    index = np.asarray(pairs, np.int64).reshape(-1, 2)
    sizes = texts.lengths[index]
    filled = np.flatnonzero(sizes.min(axis=1, initial=1) > 0)
    # A batch of pairs of similar size: its budget is in cells of the padded matrices
    cells = sizes[filled].max(axis=1, initial=0) ** 2
    for batch in batches_by_length(cells.tolist(), batch_tokens=_BATCH_CELLS):
        chosen = filled[batch]
        links, scores = _link_batch(texts, index[chosen], method, temperature, threshold)
        cuts = np.searchsorted(links[:, 0], np.arange(len(chosen) + 1))
        for k, pair in enumerate(chosen):
            part = slice(cuts[k], cuts[k + 1])
            result[pair] = links[part, 1:], scores[part]
    return result


def _link_batch(
    texts: Texts, pairs: NDArray[np.int64], method: str, temperature: float, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """RETURNS (int64, (n, 3), and float32, (n,)): Pair, row and column of each link, in order; and its score."""
    import torch

    source, real_rows = texts.padded(pairs[:, 0])
    target, real_columns = texts.padded(pairs[:, 1])
    real = real_rows[:, :, None] & real_columns[:, None, :]
    cosine = torch.bmm(source, target.transpose(1, 2)).float()
    if method == "inter":
        # As in `matching`: what is compared is the rounded similarity, and the first of equals wins
        score = ((cosine + 1) / 2).clamp_(0, 1).masked_fill_(~real, -1)
        by_row = torch.zeros_like(real).scatter_(2, score.argmax(2, keepdim=True), True)
        by_column = torch.zeros_like(real).scatter_(1, score.argmax(1, keepdim=True), True)
        accepted = by_row & by_column & real
        if threshold:
            accepted &= score > threshold
    else:
        scaled = (cosine / temperature).masked_fill_(~real, -torch.inf)
        # Rows and columns of padding have nothing to sum over
        by_row = torch.softmax(scaled, 2).masked_fill_(~real, 0)
        by_column = torch.softmax(scaled, 1).masked_fill_(~real, 0)
        score = (by_row * by_column).sqrt_()
        accepted = (score > threshold) & real
    links = torch.nonzero(accepted)
    scores = score[accepted].clamp_(0, 1)
    return links.cpu().numpy(), scores.cpu().numpy().astype(np.float32)
