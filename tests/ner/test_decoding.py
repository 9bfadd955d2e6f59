"""Decoding of tags, against all valid sequences one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.ner.xlt_ner import best_tags, marginals, spans_of_tags


def random_scores(seed: int, *, n: int, length: int, n_labels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(n, length, 1 + 2 * n_labels, generator=generator)).log_softmax(dim=2)


def valid_sequences(length: int, n_labels: int) -> list[tuple[int, ...]]:
    """O is 0, then B of each label, then I of each."""

    def fits(tags: tuple[int, ...]) -> bool:
        before = (0, *tags)
        return all(tag <= n_labels or last in (tag, tag - n_labels) for last, tag in zip(before, tags, strict=False))

    return [tags for tags in product(range(1 + 2 * n_labels), repeat=length) if fits(tags)]


def log_probability(scores: torch.Tensor, tags: tuple[int, ...]) -> float:
    return float(sum(scores[i, tag] for i, tag in enumerate(tags)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 4), n_labels=st.integers(1, 2))
def test_the_best_tags_are_the_best_of_all_valid_sequences(seed, length, n_labels):
    scores = random_scores(seed, n=3, length=length, n_labels=n_labels)
    for row, tags in zip(scores, best_tags(scores).tolist(), strict=True):
        best = max(valid_sequences(length, n_labels), key=lambda tags, row=row: log_probability(row, tags))
        assert tuple(tags) == best


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 4), n_labels=st.integers(1, 2))
def test_the_probability_of_a_span_is_that_of_all_sequences_that_have_it(seed, length, n_labels):
    scores = random_scores(seed, n=1, length=length, n_labels=n_labels)
    sequences = valid_sequences(length, n_labels)
    weights = np.exp([log_probability(scores[0], tags) for tags in sequences])
    expected: dict[tuple[int, int, int], float] = {}
    for tags, weight in zip(sequences, weights / weights.sum(), strict=True):
        for span in spans_of_tags(np.array(tags), n_labels):
            expected[span] = expected.get(span, 0.0) + weight
    computed = marginals(scores)
    for span, probability in expected.items():
        assert computed.probability(0, *span) == pytest.approx(probability, abs=1e-5)
    probable = {item[:3]: item[3] for item in computed.probable(0, length, 0.02)}
    assert probable == pytest.approx({span: p for span, p in expected.items() if p >= 0.02}, abs=1e-5)


def test_padding_changes_nothing():
    scores = random_scores(1, n=1, length=5, n_labels=2)
    padding = torch.full((1, 3, 5), -1e9)
    padding[..., 0] = 0.0
    padded = torch.cat([scores, padding], dim=1)
    assert best_tags(padded)[0, :5].tolist() == best_tags(scores)[0].tolist()
    assert marginals(padded).probability(0, 2, 5, 1) == pytest.approx(marginals(scores).probability(0, 2, 5, 1))


def test_probabilities_of_a_long_document_do_not_drift():
    scores = random_scores(2, n=1, length=8, n_labels=2)
    # The same tokens between many that are surely no entity
    sure = torch.full((1, 3000, 5), -20.0)
    sure[..., 0] = 0.0
    long = torch.cat([sure, scores, sure], dim=1)
    assert marginals(long).probability(0, 3002, 3005, 0) == pytest.approx(
        marginals(scores).probability(0, 2, 5, 0), rel=1e-3
    )


def test_spans_end_where_another_begins():
    # B-1, I-1, B-1, O, B-2, B-1, I-1
    assert spans_of_tags(np.array([1, 3, 1, 0, 2, 1, 3]), 2) == [(0, 2, 0), (2, 3, 0), (4, 5, 1), (5, 7, 0)]
