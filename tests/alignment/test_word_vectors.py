"""From vectors of pieces to links, against simalign's own functions and against the formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment import word_vectors
from spacy_xlt.alignment.word_vectors import TextVectors, link_pairs, link_probabilities

METHODS = ["softmax", "inter", "itermax", "mwmf"]
sizes = st.integers(1, 12)
seeds = st.integers(0, 10_000)


def _vectors(seed, rows, dim=6):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


def _texts(*vectors, words=None):
    words = [np.arange(len(rows)) for rows in vectors] if words is None else words
    return TextVectors(torch.from_numpy(np.concatenate(vectors)), words)


def _link(method, source, target, *, temperature=0.1, threshold=None):
    if threshold is None:
        threshold = 0.2 if method == "softmax" else 0.0
    found = link_pairs(_texts(source, target), [(0, 1)], method=method, temperature=temperature, threshold=threshold)
    return found[0]


def _pairs(found):
    return sorted(map(tuple, found[0].tolist()))


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
@given(seed=seeds, shapes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_links_of_a_padded_batch_are_those_of_simalign(method, seed, shapes):
    pairs = [(_vectors(seed + k, m), _vectors(seed + k + 10, n)) for k, (m, n) in enumerate(shapes)]
    texts = _texts(*(side for pair in pairs for side in pair))
    index = [(2 * k, 2 * k + 1) for k in range(len(pairs))]
    found = link_pairs(texts, index, method=method, temperature=1.0, threshold=0.0)
    for links, pair in zip(found, pairs, strict=True):
        assert _pairs(links) == _simalign(method, *pair)


@given(seed=seeds, shapes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_softmax_is_the_geometric_mean_of_both_directions(seed, shapes):
    pairs = [(_vectors(seed + k, m), _vectors(seed + k + 10, n)) for k, (m, n) in enumerate(shapes)]
    texts = _texts(*(side for pair in pairs for side in pair))
    index = [(2 * k, 2 * k + 1) for k in range(len(pairs))]
    found = link_pairs(texts, index, method="softmax", temperature=0.3, threshold=0.2)
    for (links, scores), (source, target) in zip(found, pairs, strict=True):
        first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (source, target))
        products = np.exp((first @ second.T).astype(np.float64) / 0.3)
        mean = np.sqrt(products / products.sum(1, keepdims=True) * products / products.sum(0, keepdims=True))
        assert links.tolist() == np.argwhere(mean > 0.2).tolist()
        assert np.allclose(scores, mean[tuple(links.T)], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_small_batches_give_the_same(method, monkeypatch):
    vectors = [_vectors(seed, 3 + seed) for seed in range(5)] + [_vectors(9, 0)]
    pairs = [(i, j) for i in range(6) for j in range(6)]
    together = link_pairs(_texts(*vectors), pairs, method=method, temperature=0.3, threshold=0.2)
    monkeypatch.setattr(word_vectors, "_CELLS_ON_CPU", 40)
    apart = link_pairs(_texts(*vectors), pairs, method=method, temperature=0.3, threshold=0.2)
    for a, b in zip(together, apart, strict=True):
        assert a[0].tolist() == b[0].tolist() and np.allclose(a[1], b[1], atol=1e-6)
    assert sum(len(links) for links, _ in together) > 50


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds, m=sizes, n=sizes)
@settings(max_examples=20, deadline=None)
def test_exchanging_the_sides_transposes_the_links(method, seed, m, n):
    source, target = _vectors(seed, m), _vectors(seed + 1, n)
    there, back = _link(method, source, target), _link(method, target, source)
    assert _pairs(there) == sorted((i, j) for j, i in _pairs(back))
    assert there[1].dtype == np.float32 and ((there[1] >= 0) & (there[1] <= 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_empty_sides_and_zero_vectors_give_no_nan(method):
    links, scores = _link(method, _vectors(1, 0), _vectors(2, 3))
    assert links.shape == (0, 2) and scores.shape == (0,)
    assert np.isfinite(_link(method, np.zeros((3, 6), np.float32), _vectors(1, 4))[1]).all()


def test_words_are_means_of_their_pieces_less_that_of_their_text():
    vectors = [_vectors(1, 5), _vectors(2, 0), _vectors(3, 3)]
    texts = _texts(*vectors, words=[np.asarray([0, 0, 2, 3, 3]), np.zeros(0, np.int64), np.asarray([1, 2, 3])])
    words = texts.averaged()
    expected = np.stack([vectors[0][:2].mean(0), vectors[0][2], vectors[0][3:].mean(0), *vectors[2]])
    assert np.allclose(words.vectors, expected, atol=1e-6)
    assert [rows.tolist() for rows in words.words] == [[0, 2, 3], [], [1, 2, 3]]
    centred = words.centred().vectors.numpy()
    assert np.allclose(centred[:3], expected[:3] - expected[:3].sum(0) / 5, atol=1e-6)
    assert np.allclose(centred[3:], expected[3:] - expected[3:].sum(0) / 5, atol=1e-6)


def test_probabilities_have_gradients_beside_padding():
    cosines = torch.rand(2, 3, 4, requires_grad=True)
    real = torch.ones(2, 3, 4, dtype=torch.bool)
    real[1, 1:] = False
    by_row, by_column = link_probabilities(cosines, real, 0.1)
    assert torch.allclose(by_row.sum(2)[real.any(2)], torch.tensor(1.0))
    assert torch.allclose(by_column.sum(1), torch.tensor(1.0)) and not by_row[~real].any()
    (by_row * by_column).sum().backward()
    assert torch.isfinite(cosines.grad).all()
