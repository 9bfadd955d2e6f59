"""Words in a text: which tokens have them."""

from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_xlt.projection.finding import TOLERANT, Words, folded

VOCAB = spacy.blank("xx").vocab


def find(words, wanted, spaces=None):
    doc = Doc(VOCAB, words=words, spaces=spaces)
    return [(*place[:2], round(place.quality, 2)) for place in Words(doc, 0, len(doc)).find(wanted)]


@pytest.mark.parametrize(
    ("words", "wanted", "expected"),
    [
        ("Maria vive em Lisboa", "Lisboa", [(3, 4, 1.0)]),
        ("Maria vive em Lisboa", " em  Lisboa\n", [(2, 4, 1.0)]),
        ("Ana viu Ana", "Ana", [(0, 1, 1.0), (2, 3, 1.0)]),
        # Written in another way
        ("Maria vive em LISBOA", "Lisboa", [(3, 4, TOLERANT)]),
        ("Jose\u0301 e José", "José", [(2, 3, 1.0)]),
        ("Jose\u0301 ri", "José", [(0, 1, TOLERANT)]),
        ("José ri", "Jose", []),
        ("ＡＢＣ 株", "ABC", [(0, 1, TOLERANT)]),
        ("o guarda - chuva", "guarda-chuva", [(1, 4, 1.0)]),
        ("May may", "may", [(1, 2, 1.0)]),
        ("vive em Lisboa", "«Lisboa».", [(2, 3, TOLERANT)]),
        # Punctuation in one token with the word
        ("«Lisboa», disse", "Lisboa", [(0, 1, 1.0)]),
        ("foi a Lisboa.", "Lisboa.", [(2, 3, 1.0)]),
        # Parts of words
        ("An annual Ann", "Ann", [(2, 3, 1.0)]),
        ("die Bundestagswahl", "Bundestags", [(1, 2, 10 / 14)]),
        ("do not", "on", []),
        ("o ministro", "in", []),
        ("custa 5 %", "5 %", [(1, 3, 1.0)]),
        # Not there
        ("Maria vive em Lisboa", "Lisbon", []),
        ("Maria", "", []),
        ("Maria", " ", []),
    ],
)
def test_tokens_that_have_the_words(words, wanted, expected):
    assert find(words.split(), wanted) == [(*place[:2], round(place[2], 2)) for place in expected]


@pytest.mark.parametrize(
    ("words", "wanted", "expected"),
    [
        ("他|在|北|京|工|作|北|京", "北京", [(2, 4, 1.0), (6, 8, 1.0)]),
        ("他|在北京|工作", "北京", [(1, 2, 0.67)]),
        ("東京|都庁|へ", "東京都", [(0, 2, 0.75)]),
        ("ไป|กรุง|เทพ", "กรุงเทพ", [(1, 3, 1.0)]),
        ("他|在|Paris|工作", "巴黎", []),
    ],
)
def test_scripts_without_spaces_are_found_by_characters(words, wanted, expected):
    words = words.split("|")
    assert find(words, wanted, [False] * len(words)) == expected


def test_only_the_part_that_is_asked_about_is_looked_at():
    doc = Doc(VOCAB, words="Ana viu Ana e Ana".split())
    assert [place[:2] for place in Words(doc, 1, 4).find("Ana")] == [(2, 3)]


@given(st.lists(st.text(min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=6), st.data())
def test_words_of_a_text_are_found_where_they_are(words, data):
    doc = Doc(VOCAB, words=words)
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    text = doc[start:end].text
    found = Words(doc, 0, len(doc)).find(text)
    # What is invisible is not to be found, and what has letters of others around it may be
    if folded(text)[0] and text == text.strip():
        assert any(place.start <= start and end <= place.end for place in found) or any(
            doc[place.start : place.end].text == text for place in found
        )
    assert all(0 <= place.start < place.end <= len(doc) and 0 < place.quality <= 1 for place in found)
