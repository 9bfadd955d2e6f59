"""`LlmProjector`: what is made of the answers of a language model."""

from __future__ import annotations

from itertools import combinations

import pytest
import spacy
from helpers.gold_bitexts import KEY, gold_bitext
from helpers.llm_projectors import NO_LINKS, llm, reasons, score_of
from helpers.projection import project
from helpers.scripted_model import projecting
from helpers.tiny_scorer import found, make_bitext, places
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from transformers import PreTrainedTokenizerFast

from spacy_xlt.bitext import REASONS
from spacy_xlt.llm.api import Answer
from spacy_xlt.projection.llm import LlmProjector


@pytest.mark.parametrize("lang", ["pt", "de", "ru", "zh", "ja", "th"])
def test_a_model_that_is_right_makes_the_projection_exact(lang):
    check_exact([gold_bitext(seed, lang) for seed in range(35)])


def test_so_it_does_where_a_script_without_spaces_is_cut_into_pieces(tmp_path):
    made = [gold_bitext(seed, lang, cut_into_pieces(tmp_path)) for seed in range(10) for lang in ("zh", "ja", "th")]
    assert max(len(token) for one in made for token in one.bitext.target) > 1
    check_exact(made)


def check_exact(made):
    says = {key: words for one in made for key, words in one.says.items()}
    work = [(one.bitext, {KEY: list(one.bitext.source.spans[KEY])}) for one in made]
    outcomes = LlmProjector(model=projecting(says)).place(work)
    for one, of_bitext in zip(made, outcomes, strict=True):
        assert [place[:2] for place in of_bitext[KEY]] == one.places, one.bitext.target.text


def cut_into_pieces(folder):
    """A tokenizer whose pieces are two characters where it can be."""
    chars = {
        char for lang in ("zh", "ja", "th") for seed in range(10) for char in gold_bitext(seed, lang).bitext.target.text
    }
    pairs = {
        text[i : i + 2]
        for lang in ("zh", "ja", "th")
        for seed in range(10)
        for text in [gold_bitext(seed, lang).bitext.target.text]
        for i in range(0, len(text) - 1, 5)
    }
    vocab = [("<unk>", 0.0), ("▁", -1.0), *((piece, -2.0 - (len(piece) == 1)) for piece in sorted(chars | pairs))]
    tokenizer = Tokenizer(Unigram(vocab, unk_id=0))
    tokenizer.pre_tokenizer = Metaspace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    nlp = spacy.blank("xx", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_xlt.PieceTokenizer.v1"}}})
    nlp.tokenizer.initialize(encoder=str(folder))
    return nlp.make_doc


def test_repeated_mentions_go_in_order_also_where_not_all_of_them_are_spans():
    bitext = make_bitext("Ann saw Ann and Ann", "Ana viu Ana e Ana", NO_LINKS, (2, 3, "A"), (4, 5, "B"))
    assert places(project(llm({"1": "Ana", "2": "Ana"}), bitext)) == [(2, 3, "A"), (4, 5, "B")]


def test_where_the_counts_differ_links_say_which_mention_is_meant_and_else_the_position():
    linked = make_bitext("Ann saw Bo", "Ana , Ana viu Bo e Ana", [(0, 6), (1, 3), (2, 4)], (0, 1, "A"))
    assert places(project(llm({"1": "Ana"}), linked)) == [(6, 7, "A")]
    unlinked = make_bitext("Ann saw Bo", "Ana , Ana viu Bo e Ana", NO_LINKS, (0, 1, "A"))
    assert places(project(llm({"1": "Ana"}), unlinked)) == [(0, 1, "A")]
    assert score_of(unlinked) < 0.5 / 3 < score_of(linked)


def test_nested_spans_stay_nested_and_others_go_elsewhere():
    spans = [(0, 1, "LOC"), (2, 5, "ORG"), (4, 5, "LOC")]
    bitext = make_bitext(
        "Lisbon : University of Lisbon", "Universidade de Lisboa : Lisboa", NO_LINKS, groups={"g": spans}
    )
    project(llm({"1": "Lisboa", "2": "Universidade de Lisboa", "3": "Lisboa"}), bitext)
    assert [(s.start, s.end) for s in bitext.target.spans["g"]] == [(4, 5), (0, 3), (2, 3)]


def test_spans_that_are_apart_never_share_words_and_the_surer_one_has_them():
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", None, (0, 1, "PER"), (2, 3, "ORG"))
    project(llm({"1": "Bo", "2": "Bo"}), bitext)
    assert found(bitext) == [("Bo", "ORG")] and reasons(bitext) == ["no_candidate"]
    # In groups of their own they may
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", None, groups={"a": [(0, 1, "A")], "b": [(2, 3, "B")]})
    project(llm({"1": "Bo", "2": "Bo"}), bitext)
    assert [span.text for key in "ab" for span in bitext.target.spans[key]] == ["Bo", "Bo"]
    assert score_of(bitext, "a") < 0.1 < 0.9 < score_of(bitext, "b")


@pytest.mark.parametrize(
    ("span", "answer", "expected"),
    [
        ("Ann", "Ana.", "Ana"),
        ("Ann", "“Ana”", "Ana"),
        ("Ann", "ana", "Ana"),
        ("5 percent", "5 %.", "5 %"),
        ("«Ann»", "« Ana »", "« Ana »"),
    ],
)
def test_punctuation_at_the_ends_is_that_of_the_span(span, answer, expected):
    bitext = make_bitext(f"{span} left", "« Ana » teve 5 % .", NO_LINKS, (0, len(span.split()), "X"))
    assert found(project(llm({"1": answer}), bitext)) == [(expected, "X")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("", "refusal"), "no_answer"),
        ("", "no_answer"),
        ("I cannot help with that.", "no_answer"),
        ('{"1": "Ana", "2": "Lis', "no_answer"),
        (["Ana", "Lisboa", "Porto"], "no_answer"),
        ({"3": "Ana", "name": "Lisboa"}, "no_answer"),
        ({"1": "", "2": ""}, "no_candidate"),
        # Of the source, of another language, not in the text
        ({"1": "Ann", "2": "Lisbon"}, "no_candidate"),
        ({"1": "アン", "2": "リスボン"}, "no_candidate"),
        ({"1": "Maria", "2": "the city of Lisboa"}, "no_candidate"),
    ],
)
def test_what_is_no_answer_or_not_in_the_target_is_lost_with_the_reason(answer, reason):
    bitext = make_bitext("Ann is in Lisbon", "Ana está em Lisboa", NO_LINKS, (0, 1, "PER"), (3, 4, "LOC"))
    project(llm(answer), bitext)
    assert found(bitext) == [] and reasons(bitext) == [reason, reason]


def test_what_a_part_of_an_answer_lacks_is_lost_alone():
    bitext = make_bitext("Ann is in Lisbon", "Ana está em Lisboa", NO_LINKS, (0, 1, "PER"), (3, 4, "LOC"))
    project(llm('Sure!\n```json\n{"2": "Lisboa", "7": "Ana"}\n```'), bitext)
    assert found(bitext) == [("Lisboa", "LOC")] and reasons(bitext) == ["no_answer"]


def test_a_sentence_in_place_of_a_span_is_hardly_sure():
    text = "Ana está em Lisboa desde o verão passado"
    bitext = make_bitext("Ann is in Lisbon since last summer", text, NO_LINKS, (0, 1, "PER"), (3, 4, "LOC"))
    project(llm({"1": text, "2": "Lisboa"}), bitext)
    assert found(bitext) == [("Lisboa", "LOC")] and reasons(bitext) == ["no_candidate"]
    alone = make_bitext("Ann is in Lisbon since last summer", text, NO_LINKS, (0, 1, "PER"))
    assert score_of(project(llm({"1": text}), alone)) < 0.1


WORDS = st.lists(st.sampled_from(["Ana", "ana", "a", "b", ".", "Ana.", "北京", "e\u0301"]), min_size=1, max_size=6)
SAID = st.one_of(WORDS.map(" ".join), st.text(max_size=4), st.none(), st.integers(), st.lists(st.text(), max_size=2))


@given(WORDS, WORDS, st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), min_size=1, max_size=4), st.data())
def test_whatever_is_answered_every_span_is_placed_with_a_score_or_lost_with_a_reason(words, others, ends, data):
    spans = {(min(a, len(words) - 1), min(a + n, len(words)), "X") for a, n in ends}
    links = data.draw(st.sampled_from([None, NO_LINKS]))
    bitext = make_bitext(" ".join(words), " ".join(others), links, groups={"g": sorted(spans)})
    votes = data.draw(st.integers(1, 3))
    answers = data.draw(st.lists(st.dictionaries(st.sampled_from("12345"), SAID), min_size=votes, max_size=votes))
    group = list(bitext.source.spans["g"])
    (outcome,) = llm(*answers, votes=votes).place([(bitext, {"g": group})])
    placed = [(span, place) for span, place in zip(group, outcome["g"], strict=True) if not isinstance(place, str)]
    assert all(place in REASONS for place in outcome["g"] if isinstance(place, str))
    assert all(0 <= place.start < place.end <= len(others) and 0 <= place.score <= 1 for _, place in placed)
    for (span, place), (other, of_other) in combinations(placed, 2):
        if span.end <= other.start or other.end <= span.start:
            assert place.end <= of_other.start or of_other.end <= place.start
