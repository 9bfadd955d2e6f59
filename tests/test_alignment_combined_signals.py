"""Signals of the combined aligner: what each says of small sentences, padding, and the registry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.combined.batch import PairBatch, Side
from spacy_xlt.alignment.combined.scoring import SHIPPED, Pass, Weights
from spacy_xlt.alignment.combined.signals import LAYERS, MAY_BE_MISSING, SIGNALS, best_other, signal
from spacy_xlt.alignment.combined.spelling import folded, ngrams
from spacy_xlt.alignment.combined.support import shifted
from spacy_xlt.links import Alignment


def make_side(tokens: list[str], seed: int = 0) -> Side:
    random = np.random.default_rng(seed)
    vectors = {layer: random.normal(size=(len(tokens), 8)).astype(np.float32) for layer in LAYERS}
    vectors = {layer: v / np.linalg.norm(v, axis=1, keepdims=True) for layer, v in vectors.items()}
    pieces = np.asarray([1 if token.strip() else 0 for token in tokens], np.int64)
    return Side(tokens, vectors, pieces, np.linspace(0, 1, len(tokens), dtype=np.float32))


WORDS = st.lists(st.sampled_from(["The", "house", ",", "12", "São", "", "sao", "—"]), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
def test_a_pair_gets_the_same_signals_alone_as_in_a_batch(texts):
    pairs = [(make_side(s, 1), make_side(t, 2)) for s, t in texts]
    weights = Weights.load(SHIPPED)
    together = weights.probabilities(PairBatch(pairs))
    for k, (source, target) in enumerate(pairs):
        alone = weights.probabilities(PairBatch([(source, target)]))[0]
        np.testing.assert_allclose(together[k, : len(source.tokens), : len(target.tokens)], alone, atol=1e-5)


@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_every_signal_fits_the_batch(name):
    batch = PairBatch([(make_side(["a", "b", "c"]), make_side(["a", "1"], 1)), (make_side(["x"]), make_side(["y"], 3))])
    values = SIGNALS[name](batch)
    assert np.broadcast_shapes(values.shape, batch.shape) == batch.shape
    if name not in MAY_BE_MISSING:
        assert np.isfinite(values).all()


def test_words_without_text_have_no_probability():
    batch = PairBatch([(make_side(["a", " "]), make_side(["", "a"], 1))])
    found = Weights.load(SHIPPED).probabilities(batch)
    assert found[0, 1].tolist() == [0, 0]
    assert found[0, :, 0].tolist() == [0, 0]


def test_same_spelling_does_not_mind_case_and_marks():
    batch = PairBatch([(make_side(["SÃO", "house"]), make_side(["são", "Sao", "casa"]))])
    assert SIGNALS["same"](batch)[0].tolist() == [[1, 1, 0], [0, 0, 0]]
    assert folded("Ångström") == "angstrom"


def test_spelling_is_greater_for_cognates_and_nothing_for_marks():
    assert ngrams("nation") @ ngrams("nación") > ngrams("nation") @ ngrams("gobierno") + 0.2
    assert not ngrams("...").any()


def test_numbers_speak_for_numbers_and_against_others():
    batch = PairBatch([(make_side(["12", "a"]), make_side(["12.", "b"]))])
    assert SIGNALS["numbers"](batch)[0].tolist() == [[1, -1], [-1, 0]]


def test_best_other_is_the_best_of_all_other_cells():
    values = np.asarray([[[3.0, 1.0, 2.0]]], np.float32)
    assert best_other(values, axis=2, least=0).tolist() == [[[2.0, 3.0, 3.0]]]
    assert best_other(np.asarray([[[3.0, 3.0]]], np.float32), axis=2, least=0).tolist() == [[[3.0, 3.0]]]
    assert best_other(np.asarray([[[3.0]]], np.float32), axis=2, least=-1).tolist() == [[[-1.0]]]


def test_shifted_brings_the_neighbour():
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert shifted(values, 1, 1)[0].tolist() == [[4, 5, 0], [0, 0, 0]]
    assert shifted(values, 0, -1)[0].tolist() == [[0, 0, 1], [0, 3, 4]]
    assert not shifted(values, 2, 0).any()


def test_a_new_signal_counts_by_its_weights_alone():
    @signal("test_first_words")
    def first_words(batch: PairBatch) -> np.ndarray:
        result = np.zeros(batch.shape, np.float32)
        result[:, 0, 0] = 1
        return result

    try:
        one = np.ones(1, np.float32)
        weights = Weights([Pass(("test_first_words",), 0 * one, one, 8 * one, -4.0)], ["none"], 0)
        found = weights.probabilities(PairBatch([(make_side(["a", "b"]), make_side(["c", "d"]))]))[0]
    finally:
        del SIGNALS["test_first_words"]
    assert found[0, 0] > 0.9
    assert found.sum() - found[0, 0] < 0.1


def test_attention_counts_where_there_is_one():
    one = np.ones(1, np.float32)
    weights = Weights([Pass(("attention",), 0 * one, one, 6 * one, -3.0)], ["none"], 0)
    pair = make_side(["a", "b"]), make_side(["c", "d"])
    known = {"attention": Alignment([[0, 0], [1, 1]])}
    found = weights.probabilities(PairBatch([pair, pair], [known, {}]))
    log_odds = 6 * np.log(np.eye(2) + 0.01) - 3
    np.testing.assert_allclose(found[0], 1 / (1 + np.exp(-log_odds)), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found[1], 1 / (1 + np.exp(3.0)), rtol=1e-5)


def test_weights_come_back_from_their_folder(tmp_path):
    weights = Weights.load(SHIPPED)
    weights.save(tmp_path / "copy")
    again = Weights.load(tmp_path / "copy")
    assert again.digest == weights.digest
    assert again.changes.keys() == weights.changes.keys()
    assert again.made == weights.made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file"),
        ("{", "JSON"),
        ('{"format": 9}', "format 9"),
        (
            '{"format": 1, "models": [], "layer": 6, "made": "", "passes": [{"bias": 0, "signals": '
            '{"unheard_of": {"weight": 1, "scale": 1, "mean": 0}}}]}',
            "unheard_of",
        ),
    ],
)
def test_broken_weights_are_an_error_that_says_why(tmp_path, text, reason):
    if text is not None:
        (tmp_path / "weights.json").write_text(text)
    with pytest.raises(ValueError, match=f"XLT-E320.*{reason}"):
        Weights.load(tmp_path)
