"""What few pairs have: attention, other aligners and words of other scripts in the combined aligner."""

from __future__ import annotations

import pickle
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.combined import romanised as in_latin
from spacy_xlt.alignment.combined.added import Added, add
from spacy_xlt.alignment.combined.batch import PairBatch, Side
from spacy_xlt.alignment.combined.engine import CombinedAligner
from spacy_xlt.alignment.combined.known import parts_of
from spacy_xlt.alignment.combined.romanised import different, latin, scripts, similarities
from spacy_xlt.alignment.combined.scoring import SHIPPED, Weights
from spacy_xlt.alignment.combined.signals import LAYERS, SIGNALS
from spacy_xlt.alignment.statistical.engine import StatisticalAligner
from spacy_xlt.errors import XltError, XltWarning, error
from spacy_xlt.links import Alignment
from spacy_xlt.protocols import PairContext
from spacy_xlt.translation.bergamot.engine import BergamotTranslator

PAIRS = [
    ("The red house is old .".split(), "A casa vermelha é velha .".split()),
    ("She was born in Paris in 1912 .".split(), "Ela nasceu em Paris em 1912 .".split()),
]
NAMES = [
    ("Vladimir Putin met Gorbachev in Moscow".split(), "Владимир Путин встретил Горбачёва в Москве".split()),
    ("Papadopoulos lives in Athens".split(), "Παπαδόπουλος ζει Αθήνα".split()),
    ("Muhammad Salman visited Baghdad".split(), "محمد سلمان زار بغداد".split()),
    ("Narendra Gandhi visited Mumbai".split(), "नरेंद्र गांधी आए मुंबई".split()),
]
RIGHT = [{(0, 0), (1, 1), (3, 3), (5, 5)}, {(0, 0), (3, 2)}, {(0, 0), (1, 1), (3, 3)}, {(0, 0), (1, 1), (3, 3)}]


class Fixed:
    """Looks from each word at the one in the same place; knows English to Portuguese alone."""

    signature = "fixed"

    def __init__(self):
        self.directions = []

    def attend(self, sources, targets, *, source, target):
        self.directions.append((source, target))
        if (source, target) != ("en", "pt"):
            raise error("E201", engine="Fixed", source=source, target=target, known="en to pt")
        return [np.eye(len(s), len(t), dtype=np.float32) for s, t in zip(sources, targets, strict=True)]

    def align(self, pairs, *, contexts=None):
        return [Alignment([[0, len(target) - 1]]) if target else Alignment() for _, target in pairs]


def make_side(tokens: list[str], seed: int = 0) -> Side:
    random = np.random.default_rng(seed)
    vectors = {layer: random.normal(size=(len(tokens), 8)).astype(np.float32) for layer in LAYERS}
    return Side(tokens, vectors, np.ones(len(tokens), np.int64), np.ones(len(tokens), np.float32))


@pytest.fixture(scope="module")
def aligner():
    return CombinedAligner()


def sharing(aligner, **settings):
    """Another aligner with the same encoder."""
    other = CombinedAligner(**settings)
    other._encoder = aligner.encoder
    return other


def plain(aligner):
    """The aligner without anything that few pairs have."""
    other = sharing(aligner)
    other.weights = replace(aligner.weights, attended=None, added={})
    return other


def test_pairs_without_more_evidence_are_linked_as_if_there_were_none(aligner):
    unknown = [PairContext("de", "fr"), PairContext()]
    other = sharing(aligner, translator=Fixed())
    expected = plain(aligner).align(PAIRS)
    assert aligner.align(PAIRS) == expected
    assert other.align(PAIRS, contexts=unknown) == expected


def test_stored_attention_changes_its_own_pair_alone(aligner):
    stored = PairContext("en", "pt", Alignment([[1, 2], [2, 1]], [0.9, 0.9]))
    first, second = aligner.align(PAIRS, contexts=[stored, PairContext()])
    before = plain(aligner).align(PAIRS)
    scores = {tuple(link): score for link, score in _scored(first)}
    assert scores[1, 2] > scores.get((3, 3), 0)
    assert first != before[0]
    assert second == before[1]


def test_stored_attention_of_other_tokens_is_passed_over(aligner):
    stored = PairContext("en", "pt", Alignment([[99, 0]]))
    assert aligner.align(PAIRS[:1], contexts=[stored]) == plain(aligner).align(PAIRS[:1])


def test_the_translator_attends_where_it_knows_the_languages(aligner):
    translator = Fixed()
    contexts = [PairContext("en", "pt"), PairContext("en", "it")]
    first, second = sharing(aligner, translator=translator).align(PAIRS, contexts=contexts)
    before = plain(aligner).align(PAIRS)
    assert first != before[0]
    assert second == before[1]
    assert {("en", "pt"), ("en", "it")} <= set(translator.directions)


def test_settings_name_the_languages_where_pairs_do_not(aligner):
    told = sharing(aligner, translator=Fixed(), source="eng_Latn", target="por")
    assert told.align(PAIRS) != plain(aligner).align(PAIRS)
    assert sharing(aligner, translator=Fixed()).align(PAIRS) == plain(aligner).align(PAIRS)


def test_stored_attention_is_not_read_again(aligner):
    translator = Fixed()
    stored = PairContext("en", "pt", Alignment([[1, 2]]))
    sharing(aligner, translator=translator).align(PAIRS[:1], contexts=[stored])
    assert not translator.directions


def test_the_bundled_translator_is_evidence(aligner):
    told = sharing(aligner, translator=BergamotTranslator(), source="en", target="pt")
    first, second = told.align(PAIRS)
    assert {"1-2", "2-1", "4-4"} <= set(first.to_pharaoh().split())
    assert {"4-3", "6-5"} <= set(second.to_pharaoh().split())
    assert "attention:(bergamot" in told.signature
    assert pickle.loads(pickle.dumps(told)).signature == told.signature


def test_another_aligner_adds_its_scores(aligner):
    # It links the first word with the last mark
    few, many = (sharing(aligner, aligners={"fixed": Fixed()}, aligner_weight=w) for w in (0.0, 25.0))
    before = plain(aligner).align(PAIRS)
    assert few.align(PAIRS) == before
    found = many.align(PAIRS)
    assert "0-5" in found[0].to_pharaoh().split() and "0-6" in found[1].to_pharaoh().split()
    assert "aligner:fixed:(fixed)" in many.signature


def test_the_weight_of_a_known_aligner_is_that_of_the_weights(tmp_path, aligner):
    weights = Weights.load(SHIPPED)
    replace(weights, added={**weights.added, "aligner:fixed": Added(0.0)}).save(tmp_path)
    told = sharing(aligner, weights=str(tmp_path), aligners={"fixed": Fixed()}, aligner_weight=25.0)
    assert told.weights.added["aligner:fixed"].weight == 0
    assert told.align(PAIRS) == plain(aligner).align(PAIRS)


def test_a_statistical_aligner_is_evidence_in_letters_that_the_encoder_cannot_read(aligner):
    words = "one two three four five six seven eight".split()
    random = np.random.default_rng(0)
    source = [[words[i] for i in random.permutation(8)[:4]] for _ in range(1000)]
    hidden = {word: "".join(chr(0x13A0 + ord(char) - 97) for char in word) for word in words}
    pairs = [(line, [hidden[line[i ^ 1]] for i in range(4)]) for line in source]
    trained = StatisticalAligner().fit(pairs)
    told = sharing(aligner, aligners={"statistical": trained}, aligner_weight=8.0)
    right = {(i, i ^ 1) for i in range(4)}

    def hits(engine):
        return sum(len(right & {(i, j) for i, j in found.links.tolist()}) for found in engine.align(pairs[:50]))

    assert hits(told) >= 150 and hits(plain(aligner)) <= 50, (hits(told), hits(plain(aligner)), hits(trained))


def test_it_can_be_configured(aligner):
    engine = {
        "@misc": "spacy_xlt.CombinedAligner.v1",
        "translator": {"@misc": "spacy_xlt.BergamotTranslator.v1"},
        "source": "en",
        "aligners": {"statistical": {"@misc": "spacy_xlt.StatisticalAligner.v1"}},
    }
    nlp = spacy.blank("en")
    signature = nlp.add_pipe("xlt_aligner", config={"engine": engine}).engine.signature
    assert "attention:(bergamot" in signature and "aligner:statistical:(StatisticalAligner" in signature


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"translator": object()}, "E306"),
        ({"aligners": {"x": object()}}, "E323"),
        ({"aligner_weight": "2"}, "E304"),
        ({"aligner_weight": float("nan")}, "E304"),
        ({"source": "nothing"}, "E010"),
    ],
)
def test_impossible_settings_are_errors(setting, code):
    with pytest.raises(XltError) as caught:
        CombinedAligner(**setting)
    assert caught.value.code == code


def test_an_aligner_that_loses_pairs_is_an_error(aligner):
    class Losing(Fixed):
        def align(self, pairs, *, contexts=None):
            return []

    with pytest.raises(XltError, match="E324.*'x' gave 0 alignments for 2"):
        sharing(aligner, aligners={"x": Losing()}).align(PAIRS)


def test_a_long_pair_has_the_links_of_other_aligners_too(aligner):
    source = [word for k in range(60) for word in f"In {1900 + k} she went to Paris again .".split()]
    target = [word for k in range(60) for word in f"Em {1900 + k} ela foi a Paris outra vez .".split()]

    class Far(Fixed):
        def align(self, pairs, *, contexts=None):
            return [Alignment([[8 * 50 + 7, 9 * 50 + 6]])]

    assert "407-456" not in aligner.align([(source, target)])[0].to_pharaoh().split()
    (found,) = sharing(aligner, aligners={"far": Far()}, aligner_weight=25.0).align([(source, target)])
    assert "407-456" in found.to_pharaoh().split()


def test_parts_are_counted_from_their_starts():
    known = {"attention": Alignment([[0, 0], [3, 4], [9, 9]], [0.1, 0.2, 0.3])}
    (part,) = parts_of(known, (2, 5), (4, 6)).values()
    assert part == Alignment([[1, 0]], [0.2])


def test_nothing_is_added_where_a_signal_says_nothing():
    batch = PairBatch([(make_side(["a", "b"]), make_side(["c"], 1)), (make_side(["д"]), make_side(["d"], 2))])
    batch.first = np.full(batch.shape, 0.3, np.float32)
    assert add(batch, {"aligner:x": Added(2.0)}) is batch.first
    found = add(batch, {"romanised": Added(2.0)})
    np.testing.assert_array_equal(found[0], batch.first[0])
    assert found[1, 0, 0] == pytest.approx(1 / (1 + np.exp(-2) * 7 / 3), rel=1e-5)
    assert add(batch, {"romanised": Added(2.0)}, frozenset({"romanised"})) is batch.first


@pytest.mark.parametrize(("pair", "right"), list(zip(NAMES, RIGHT, strict=True)))
def test_names_of_other_scripts_are_most_like_themselves(pair, right):
    source, target = pair
    found = SIGNALS["romanised"](PairBatch([(make_side(source), make_side(target, 1))]))[0]
    for i, j in right:
        assert found[i].argmax() == j and found[:, j].argmax() == i and found[i, j] >= 0.4, (source[i], target[j])


def test_names_of_other_scripts_become_more_likely(aligner):
    everything = sharing(aligner, threshold=0.0, only_link=0.0)
    after = everything.align(NAMES)
    everything.weights = plain(aligner).weights
    for right, before, now in zip(RIGHT, everything.align(NAMES), after, strict=True):
        (old, new) = ({tuple(link): score for link, score in _scored(found)} for found in (before, now))
        assert all(new[link] > old[link] for link in right)


def _scored(alignment):
    return zip(alignment.links.tolist(), alignment.scores.tolist(), strict=True)


def test_words_of_one_script_are_not_compared():
    mixed = PairBatch([(make_side(["Putin", "12", "."]), make_side(["Путин", "Putin", "12"], 1))])
    assert np.isnan(SIGNALS["romanised"](mixed)[0]).tolist() == [[False, True, True], [True] * 3, [True] * 3]
    assert scripts("T-34") == {"LATIN"} and scripts("Т-34") == {"CYRILLIC"} and not scripts("34")
    assert different([scripts("a")], []).shape == (1, 0)
    latin_only = PairBatch([(make_side(["São"]), make_side(["Sao"], 1))])
    assert SIGNALS["romanised"](latin_only).shape == (1, 1, 1)


def test_without_the_package_there_is_one_warning_and_no_change(aligner, monkeypatch):
    monkeypatch.setitem(sys.modules, "uroman", None)
    in_latin.romaniser.cache_clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            aligner.align(PAIRS)
        with pytest.warns(XltWarning, match=r"W323.*spacy-xlt\[romanise\]") as caught:
            found = aligner.align(NAMES) + aligner.align(NAMES)
        assert len([w for w in caught if "W323" in str(w.message)]) == 1
        assert found == 2 * plain(aligner).align(NAMES)
    finally:
        in_latin.romaniser.cache_clear()


def edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, above = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@settings(max_examples=60)
@given(st.lists(st.text("abc", max_size=7), max_size=4), st.lists(st.text("abc", max_size=7), max_size=4))
def test_similarities_are_those_of_the_edit_distance(source, target):
    found = similarities(source, target)
    assert found.shape == (len(source), len(target))
    for i, a in enumerate(source):
        for j, b in enumerate(target):
            assert found[i, j] == pytest.approx(1 - edit_distance(a, b) / max(len(a), len(b), 1))


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30))
def test_any_word_has_latin_letters_and_scripts(word):
    assert len(latin(word)) <= 24
    assert isinstance(scripts(word), frozenset)
