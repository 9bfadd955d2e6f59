"""Paired bootstrap over documents: how sure an F1 is, and whether two differ (Koehn 2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLES = 2000
SEED = 0


def resampled_f1(counts: NDArray[np.int64], *, samples: int = SAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """F1 of samples of the documents, drawn with replacement.

    The same number of documents and seed give the same samples, so that two systems can be compared pair by pair.

    counts (int64, (n_docs, 3)): Right, projected and gold spans of each document.
    RETURNS (float64, (samples,)): As fractions.
    """
    rng = np.random.default_rng(seed)
    n_docs = len(counts)
    result = np.zeros(samples)
    for n in range(samples):
        right, projected, gold = counts[rng.integers(0, n_docs, n_docs)].sum(axis=0)
        result[n] = 2 * right / (projected + gold) if projected + gold else 0.0
    return result


def interval(sampled: NDArray[np.float64]) -> tuple[float, float]:
    """The 95% interval of a resampled score."""
    low, high = np.percentile(sampled, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def p_value(sampled: NDArray[np.float64], baseline: NDArray[np.float64]) -> float:
    """Two-sided p-value of two systems being equal: twice the share of samples in which the order turns round.

    sampled, baseline (float64, (samples,)): From the same samples; ties count for both sides.
    """
    difference = sampled - baseline
    if not difference.any():
        return 1.0
    # One more on both sides of the division: no number of samples proves a probability of zero
    turned = min((difference <= 0).sum(), (difference >= 0).sum())
    return round(min(1.0, 2 * (int(turned) + 1) / (len(difference) + 1)), 4)
