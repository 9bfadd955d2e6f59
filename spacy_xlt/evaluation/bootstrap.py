"""Paired bootstrap over documents, and over seeds too: how sure an F1 is, and whether two differ (Koehn 2004)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SAMPLES = 2000
SEED = 0


def resampled_f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of samples of the documents, drawn with replacement.

    The same number of documents gives the same samples, so that two systems can be compared pair by pair.

    Args:
        counts: int64, `(n_docs, 3)`: right, projected and gold spans of each document.

    Returns:
        float64, `(SAMPLES,)`, as fractions.
    """
    rng = np.random.default_rng(SEED)
    n_docs = len(counts)
    result = np.zeros(SAMPLES)
    for n in range(SAMPLES):
        right, projected, gold = counts[rng.integers(0, n_docs, n_docs)].sum(axis=0)
        result[n] = 2 * right / (projected + gold) if projected + gold else 0.0
    return result


def multi_bootstrap(counts: NDArray[np.int64], *, samples: int = SAMPLES, chunk: int = 250) -> NDArray[np.float64]:
    """Mean F1 over runs, of samples of the sentences and of the runs, both drawn with replacement.

    The Multi-Bootstrap (Sellam et al. 2022, The MultiBERTs, section 4): what differs between seeds and what differs
    between test sentences both count. The same numbers of runs and sentences draw the same sentences and the same
    runs, so that two systems can be compared pair by pair. With few runs the result is too sure of itself.

    Args:
        counts: int64, `(n_runs, n_sentences, 3)`: right, predicted and gold spans.
        samples: How many samples to draw.
        chunk: Samples that are drawn at once, which bounds memory.

    Returns:
        float64, `(samples,)`, as fractions.
    """
    n_runs, n_sentences, _ = counts.shape
    # Two streams: systems with other numbers of runs still see the same sentences
    of_sentences, of_runs = (np.random.default_rng([SEED, stream]) for stream in (0, 1))
    shares = np.full(n_sentences, 1 / n_sentences)
    table = counts.transpose(1, 0, 2).reshape(n_sentences, -1).astype(np.float64)
    result = []
    for first in range(0, samples, chunk):
        n = min(chunk, samples - first)
        drawn = of_sentences.multinomial(n_sentences, shares, size=n).astype(np.float64)
        right, predicted, gold = np.moveaxis((drawn @ table).reshape(n, n_runs, 3), 2, 0)
        f1 = 2 * right / np.maximum(predicted + gold, 1)
        runs = of_runs.integers(0, n_runs, (n, n_runs))
        result.append(np.take_along_axis(f1, runs, axis=1).mean(axis=1))
    return np.concatenate(result)


def interval(sampled: NDArray[np.float64]) -> tuple[float, float]:
    """The 95% interval of a resampled score."""
    low, high = np.percentile(sampled, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def p_value(sampled: NDArray[np.float64], baseline: NDArray[np.float64]) -> float:
    """Two-sided p-value of two systems being equal: twice the share of samples in which the order is reversed.

    Args:
        sampled: float64, `(samples,)`.
        baseline: The same of the other system, from the same samples; ties count for both sides.
    """
    difference = sampled - baseline
    if not difference.any():
        return 1.0
    # One more on both sides of the division: no number of samples proves a probability of zero
    reversed_ = min((difference <= 0).sum(), (difference >= 0).sum())
    return round(min(1.0, 2 * (int(reversed_) + 1) / (len(difference) + 1)), 4)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for their number, so that one of many comparisons is not significant by chance (Holm 1979).

    Args:
        p_values: By the name of the comparison.

    Returns:
        In the same order, none lower than before.
    """
    corrected, highest = {}, 0.0
    for n, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - n) * p_values[name]))
        corrected[name] = round(highest, 4)
    return {name: corrected[name] for name in p_values}
