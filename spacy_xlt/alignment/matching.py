"""Links from a similarity matrix, the matrix made block by block so that long texts need little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]
# Pairs of indices, (n, 2), and a score between 0 and 1 for each, (n,)
Matched = tuple[NDArray[np.int64], NDArray[np.float32]]
Blocks = Iterator[tuple[int, Vectors]]

# Cells of a block: 16 MiB of float32.
_BLOCK_CELLS = 1 << 22
# SimAlign's discount for a row or a column that has a link already.
_ALPHA = 0.9


def mutual_argmax(source: Vectors, target: Vectors) -> Matched:
    """Link what is each other's most similar ("inter").

    Jalili Sabet et al. 2020, SimAlign.
    source (float32, (n_source, dim)), target (float32, (n_target, dim)): A vector for each piece or word.
    RETURNS: Links, and their similarity: the cosine, moved from [-1, 1] to [0, 1].
    """
    source, target = _normalised(source), _normalised(target)
    return _mutual(lambda: _similarity(source, target), len(source), len(target))


def itermax(source: Vectors, target: Vectors) -> Matched:
    """Mutual argmax, and a second round in which rows and columns that have a link count for less.

    Jalili Sabet et al. 2020, with their two rounds and discount. Arguments and results as `mutual_argmax`.
    """
    source, target = _normalised(source), _normalised(target)
    m, n = len(source), len(target)
    links, scores = _mutual(lambda: _similarity(source, target), m, n)
    free_rows, free_columns = np.ones(m, bool), np.ones(n, bool)
    free_rows[links[:, 0]] = False
    free_columns[links[:, 1]] = False
    if min(m, n) <= 2 or not free_rows.any() or not free_columns.any():
        return links, scores

    def discounted() -> Blocks:
        for start, block in _similarity(source, target):
            free = free_rows[start : start + len(block), None]
            weight = np.where(free & free_columns, 1.0, np.where(free | free_columns, _ALPHA, 0.0))
            yield start, block * weight

    more, _ = _mutual(discounted, m, n)
    more = more[free_rows[more[:, 0]] | free_columns[more[:, 1]]]
    similar = np.einsum("kd,kd->k", source[more[:, 0]], target[more[:, 1]])
    return np.concatenate([links, more]), np.concatenate([scores, _to_unit(similar)])


def max_weight_matching(source: Vectors, target: Vectors) -> Matched:
    """The one-to-one matching with the greatest total similarity ("mwmf").

    Jalili Sabet et al. 2020. The whole matrix is held in memory. Arguments and results as `mutual_argmax`.
    """
    from scipy.optimize import linear_sum_assignment

    if not len(source) or not len(target):
        return _nothing()
    similarity = _to_unit(_normalised(source) @ _normalised(target).T)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return np.stack([rows, columns], axis=1).astype(np.int64), similarity[rows, columns]


def softmax_products(source: Vectors, target: Vectors, *, threshold: float) -> Matched:
    """Link what is likely in both directions: softmax of the dot products over rows and over columns.

    Dou & Neubig 2021, awesome-align.
    threshold (float): What both probabilities must exceed.
    RETURNS: Links, and the geometric mean of both probabilities.
    """
    return _likely(source, target, lambda by_row, by_column: np.minimum(by_row, by_column) > threshold)


def softmax_cosines(source: Vectors, target: Vectors, *, temperature: float, threshold: float) -> Matched:
    """The same with cosines, which need no model-specific scale, divided by a temperature.

    temperature (float): The smaller, the nearer to mutual argmax.
    threshold (float): What the geometric mean of both probabilities must exceed.
    RETURNS: Links, and that mean.
    """
    scaled = _normalised(source) / np.float32(temperature)
    return _likely(scaled, _normalised(target), lambda by_row, by_column: by_row * by_column > threshold**2)


def _likely(source: Vectors, target: Vectors, accept: Callable[[Vectors, Vectors], NDArray[np.bool_]]) -> Matched:
    n = len(target)
    if not len(source) or not n:
        return _nothing()
    highest = np.full(n, -np.inf, np.float32)
    total = np.zeros(n, np.float32)
    for _, block in _products(source, target):
        new = np.maximum(highest, block.max(axis=0))
        total = total * np.exp(highest - new) + np.exp(block - new).sum(axis=0)
        highest = new
    links, scores = [], []
    for start, block in _products(source, target):
        by_column = np.exp(block - highest) / total
        by_row = np.exp(block - block.max(axis=1, keepdims=True))
        by_row /= by_row.sum(axis=1, keepdims=True)
        found = np.argwhere(accept(by_row, by_column))
        i, j = found.T
        scores.append(np.sqrt(by_row[i, j] * by_column[i, j]))
        links.append(found + [start, 0])
    return np.concatenate(links), np.minimum(np.concatenate(scores), 1).astype(np.float32)


def _nothing() -> Matched:
    return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)


def _normalised(vectors: Vectors) -> Vectors:
    norms = np.sqrt(np.einsum("kd,kd->k", vectors, vectors))
    return vectors / np.where(norms > 0, norms, np.float32(1))[:, None]


def _to_unit(cosine: Vectors) -> NDArray[np.float32]:
    unit = (cosine + np.float32(1)) / np.float32(2)
    return np.clip(unit, 0, 1, dtype=np.float32)


def _products(source: Vectors, target: Vectors) -> Blocks:
    """Dot products of some rows with all columns, and which row each block starts with."""
    rows = max(1, _BLOCK_CELLS // max(1, len(target)))
    for start in range(0, len(source), rows):
        yield start, source[start : start + rows] @ target.T


def _similarity(source: Vectors, target: Vectors) -> Blocks:
    for start, block in _products(source, target):
        yield start, _to_unit(block)


def _mutual(blocks: Callable[[], Blocks], m: int, n: int) -> Matched:
    """The cells that are the greatest of their row and of their column, the first where several are equal."""
    if not m or not n:
        return _nothing()
    best_column = np.zeros(m, np.int64)
    best_of_row = np.zeros(m, np.float64)
    best_row = np.zeros(n, np.int64)
    best_of_column = np.full(n, -np.inf, np.float64)
    for start, block in blocks():
        columns = block.argmax(axis=1)
        best_column[start : start + len(block)] = columns
        best_of_row[start : start + len(block)] = block[np.arange(len(block)), columns]
        rows = block.argmax(axis=0)
        values = block[rows, np.arange(n)]
        better = values > best_of_column
        best_of_column[better] = values[better]
        best_row[better] = rows[better] + start
    rows = np.flatnonzero(best_row[best_column] == np.arange(m))
    return np.stack([rows, best_column[rows]], axis=1), best_of_row[rows].astype(np.float32)
