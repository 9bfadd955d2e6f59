"""`spacy_xlt.project` and `translate_and_project`, and what is printed of a Bitext."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from helpers.engines import DiagonalAligner, UpperTranslator
from spacy.tokens import Doc

import spacy_xlt
from spacy_xlt.errors import XltError


@pytest.fixture
def pair(make_doc: Callable[..., Doc]) -> tuple[Doc, Doc]:
    source = make_doc("Maria lives here . She sleeps .", (0, 1, "PER"), sents=[4])
    return source, make_doc("MARIA VIVE AQUI . ELA DORME .", (1, 2, "OLD"), lang="pt", sents=[4])


def project(source: Doc, target: Doc) -> spacy_xlt.Bitext:
    (bitext,) = spacy_xlt.project([source], [target], aligner=DiagonalAligner())
    return bitext


def test_annotation_is_carried_to_a_copy_of_the_given_translation(pair: tuple[Doc, Doc]) -> None:
    bitext = project(*pair)
    assert [(ent.text, ent.label_) for ent in bitext.target.ents] == [("MARIA", "PER")]
    assert [ent.label_ for ent in pair[1].ents] == ["OLD"] and not pair[0].user_data
    assert [sentence.target for sentence in bitext.sentences] == [(0, 4), (4, 7)]


def test_sides_of_different_length_are_an_error(pair: tuple[Doc, Doc]) -> None:
    with pytest.raises(XltError, match="E356.*2 source and 1 target"):
        spacy_xlt.project([pair[0]] * 2, [pair[1]])


def test_documents_are_translated_by_an_engine_of_ones_own_and_not_changed(pair: tuple[Doc, Doc]) -> None:
    engines = {"translator": UpperTranslator(), "aligner": DiagonalAligner()}
    (bitext,) = spacy_xlt.translate_and_project([pair[0]], target="pt", **engines)
    assert (bitext.source_lang, bitext.target_lang) == ("en", "pt")
    assert [(ent.text, ent.label_) for ent in bitext.target.ents] == [("MARIA", "PER")]
    assert not pair[0].user_data
    assert spacy_xlt.translate_and_project([], target="pt") == []


def test_bitext_is_shown_with_its_spans_in_a_line_and_printed_as_some_sentences(pair: tuple[Doc, Doc]) -> None:
    bitext = project(*pair)
    assert repr(bitext) == "<Bitext en → pt: [Maria PER] lives here . → [MARIA PER 1.00] VIVE AQUI . (and 1 more)>"
    assert len(str(bitext).splitlines()) == 6 and "ELA DORME" in str(bitext)


def test_long_bitext_is_cut_where_it_is_printed(make_doc: Callable[..., Doc]) -> None:
    text = " ".join(["word"] * 1000)
    sents = list(range(10, 1000, 10))
    bitext = project(make_doc(text, sents=sents), make_doc(text, lang="pt", sents=sents))
    assert len(repr(bitext)) < 200 and str(bitext).endswith("and 95 more sentences")


def test_notebook_shows_the_side_by_side_view_in_a_frame(pair: tuple[Doc, Doc]) -> None:
    assert project(*pair)._repr_html_().startswith("<div><iframe") and "MARIA" in project(*pair)._repr_html_()


@pytest.mark.parametrize("name", ["calls", "hub"])
def test_examples_of_the_docstrings(name: str) -> None:
    results = doctest.testmod(import_module(f"spacy_xlt.{name}"))
    assert results.attempted and not results.failed


def test_no_module_takes_the_name_of_a_function() -> None:
    modules = {path.stem for path in Path(spacy_xlt.__file__).parent.iterdir() if path.stem != "__init__"}
    assert not modules & set(spacy_xlt.__all__)
