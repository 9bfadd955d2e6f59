"""Long texts: which sentences correspond, and that words are linked as in the sentences by themselves."""

import numpy as np
import pytest
from helpers.ntrex import ntrex_pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment import long_texts
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.long_texts import Bead, blocks_of, fill_gaps, find_beads, units_of


@pytest.fixture(scope="module")
def pairs():
    return ntrex_pairs(45)


@pytest.fixture(scope="module")
def aligner():
    return EmbeddingAligner(model="bundled:encoder-en-pt", layer=4)


def _f1(found, expected):
    return 2 * len(found & expected) / (len(found) + len(expected))


def _links_of_sentences(aligner, pairs):
    links, i, j = set(), 0, 0
    for (source, target), found in zip(pairs, aligner.align(pairs), strict=True):
        links |= {(a + i, b + j) for a, b in found.links.tolist()}
        i, j = i + len(source), j + len(target)
    return links


def _whole(pairs):
    return [word for source, _ in pairs for word in source], [word for _, target in pairs for word in target]


@pytest.mark.parametrize("window", [8192, 700])
def test_a_long_text_is_aligned_as_its_sentences_are(aligner, pairs, window, monkeypatch):
    monkeypatch.setattr(long_texts, "_HELD", window)
    expected = _links_of_sentences(aligner, pairs)
    found = {(i, j) for i, j in aligner.align([_whole(pairs)])[0].links.tolist()}
    assert len(expected) > 500
    assert _f1(found, expected) >= 0.95


def test_sentences_that_one_side_lacks_leave_the_others_aligned(aligner, pairs):
    missing = [([] if n in (5, 6, 30) else s, [] if n in (12, 31) else t) for n, (s, t) in enumerate(pairs)]
    expected = _links_of_sentences(aligner, missing)
    found = {(i, j) for i, j in aligner.align([_whole(missing)])[0].links.tolist()}
    assert _f1(found, expected) >= 0.9


def test_a_long_side_beside_a_short_one_finds_its_sentence(aligner, pairs):
    source, _ = _whole(pairs)
    start = sum(len(s) for s, _ in pairs[:30])
    found = aligner.align([(source, pairs[30][1])])[0]
    inside = (found.links[:, 0] >= start) & (found.links[:, 0] < start + len(pairs[30][0]))
    assert len(found) > 5 and inside.mean() > 0.8


words = st.lists(st.sampled_from(["a", "b.", "c", "", "\n", "d。", "e"]), max_size=300)


@given(tokens=words)
@settings(max_examples=25, deadline=None)
def test_units_cover_a_text_once(tokens):
    units = units_of(tokens)
    assert [i for unit in units for i in range(unit.start, unit.end)] == list(range(len(tokens)))
    assert all(unit.start < unit.end for unit in units)


def test_units_end_with_sentences_and_long_sentences_are_cut():
    tokens = ["He", "came", '."', "She", "went。", *["w"] * 100]
    units = units_of(tokens)
    assert units[:2] == [(0, 3, True), (3, 5, True)]
    assert len(units) > 6 and [unit.closed for unit in units[2:]] == [False] * (len(units) - 3) + [True]


@given(seed=st.integers(0, 1000), n=st.integers(1, 9), m=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_beads_are_in_order_and_within_the_texts(seed, n, m):
    rng = np.random.default_rng(seed)
    source, target = (rng.standard_normal((2 * size, 5)).astype(np.float32) for size in (n, m))
    beads = fill_gaps(find_beads(source, target, range(0, 2 * n, 2), range(0, 2 * m, 2)), n, m)
    row = column = 0
    for bead in beads:
        assert row <= bead.source_start < bead.source_end <= n
        assert column <= bead.target_start < bead.target_end <= m
        row, column = bead.source_end, bead.target_end


def test_the_same_units_find_each_other_around_what_is_missing():
    vectors = np.eye(24, dtype=np.float32)
    target = np.delete(vectors, [6, 7, 8], axis=0)
    beads = find_beads(vectors, target, range(0, 24, 3), range(0, 21, 3))
    expected = [(i, i + 1, i - (i > 2), i + 1 - (i > 2)) for i in range(8) if i != 2]
    assert beads == [Bead(*bead) for bead in expected]


def test_one_unit_finds_two():
    vectors = np.eye(12, dtype=np.float32)
    assert Bead(1, 2, 1, 3) in find_beads(vectors, vectors, [0, 3, 9], [0, 3, 6, 9])


def test_words_are_compared_beyond_a_bead_only_within_a_sentence():
    units = units_of([*["w"] * 128, "x."])
    assert len(units) > 3
    beads = [Bead(i, i + 1, i, i + 1) for i in range(len(units))]
    blocks = list(blocks_of(beads, units, units))
    assert blocks[1].source == (units[0].start, units[2].end) and blocks[1].keep == (units[1].start, units[1].end)
    closed = units_of(["a.", "b.", "c."])
    assert [block.source for block in blocks_of(beads[:3], closed, closed)] == [(0, 1), (1, 2), (2, 3)]
