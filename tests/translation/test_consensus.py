"""The translation that is the most like the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from spacy_xlt.translation.consensus import ORDER, chrf, closest

texts = st.text(alphabet="abc dé你", max_size=30)


@given(texts, texts)
def test_the_similarity_is_chrf_of_sacrebleu(first, second):
    if first.split() and second.split():
        oracle = CHRF(char_order=ORDER, beta=1).sentence_score(first, [second]).score / 100
        assert chrf(first, second) == pytest.approx(oracle) == pytest.approx(chrf(second, first))


@given(texts)
def test_a_text_is_most_like_itself(text):
    assert chrf(text, text) == 1.0


def test_the_text_most_like_the_others_is_chosen_and_one_that_is_said_often():
    said = ["O cão dorme na casa.", "O cão dorme em casa.", "O gato come peixe.", "O cão dorme em casa"]
    assert closest(said, [None] * 4) == 1
    assert closest(["a b", "x y", "x y"], [-0.1, -5.0, -5.0]) == 1


def test_of_two_the_more_probable_one_is_chosen_and_else_the_first():
    assert closest(["O cão.", "Um cão ali."], [-2.0, -1.0]) == 1
    assert closest(["O cão.", "Um cão ali."], [None, None]) == 0
    assert closest(["O cão."], [None]) == 0
