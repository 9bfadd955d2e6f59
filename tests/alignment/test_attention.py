"""AttentionAligner: links of the bundled translation model's guided head."""

import numpy as np
import pytest

from spacy_xlt.alignment.attention import AttentionAligner
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


def test_stored_attention_of_other_tokens_is_passed_over():
    stored = Alignment([(0, 0), (4, 1)], [0.9, 0.9])
    translator = Fixed({("en", "pt"): [[0, 0.8], [0, 0]]})
    found = en_pt(translator).align([(["a", "b"], ["x", "y"])], contexts=[PairContext("en", "pt", attention=stored)])[0]
    assert _pairs(found) == {(0, 1)} and translator.calls


def test_a_long_pair_is_read_in_parts_whose_matrices_stay_small():
    class SameWords:
        signature, largest = "same", 0

        def attend(self, sources, targets, *, source, target):
            self.largest = max([self.largest, *(len(a) * len(b) for a, b in zip(sources, targets, strict=True))])
            return [np.equal.outer(a, b).astype(np.float32) for a, b in zip(sources, targets, strict=True)]

    translator, words = SameWords(), [str(i) for i in range(6000)]
    (found,) = en_pt(translator).align([(words, words)])
    assert found == Alignment([(i, i) for i in range(6000)]) and translator.largest < 1 << 20
    en_pt(translator).align([(words[:2000], words[:2000])])
    assert translator.largest == 2000 * 2000
