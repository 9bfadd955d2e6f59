"""Contractions that treebanks take apart, joined for the translator."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
from helpers.translators import translator_pipe
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_xlt.protocols import SoftAlignment, Translation
from spacy_xlt.training.augment import split_contractions
from spacy_xlt.translation.contractions import TABLES, contracted, contraction_table

VOCAB = Vocab()
WORDS = st.lists(st.sampled_from([*TABLES["pt"], "Maria", "casa", "Em", "DE", "a", "o", "O", "."]), max_size=12)


@settings(max_examples=60)
@given(WORDS)
def test_contractions_that_were_taken_apart_are_joined_again(words):
    doc = split_contractions(Doc(VOCAB, words=words), TABLES["pt"])
    view = contracted(doc, contraction_table("pt"))
    assert view.first[0] == 0 or not len(doc)
    assert view.first[-1] == len(doc) and len(view.first) == len(view.doc) + 1
    for token, start, end in zip(view.doc, view.first, view.first[1:], strict=False):
        if end - start == 1:
            assert token.text == doc[start].text
        else:
            assert TABLES["pt"][token.text.lower()] == (doc[start].text.lower(), doc[start + 1].text.lower())


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("Fui a a casa de o José em um dia", "Fui à casa do José num dia"),
        ("De o norte , DE O NORTE , A o norte", "Do norte , DO NORTE , Ao norte"),
        ("em O Globo de a", "em O Globo da"),
        ("a a a a a", "à à a"),
        ("dea casa", "dea casa"),
    ],
)
def test_how_contractions_are_written(text, joined):
    doc = spacy.blank("pt")(text)
    assert contracted(doc, contraction_table("pt")).doc.text == joined


def test_nothing_is_joined_over_the_start_of_a_sentence_or_without_a_space():
    nlp = spacy.blank("pt")
    doc = Doc(nlp.vocab, words=["Vem", "de", "o", "norte"], sent_starts=[True, False, True, False])
    assert contracted(doc, contraction_table("pt")).doc is doc
    doc = Doc(nlp.vocab, words=["de", "o"], spaces=[False, False])
    assert contracted(doc, contraction_table("pt")).doc is doc
    assert contracted(doc, contraction_table("de")).doc is doc


class Attentive:
    """Gives the text back, each character looking at itself."""

    signature = "attentive"

    def __init__(self):
        self.seen = []

    def translate(self, texts, *, source, target):
        self.seen += texts
        chars = [np.asarray([(i, i + 1) for i in range(len(text))], np.int32) for text in texts]
        return [
            Translation(text, alignment=SoftAlignment(np.eye(len(text), dtype=np.float32), spans, spans))
            for text, spans in zip(texts, chars, strict=True)
        ]


def test_the_document_keeps_its_tokens_when_contractions_are_joined():
    engine = Attentive()
    nlp = spacy.blank("pt")
    pipe = translator_pipe(engine, source="pt", target="en", join_contractions=True, keep=["PER"], store_attention=True)
    doc = nlp("Gosto de a Maria . Vou a a casa de o Rui .")
    doc.ents = [Span(doc, 3, 4, label="PER"), Span(doc, 11, 12, label="PER")]
    bitext = pipe(doc)._.xlt["en"]
    assert engine.seen == ["Gosto da Maria .", "Vou à casa do Rui ."]
    assert bitext.source.text == doc.text and bitext.target.text == "Gosto da Maria . Vou à casa do Rui ."
    assert [pair.source for pair in bitext.sentences] == [(0, 5), (5, 13)]
    links = {(doc[i].text, bitext.target[j].text) for i, j in bitext.attention.links.tolist()}
    assert {("de", "da"), ("a", "da"), ("a", "à"), ("de", "do"), ("o", "do"), ("Rui", "Rui")} == {
        (a, b) for a, b in links if a != b or a == "Rui"
    }
    assert "join_contractions" in pipe.signature
    assert not bitext.flags


def test_spans_stand_in_the_contracted_text_as_well(make_doc):
    doc = make_doc("Trabalha em a Yahoo! de o Japão .", (2, 6, "ORG"))
    view = contracted(doc, contraction_table("pt"))
    assert view.doc.text.strip() == "Trabalha na Yahoo! do Japão ."
    assert [span.text for span in view.doc.spans["names"]] == ["na Yahoo! do"]


def test_spans_of_groups_stand_in_the_contracted_text_beside_entities(make_doc):
    doc = make_doc("Gosto de o vinho de Casa Branca em Lisboa .", (8, 9, "LOC"))
    doc.spans["sc"] = [doc[5:7]]
    view = contracted(doc, contraction_table("pt"))
    assert [span.text for span in view.doc.spans["names"]] == ["Lisboa", "Casa Branca"]
