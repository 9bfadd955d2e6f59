"""Signals of the second pass: what the likely links around a pair of words say about it."""

from __future__ import annotations

import numpy as np

from .batch import Cells, PairBatch
from .signals import Signal, best_other, signal

# How far around a pair of words the second pass looks.
REACH = 1


def shifted(values: Cells, i: int, j: int, fill: float = 0.0) -> Cells:
    """The cell `i` rows below and `j` columns to the right, `fill` beyond the edge."""
    result = np.full_like(values, fill)
    n, m = values.shape[1:]
    rows, columns = slice(max(0, -i), min(n, n - i)), slice(max(0, -j), min(m, m - j))
    from_rows, from_columns = slice(max(0, i), min(n, n + i)), slice(max(0, j), min(m, m + j))
    if abs(i) < n and abs(j) < m:
        result[:, rows, columns] = values[:, from_rows, from_columns]
    return result


@signal("first")
def first(batch: PairBatch) -> Cells:
    """The log-odds of the pass before."""
    p = np.clip(batch.first, 1e-4, 1 - 1e-4)
    return np.log(p) - np.log1p(-p)


@signal("rival_target")
def rival_target(batch: PairBatch) -> Cells:
    """How likely the source word's best other link is."""
    return best_other(batch.first, axis=2, least=0)


@signal("rival_source")
def rival_source(batch: PairBatch) -> Cells:
    """How likely the target word's best other link is."""
    return best_other(batch.first, axis=1, least=0)


@signal("source_links")
def source_links(batch: PairBatch) -> Cells:
    """How many other links the source word is expected to have."""
    return batch.first.sum(axis=2, keepdims=True) - batch.first


@signal("target_links")
def target_links(batch: PairBatch) -> Cells:
    """How many other links the target word is expected to have."""
    return batch.first.sum(axis=1, keepdims=True) - batch.first


def _near(i: int, j: int) -> Signal:
    def near(batch: PairBatch) -> Cells:
        """How likely a link between two neighbours is."""
        return shifted(batch.first, i, j)

    return near


for _i in range(-REACH, REACH + 1):
    for _j in range(-REACH, REACH + 1):
        if (_i, _j) != (0, 0):
            signal(f"near_{_i:+d}_{_j:+d}")(_near(_i, _j))
