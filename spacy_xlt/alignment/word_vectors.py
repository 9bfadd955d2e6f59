"""From vectors of word pieces to links of many pairs at once, with PyTorch, on the device where the vectors are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..device import batches_by_length

if TYPE_CHECKING:
    import torch

# Links as pairs of rows, (n, 2), and a score between 0 and 1 for each, (n,)
RowLinks = tuple[NDArray[np.int64], NDArray[np.float32]]

# Cells of the padded similarity matrices of a batch. A CPU gains nothing from more, and padding costs it time.
_CELLS, _CELLS_ON_CPU = 1 << 24, 1 << 20
# SimAlign's discount for a row or a column that has a link already
_ALPHA = 0.9


class TextVectors:
    """The vectors of several texts, one text behind the other: a row for each piece, or for each word.

    Args:
        vectors: All rows: float32, (n_rows, dim).
        words: For each text, which of its words each row is of, ascending: int, (n_rows of the text,).
    """

    def __init__(self, vectors: torch.Tensor, words: Sequence[NDArray[np.integer]]):
        self.vectors = vectors
        self.words = list(words)
        self.lengths = np.asarray([len(rows) for rows in self.words], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths

    def averaged(self) -> TextVectors:
        """One row a word, the mean of its pieces; words without pieces have none."""
        counts = [np.unique(rows, return_counts=True) for rows in self.words]
        sizes = np.concatenate([n for _, n in counts]) if counts else np.zeros(0, np.int64)
        return TextVectors(_segments(self.vectors, sizes, mode="mean"), [words for words, _ in counts])

    def centred(self) -> TextVectors:
        """Each text without its mean, so that what all words of a text share does not count.

        The mean is taken with two zero vectors more, so that the only word of a text keeps its direction.
        """
        import torch

        sums = _segments(self.vectors, self.lengths, mode="sum")
        means = sums / self._tensor(self.lengths + 2)[:, None]
        owners = self._tensor(np.repeat(np.arange(len(self.lengths)), self.lengths))
        return TextVectors(self.vectors - torch.index_select(means, 0, owners), self.words)

    def normalised(self) -> TextVectors:
        """Rows of length one; a zero row stays one."""
        import torch

        norms = torch.linalg.vector_norm(self.vectors, dim=1, keepdim=True)
        return TextVectors(self.vectors / torch.where(norms > 0, norms, 1), self.words)

    def padded(self, texts: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Some of the texts as one block.

        Args:
            texts: Their indices: int64, (n,).

        Returns:
            Vectors, float32, (n, longest, dim), and where there is no padding, bool, (n, longest).
        """
        lengths = self.lengths[texts]
        places = np.arange(lengths.max(initial=0))
        real = places < lengths[:, None]
        rows = np.where(real, self.starts[texts][:, None] + places, 0)
        return self.vectors[self._tensor(rows)], self._tensor(real)

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(array).to(self.vectors.device)


def _segments(vectors: torch.Tensor, sizes: NDArray[np.int64], *, mode: str) -> torch.Tensor:
    """The mean or the sum of so many rows each, in order; zeros for 0 rows."""
    import torch

    # Differentiable, and the fastest way to add up neighbours on a CPU
    rows = torch.arange(len(vectors), device=vectors.device)
    offsets = torch.from_numpy(np.cumsum(sizes) - sizes).to(vectors.device)
    return torch.nn.functional.embedding_bag(rows, vectors, offsets, mode=mode)


def link_pairs(
    texts: TextVectors, pairs: Sequence[tuple[int, int]], *, method: str, temperature: float, threshold: float
) -> list[RowLinks]:
    """Link the rows of pairs of texts.

    Args:
        texts: Pieces or words.
        pairs: Indices of source and target text.
        method: "softmax" (see `link_probabilities`), "inter" (mutual argmax), "itermax" or "mwmf" (maximum-weight
            matching). The last three are those of Jalili Sabet et al. 2020.
        temperature: For "softmax", what the cosines are divided by.
        threshold: What a score must exceed; 0 for all links.

    Returns:
        For each pair its links in order, as rows of both texts. A score is the geometric mean of both probabilities
        for "softmax", else the cosine moved from [-1, 1] to [0, 1].
    """
    texts = texts.normalised()
    result: list[RowLinks] = [(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))] * len(pairs)
    index = np.asarray(pairs, np.int64).reshape(-1, 2)
    sizes = texts.lengths[index]
    filled = np.flatnonzero(sizes.min(axis=1, initial=1) > 0)
    cells = sizes[filled].max(axis=1, initial=0) ** 2
    budget = _CELLS_ON_CPU if texts.vectors.device.type == "cpu" else _CELLS
    for batch in batches_by_length(cells.tolist(), batch_tokens=budget):
        chosen = filled[batch]
        links, scores = _link_batch(texts, index[chosen], method, temperature, threshold)
        cuts = np.searchsorted(links[:, 0], np.arange(len(chosen) + 1))
        for k, pair in enumerate(chosen):
            part = slice(cuts[k], cuts[k + 1])
            result[pair] = links[part, 1:], scores[part]
    return result


def _link_batch(
    texts: TextVectors, pairs: NDArray[np.int64], method: str, temperature: float, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pair, row and column of each link, in order, int64, (n, 3); and its score, float32, (n,)."""
    import torch

    source, real_rows = texts.padded(pairs[:, 0])
    target, real_columns = texts.padded(pairs[:, 1])
    real = real_rows[:, :, None] & real_columns[:, None, :]
    cosines = torch.bmm(source, target.transpose(1, 2))
    if method == "softmax":
        by_row, by_column = link_probabilities(cosines, real, temperature)
        scores, linked = (by_row * by_column).sqrt_(), real
    else:
        # What is compared is the rounded similarity, as in the package simalign
        scores = ((cosines + 1) / 2).clamp_(0, 1)
        linked = {"inter": mutual_argmax, "itermax": itermax, "mwmf": max_weight_matching}[method](scores, real)
    if threshold or method == "softmax":
        linked = linked & (scores > threshold)
    links = torch.nonzero(linked).cpu().numpy()
    return links, scores[linked].clamp_(0, 1).cpu().numpy().astype(np.float32)


def link_probabilities(
    cosines: torch.Tensor, real: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """How likely each row is linked to each column, seen from the rows and from the columns.

    Dou & Neubig 2021 (awesome-align), with cosines over a temperature instead of dot products, which need no scale of
    the model's own.

    Args:
        cosines: Of rows and columns: (n, n_rows, n_columns).
        real: Where there is no padding, the same shape.
        temperature: The smaller, the nearer to mutual argmax.

    Returns:
        Two tensors of that shape: one that sums to 1 over each row, one that does over each column; 0 in padding.
    """
    import torch

    # Not infinite, which would have no gradient where a row is padding from end to end
    scaled = (cosines / temperature).masked_fill(~real, torch.finfo(cosines.dtype).min)
    return torch.softmax(scaled, 2).masked_fill(~real, 0), torch.softmax(scaled, 1).masked_fill(~real, 0)


def mutual_argmax(similarity: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Where rows and columns are each other's most similar, the first of equals: bool, (n, n_rows, n_columns)."""
    import torch

    similarity = similarity.masked_fill(~real, -1)
    by_row = torch.zeros_like(real).scatter_(2, similarity.argmax(2, keepdim=True), True)
    by_column = torch.zeros_like(real).scatter_(1, similarity.argmax(1, keepdim=True), True)
    return by_row & by_column & real


def itermax(similarity: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mutual argmax, and a second round in which rows and columns that have a link count for less, as in SimAlign."""
    links = mutual_argmax(similarity, real)
    free_rows, free_columns = ~links.any(2, keepdim=True), ~links.any(1, keepdim=True)
    either, both = free_rows | free_columns, free_rows & free_columns
    # In double precision, as SimAlign multiplies
    weights = similarity.double() * (either.double() * _ALPHA).masked_fill_(both, 1)
    more = mutual_argmax(weights, real) & either
    # SimAlign stops after the first round where a side has two rows at most, or where all of a side are linked
    sizes = real.any(2).sum(1), real.any(1).sum(1)
    unlinked = (free_rows & real).any(2).any(1) & (free_columns & real).any(2).any(1)
    again = (sizes[0] > 2) & (sizes[1] > 2) & unlinked
    return links | more & again[:, None, None]


def max_weight_matching(similarity: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The one-to-one matching with the greatest total similarity."""
    import torch
    from scipy.optimize import linear_sum_assignment

    linked = torch.zeros_like(real)
    sizes = zip(real.any(2).sum(1).tolist(), real.any(1).sum(1).tolist(), strict=True)
    for matrix, links, (m, n) in zip(similarity.cpu().numpy(), linked, sizes, strict=True):
        rows, columns = linear_sum_assignment(matrix[:m, :n], maximize=True)
        links[torch.from_numpy(rows), torch.from_numpy(columns)] = True
    return linked
