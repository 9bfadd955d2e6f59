"""SQuAD's exact match and F1 of answers, and the accuracy of intents."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from spacy_xlt.evaluation.answers import answer_words, has_answers, score_answers
from spacy_xlt.evaluation.intents import score_intents
from spacy_xlt.languages import vocab_of

TEXT = "The old Danube flows to the Black Sea , slowly ."


def answered(*answers: tuple[int, int, str], scores: list[float] | None = None, lang: str = "en") -> Doc:
    doc = Doc(vocab_of(lang), TEXT.split())
    spans = [Span(doc, start, end, "answer", span_id=question) for start, end, question in answers]
    doc.spans["answers"] = SpanGroup(doc, spans=spans, attrs={"scores": scores} if scores else {})
    return doc


def scored(predicted: Doc, gold: Doc) -> tuple[float, float]:
    scores = score_answers([predicted], [gold])
    return scores["answers_exact"], scores["answers_f"]


@pytest.mark.parametrize(
    ("text", "lang", "words"),
    [
        ("The U.S.  Army's, $5", "en", ["us", "armys", "5"]),
        ("A Casa", "pt", ["a", "casa"]),
        ("«Straße»—¿qué?", "de", ["strassequé"]),
        ("السيرة، (١٢)", "ar", ["السيرة", "١٢"]),
        ("東京。2020 年", "ja", ["東", "京", "2020", "年"]),
        ("cafe\u0301", "fr", ["caf\u00e9"]),
        ("the", "en", []),
    ],
)
def test_case_punctuation_and_in_english_articles_do_not_count(text, lang, words):
    assert answer_words(text, lang) == words


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " \n\t", max_size=40))
def test_english_text_of_ascii_is_as_in_the_script_of_squad(text):
    plain = "".join(char for char in text.lower() if char not in set(string.punctuation))
    assert answer_words(text, "en") == re.sub(r"\b(a|an|the)\b", " ", plain).split()


def test_the_best_of_several_gold_answers_counts():
    gold = answered((2, 3, "q"), (1, 3, "q"), (0, 8, "q"))
    assert scored(answered((0, 3, "q")), gold) == (1.0, 1.0)
    # "old" and "old danube": one word of one and of two
    exact, overlap = scored(answered((1, 2, "q")), gold)
    assert exact == 0.0 and overlap == pytest.approx(2 / 3)


def test_articles_count_in_other_languages():
    assert scored(answered((0, 3, "q"), lang="de"), answered((1, 3, "q"), lang="de")) == (0.0, pytest.approx(0.8))


def test_a_question_without_a_predicted_answer_is_wrong_and_one_without_gold_does_not_count():
    scores = score_answers([answered((2, 3, "a"), (2, 3, "c"))], [answered((2, 3, "a"), (6, 8, "b"))])
    assert scores == {"answers_exact": 0.5, "answers_f": 0.5, "answers": 2}
    assert score_answers([answered()], [answered()]) == {"answers_exact": None, "answers_f": None, "answers": 0}


def test_of_several_predicted_answers_the_surest_counts():
    gold = answered((6, 8, "q"))
    assert scored(answered((2, 3, "q"), (6, 8, "q"), scores=[0.2, 0.9]), gold) == (1.0, 1.0)
    assert scored(answered((2, 3, "q"), (6, 8, "q"), scores=[0.9, 0.2]), gold) == (0.0, 0.0)


def test_answers_are_told_from_other_spans_by_the_ids_of_their_questions():
    assert has_answers(answered((0, 1, "q"))) and not has_answers(answered((0, 1, "")))


def command(cats: dict[str, float], *slots: tuple[int, int, str]) -> Doc:
    doc = Doc(Vocab(), "wake me at nine".split())
    doc.ents = [Span(doc, *slot) for slot in slots]
    doc.cats = cats
    return doc


def test_intents_are_right_alone_and_with_all_their_slots():
    gold = [command({"alarm": 1.0}, (3, 4, "TIME")), command({"alarm": 1.0}), command({"play": 1.0}), command({})]
    found = [
        command({"alarm": 0.4, "play": 0.3}, (3, 4, "TIME")),
        command({"alarm": 0.9}, (3, 4, "TIME")),
        command({"alarm": 0.9, "play": 0.1}),
        command({"alarm": 0.9}),
    ]
    assert score_intents(found, gold) == {"intent_accuracy": 2 / 3, "intents_and_slots": 1 / 3, "intents": 3}


def test_two_intents_of_a_document_both_have_to_be_there():
    gold = [command({"alarm": 1.0, "play": 1.0, "weather": 0.0})]
    assert score_intents([command({"alarm": 0.8, "play": 0.6})], gold)["intent_accuracy"] == 1.0
    assert score_intents([command({"alarm": 0.8, "play": 0.4})], gold)["intent_accuracy"] == 0.0
