"""Long texts: which sentences correspond, and that words are linked as in the sentences by themselves."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.ntrex import ntrex_pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment import long_texts
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.sentences import Bead, blocks_of, find_beads, units_of
from spacy_xlt.alignment.word_vectors import TextVectors


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


@pytest.fixture(scope="module")
def multilingual():
    return EmbeddingAligner()


def _links(alignment):
    return {(i, j) for i, j in alignment.links.tolist()}


@pytest.mark.parametrize("n", [2, 5, 10, 20])
def test_joined_lines_are_aligned_as_the_lines_are(multilingual, pairs, n):
    lines = pairs[24 : 24 + n]
    expected = _links_of_sentences(multilingual, lines)
    assert _f1(_links(multilingual.align([_whole(lines)])[0]), expected) >= 0.97


def test_exchanged_lines_are_aligned_as_the_lines_are(multilingual, pairs):
    lines = pairs[24:32]
    source, target = _whole(lines)
    exchanged = [line for _, line in (*lines[:3], lines[4], lines[3], *lines[5:])]
    first = sum(len(line) for line in exchanged[:3])
    found = multilingual.align([(source, [word for line in exchanged for word in line])])[0]
    places = [*range(first + len(exchanged[3]), first + len(exchanged[3]) + len(exchanged[4]))]
    places += range(first, first + len(exchanged[3]))
    back = {place: first + k for k, place in enumerate(places)}
    expected = _links_of_sentences(multilingual, lines)
    assert _f1({(i, back.get(j, j)) for i, j in _links(found)}, expected) >= 0.97


@pytest.mark.parametrize("n", [5, 9, 20])
def test_a_sentence_that_is_repeated_corresponds_to_its_translation_each_time(multilingual, n):
    source, target = "The red house is big .".split(), "A casa vermelha é grande .".split()
    expected = _links_of_sentences(multilingual, [(source, target)] * n)
    assert _links(multilingual.align([(source * n, target * n)])[0]) == expected


@pytest.mark.parametrize("side", [0, 1])
def test_a_missing_line_leaves_the_others_as_they_are(multilingual, pairs, side):
    lines = [*pairs[24:32]]
    lines[3] = ([], lines[3][1]) if side == 0 else (lines[3][0], [])
    expected = _links_of_sentences(multilingual, lines)
    assert _f1(_links(multilingual.align([_whole(lines)])[0]), expected) >= 0.97


def test_a_single_sentence_is_compared_as_a_whole(multilingual, pairs):
    for source, target in pairs[10:14]:
        pieces = multilingual.encoder.pieces([*source, *target])
        ids = [np.asarray([piece for word in side for piece in pieces[word]]) for side in (source, target)]
        words = [np.repeat(np.arange(len(side)), [len(pieces[word]) for word in side]) for side in (source, target)]
        vectors = TextVectors(multilingual.encoder.embed(ids, batch_tokens=1024), words)
        assert multilingual.align([(source, target)]) == multilingual._link(vectors, [(0, 1)])


def test_a_text_without_sentence_ends_is_aligned_in_parts(multilingual, pairs):
    lines = [([w.strip(".,") for w in s], [w.strip(".,") for w in t]) for s, t in pairs[24:34]]
    expected = _links_of_sentences(multilingual, lines)
    assert _f1(_links(multilingual.align([_whole(lines)])[0]), expected) >= 0.85


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
    tokens = ["He", "came", '."', "She", "has", "gone。", *["W"] * 150]
    units = units_of(tokens)
    assert units[:2] == [(0, 3, True), (3, 6, True)]
    assert len(units) > 6 and [unit.closed for unit in units[2:]] == [False] * (len(units) - 3) + [True]


@pytest.mark.parametrize(
    "text, ends",
    [
        ("Mr. Lee went home . He slept there .", [5, 9]),
        ("He asked why . ” She said no .", [5, 9]),
        ('He said " why . " " No . " she said .', [6, 13]),
        ("We left at 7 a.m. with him. Then we came.", [7, 10]),
        ("“Er ist da.“ Dann ging er.", [3, 6]),
        ("他 来 了 。 她 走 了 。", [4, 8]),
    ],
)
def test_sentences_end_where_the_next_one_starts(text, ends):
    assert [unit.end for unit in units_of(text.split())] == ends


def test_exchanged_units_find_each_other():
    vectors = np.eye(12, dtype=np.float32)
    starts = range(0, 12, 3)
    beads = find_beads(vectors, vectors[[0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]], starts, starts)
    units = units_of(["A", "b", "c."] * 4)
    assert [block.target for block in blocks_of(beads, units, units)] == [(0, 3), (6, 9), (3, 6), (9, 12)]


@given(seed=st.integers(0, 1000), n=st.integers(1, 9), m=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_beads_are_in_order_and_within_the_texts(seed, n, m):
    rng = np.random.default_rng(seed)
    source, target = (rng.standard_normal((2 * size, 5)).astype(np.float32) for size in (n, m))
    beads = find_beads(source, target, range(0, 2 * n, 2), range(0, 2 * m, 2))
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
    assert [word for block in blocks for word in range(*block.keep)] == list(range(129))
    assert all(block.keep[1] - block.keep[0] <= 32 for block in blocks)
    assert all(a.keep[0] < b.source[0] < b.keep[0] < a.source[1] for a, b in pairwise(blocks))
    closed = units_of(["A", "b", "c."] * 3)
    assert [block.source for block in blocks_of(beads[:3], closed, closed)] == [(0, 3), (3, 6), (6, 9)]
