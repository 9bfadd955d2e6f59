"""Links from similarities, against simalign's own functions and against the formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment import matching


def _vectors(seed, rows, dim=6):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


sizes = st.integers(1, 12)
seeds = st.integers(0, 10_000)
METHODS = {
    "inter": matching.mutual_argmax,
    "itermax": matching.itermax,
    "mwmf": matching.max_weight_matching,
    "cosines": lambda a, b: matching.softmax_cosines(a, b, temperature=0.1, threshold=0.2),
    "products": lambda a, b: matching.softmax_products(a, b, threshold=0.01),
}


def _pairs(matched):
    return sorted(map(tuple, matched[0].tolist()))


def _simalign(method, source, target):
    from simalign import SentenceAligner

    similarity = SentenceAligner.get_similarity(source, target)
    if method == "mwmf":
        matrix = SentenceAligner.get_max_weight_match(similarity)
    elif method == "itermax":
        matrix = SentenceAligner.iter_max(similarity)
    else:
        forward, backward = SentenceAligner.get_alignment_matrix(similarity)
        matrix = forward * backward
    return sorted(map(tuple, np.argwhere(matrix > 0).tolist()))


@pytest.mark.parametrize("method", ["inter", "itermax", "mwmf"])
@given(seed=seeds, m=sizes, n=sizes)
@settings(max_examples=60, deadline=None)
def test_links_are_those_of_simalign(method, seed, m, n):
    source, target = _vectors(seed, m), _vectors(seed + 1, n)
    assert _pairs(METHODS[method](source, target)) == _simalign(method, source, target)


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds, n=sizes)
@settings(max_examples=30, deadline=None)
def test_a_permutation_is_found(method, seed, n):
    source = np.eye(n, dtype=np.float32) * 20
    order = np.random.default_rng(seed).permutation(n)
    matched = METHODS[method](source, source[order])
    assert _pairs(matched) == sorted((int(i), j) for j, i in enumerate(order))


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds, m=sizes, n=sizes)
@settings(max_examples=30, deadline=None)
def test_exchanging_the_sides_transposes_the_links(method, seed, m, n):
    source, target = _vectors(seed, m), _vectors(seed + 1, n)
    there, back = METHODS[method](source, target), METHODS[method](target, source)
    assert _pairs(there) == sorted((i, j) for j, i in _pairs(back))


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds, m=sizes, n=sizes)
@settings(max_examples=30, deadline=None)
def test_scores_lie_between_0_and_1(method, seed, m, n):
    links, scores = METHODS[method](_vectors(seed, m), _vectors(seed + 1, n))
    assert scores.dtype == np.float32 and scores.shape == (len(links),)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("cells", [1, 7, 40])
@pytest.mark.parametrize("method", ["inter", "itermax", "cosines", "products"])
def test_blocks_change_nothing(method, cells, monkeypatch):
    source, target = _vectors(1, 23), _vectors(2, 17)
    whole = METHODS[method](source, target)
    monkeypatch.setattr(matching, "_BLOCK_CELLS", cells)
    in_blocks = METHODS[method](source, target)
    assert _pairs(in_blocks) == _pairs(whole) and len(whole[0])
    assert np.allclose(np.sort(in_blocks[1]), np.sort(whole[1]), atol=1e-6)


def test_products_are_linked_where_both_probabilities_exceed_the_threshold():
    source, target = _vectors(3, 9), _vectors(4, 11)
    products = np.exp((source @ target.T).astype(np.float64))
    by_row, by_column = products / products.sum(1, keepdims=True), products / products.sum(0, keepdims=True)
    expected = np.argwhere((by_row > 0.1) & (by_column > 0.1))
    links, scores = matching.softmax_products(source, target, threshold=0.1)
    assert links.tolist() == expected.tolist() and len(links) > 3
    assert np.allclose(scores, np.sqrt(by_row * by_column)[tuple(expected.T)], atol=1e-5)


def test_cosines_do_not_depend_on_the_length_of_the_vectors():
    source, target = _vectors(5, 8), _vectors(6, 8)
    first = matching.softmax_cosines(source, target, temperature=0.1, threshold=0.2)
    second = matching.softmax_cosines(source * 100, target * 0.01, temperature=0.1, threshold=0.2)
    assert _pairs(first) == _pairs(second) and len(first[0])


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_side_gives_no_links(method):
    links, scores = METHODS[method](_vectors(1, 0), _vectors(2, 3))
    assert links.shape == (0, 2) and scores.shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_zero_vectors_give_no_nan(method):
    zeros = np.zeros((3, 6), np.float32)
    assert np.isfinite(METHODS[method](zeros, _vectors(1, 4))[1]).all()
