"""BergamotTranslator with given terms and with several translations of a text."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.errors import XltError
from spacy_xlt.protocols import NBestTranslator, Term, TermTranslator
from spacy_xlt.translation.bergamot.constrained import terms_of_parts
from spacy_xlt.translation.bergamot.decode import Hypothesis
from spacy_xlt.translation.bergamot.direction import Direction
from spacy_xlt.translation.bergamot.engine import BergamotTranslator, make_bergamot_translator
from spacy_xlt.translation.bergamot.joining import best_combinations
from spacy_xlt.translation.bergamot.splitting import split_pieces

EN_PT = {"source": "en", "target": "pt"}
DOG = "The dog sleeps in the house."


@pytest.fixture(scope="module")
def translator() -> BergamotTranslator:
    return make_bergamot_translator()


@pytest.fixture(scope="module")
def direction(translator: BergamotTranslator) -> Direction:
    return translator._direction(**EN_PT, exact=False)


def with_term(translator: BergamotTranslator, text: str, *terms: tuple[str, ...]) -> str:
    """The translation of a text, all of whose terms are in it."""
    (translation,) = translator.translate([text], terms=[[Term(*term) for term in terms]], **EN_PT)
    assert not translation.flags
    return translation.text


# terms


def test_it_keeps_the_protocols(translator: BergamotTranslator) -> None:
    assert isinstance(translator, TermTranslator) and translator.takes_terms
    assert isinstance(translator, NBestTranslator)


def test_a_term_stands_where_its_source_words_were(translator: BergamotTranslator) -> None:
    assert with_term(translator, DOG) == "O cão dorme na casa."
    assert with_term(translator, DOG, ("lobo", "dog")) == "O lobo dorme na casa."
    assert with_term(translator, DOG, ("toca", "house")) == "O cão dorme na toca."
    assert with_term(translator, DOG, ("toca", "house"), ("lobo", "dog")) == "O lobo dorme na toca."


def test_source_words_are_found_in_any_case_and_as_whole_words(translator: BergamotTranslator) -> None:
    text = with_term(translator, "Category: The CAT sleeps.", ("lince", "cat"))
    assert "lince" in text and "Categoria" in text


def test_a_term_goes_to_the_place_of_its_number(translator: BergamotTranslator) -> None:
    text = with_term(translator, "The dog sleeps and the dog eats.", ("lobo", "dog"), ("urso", "dog"))
    assert text == "O lobo dorme e o urso come."


def test_a_term_that_may_stand_anywhere_is_written(translator: BergamotTranslator) -> None:
    assert with_term(translator, DOG, ("tranquilamente",)) == "O cão dorme tranquilamente na casa."
    text = with_term(translator, DOG, ("tranquilamente",), ("hoje",))
    assert "tranquilamente" in text and "hoje" in text


def test_a_term_that_is_written_anyway_changes_nothing(translator: BergamotTranslator) -> None:
    assert with_term(translator, DOG, ("casa", "house"), ("cão",)) == "O cão dorme na casa."


@pytest.mark.parametrize("term", ["Łódź", "漢字", "😀", "Ωμέγα 3", "a/b-c", "½"])
def test_what_the_vocabulary_cannot_spell_is_written_letter_by_letter(
    translator: BergamotTranslator, term: str
) -> None:
    (translation,) = translator.translate([DOG], terms=[[Term(term, "house")]], **EN_PT)
    assert translation.text == f"O cão dorme na {term}." and not translation.flags
    assert translation.alignment is not None
    spans = translation.alignment.target_spans.tolist()
    assert translation.alignment.weights.shape[1] == len(spans)
    assert any(translation.text[a:b] in (term, term.split()[0]) or b - a < len(term) for a, b in spans)
    assert [translation.text[a:b] for a, b in spans[-2:]] == [".", ""]


def test_texts_without_terms_are_translated_as_ever(translator: BergamotTranslator) -> None:
    texts = [DOG, "The committee met in Geneva.", ""]
    plain = translator.translate(texts, **EN_PT)
    some = translator.translate(texts, terms=[[], [Term("comissão", "committee")], []], **EN_PT)
    assert [some[0].text, some[2].text] == [plain[0].text, plain[2].text]
    assert "comissão" in some[1].text.lower()
    none = translator.translate(texts, terms=[[], [], []], **EN_PT)
    assert [t.text for t in none] == [t.text for t in plain]


def test_a_term_is_written_in_the_part_of_a_long_text_that_it_belongs_to(translator: BergamotTranslator) -> None:
    text = " ".join([*(f"Number {i} has a red house near the river." for i in range(20)), "The dog sleeps."])
    translated = with_term(translator, text, ("lobo", "dog"))
    assert translated.endswith("lobo dorme.") and translated.count("casa") == 20


def test_a_term_that_cannot_be_written_is_flagged(translator: BergamotTranslator) -> None:
    empty, blank = translator.translate(["", DOG], terms=[[Term("casa")], [Term("  ")]], **EN_PT)
    assert empty.flags == ("term_missing",) and not blank.flags


def test_terms_of_another_number_of_texts_are_refused(translator: BergamotTranslator) -> None:
    with pytest.raises(XltError, match="E214.*1 texts.*2"):
        translator.translate(["a", "b"], terms=[[]], **EN_PT)


def test_terms_are_written_by_a_beam_too() -> None:
    translator = make_bergamot_translator(beam_size=3, shortlist=False)
    assert with_term(translator, DOG, ("lobo", "dog")) == "O lobo dorme na casa."
    assert "hoje" in with_term(translator, DOG, ("hoje",))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(["rio", "São Paulo", "2.500", "x²", "voou", "dog", "Ł"]), max_size=3), st.booleans())
def test_every_term_is_in_the_translation_or_it_is_flagged(words: list[str], known: bool) -> None:
    terms = [Term(word, "dog" if known else "") for word in words]
    (translation,) = make_bergamot_translator().translate([DOG], terms=[terms], **EN_PT)
    for word in words:
        assert translation.text.count(word) >= words.count(word) or translation.flags == ("term_missing",)


def test_terms_belong_to_the_part_and_the_pieces_of_their_source_words(direction: Direction) -> None:
    text = "One thing, then another. " * 6 + "The wolf sleeps."
    (pieces,) = direction.source_vocab.encode([text])
    parts = split_pieces(pieces, text, limit=20)
    *others, last = terms_of_parts(direction, text, parts, [Term("lobo", "wolf")])
    assert not any(others)
    (term,) = last
    looked = parts[-1].spans[term.looked]
    assert text[looked.min() : looked.max()] == "wolf"


# n-best


def test_the_best_of_several_is_that_of_the_beam(translator: BergamotTranslator) -> None:
    texts = [DOG, "The committee met in Geneva on Tuesday.", ""]
    several = translator.translate_n_best(texts, n=3, **EN_PT)
    beam = make_bergamot_translator(beam_size=4).translate(texts, **EN_PT)
    assert [found[0].text for found in several] == [t.text for t in beam]
    for found in several[:2]:
        assert len({t.text for t in found}) == len(found) == 3
        scores = [t.score for t in found]
        assert scores == sorted(scores, reverse=True)
        assert all(t.alignment is not None for t in found)
    assert [t.text for t in several[2]] == [""]
    with pytest.raises(XltError, match="E213.*`n` is 0"):
        translator.translate_n_best(texts, n=0, **EN_PT)


def test_several_translations_of_a_long_text_are_whole(translator: BergamotTranslator) -> None:
    text = " ".join(f"Number {i} has a red house near the river." for i in range(20))
    (found,) = translator.translate_n_best([text], n=2, **EN_PT)
    assert len(found) == 2 and all(t.text.count("casa") == 20 for t in found)


@given(st.lists(st.lists(st.tuples(st.integers(-9, 0), st.booleans()), min_size=1, max_size=3), max_size=3))
def test_combinations_of_parts_are_the_best_there_are(parts: list[list[tuple[int, bool]]]) -> None:
    weights = np.zeros((2, 1), np.float32)
    made = [[Hypothesis(np.zeros(2, np.int64), float(s), weights, cut) for s, cut in of_part] for of_part in parts]

    def order(chosen: list[Hypothesis]) -> tuple[int, float]:
        return sum(h.truncated for h in chosen), -sum(h.score for h in chosen)

    expected = sorted(order(list(chosen)) for chosen in product(*made))[:4]
    assert [order(chosen) for chosen in best_combinations(made, 4)] == expected
