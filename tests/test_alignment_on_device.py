"""Links of many pairs at once with PyTorch: the same as pair by pair with numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment import matching, on_device
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.on_device import Texts, link_pairs

PAIRS = [
    ("The red house stands near the river .".split(), "A casa vermelha fica perto do rio .".split()),
    ("Maria Silva works in Lisbon .".split(), "Maria Silva trabalha em Lisboa .".split()),
    (["", "Maria", "\u200b"], ["Maria"]),
    ([], ["a"]),
    ([" "], ["a"]),
    (["word"] * 600 + ["."], ["palavra"] * 600 + ["."]),
]


def _texts(seed, lengths):
    rng = np.random.default_rng(seed)
    vectors = [rng.standard_normal((n, 6)).astype(np.float32) for n in lengths]
    return vectors, Texts(torch.from_numpy(np.concatenate(vectors)), np.asarray(lengths))


@pytest.mark.parametrize("method", ["inter", "softmax"])
@pytest.mark.parametrize("cells", [1 << 24, 40])
@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(0, 9), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_batches_give_the_links_of_single_pairs(method, cells, seed, lengths):
    vectors, texts = _texts(seed, lengths)
    pairs = [(i, j) for i in range(len(lengths)) for j in range(len(lengths)) if i != j]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_device, "_BATCH_CELLS", cells)
        found = link_pairs(texts, pairs, method=method, temperature=0.3, threshold=0.2)
    for (i, j), (links, scores) in zip(pairs, found, strict=True):
        if method == "inter":
            expected, theirs = matching.mutual_argmax(vectors[i], vectors[j])
            expected, theirs = expected[theirs > 0.2], theirs[theirs > 0.2]
        else:
            expected, theirs = matching.softmax_cosines(vectors[i], vectors[j], temperature=0.3, threshold=0.2)
        assert links.tolist() == expected.tolist()
        assert np.allclose(scores, theirs, atol=1e-5)


@pytest.mark.parametrize("method, level", [("softmax", "word"), ("softmax", "subword"), ("inter", "subword")])
def test_an_aligner_gives_the_same_links_either_way(method, level, monkeypatch):
    engine = EmbeddingAligner("bundled:encoder-en-pt", layer=4, method=method, level=level, precision="float32")
    expected = engine.align(PAIRS)
    monkeypatch.setattr(EmbeddingAligner, "_links_on_device", lambda self: True)
    found = engine.align(PAIRS)
    assert [a.links.tolist() for a in found] == [a.links.tolist() for a in expected]
    assert all(np.allclose(a.scores, b.scores, atol=1e-4) for a, b in zip(found, expected, strict=True))
    assert len(found[0]) > 5
