"""From soft alignments of pieces to weights and links between tokens."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.soft import links_above, token_links, token_weights
from spacy_xlt.protocols import SoftAlignment

WEIGHTS = np.asarray([[0.5, 0.1, 0.2], [0.3, 0.8, 0.1], [0.2, 0.1, 0.7]], np.float32)


def soft(weights: np.ndarray, source: list[tuple[int, int]], target: list[tuple[int, int]]) -> SoftAlignment:
    return SoftAlignment(weights, np.asarray(source, np.int32), np.asarray(target, np.int32))


def spans_of(lengths: list[int], gap: int) -> list[tuple[int, int]]:
    """Places of words of these lengths with gaps between them."""
    starts = np.cumsum([0, *(n + gap for n in lengths[:-1])]).tolist() if lengths else []
    return [(start, start + n) for start, n in zip(starts, lengths, strict=True)]


def test_a_source_token_gets_the_sum_of_its_pieces_and_a_target_token_the_average() -> None:
    alignment = soft(WEIGHTS, [(0, 3), (3, 5), (6, 8)], [(0, 2), (2, 4), (5, 8)])
    weights = token_weights(alignment, [(0, 5), (6, 8)], [(0, 4), (5, 8)])
    np.testing.assert_allclose(weights, [[(0.8 + 0.9) / 2, 0.3], [(0.2 + 0.1) / 2, 0.7]], rtol=1e-6)


def test_a_source_piece_over_two_tokens_is_shared_by_characters() -> None:
    alignment = soft(np.asarray([[1.0]], np.float32), [(0, 4)], [(0, 1)])
    np.testing.assert_allclose(token_weights(alignment, [(0, 3), (3, 4)], [(0, 1)]), [[0.75], [0.25]])


def test_a_target_piece_over_two_tokens_counts_for_both() -> None:
    alignment = soft(np.asarray([[0.9]], np.float32), [(0, 1)], [(0, 4)])
    np.testing.assert_allclose(token_weights(alignment, [(0, 1)], [(0, 1), (1, 4)]), [[0.9, 0.9]])


def test_end_marks_and_tokens_without_pieces_get_nothing() -> None:
    alignment = soft(WEIGHTS, [(0, 1), (1, 2), (2, 2)], [(0, 1), (1, 2), (2, 2)])
    weights = token_weights(alignment, [(0, 2), (2, 4)], [(0, 2), (2, 4)])
    np.testing.assert_allclose(weights, [[(0.8 + 0.9) / 2, 0], [0, 0]], rtol=1e-6)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.integers(0, 2),
    st.integers(0, 2**32 - 1),
)
def test_however_the_same_text_is_cut_a_column_of_covered_tokens_keeps_its_sum(
    source_lengths: list[int], target_lengths: list[int], gap: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pieces = spans_of(source_lengths, gap)
    target = spans_of(target_lengths, gap)
    weights = random.dirichlet(np.ones(len(pieces)), size=len(target)).T.astype(np.float32)
    end = pieces[-1][1]
    cut = int(random.integers(0, end + 1))
    # two tokens that cover all of the source, cut at any place
    both = token_weights(soft(weights, pieces, target), [(0, cut), (cut, end)], target)
    np.testing.assert_allclose(both.sum(axis=0), 1, atol=1e-5)
    assert (both >= 0).all()


def test_links_are_the_cells_above_the_threshold_with_their_weights() -> None:
    alignment = links_above(WEIGHTS, 0.3)
    assert alignment.to_pharaoh() == "0-0 1-1 2-2"
    np.testing.assert_allclose(alignment.scores, [0.5, 0.8, 0.7])


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_links_of_parts_are_those_of_the_whole_matrix(
    source_lengths: list[int], target_lengths: list[int], n_parts: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pieces = [spans_of(source_lengths, 0), spans_of(target_lengths, 0)]
    # Parts end anywhere, so that tokens of either side are cut by them
    cuts = [[0, *sorted(random.integers(0, len(side) + 1, n_parts - 1).tolist()), len(side)] for side in pieces]
    shapes = zip(np.diff(cuts[0]), np.diff(cuts[1]), strict=True)
    blocks = tuple(random.random(shape, dtype=np.float32) for shape in shapes)
    parts = SoftAlignment(blocks, *(np.asarray(side, np.int32) for side in pieces))
    tokens = []
    for side in pieces:
        end = side[-1][1] + 3
        places = np.unique([0, end, *random.integers(0, end, int(random.integers(1, 8)))])
        tokens.append(np.stack([places[:-1], places[1:]], axis=1))
    expected = links_above(token_weights(parts, *tokens), 0.3)
    found = token_links(parts, *tokens, 0.3)
    # A sum of three has another order where a token is in several parts
    near = np.abs(token_weights(parts, *tokens) - 0.3) < 1e-5
    assert near.any() or found.to_pharaoh() == expected.to_pharaoh()
    if not near.any():
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    moved = token_links(parts, tokens[0] + 7, tokens[1] + 11, 0.3, at=(7, 11))
    assert moved == found


def test_tokens_before_and_behind_a_part_get_no_links() -> None:
    alignment = soft(np.asarray([[0.9]], np.float32), [(0, 2)], [(0, 2)])
    tokens = np.asarray([(0, 2), (3, 5), (6, 8)], np.int64)
    assert token_links(alignment, tokens, tokens, 0.3, at=(3, 6)).to_pharaoh() == "1-2"
    assert len(token_links(alignment, tokens, tokens[:0], 0.3)) == 0
