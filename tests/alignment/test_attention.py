"""AttentionAligner: links of the bundled translation model's guided head."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_xlt.alignment.attention import AttentionAligner
from spacy_xlt.alignment.soft import SYMMETRISATIONS, symmetrise
from spacy_xlt.errors import UnknownDirection, XltError, error
from spacy_xlt.links import Alignment
from spacy_xlt.protocols import Aligner, PairContext
from spacy_xlt.translation.bergamot.engine import BergamotTranslator

PAIR = ("The red house stands near the river .".split(), "A casa vermelha fica perto do rio .".split())


class Fixed:
    """Attends with given weights; knows some directions only."""

    signature = "fixed"

    def __init__(self, weights):
        self.weights = weights
        self.calls = []

    def attend(self, sources, targets, *, source, target):
        self.calls.append((source, target, len(sources)))
        if (source, target) not in self.weights:
            raise error("E201", engine="Fixed", source=source, target=target, known="")
        return [np.asarray(self.weights[source, target], np.float32) for _ in sources]


def en_pt(translator, **settings):
    """An aligner for pairs that do not say their languages."""
    return AttentionAligner(translator=translator, source="en", target="pt", **settings)


def _pairs(alignment):
    return {(i, j) for i, j in alignment.links.tolist()}


def test_words_find_their_translations_in_both_directions():
    engine = AttentionAligner(translator=BergamotTranslator(), source="en", target="pt")
    assert isinstance(engine, Aligner)
    there = engine.align([PAIR, ([], ["a"]), PAIR])
    words = {(PAIR[0][i], PAIR[1][j]) for i, j in _pairs(there[0])}
    assert {("red", "vermelha"), ("house", "casa"), ("river", "rio")} <= words
    assert len(there[1]) == 0 and there[0] == there[2]
    assert (there[0].scores > 0.4).all() and (there[0].scores <= 1).all()
    back = engine.align([PAIR[::-1]], contexts=[PairContext("pt", "en")])[0]
    assert _pairs(back.transpose()) == _pairs(there[0])


def test_both_directions_are_averaged_and_cut():
    engine = en_pt(Fixed({("en", "pt"): [[0.9, 0.5]], ("pt", "en"): [[0.7], [0.2]]}), threshold=0.4)
    found = engine.align([(["a"], ["x", "y"])])[0]
    assert _pairs(found) == {(0, 0)}
    assert found.scores.tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("known", [("en", "pt"), ("pt", "en")])
def test_one_direction_is_enough(known):
    weights = [[0.9, 0.1]] if known == ("en", "pt") else [[0.9], [0.1]]
    found = en_pt(Fixed({known: weights})).align([(["a"], ["x", "y"])])[0]
    assert _pairs(found) == {(0, 0)} and found.scores.tolist() == pytest.approx([0.9])


def test_stored_attention_is_used_without_a_call():
    stored = Alignment([(0, 0), (1, 1), (1, 0)], [0.9, 0.5, 0.3])
    translator = Fixed({})
    contexts = [PairContext("en", "pt", attention=stored)]
    found = en_pt(translator).align([(["a", "b"], ["x", "y"])], contexts=contexts)[0]
    assert found == Alignment([(0, 0), (1, 1)], [0.9, 0.5]) and translator.calls == []
    attended = en_pt(Fixed({("en", "pt"): [[0, 0.8], [0, 0]]}), stored=False)
    assert _pairs(attended.align([(["a", "b"], ["x", "y"])], contexts=contexts)[0]) == {(0, 1)}


def test_languages_of_the_pair_override_the_settings_where_they_are_known():
    translator = Fixed({("de", "pt"): [[0.9]], ("en", "pt"): [[0.9]]})
    contexts = [PairContext("de", "pt"), PairContext("", "xx"), PairContext("de", "pt")]
    en_pt(translator).align([(["a"], ["b"])] * 3, contexts=contexts)
    assert {call for call in translator.calls if call[1] == "pt"} == {("de", "pt", 2), ("en", "pt", 1)}


def test_languages_that_are_known_nowhere_are_not_guessed():
    translator = Fixed({("en", "pt"): [[0.9]]})
    for context in (PairContext(), PairContext("xx", "xx"), PairContext("en", "")):
        with pytest.raises(XltError, match="E309.*Set `source`|E309.*Set `target`"):
            AttentionAligner(translator=translator).align([(["a"], ["b"])], contexts=[context])
    assert translator.calls == []
    assert len(AttentionAligner(translator=translator).align([(["a"], ["b"])], contexts=[PairContext("en", "pt")])[0])


def test_without_a_translator_only_stored_attention_is_used():
    stored = PairContext("en", "pt", attention=Alignment([(0, 0)], [0.9]))
    aligner = AttentionAligner()
    assert len(aligner.align([(["a"], ["x"]), ([], ["y"])], contexts=[stored, PairContext()])[0]) == 1
    with pytest.raises(XltError, match="E308.*Set `translator`"):
        aligner.align([(["a"], ["x"])], contexts=[PairContext("en", "pt")])


def test_unknown_directions_and_invalid_settings_are_errors():
    with pytest.raises(UnknownDirection, match="E201.*'en' to 'ja'.*en to pt"):
        AttentionAligner(translator=BergamotTranslator(), source="en", target="ja").align([(["a"], ["b"])])
    with pytest.raises(XltError, match="E101.*str"):
        AttentionAligner(translator="bergamot")
    with pytest.raises(XltError, match="E150.*`threshold`.* 2;"):
        AttentionAligner(threshold=2)
    with pytest.raises(XltError, match="E150.*`symmetrisation`.*'middle'.*mean or geometric"):
        AttentionAligner(symmetrisation="middle")


def test_engine_travels_without_its_model():
    engine = en_pt(BergamotTranslator())
    engine.align([PAIR])
    data = pickle.dumps(engine)
    assert len(data) < 5000
    assert pickle.loads(data).align([PAIR]) == engine.align([PAIR])


def test_both_directions_can_be_brought_together_in_several_ways():
    translator = Fixed({("en", "pt"): [[0.9, 0.6], [0.1, 0.3]], ("pt", "en"): [[0.8, 0.1], [0.2, 0.7]]})
    pair = (["a", "b"], ["x", "y"])
    found = {}
    for name in SYMMETRISATIONS:
        aligner = en_pt(translator, threshold=0.4, symmetrisation=name)
        found[name] = aligner.align([pair])[0]
        assert name in aligner.signature
    assert _pairs(found["mean"]) == _pairs(found["geometric"]) == {(0, 0), (1, 1)}
    assert found["mean"].scores.tolist() == pytest.approx([0.85, 0.5])
    # Each direction's best: (0, 0) and (0, 1), (0, 0) and (1, 1)
    assert _pairs(found["intersection"]) == {(0, 0)}
    assert found["intersection"].scores.tolist() == pytest.approx([(0.9 * 0.8) ** 0.5])
    assert _pairs(found["union"]) == _pairs(found["grow-diag-final-and"]) == {(0, 0), (0, 1), (1, 1)}


def test_stored_attention_of_other_tokens_is_passed_over():
    stored = Alignment([(0, 0), (4, 1)], [0.9, 0.9])
    translator = Fixed({("en", "pt"): [[0, 0.8], [0, 0]]})
    found = en_pt(translator).align([(["a", "b"], ["x", "y"])], contexts=[PairContext("en", "pt", attention=stored)])[0]
    assert _pairs(found) == {(0, 1)} and translator.calls


weights = st.integers(1, 6).flatmap(
    lambda m: st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            *[st.lists(st.lists(st.floats(0, 1, width=32), min_size=n, max_size=n), min_size=m, max_size=m)] * 2
        )
    )
)


@given(weights=weights, threshold=st.floats(0, 0.9))
def test_symmetrised_links_lie_between_intersection_and_union(weights, threshold):
    forward, backward = (np.asarray(way, np.float32) for way in weights)
    found = {name: _pairs(symmetrise(forward, backward, method=name, threshold=threshold)) for name in SYMMETRISATIONS}
    assert found["intersection"] <= found["grow-diag-final-and"] <= found["union"]
    assert found["geometric"] <= found["mean"]
    turned = symmetrise(backward.T, forward.T, method="intersection", threshold=threshold).transpose()
    assert _pairs(turned) == found["intersection"]


def test_neighbours_of_links_are_added_and_then_links_of_two_free_tokens():
    # Both directions agree on (0, 0); one says (0, 1) as well, and (3, 3) lies apart
    forward, backward = np.zeros((4, 4)), np.zeros((4, 4))
    forward[0, 0] = forward[0, 1] = forward[3, 3] = backward[0, 0] = backward[0, 1] = 1
    backward[0, 1] = 0
    backward[2, 0] = 1
    found = symmetrise(forward, backward, method="grow-diag-final-and", threshold=0.5)
    # (2, 0) is no neighbour, and its target token has a link
    assert _pairs(found) == {(0, 0), (0, 1), (3, 3)}
    assert found.scores.tolist() == [1, 0.5, 0.5]
