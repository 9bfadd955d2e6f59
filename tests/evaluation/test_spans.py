"""Entities matched one by one: counts, lengths, the ceiling of two annotations, and the reliability of scores."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup

from spacy_xlt.bitext import ENTS_GROUP
from spacy_xlt.evaluation.spans import (
    EntityMatch,
    counts_by_doc,
    label_count_f1,
    match_entities,
    per_length,
    prf,
    reliability,
)


def test_lengths_and_counts_follow_the_entities(make_doc):
    predicted = make_doc("a b c d e f", (0, 1, "X"), (1, 4, "Y"))
    predicted.spans[ENTS_GROUP] = SpanGroup(predicted, attrs={"scores": [0.9, 0.2]}, spans=list(predicted.ents))
    gold = make_doc("a b c d e f", (0, 1, "X"), (1, 3, "Y"), (4, 6, "X"))
    projected, wanted = match_entities([predicted], [gold])
    first, second = EntityMatch(0, "X", 1, pytest.approx(0.9), True), EntityMatch(0, "Y", 3, pytest.approx(0.2), False)
    assert projected == [first, second]
    assert prf(projected, wanted)["r"] == pytest.approx(1 / 3)
    lengths = per_length(projected, wanted)
    assert lengths["1"]["f"] == 1.0 and lengths["2"] == {"p": 0.0, "r": 0.0, "f": 0.0, "gold": 2}
    assert lengths["3-4"]["gold"] == 0 and "9+" not in lengths
    assert counts_by_doc(projected, wanted, 1).tolist() == [[1, 2, 3]]


span_scores = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(span_scores)
def test_reliability_counts_every_span_once_and_ignores_the_order_of_equals(pairs):
    found = [EntityMatch(0, "X", 1, score, correct) for score, correct in pairs]
    result = reliability(found)
    assert sum(point["spans"] for point in result["curve"]) == len(pairs)
    assert result["precision"] == pytest.approx(np.mean([correct for _, correct in pairs]), abs=1e-4)
    assert reliability(found[::-1])["precision_of_surest"] == pytest.approx(result["precision_of_surest"], abs=1e-4)
    assert 0 <= result["calibration_error"] <= 1
    if len({score for score, _ in pairs}) == 1:
        assert result["precision_of_surest"] == pytest.approx(result["precision"], abs=1e-4)


def test_leaving_out_wrong_spans_with_low_scores_raises_precision():
    found = [EntityMatch(0, "X", 1, 0.1, False)] * 10 + [EntityMatch(0, "X", 1, 0.9, True)] * 90
    assert reliability(found)["precision"] == 0.9 and reliability(found)["precision_of_surest"] == 1.0


def test_label_count_f1_counts_labels_in_each_sentence():
    vocab = spacy.blank("xx").vocab

    def doc(*labels: str) -> Doc:
        made = Doc(vocab, words=["w"] * 4)
        made.set_ents([Span(made, i, i + 1, label=label) for i, label in enumerate(labels)], default="outside")
        return made

    assert label_count_f1([(doc("PER", "LOC"), doc("LOC", "PER"))]) == 1.0
    # the second pair has the same types as the first, and in another sentence
    assert label_count_f1([(doc("PER", "PER"), doc("PER")), (doc(), doc("PER"))]) == pytest.approx(0.5)
    assert label_count_f1([(doc(), doc())]) == 0.0
