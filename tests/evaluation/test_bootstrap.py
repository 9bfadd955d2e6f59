"""The bootstrap: intervals that hold the mean, paired samples, and p-values that are seldom wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spacy_xlt.evaluation.bootstrap import holm, interval, multi_bootstrap, p_value, resampled_f1


def test_bootstrap_tells_chance_from_difference():
    rng = np.random.default_rng(1)
    gold = np.full(200, 5)
    right = rng.integers(2, 6, 200)
    better = np.minimum(right + 1, 5)

    def counts(n_right):
        return np.stack([n_right, np.full(200, 5), gold], axis=1)

    base, other = resampled_f1(counts(right)), resampled_f1(counts(better))
    assert p_value(other, base) < 0.01
    noise = right.copy()
    noise[:2] = noise[1::-1]
    assert p_value(resampled_f1(counts(noise)), base) > 0.2
    low, high = interval(base)
    assert low < right.sum() / 1000 < high


def runs(*quality: float, n: int = 200, seed: int = 0) -> NDArray[np.int64]:
    """Counts of runs over the same sentences with two entities each, of which a share is found."""
    rng = np.random.default_rng(seed)
    right = np.stack([rng.binomial(2, share, n) for share in quality])
    return np.stack([right, np.full_like(right, 2), np.full_like(right, 2)], axis=2)


def test_the_bootstrap_is_centred_and_sees_sentences_and_seeds() -> None:
    alike, apart = runs(0.6, 0.6, 0.6), runs(0.4, 0.6, 0.8)
    for counts in (alike, apart):
        sampled = multi_bootstrap(counts, samples=1000)
        mean = (counts[:, :, 0].sum(axis=1) / 400).mean()
        assert sampled.mean() == pytest.approx(mean, abs=0.01)
    widths = [np.ptp(interval(multi_bootstrap(counts, samples=1000))) for counts in (alike, apart)]
    # One run over and over: what is left is the sentences
    one = np.ptp(interval(multi_bootstrap(alike[:1], samples=1000)))
    assert widths[1] > 3 * widths[0]
    assert 0.03 < one < 0.13


def test_the_bootstrap_is_paired() -> None:
    base = runs(0.5, 0.6)
    better = base.copy()
    # one more found in a tenth of the sentences, the same ones in each run
    better[:, ::10, 0] = np.minimum(2, better[:, ::10, 0] + 1)
    sampled = [multi_bootstrap(counts, samples=500) for counts in (base, better)]
    assert p_value(sampled[1], sampled[0]) < 0.01
    assert p_value(sampled[0], sampled[0]) == 1.0
    # the same samples whatever the chunks
    assert np.array_equal(multi_bootstrap(base, samples=500, chunk=7), sampled[0])


def test_equal_systems_seldom_differ_significantly() -> None:
    found = []
    for seed in range(40):
        first, second = (runs(0.6, 0.6, 0.6, seed=2 * seed + n) for n in (0, 1))
        found.append(p_value(*(multi_bootstrap(counts, samples=200) for counts in (first, second))) < 0.05)
    assert sum(found) <= 7


def test_holm_corrects_as_published() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    assert holm({}) == {}
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
