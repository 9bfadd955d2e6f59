"""What a model puts around its answer, and what of it belongs to the answer."""

from __future__ import annotations

import pytest

from spacy_xlt.llm.answers import bare, without_thoughts


@pytest.mark.parametrize(
    "answer",
    [
        "<think>\nHm: a text.\n</think>\n\nO cão dorme.",
        "Hm, a text.\n</think>\nO cão dorme.",
        "<think></think><thinking>b</thinking> O cão dorme.",
    ],
)
def test_thoughts_are_no_answer(answer):
    assert without_thoughts(answer) == "O cão dorme."


def test_thoughts_that_were_cut_have_no_answer():
    assert without_thoughts("\n<think>A dog that") == ""
    assert without_thoughts("O <think> dorme.") == "O <think> dorme."


@pytest.mark.parametrize(
    "answer",
    [
        '"O cão dorme."',
        "“O cão dorme.”",
        "„O cão dorme.”",
        "«O cão dorme.»",
        "「O cão dorme.」",
        "**O cão dorme.**",
        "`O cão dorme.`",
        "```\nO cão dorme.\n```",
        "```text\nO cão dorme.\n```",
        "Translation: O cão dorme.",
        "**Translation:** O cão dorme.",
        "Portuguese: “O cão dorme.”",
        "Here is the translation into Portuguese: O cão dorme.",
        "Aqui está:\n\nO cão dorme.",
        "以下是翻译：\nO cão dorme.",
    ],
)
def test_what_stands_around_an_answer_is_taken_off(answer):
    assert bare(answer, asked="The dog sleeps.", titles=["Portuguese"]) == ("O cão dorme.", False)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ('"O cão dorme."', '"The dog sleeps."'),
        ("Tradução: o cão", "Translation: the dog"),
        ("«A» e «B»", '"A" and "B"'),
        ("A e B", '"A" and "B"'),
        ("O meu lema: vive.", "My motto: live."),
        ("um\ndois:\ntrês", "one\ntwo:\nthree"),
        ("```\nx\n```", "```\ny\n```"),
        ("x", '"'),
        ("[1: A] vive", "[1: A] lives"),
    ],
)
def test_what_the_text_has_itself_stays(asked, answer):
    assert bare(answer, asked=asked, titles=["English"]) == (answer, False)


def test_lines_behind_an_answer_are_left_out_and_told():
    answer = 'Translation:\n"O cão dorme."\n\nNote: "cão" is a dog.'
    assert bare(answer, asked="The dog sleeps.", titles=[]) == ("O cão dorme.", True)
