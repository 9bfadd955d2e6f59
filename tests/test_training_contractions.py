"""Taking contractions apart, as treebanks do: annotation moves with its words."""

from __future__ import annotations

import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy_xlt.training.contractions import TABLES, create_split_contractions, split_contractions
from spacy_xlt.training.corpus import create_corpus

from spacy_xlt.errors import XltError

PT = TABLES["pt"]


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_an_entity_keeps_the_contractions_inside_it(make_doc):
    doc = make_doc("O Ministério da Fazenda fica no Brasil .", (1, 4, "ORG"), (6, 7, "LOC"), lang="pt")
    split = split_contractions(doc, PT)
    assert split.text == "O Ministério de a Fazenda fica em o Brasil . "
    assert ents(split) == [("Ministério de a Fazenda", "ORG"), ("Brasil", "LOC")]


def test_preposition_and_article_are_no_part_of_the_entity_that_they_begin(make_doc):
    split = split_contractions(make_doc("Fala da Fazenda .", (1, 3, "ORG"), lang="pt"), PT)
    assert ents(split) == [("Fazenda", "ORG")]


def test_span_groups_move_as_entities_do(make_doc):
    doc = make_doc("Fala da Fazenda no Rio .", lang="pt")
    doc.spans["sc"] = [Span(doc, 1, 3, label="ORG"), Span(doc, 2, 5, label="X"), Span(doc, 4, 5, label="LOC")]
    doc.spans["sc"].attrs["scores"] = [0.5, 0.6, 0.7]
    split = split_contractions(doc, PT)
    group = split.spans["sc"]
    found = [(span.text, span.label_) for span in group]
    assert found == [("Fazenda", "ORG"), ("Fazenda em o Rio", "X"), ("Rio", "LOC")]
    assert group.attrs["scores"] == [0.5, 0.6, 0.7]


def test_an_entity_that_is_nothing_but_a_contraction_stays_whole(make_doc):
    assert ents(split_contractions(make_doc("Pelo Marcelo", (0, 1, "PER"), lang="pt"), PT)) == [("Por o", "PER")]


@pytest.mark.parametrize(
    ("word", "parts"), [("da", "de a"), ("Da", "De a"), ("DA", "DE A"), ("às", "a as"), ("À", "A a")]
)
def test_the_case_is_carried_over(make_doc, word, parts):
    assert split_contractions(make_doc(f"{word} .", lang="pt"), PT).text == f"{parts} . "


def test_missing_annotation_and_sentences_are_kept(make_doc):
    doc = make_doc("Foi ao Rio . Mora na Lapa .", (2, 3, "LOC"), lang="pt", sents=[0, 4])
    doc.set_ents(list(doc.ents), missing=[doc[4:6]], default="outside")
    split = split_contractions(doc, PT)
    assert [token.text for token in split if token.ent_iob == 0] == ["Mora", "em", "a"]
    assert [sent.text for sent in split.sents] == ["Foi a o Rio .", "Mora em a Lapa ."]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["da", "Nos", "Maria", ".", "ÀS", "dele", "🙂"]), min_size=1, max_size=20), st.data())
def test_what_is_not_a_contraction_is_untouched_and_no_entity_is_lost(words, data):
    doc = Doc(spacy.blank("pt").vocab, words=words)
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    doc.set_ents([Span(doc, start, end, label="PER")], default="outside")
    split = split_contractions(doc, PT)
    assert [t.text for t in split if t.text in {"Maria", ".", "🙂"}] == [w for w in words if w in {"Maria", ".", "🙂"}]
    assert len(split) == len(doc) + sum(w.lower() in PT for w in words)
    (ent,) = split.ents
    assert (
        ent.label_ == "PER" and ent[-1].text.lower() == PT.get(words[end - 1].lower(), ("", words[end - 1].lower()))[1]
    )


def test_a_share_of_the_documents_is_changed(make_doc):
    nlp = spacy.blank("pt")
    doc = make_doc("Vem do Rio", (2, 3, "LOC"), lang="pt")
    spacy.util.fix_random_seed(0)
    augment = create_split_contractions(lang="pt", share=0.5)
    made = [eg for _ in range(200) for eg in augment(nlp, Example(doc, doc))]
    n_changed = sum(len(eg.reference) == 4 for eg in made)
    assert len(made) == 200 and 70 < n_changed < 130
    assert all(eg.get_aligned_ner()[-1] == "U-LOC" for eg in made)


def test_the_source_beside_the_translation_is_left_alone(make_doc, write_corpus, tmp_path):
    from helpers.tiny_encoder import make_tiny_encoder

    encoder = str(make_tiny_encoder(tmp_path / "encoder"))
    target = write_corpus([make_doc("Vem do Rio", lang="pt")], "pt.spacy")
    source = write_corpus([make_doc("Say no more", lang="pt")], "en.spacy")
    corpus = create_corpus(target, encoder, also=source, augmenter=create_split_contractions(share=1.0))
    assert [eg.reference.text for eg in corpus(spacy.blank("pt"))] == ["Vem de o Rio ", "Say no more "]


def test_a_language_without_a_table_is_named():
    with pytest.raises(XltError, match="E606.*'xx'"):
        create_split_contractions(lang="xx", share=0.5)
    create_split_contractions(lang="xx", share=0.0)
    with pytest.raises(XltError, match="E601.*share"):
        create_split_contractions(lang="pt", share=2.0)
