"""`LlmProjector`: what a language model is asked, what is made of its answers, and how sure it is."""

from __future__ import annotations

import json
import pickle
from itertools import combinations

import pytest
import spacy
from helpers.builds import CODE, write_texts
from helpers.builds import CONFIG as BUILD_CONFIG
from helpers.cli import spacy_cli
from helpers.gold_bitexts import KEY, gold_bitext
from helpers.language_server import chat, serving
from helpers.projection import project
from helpers.scripted_model import ScriptedModel, projecting, shown_in
from helpers.tiny_causal import make_tiny_causal
from helpers.tiny_scorer import found, make_bitext, places
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from thinc.api import Config
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from transformers import PreTrainedTokenizerFast

import spacy_xlt.cli  # noqa: F401
from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import REASONS
from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Answer
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.projection.combined import StackedProjector, VotingProjector
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.projection.llm import LlmProjector
from spacy_xlt.projection.queries import LONG
from spacy_xlt.protocols import Projector
from spacy_xlt.readers.docbin import read_docs

NO_LINKS = ""


def llm(*answers, **settings):
    """A projector whose model gives these answers, the n-th to sample n."""
    return LlmProjector(model=ScriptedModel(lambda request: answers[request.sample]), **settings)


def score_of(bitext, key="xlt_ents"):
    (score,) = bitext.target.spans[key].attrs["scores"]
    return score


def reasons(bitext):
    return [lost.reason for lost in bitext.lost]


# What is asked


def test_a_sentence_is_one_request_with_its_spans_their_labels_and_the_target():
    bitext = make_bitext("Ann Lee met Bo .", "Bo conheceu Ann Lee .", None, (0, 2, "PER"), (3, 4, "ORG"))
    bitext.source.spans["names"] = [Span(bitext.source, 1, 2, label="LAST"), Span(bitext.source, 0, 2, label="NAME")]
    projector = llm({"1": "Ann Lee", "2": "Lee", "3": "Bo"})
    assert isinstance(projector, Projector)
    project(projector, bitext)
    (request,) = projector.model.requests
    assert request.text.endswith(
        "1 (PER, NAME): Ann Lee\n2 (LAST): Lee\n3 (ORG): Bo\n\n"
        "English: <1>Ann <2>Lee</2></1> met <3>Bo</3> .\nPortuguese: Bo conheceu Ann Lee ."
    )
    assert request.schema["required"] == ["1", "2", "3"]
    assert [(ent.text, ent.label_) for ent in bitext.target.ents] == [("Bo", "ORG"), ("Ann Lee", "PER")]
    assert [(span.text, span.label_) for span in bitext.target.spans["names"]] == [("Lee", "LAST"), ("Ann Lee", "NAME")]
    assert set(bitext.target.spans["xlt_ents"].attrs["by"]) == {"LlmProjector"}


def test_spans_that_cross_are_marked_as_well():
    bitext = make_bitext("a b c", "x y z", NO_LINKS, groups={"g": [(0, 2, "A"), (1, 3, "B")]})
    projector = llm({"1": "x y", "2": "y z"})
    project(projector, bitext)
    assert "<1>a <2>b</1> c</2>" in projector.model.requests[0].text
    assert [(span.start, span.end) for span in bitext.target.spans["g"]] == [(0, 2), (1, 3)]


def test_nothing_is_asked_about_documents_without_spans_or_text():
    bitext = make_bitext("a b", "x y")
    empty = make_bitext("", "")
    no_target = make_bitext("Ann", "", NO_LINKS, (0, 1, "PER"))
    blank = make_bitext("Ann", "x", NO_LINKS)
    blank.source.spans["g"] = [Span(blank.source, 0, 0, label="A")]
    projector = llm({})
    for one in (bitext, empty, no_target, blank):
        project(projector, one)
    assert projector.model.requests == [] and projector.place([]) == []
    assert reasons(no_target) == ["no_candidate"] and reasons(blank) == ["empty"]


def test_very_many_spans_and_very_long_sentences_are_asked_about_in_parts():
    n = 2 * LONG
    words = [f"w{i}" for i in range(n)]
    ents = [(i, i + 1, "X") for i in range(0, n, 3)]
    bitext = make_bitext(" ".join(words), " ".join(words), None, *ents)

    def same(request):
        text, _, ranges = shown_in(request.text)
        return {str(number): text[start:end] for number, (start, end) in ranges.items()}

    projector = LlmProjector(model=ScriptedModel(same))
    project(projector, bitext)
    assert places(bitext) == ents and bitext.lost == []
    assert len(projector.model.requests) >= len(ents) / 40
    assert max(len(request.text) for request in projector.model.requests) < 6 * 5 * LONG


def test_languages_come_from_the_bitext_or_the_settings():
    source, target = (Doc(spacy.blank("xx").vocab, words=[word]) for word in ("Ann", "Ana"))
    source.ents = [Span(source, 0, 1, label="PER")]
    bitext = Bitext(source, target)
    with pytest.raises(XltError, match=r"XLT-E309.*LlmProjector"):
        project(llm({"1": "Ana"}), bitext)
    projector = llm({"1": "Ana"}, source="en", target="pt-BR")
    project(projector, bitext)
    assert "Portuguese: Ana" in projector.model.requests[0].text and found(bitext) == [("Ana", "PER")]


def test_the_server_may_be_given_the_choices_there_are():
    bitext = make_bitext("Ann left", "Ana foi , Ana", NO_LINKS, (0, 1, "PER"))
    projector = llm({"1": "Ana"}, constrain=True)
    project(projector, bitext)
    (request,) = projector.model.requests
    choices = request.schema["$defs"]["words"]["enum"]
    assert choices[:3] == ["", "Ana", "Ana foi"] and len(choices) == len(set(choices)) == 10
    words = " ".join(f"w{i}" for i in range(300))
    long = make_bitext(words, words, None, (0, 200, "X"))
    projector = llm({"1": words}, constrain=True)
    project(projector, long)
    assert projector.model.requests[0].schema["properties"] == {"1": {"type": "string"}}


def test_a_prompt_of_the_user_is_sent(tmp_path):
    own = tmp_path / "own.j2"
    own.write_text("{{ source }} {{ target }} {{ spans[0].text }} {{ text }} | {{ translation }}")
    bitext = make_bitext("Ann left", "Ana foi", NO_LINKS, (0, 1, "PER"))
    projector = llm({"1": "Ana"}, prompt=str(own))
    project(projector, bitext)
    assert projector.model.requests[0].text == "en pt Ann <1>Ann</1> left | Ana foi"
    assert projector.signature != llm({}).signature
    assert pickle.loads(pickle.dumps(LlmProjector(model=CausalModel(model="m")))).signature


# What is made of the answers


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


# How sure it is


def scores(lang, n, *, links, votes):
    """Scores of right and of wrong places, of a model that is wrong half of the time."""
    made = [gold_bitext(seed, lang, links=links) for seed in range(n)]
    says = {key: words for one in made for key, words in one.says.items()}
    work = [(one.bitext, {KEY: list(one.bitext.source.spans[KEY])}) for one in made]
    outcomes = LlmProjector(model=projecting(says, wrong=0.5), votes=votes).place(work)
    right, wrong = [], []
    for one, of_bitext in zip(made, outcomes, strict=True):
        for gold, outcome in zip(one.places, of_bitext[KEY], strict=True):
            if not isinstance(outcome, str):
                (right if outcome[:2] == gold else wrong).append(outcome.score)
    assert min(len(right), len(wrong)) > n / 4
    return right, wrong


@pytest.mark.parametrize("lang", ["pt", "de", "ru", "zh", "ja", "th"])
@pytest.mark.parametrize("votes", [1, 3])
def test_with_links_every_wrong_place_has_a_lower_score_than_every_right_one(lang, votes):
    right, wrong = scores(lang, 35, links=True, votes=votes)
    assert max(wrong) < 0.5 < min(right)


def test_with_votes_scores_do_not_promise_more_than_they_hold():
    right, wrong = scores("de", 100, links=False, votes=5)
    for least in (0.2, 0.4, 0.6):
        above = [sum(score >= least for score in of) for of in (right, wrong)]
        assert above[0] / sum(above) >= least
    assert sum(right) / len(right) > 1.5 * sum(wrong) / len(wrong)


def test_an_answer_that_nothing_else_speaks_for_has_half_at_most():
    right, wrong = scores("ru", 100, links=False, votes=1)
    assert max(right + wrong) <= 0.5 < 1.2 * max(right)


def test_the_share_of_the_votes_is_the_score():
    bitext = make_bitext("Ann is here", "Ana está aqui", NO_LINKS, (0, 1, "PER"))
    answers = [{"1": "Ana"}, {"1": "aqui"}, {"1": ""}, Answer("", "refusal"), {"1": "Ana"}]
    project(llm(*answers, votes=5), bitext)
    assert found(bitext) == [("Ana", "PER")] and score_of(bitext) == pytest.approx(0.4, abs=0.03)
    most_say_nothing = llm({"1": ""}, {"1": "Ana"}, {"1": ""}, votes=3)
    project(most_say_nothing, bitext)
    assert reasons(bitext) == ["no_candidate"]


def test_log_probabilities_count():
    bitext = make_bitext("Ann is here", "Ana está aqui", NO_LINKS, (0, 1, "PER"))
    project(llm(Answer('{"1": "Ana"}', log_prob=-0.7)), bitext)
    assert score_of(bitext) == pytest.approx(0.25, abs=0.02)


def test_links_raise_the_score_of_what_they_agree_with_and_never_move_it():
    agreeing = make_bitext("Ann met Bo", "Ana conheceu Bo", None, (0, 1, "PER"))
    assert score_of(project(llm({"1": "Ana"}), agreeing)) > 0.9
    against = make_bitext("Ann met Bo", "Ana conheceu Bo", None, (0, 1, "PER"))
    assert found(project(llm({"1": "conheceu"}), against)) == [("conheceu", "PER")]
    assert score_of(against) < 0.1
    unsure = make_bitext("Ann met Bo", "Ana conheceu Bo", NO_LINKS, (0, 1, "PER"))
    unsure.alignment = Alignment([(0, 1)], [0.2])
    assert score_of(against) < score_of(project(llm({"1": "Ana"}), unsure)) < 0.5


def test_what_is_no_language_model_and_votes_that_are_all_the_same_are_refused():
    with pytest.raises(XltError, match=r"XLT-E150.*`model` of LlmProjector.*EndpointModel"):
        LlmProjector(model="gpt")
    with pytest.raises(XltError, match=r"XLT-E150.*`votes` of LlmProjector is 3; expected.*temperature"):
        LlmProjector(model=CausalModel(model="m"), votes=3)
    url = "http://localhost:1/v1"
    LlmProjector(model=EndpointModel(base_url=url, model="m", cache=None, temperature=0.7), votes=3)
    LlmProjector(model=EndpointModel(base_url=url, model="m", cache=None, parameters={"temperature": 1}), votes=3)


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


# With others


def test_it_is_a_member_of_a_stack_and_of_a_vote():
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", [(2, 2)], (0, 1, "PER"), (2, 3, "ORG"))
    member = llm({"1": "Ana", "2": "Bo"})
    project(StackedProjector(projectors=[LinkProjector(), member], min_score=0.4), bitext)
    assert found(bitext) == [("Ana", "PER"), ("Bo", "ORG")]
    assert bitext.target.spans["xlt_ents"].attrs["by"] == ["LlmProjector", "LinkProjector"]
    project(VotingProjector(projectors=[LinkProjector(), member]), bitext)
    assert found(bitext) == [("Ana", "PER"), ("Bo", "ORG")]


def test_in_a_stack_several_answers_that_agree_count_more_than_unsure_links():
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", NO_LINKS, (0, 1, "PER"))
    bitext.alignment = Alignment([(0, 1), (1, 1)], [0.3, 0.3])
    answers = [{"1": "Ana"}] * 3
    for votes, expected in ((1, "conheceu"), (3, "Ana")):
        project(StackedProjector(projectors=[LinkProjector(), llm(*answers, votes=votes)]), bitext)
        assert found(bitext) == [(expected, "PER")]


def test_a_model_in_this_process_is_asked_and_one_that_talks_nonsense_loses_all(tmp_path):
    model = CausalModel(model=str(make_tiny_causal(tmp_path / "tiny", longest=4096)), max_tokens=8)
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", None, (0, 1, "PER"))
    assert reasons(project(LlmProjector(model=model), bitext)) == ["no_answer"]


def test_a_model_behind_an_endpoint_projects_in_a_pipeline(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = gold_bitext(3, "zh")

    def script(body, n):
        assert body["response_format"]["type"] == "json_schema"
        source, target, ranges = shown_in(body["messages"][-1]["content"])
        words = {str(number): made.says[source, start, end, target] for number, (start, end) in ranges.items()}
        return chat(json.dumps(words))

    with serving(script) as server:
        nlp = spacy.blank("en")
        model = {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": server.url, "model": "m", "cache": None}
        nlp.add_pipe("xlt_projector", config={"engine": {"@misc": "spacy_xlt.LlmProjector.v1", "model": model}})
        source = made.bitext.source
        source._.xlt["zh"] = made.bitext
        bitext = nlp(source)._.xlt["zh"]
    assert [(span.start, span.end) for span in bitext.target.spans[KEY]] == made.places and bitext.lost == []


CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_projector"]

[components]

[components.xlt_projector]
factory = "xlt_projector"

[components.xlt_projector.engine]
@misc = "spacy_xlt.StackedProjector.v1"

[components.xlt_projector.engine.projectors]

[components.xlt_projector.engine.projectors.first]
@misc = "spacy_xlt.LlmProjector.v1"

[components.xlt_projector.engine.projectors.first.model]
@misc = "spacy_xlt.EndpointModel.v1"
base_url = "{url}"
model = "m"
cache = "{cache}"
"""


@pytest.fixture
def files(tmp_path):
    """The same words in two languages, with persons and without links, and a config."""

    def make(server):
        words = [f"Anna{n} left Rio" for n in range(6)]
        for name in ("source", "gold"):
            write_texts(tmp_path / f"{name}.spacy", words)
        config = tmp_path / "config.cfg"
        config.write_text(CONFIG.format(url=server.url, cache=(tmp_path / "answers.sqlite").as_posix()))
        return config, tmp_path / "source.spacy", tmp_path / "gold.spacy"

    return make


def say_the_same(body, n):
    text, _, ranges = shown_in(body["messages"][-1]["content"])
    return chat(json.dumps({str(number): text[start:end] for number, (start, end) in ranges.items()}))


def test_its_projection_is_evaluated_by_the_command(files, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    out = tmp_path / "scores.json"
    with serving(say_the_same) as server:
        spacy_cli("xlt", "eval-projection", *files(server), "--target-lang", "pt", "--json", out)
        scores = json.loads(out.read_text())
        assert len(server.requests) == scores["pairs"] == 6 and scores["ents_f"] == 1.0
        # The answers are kept
        spacy_cli("xlt", "eval-projection", *files(server), "--target-lang", "pt", "--json", out)
        assert len(server.requests) == 6
    assert "LlmProjector" in scores["signature"] and server.url not in scores["signature"]


def test_a_build_projects_with_it_and_a_dry_run_counts_its_requests(files, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    with serving(in_capitals) as server:
        config, corpus, _ = files(server)
        whole = Config().from_str(BUILD_CONFIG).merge(Config().from_disk(config))
        whole["nlp"]["pipeline"] = ["xlt_translator", "xlt_projector"]
        whole.to_disk(config)
        words = ["build", config, corpus, tmp_path / "out", "--code", CODE]
        printed = spacy_cli("xlt", *words, "--dry-run")
        assert "xlt_projector" in printed and len(server.requests) == 6
        spacy_cli("xlt", *words, "--silent", "--no-report")
        assert len(server.requests) == 6
    docs = list(read_docs(tmp_path / "out" / "target"))
    assert [(ent.text, ent.label_) for doc in docs for ent in doc.ents] == [(f"ANNA{n}", "PER") for n in range(6)]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"very-secret" not in kept


def in_capitals(body, n):
    """What stands for each span where the target is the source in capitals."""
    text, _, ranges = shown_in(body["messages"][-1]["content"])
    return chat(json.dumps({str(number): text[start:end].upper() for number, (start, end) in ranges.items()}))
