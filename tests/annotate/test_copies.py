"""A text that a language model has repeated, with what it changed."""

from __future__ import annotations

import time

import pytest

from spacy_xlt.annotate.copies import Copy


def place(said: str, text: str, span: str) -> str | None:
    """The words of the text at the place of a span of what was said."""
    start = said.index(span)
    found = Copy(said, text).place(start, start + len(span))
    return None if found is None else text[slice(*found)]


@pytest.mark.parametrize(
    ("said", "text", "span", "expected"),
    [
        ("saw John Smith today", "saw  JOHN\u00a0Smith today.", "John Smith", "JOHN\u00a0Smith"),
        ("at “Rock ’n’ Roll” bar", "at \"Rock 'n' Roll\" bar", "“Rock ’n’ Roll”", "\"Rock 'n' Roll\""),
        ("in Sao Paulo", "in São Paulo", "Sao Paulo", None),
        ("in Sa\u0303o Paulo", "in São Paulo", "Sa\u0303o Paulo", "São Paulo"),
        ("Việt here", "Vie\u0302\u0323t here", "Việt", "Vie\u0302\u0323t"),
        ("서울 is", "\u1109\u1165\u110b\u116e\u11af is", "서울", "\u1109\u1165\u110b\u116e\u11af"),
        ("the New York–Boston train", "the New York - Boston train", "Boston", "Boston"),
        ("met Dr Smith", "met Dr. Smith .", "Dr Smith", "Dr. Smith"),
        ("in Acme Inc", "in Acme Inc.", "Acme Inc", "Acme Inc"),
        ("我在 IBM 工作", "我在IBM工作", "IBM", "IBM"),
        ("他住在北京.", "他住在北京。", "北京", "北京"),
        ("ผมอยู่ กรุงเทพ ครับ", "ผมอยู่กรุงเทพครับ", "กรุงเทพ", "กรุงเทพ"),
        ("می‌رود به تهران", "می رود به تهران", "تهران", "تهران"),
        ("a 10km run", "A 10km  run", "10", "10"),
        ("saw 😀 and 🎉", "Saw 😀 and 🎉", "🎉", "🎉"),
    ],
)
def test_what_is_not_of_the_words_does_no_harm(said, text, span, expected):
    assert place(said, text, span) == expected


@pytest.mark.parametrize(
    ("said", "text", "span"),
    [
        ("saw Mary Smith today", "saw Maria Smith today", "Mary Smith"),
        ("saw Smith today", "saw Maria today", "Smith"),
        ("saw Maria da Silva", "saw Maria Silva", "Maria da Silva"),
        ("saw Maria Silva", "saw Maria da Silva", "Maria Silva"),
        ("saw ! today", "saw ? today", "!"),
        ("saw him", "saw him ", " "),
    ],
)
def test_a_span_whose_words_were_changed_has_no_place(said, text, span):
    assert place(said, text, span) is None


def test_of_words_that_are_there_twice_the_same_one_is_found():
    said, text = "Porto and porto, in Porto", "Porto and Porto in Porto ."
    assert Copy(said, text).place(10, 15) == (10, 15) and Copy(said, text).place(20, 25) == (19, 24)


def test_words_that_were_changed_or_left_out_are_known():
    copy = Copy("Maria saw the dog", "Maria saw a dog, and Pedro.")
    assert [copy.text[i:j] for i, j in copy.lacking] == ["a", "and", "Pedro"]
    assert copy.text[slice(*copy.around(10, 13))].strip() == "a"
    assert copy.text[slice(*copy.around(17, 17))] == ", and Pedro."


def test_a_text_in_its_own_words_is_similar_and_another_is_not():
    assert Copy("a b", "a b").similarity == Copy("A  B", "a b").similarity == 1
    assert Copy("I cannot help with that.", "Maria mora em Lisboa.").similarity < 0.5
    assert Copy("", "a").similarity == 0


def test_a_copy_that_is_much_longer_is_known_to_be_another_text_without_a_comparison():
    start = time.perf_counter()
    assert Copy("the " * 50_000, "of the king " * 100).most_similarity < 0.5 and time.perf_counter() - start < 3
    assert Copy("a b c", "a b").most_similarity == Copy("a b c", "a b").similarity
