"""Augmenters: other letters, contractions taken apart, and several in a row."""

from __future__ import annotations

import sys

import pytest
import spacy
from helpers.paths import CONFIGS
from helpers.vocabs import vocab_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.util import registry

from spacy_xlt import Alignment, Bitext
from spacy_xlt.config import merge_configs
from spacy_xlt.errors import XltError
from spacy_xlt.io import write_docs
from spacy_xlt.training.augment import (
    ChainedAugmenters,
    SplitContractions,
    Transliterate,
    split_contractions,
)
from spacy_xlt.translation.contractions import TABLES
from spacy_xlt.transliteration import transliterated, writer

PT = TABLES["pt"]


@pytest.fixture
def ru() -> Language:
    return spacy.blank("ru")


@pytest.fixture
def russian(ru) -> Doc:
    doc = Doc(
        ru.vocab,
        words=["Иван", "живёт", "в", "Москве", ".", "Ура", "!"],
        spaces=[True, True, True, False, True, False, False],
        sent_starts=[True, False, False, False, False, True, False],
    )
    doc.set_ents([Span(doc, 0, 1, "PER", kb_id="Q1"), Span(doc, 3, 4, "LOC")], missing=[doc[5:6]], default="outside")
    doc.spans["sc"] = SpanGroup(doc, name="sc", attrs={"scores": [0.5]}, spans=[Span(doc, 2, 4, "PLACE")])
    doc.cats = {"news": 1.0}
    return doc


def test_words_become_latin_and_every_annotation_stays(russian):
    doc = transliterated(russian, writer())
    assert doc.text == "Ivan zhivet v Moskve. Ura!"
    assert [(e.text, e.label_, e.kb_id_) for e in doc.ents] == [("Ivan", "PER", "Q1"), ("Moskve", "LOC", "")]
    assert [t.i for t in doc if t.ent_iob == 0] == [5]
    assert [sent.text for sent in doc.sents] == ["Ivan zhivet v Moskve.", "Ura!"]
    assert [span.text for span in doc.spans["sc"]] == ["v Moskve"] and doc.spans["sc"].attrs == {"scores": [0.5]}
    assert doc.cats == {"news": 1.0}


def test_a_latin_document_is_given_back_as_it_is(make_doc):
    doc = make_doc("O João mora em Lisboa .", (1, 2, "PER"))
    example = Example(doc.copy(), doc)
    assert list(Transliterate(share=1.0)(spacy.blank("pt"), example)) == [example]


def test_the_same_seed_changes_the_same_share_of_the_documents(ru, russian):
    augment = Transliterate(share=0.5)

    def run() -> list[str]:
        spacy.util.fix_random_seed(3)
        return [made.reference.text for _ in range(200) for made in augment(ru, Example(russian, russian))]

    texts = run()
    assert texts == run() and len(texts) == 200
    assert 70 < texts.count("Ivan zhivet v Moskve. Ura!") < 130


def test_the_pipeline_gets_the_new_words(ru, russian):
    (made,) = Transliterate(share=1.0)(ru, Example(russian, russian))
    assert made.reference[0].text == "Ivan"
    assert [token.text for token in made.predicted] == [token.text for token in made.reference]
    assert made.get_aligned_ner() == ["U-PER", "O", "O", "U-LOC", "O", None, "O"]


def test_where_the_tokenizer_made_the_tokens_it_makes_them_again(ru, russian):
    predicted = Doc(ru.vocab, words=["Иван", "живёт", "вМоскве", ".Ура!"])
    (made,) = Transliterate(share=1.0)(ru, Example(predicted, russian))
    assert [t.text for t in made.predicted] == [t.text for t in ru.make_doc("Ivan zhivet v Moskve. Ura!")]


def test_without_uroman_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "uroman", None)
    with pytest.raises(XltError, match=r"XLT-E106.*spacy-xlt\[romanise\]"):
        Transliterate()
    Transliterate(share=0.0)


def test_chained_augmenters_are_applied_one_after_the_other(make_doc):
    chain = ChainedAugmenters(
        augmenters={
            "contractions": SplitContractions(share=1.0),
            "off": None,
            "romanised": Transliterate(share=1.0),
        }
    )
    doc = make_doc("Vem da Москва", (2, 3, "LOC"), lang="pt")
    (made,) = chain(spacy.blank("pt"), Example(doc, doc))
    assert made.reference.text == "Vem de a Moskva "
    assert [(e.start, e.end, e.label_) for e in made.reference.ents] == [(3, 4, "LOC")]


def test_a_chain_of_something_else_is_refused():
    with pytest.raises(XltError, match="E150.*`augmenters.a`"):
        ChainedAugmenters(augmenters={"a": 3})


@pytest.mark.parametrize(
    "parts", [["romanised"], ["code_switched"], ["code_switched", "romanised"], ["code_switched", "transliterated"]]
)
def test_the_parts_go_over_a_strategy_alone_and_together(parts, tmp_path, russian):
    write_docs(tmp_path / "train.spacy", [russian])
    source = Doc(russian.vocab, words=["Ivan", "lives", "in", "Moscow", "."])
    links = Alignment([(i, i) for i in range(5)])
    source._.xlt["ru"] = Bitext(source, Doc(russian.vocab, words=[t.text for t in russian[:5]]), links, "en", "ru")
    write_docs(tmp_path / "bitext.spacy", [source], store_user_data=True)
    names = ["train", "strategies/translate_train", *(f"parts/{part}" for part in parts)]
    paths = [CONFIGS / f"{name}.cfg" for name in names]
    chain = "corpora.train.sources.projected.augmenter.augmenters"
    config = merge_configs(paths, {f"{chain}.{part}.share": 1.0 for part in parts})
    (tmp_path / "letters.tsv").write_text("и\ti\n", encoding="utf8")
    given = {"projected": "train.spacy", "bitexts": "bitext.spacy", "letters": "letters.tsv"}
    config["paths"].update({name: str(tmp_path / file) for name, file in given.items()})
    block = config.interpolate()["corpora"]["train"]["sources"]["projected"]["augmenter"]
    augment = registry.resolve({"augmenter": block})["augmenter"]
    assert set(augment.augmenters) == {"contractions", *parts}
    spacy.util.fix_random_seed(0)
    made = [example.reference for _ in range(20) for example in augment(spacy.blank("xx"), Example(russian, russian))]
    assert any("lives" in doc.text for doc in made) == ("code_switched" in parts)
    assert all(doc.text.isascii() for doc in made) == ("romanised" in parts)
    assert all("и" not in doc.text for doc in made) == (parts[-1] in ("romanised", "transliterated"))
    assert {tuple(ent.label_ for ent in doc.ents) for doc in made} == {("PER", "LOC")}


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
    doc = Doc(vocab_of("pt"), words=words)
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
    augment = SplitContractions(lang="pt", share=0.5)
    made = [eg for _ in range(200) for eg in augment(nlp, Example(doc, doc))]
    n_changed = sum(len(eg.reference) == 4 for eg in made)
    assert len(made) == 200 and 70 < n_changed < 130
    assert all(eg.get_aligned_ner()[-1] == "U-LOC" for eg in made)


def test_a_language_without_a_table_is_named():
    with pytest.raises(XltError, match="E606.*'xx'"):
        SplitContractions(lang="xx", share=0.5)
    SplitContractions(lang="xx", share=0.0)
    with pytest.raises(XltError, match="E150.*share"):
        SplitContractions(lang="pt", share=2.0)


def test_documents_are_written_by_a_table_and_only_the_words_of_a_list(ru, russian, tmp_path):
    (tmp_path / "letters.tsv").write_text("м\tm\nи\ti\n", encoding="utf8")
    (tmp_path / "words.txt").write_text("москве\n", encoding="utf8")
    files = {"table": tmp_path / "letters.tsv", "words": str(tmp_path / "words.txt")}
    for others, text in ((False, "Иван живёт в Mоскве. Ура!"), (True, "Iван жiвёт в Москве. Ура!")):
        (made,) = Transliterate(share=1.0, others=others, **files)(ru, Example(russian, russian))
        assert made.reference.text == text and made.get_aligned_ner() == ["U-PER", "O", "O", "U-LOC", "O", None, "O"]


def test_the_augmenter_has_its_earlier_name_too():
    assert registry.augmenters.get("spacy_xlt.romanise.v1") is registry.augmenters.get("spacy_xlt.transliterate.v1")


def test_what_is_wrong_with_the_files_is_said_before_the_training(tmp_path):
    with pytest.raises(XltError, match="E502.*none.tsv"):
        Transliterate(table=tmp_path / "none.tsv")
    Transliterate(table=tmp_path / "none.tsv", share=0.0)
    with pytest.raises(XltError, match="E150.*`others`"):
        Transliterate(others=True)
