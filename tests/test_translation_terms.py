"""The engine-neutral part of constrained decoding, over a made-up language model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.protocols import Term
from spacy_xlt.translation.terms import TermBeam, Terms, Written, continues_word, missing_terms

END, N_PIECES = 0, 12


def decode(terms: Terms, *, size: int, limit: int, seed: int = 0, best_of_row: int = 4) -> list[Written]:
    """Search with random log-probabilities that depend on the last piece alone."""
    table = np.log(np.random.default_rng(seed).dirichlet(np.ones(N_PIECES) * 0.3, N_PIECES) + 1e-9)
    beam = TermBeam(terms, size=size, end=END, limit=limit)
    last = np.full(size, END)
    while not beam.done:
        log_probs = table[last]
        top = np.argsort(-log_probs, axis=1)[:, :best_of_row]
        rows, pieces = beam.cells()
        rows = np.concatenate([np.repeat(np.arange(size), best_of_row), rows])
        pieces = np.concatenate([top.ravel(), pieces])
        _, last = beam.step(rows, pieces, log_probs[rows, pieces])
    return beam.best(size)


def holds(ids: tuple[int, ...], term: list[int]) -> bool:
    return any(list(ids[i : i + len(term)]) == term for i in range(len(ids)))


@settings(max_examples=150, deadline=None)
@given(
    terms=st.lists(st.lists(st.integers(1, N_PIECES - 1), min_size=1, max_size=4), max_size=4),
    size=st.integers(1, 5),
    limit=st.integers(1, 25),
    seed=st.integers(0, 5),
)
def test_every_hypothesis_that_ends_holds_every_term(terms: list, size: int, limit: int, seed: int) -> None:
    found = decode(Terms(terms), size=size, limit=limit, seed=seed)
    assert found
    for written in found:
        assert all(holds(written.ids, term) for term in terms)
        assert len(written.ids) <= max(limit, sum(map(len, terms)) + 1)


def test_without_terms_it_is_an_ordinary_beam_search() -> None:
    narrow, wide = (decode(Terms([]), size=size, limit=12, seed=3)[0] for size in (1, 8))
    assert wide.score >= narrow.score


def test_a_term_given_twice_is_written_twice() -> None:
    (written,) = decode(Terms([[5, 6], [5, 6]]), size=1, limit=20)
    pairs = list(zip(written.ids, written.ids[1:], strict=False))
    assert pairs.count((5, 6)) >= 2


def test_a_piece_that_goes_on_with_the_word_undoes_the_term() -> None:
    continues = np.zeros(N_PIECES, bool)
    continues[7] = True
    terms = Terms([[5, 6]], continues=continues)
    state = terms.advance(terms.advance(terms.start, 5), 6)
    assert terms.missing(state) == 0
    assert terms.missing(terms.advance(state, 7)) == 2
    assert terms.missing(terms.advance(state, 8)) == 0


def test_a_term_begun_wrongly_may_begin_again_at_once() -> None:
    terms = Terms([[5, 5, 6]])
    state = terms.start
    for piece in (5, 5, 5, 6):
        state = terms.advance(state, piece)
    assert terms.missing(state) == 0


def test_only_the_next_piece_of_a_begun_term_is_wanted() -> None:
    terms = Terms([[5, 6], [8]])
    assert terms.wanted(terms.start) == [5, 8]
    assert terms.wanted(terms.advance(terms.start, 5)) == [6]


def test_a_term_that_cannot_be_written_is_left_out_rather_than_everything() -> None:
    beam = TermBeam(Terms([[5, 6]]), size=2, end=END, limit=3)
    while not beam.done:
        beam.step(np.asarray([0, 0]), np.asarray([END, 1]), np.asarray([-1.0, -2.0]))
    assert beam.best()[0].ids[-1] == END


@pytest.mark.parametrize(
    ("text", "term", "spaced", "there"),
    [
        ("O gato dorme.", "gato", True, True),
        ("Os gatos dormem.", "gato", True, False),
        ("O Banco  Central.", "Banco Central", True, True),
        ("東京に行く", "東京", False, True),
        ("東京に行く", "東京", True, False),
        ("US$ 5 (cinco)", "US$", True, True),
        ("o gato", "O gato", True, False),
    ],
)
def test_a_term_is_there_as_it_stands_and_not_as_a_part_of_a_word(
    text: str, term: str, spaced: bool, there: bool
) -> None:
    assert missing_terms(text, [Term(term)], spaced=spaced) == ([] if there else [Term(term)])


def test_a_term_asked_for_twice_must_be_there_twice() -> None:
    twice = [Term("gato", "cat"), Term("gato")]
    assert missing_terms("um gato e um gato", twice) == []
    assert missing_terms("um gato", twice) == twice


def test_pieces_that_go_on_with_a_word_are_letters_and_digits_without_the_mark() -> None:
    assert continues_word(["▁a", "a", "1", ".", "▁", "é", "</s>", ""]).tolist() == [
        False, True, True, False, False, True, False, False,
    ]  # fmt: skip
