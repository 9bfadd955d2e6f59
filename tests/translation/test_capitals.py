"""Text in capitals is sent as a sentence and put back."""

from __future__ import annotations

import pytest
import spacy

from spacy_xlt.translation.capitals import sentence_case, upper


def cased(text: str, *names: str, lang: str = "en") -> tuple[str, bool]:
    places = [(text.index(name), text.index(name) + len(name)) for name in names]
    return sentence_case(text, places, lang=lang)


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("JAPAN GET LUCKY WIN, CHINA LOSE.", ["JAPAN", "CHINA"], "Japan get lucky win, China lose."),
        ("MET KIM IN NEW YORK. SHE LEFT.", ["KIM", "NEW YORK"], "Met KIM in New York. She left."),
        ("THE UN AND THE US SENATE", ["UN", "US SENATE"], "The UN and the US Senate"),
        ("BRUSSELS 1996-08-22", ["BRUSSELS"], "Brussels 1996-08-22"),
        ("ΑΘΗΝΑ, ΟΔΟΣ ΕΡΜΟΥ", [], "Αθηνα, οδος ερμου"),
    ],
)
def test_a_text_in_capitals_becomes_a_sentence(text, names, expected):
    assert cased(text, *names) == (expected, True)


@pytest.mark.parametrize(
    "text",
    [
        "NATO met in Brussels.",
        "The NASDAQ, NYSE, AMEX, FTSE and DAX fell.",
        "JOHN FITZGERALD KENNEDY said so.",
        "Soccer Star Wins Big Prize In Paris",
        "AUS 3 NZL 1",
        "中国在NATO会议上说不",
        "日本は勝った",
        "",
        "1996-08-22",
    ],
)
def test_abbreviations_names_and_scripts_without_capitals_are_left_alone(text):
    assert cased(text) == (text, False)


def test_a_run_of_capitals_inside_a_text_is_lowered_and_not_put_back():
    text = "BREAKING: MAYOR RESIGNS AFTER LONG SCANDAL, papers say."
    assert cased(text) == ("BREAKING: mayor resigns after long scandal, papers say.", False)


def test_the_dotless_i_of_turkish():
    assert cased("ISPARTA VE İZMİR İYİ", "ISPARTA", "İZMİR", lang="tr") == ("Isparta ve İzmir iyi", True)
    assert upper("ısparta iyi", lang="tr") == "ISPARTA İYİ"
    assert upper("straße", lang="de") == "STRASSE"


def test_a_headline_is_translated_with_its_names(make_doc):
    nlp = spacy.blank("en")
    for name in ("xlt_translator", "xlt_aligner", "xlt_projector"):
        nlp.add_pipe(name, config={"target": "pt"} if name == "xlt_translator" else {})
    words = "SOCCER - JAPAN GET LUCKY WIN , CHINA IN SURPRISE DEFEAT ."
    bitext = nlp(make_doc(words, (2, 3, "LOC"), (7, 8, "LOC")))._.xlt["pt"]
    assert bitext.target.text.isupper() and "SURPRISE" not in bitext.target.text and bitext.flags == ()
    assert [ent.text for ent in bitext.target.ents] == ["JAPÃO", "CHINA"]
