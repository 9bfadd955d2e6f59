"""What speaks for and against a link: named signals, each with a number for every pair of words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .batch import Cells, PairBatch, products

Signal = Callable[[PairBatch], Cells]

# The layers that words are compared in: what they are by themselves, and what they are in their sentence.
LAYERS = (0, 6)
# What cosines are divided by before a softmax.
TEMPERATURE = np.float32(0.1)

SIGNALS: dict[str, Signal] = {}
# Those that may have nothing to say on a pair: NaN.
MAY_BE_MISSING: set[str] = set()


def signal(name: str, *, may_be_missing: bool = False) -> Callable[[Signal], Signal]:
    """Register a signal: a function of a batch that gives (pairs, n_source, n_target), or what broadcasts to it.

    Nothing else has to change for a new signal; it counts as soon as weights that name it are fitted.

    may_be_missing (bool): It gives NaN for pairs on which it has nothing to say.
    """

    def register(function: Signal) -> Signal:
        SIGNALS[name] = function
        if may_be_missing:
            MAY_BE_MISSING.add(name)
        return function

    return register


def cosine(batch: PairBatch, layer: int) -> Cells:
    """How alike the vectors of two words are."""
    return batch.keep(("cosine", layer), lambda: products(batch, lambda side: side.vectors[layer]))


def row(batch: PairBatch, layer: int) -> Cells:
    """The log-probability of the target word among all of its sentence, by a softmax of cosines."""
    return _log_softmax(batch, layer, axis=2)


def column(batch: PairBatch, layer: int) -> Cells:
    """The log-probability of the source word among all of its sentence, by a softmax of cosines."""
    return _log_softmax(batch, layer, axis=1)


def row_lead(batch: PairBatch, layer: int) -> Cells:
    """How much more alike than the best other target word."""
    return cosine(batch, layer) - best_other(_masked(batch, layer), axis=2, least=-1)


def column_lead(batch: PairBatch, layer: int) -> Cells:
    """How much more alike than the best other source word."""
    return cosine(batch, layer) - best_other(_masked(batch, layer), axis=1, least=-1)


def _of_layer(function: Callable[[PairBatch, int], Cells], layer: int) -> Signal:
    return lambda batch: function(batch, layer)


for _layer in LAYERS:
    for _function in (cosine, row, column, row_lead, column_lead):
        signal(f"{_function.__name__}_{_layer}")(_of_layer(_function, _layer))


def _masked(batch: PairBatch, layer: int) -> Cells:
    return batch.keep(("masked", layer), lambda: np.where(batch.mask, cosine(batch, layer), np.float32(-1)))


def likeness(batch: PairBatch) -> Cells:
    """How alike the vectors of two words are beside those of the others: the geometric mean of a softmax of cosines in
    both directions, as `EmbeddingAligner` computes it (half the temperature of the signals, so their squares)."""
    squares = np.square(_exponentials(batch, LAYERS[-1]))
    total = squares.sum(axis=2, keepdims=True) * squares.sum(axis=1, keepdims=True)
    return squares / np.sqrt(np.maximum(total, np.float32(1e-20)))


def _exponentials(batch: PairBatch, layer: int) -> Cells:
    # Cosines over the temperature are at most 10 in size: no overflow, nor that of their squares
    return batch.keep(("exp", layer), lambda: np.exp(cosine(batch, layer) / TEMPERATURE) * batch.mask)


def _log_softmax(batch: PairBatch, layer: int, axis: int) -> Cells:
    total = _exponentials(batch, layer).sum(axis=axis, keepdims=True)
    return cosine(batch, layer) / TEMPERATURE - np.log(np.maximum(total, np.float32(1e-9)))


def best_other(values: Cells, axis: int, least: float) -> Cells:
    """For each cell the greatest of its other cells along an axis.

    least (float): The least that a value can be, and what a cell gets that has no others; what padding holds.
    """
    highest = values.max(axis=axis, keepdims=True)
    is_highest = values >= highest
    second = np.where(is_highest, np.float32(least), values).max(axis=axis, keepdims=True)
    alone = is_highest.sum(axis=axis, keepdims=True) == 1
    return np.where(is_highest & alone, second, highest)


@signal("position")
def position(batch: PairBatch) -> Cells:
    """How far from the diagonal, in words."""
    n, m = batch.lengths
    i = (np.arange(batch.shape[1], dtype=np.float32)[:, None] + np.float32(0.5)) / n
    j = (np.arange(batch.shape[2], dtype=np.float32) + np.float32(0.5)) / m
    return np.minimum(np.abs(i - j) * np.sqrt(n * m), np.float32(20))


@signal("source_rarity")
def source_rarity(batch: PairBatch) -> Cells:
    """How rare the source word is."""
    return batch.of_source(lambda side: side.rarity, 0)


@signal("target_rarity")
def target_rarity(batch: PairBatch) -> Cells:
    """How rare the target word is."""
    return batch.of_target(lambda side: side.rarity, 0)
