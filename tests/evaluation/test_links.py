"""Scores of links between spans."""

import pytest
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_xlt.span_links import End, Link, SpanLinks, score_links

A, B, C = (End("sc", n) for n in range(3))


def doc(*links, ends=((0, 1), (2, 4), (5, 6))):
    made = Doc(Vocab(), "a b c d e f".split())
    made.spans["sc"] = [Span(made, start, end) for start, end in ends]
    made._.xlt_links = SpanLinks([Link(*link) for link in links])
    return made


def test_both_ends_and_the_label_have_to_be_exact():
    gold = doc((A, B, "x"), (B, C, "x"), (A, C, "y"))
    scores = score_links([gold, doc((A, B, "x"))], [gold, doc((A, B, "x"), ends=((0, 1), (2, 3), (5, 6)))])
    assert scores["links_p"] == scores["links_r"] == scores["links_f"] == 3 / 4
    assert scores["links_per_type"]["y"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert scores["links_per_type"]["x"]["f"] == pytest.approx(2 / 3)


def test_direction_counts_and_ends_are_told_apart_from_labels():
    scores = score_links([doc((B, A, "x"), (A, C, "z"))], [doc((A, B, "x"), (A, C, "y"), (B, C, "y"))])
    assert scores["links_f"] == 0.0
    assert scores["links_ends_r"] == pytest.approx(2 / 3)
    assert (scores["links"], scores["links_gold"]) == (2, 3)


def test_a_link_that_is_there_twice_is_right_once():
    assert score_links([doc((A, B, "x"), (A, B, "x"))], [doc((A, B, "x"))])["links_p"] == 0.5


def test_without_links_there_are_no_scores():
    scores = score_links([doc()], [doc()])
    assert scores["links_f"] is None and scores["links_ends_r"] is None and scores["links_per_type"] == {}
