"""The combined aligner, with the bundled encoder and the weights that come with the package."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.combined.adapter import AdaptedEncoder
from spacy_xlt.alignment.combined.engine import CombinedAligner
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.errors import XltError, XltWarning

PAIRS = [
    ("The red house is old .".split(), "A casa vermelha é velha .".split()),
    ("She was born in Paris in 1912 .".split(), "Ella nació en París en 1912 .".split()),
    ("I did not see him yesterday .".split(), "Ich habe ihn gestern nicht gesehen .".split()),
]


@pytest.fixture(scope="module")
def aligner():
    return CombinedAligner()


def test_plain_sentences_get_the_links_that_people_would_make(aligner):
    first, second, third = (alignment.to_pharaoh() for alignment in aligner.align(PAIRS))
    assert {"1-2", "2-1", "3-3", "4-4", "5-5"} <= set(first.split())
    assert {"2-1", "4-3", "6-5", "7-6"} <= set(second.split())
    assert {"3-5", "4-2", "2-4", "5-3", "6-6"} <= set(third.split())


def test_scores_are_probabilities_above_the_thresholds(aligner):
    for alignment in aligner.align(PAIRS):
        assert ((alignment.scores > aligner.only_link) & (alignment.scores <= 1)).all()


def test_the_same_links_alone_as_together(aligner):
    together = aligner.align(PAIRS)
    for pair, alignment in zip(PAIRS, together, strict=True):
        (alone,) = aligner.align([pair])
        assert alone.to_pharaoh() == alignment.to_pharaoh()
        np.testing.assert_allclose(alone.scores, alignment.scores, atol=1e-3)


def test_evidence_is_the_softmax_of_the_changed_vectors_or_mostly_that_of_the_plain_ones(aligner):
    plain = EmbeddingAligner(threshold=0.05, evidence=None).align(PAIRS)
    changed = EmbeddingAligner(threshold=0.05, evidence=None)
    changed._encoder = aligner.encoder
    bare, once = CombinedAligner(evidence=None), CombinedAligner(plain_evidence=False)
    bare._encoder = once._encoder = aligner.encoder
    assert "plain" in aligner.signature and "plain" not in once.signature
    for k, found in enumerate(aligner.align(PAIRS)):
        (few,), (cheap,) = bare.align(PAIRS[k : k + 1]), once.align(PAIRS[k : k + 1])
        assert few.weak_links is None and np.array_equal(few.links, found.links)
        (own,) = changed.align(PAIRS[k : k + 1])
        assert np.array_equal(cheap.weak_links.links, own.links)
        np.testing.assert_allclose(cheap.weak_links.scores, own.scores, atol=2e-3)
        weights = dict(zip(map(tuple, found.weak_links.links.tolist()), found.weak_links.scores.tolist(), strict=True))
        likely = dict(zip(map(tuple, found.links.tolist()), found.scores.tolist(), strict=True))
        alike = dict(zip(map(tuple, plain[k].links.tolist()), plain[k].scores.tolist(), strict=True))
        for link in likely.keys() & alike.keys():
            assert weights[link] == pytest.approx(0.3 * likely[link] + 0.7 * alike[link], abs=5e-3)


def test_evidence_of_pairs_without_words_is_none_to_speak_of(aligner):
    for alignment in aligner.align([([], ["a"]), ([], []), (["\u200b"], ["a"])]):
        assert len(alignment) == 0 and len(alignment.weak_links) == 0


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.text(max_size=6), max_size=5),
            st.lists(st.sampled_from(["", " ", "\u200b", "🙂", "a" * 300, "\n", "é", "."]), max_size=5),
        ),
        max_size=4,
    )
)
def test_any_token_is_taken_and_every_link_is_inside(aligner, pairs):
    found = aligner.align(pairs)
    assert len(found) == len(pairs)
    for alignment, (source, target) in zip(found, pairs, strict=True):
        alignment.check(len(source), len(target))
        for i, j in alignment.links.tolist():
            assert source[i].strip()
            assert target[j].strip("\u200b \n")


def test_long_texts_are_linked_sentence_by_sentence(aligner):
    # Each sentence differs from the others, so that only one place is right
    places = "Paris London Madrid Lisbon Berlin Vienna Athens Warsaw Dublin Oslo".split()
    source = [w for k in range(80) for w in f"In {1900 + k} she went to {places[k % 10]} .".split()]
    target = [w for k in range(80) for w in f"Em {1900 + k} ela foi para {places[k % 10]} .".split()]
    (found,) = aligner.align([(source, target)])
    found.check(len(source), len(target))
    links = {tuple(link) for link in found.links.tolist()}
    years = [(7 * k + 1, 7 * k + 1) for k in range(80)]
    assert sum(year in links for year in years) >= 78
    assert all(abs(i // 7 - j // 7) <= 1 for i, j in links)


def test_it_survives_pickling_without_its_model(aligner):
    aligner.align(PAIRS[:1])
    copy = pickle.loads(pickle.dumps(aligner))
    assert copy._encoder is None
    assert copy.signature == aligner.signature


def test_it_is_registered_and_works_in_a_pipeline():
    make = spacy.registry.misc.get("spacy_xlt.CombinedAligner.v1")
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_aligner", config={"engine": {"@misc": "spacy_xlt.CombinedAligner.v1", "threshold": 0.7}})
    assert nlp.get_pipe("xlt_aligner").engine.threshold == 0.7
    assert make().signature.startswith("CombinedAligner|model:bundled:encoder|weights:")


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"threshold": 1.5}, "E304"),
        ({"only_link": -0.1}, "E304"),
        ({"evidence": True}, "E304"),
        ({"batch_tokens": 0}, "E304"),
        ({"precision": "int1"}, "E301"),
        ({"weights": "/no/such/folder"}, "E320"),
    ],
)
def test_impossible_settings_are_errors(setting, code):
    with pytest.raises(XltError) as caught:
        CombinedAligner(**setting)
    assert caught.value.code == code


def test_another_encoder_is_warned_of():
    with pytest.warns(XltWarning, match="W320.*some/encoder"):
        CombinedAligner("some/encoder")


def test_contexts_must_match_the_pairs(aligner):
    with pytest.raises(XltError, match="E307"):
        aligner.align(PAIRS, contexts=[])


def test_changes_that_do_not_fit_are_an_error():
    changes = {"encoder.layer.0.output.dense.up": np.ones((3, 1)), "encoder.layer.0.output.dense.down": np.ones((1, 2))}
    with pytest.raises(XltError, match="E321"):
        AdaptedEncoder("bundled:encoder", 1, changes=changes)


def test_changes_are_added_to_the_matrices():
    name = "encoder.layer.0.attention.self.query"
    up, down = np.full((384, 1), 0.5, np.float16), np.full((1, 384), 0.25, np.float16)
    plain = AdaptedEncoder("bundled:encoder", 1, changes={})
    changed = AdaptedEncoder("bundled:encoder", 1, changes={f"{name}.up": up, f"{name}.down": down})
    before, after = (dict(e.model.named_parameters())[f"{name}.weight"].float() for e in (plain, changed))
    np.testing.assert_allclose((after - before).detach().numpy(), 0.125, atol=1e-6)
