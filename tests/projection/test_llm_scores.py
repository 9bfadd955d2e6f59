"""`LlmProjector`: how sure it is."""

from __future__ import annotations

import pytest
from helpers.gold_bitexts import KEY, gold_bitext
from helpers.llm_projectors import NO_LINKS, llm, reasons, score_of
from helpers.projection import project
from helpers.scripted_model import projecting
from helpers.tiny_scorer import found, make_bitext

from spacy_xlt import Alignment
from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Answer
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.projection.llm import LlmProjector


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
