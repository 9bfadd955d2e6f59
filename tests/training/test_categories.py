"""Categories of documents (labels, intents) in the corpora of a training."""

from __future__ import annotations

import warnings

import pytest
import spacy
from helpers.mixed_sources import mixed, source
from spacy.tokens import Doc

from spacy_xlt.errors import XltWarning
from spacy_xlt.training.readers import DevCorpus


def pipeline(*names: str):
    nlp = spacy.blank("pt")
    for name in names:
        nlp.add_pipe(name)
    return nlp


@pytest.fixture
def make_intent(make_doc):
    """A document with entities and the intent."""

    def make(text: str, *ents: tuple[int, int, str], **cats: float) -> Doc:
        doc = make_doc(text, *ents)
        doc.cats = cats
        return doc

    return make


@pytest.fixture
def partly(make_intent, write_corpus):
    """A corpus in which one document of three has no intent."""
    docs = [make_intent("acorda me às seis", (3, 4, "TIME"), wake=1.0), make_intent("toca jazz", play=1.0)]
    return str(write_corpus([*docs, make_intent("às sete", (1, 2, "TIME"))]))


def test_a_document_without_a_category_is_left_out_for_exclusive_classes(partly):
    corpus = mixed({"a": source(partly)})
    with pytest.warns(XltWarning, match="W610.*1 documents without a category"):
        read = list(corpus(pipeline("ner", "textcat")))
    assert sorted(cat for eg in read for cat in eg.reference.cats) == ["play", "wake"]
    assert corpus.counts["a"].without_category == 1


def test_what_says_only_that_it_has_not_a_category_is_left_out_for_exclusive_classes(make_intent, write_corpus):
    path = write_corpus([make_intent("toca jazz", play=1.0), make_intent("às sete", play=0.0)])
    with pytest.warns(XltWarning, match="1 documents without a category"):
        assert len(list(mixed({"a": source(path)})(pipeline("textcat")))) == 1


@pytest.mark.parametrize("names", [("ner",), ("ner", "textcat_multilabel")])
def test_it_stays_where_nothing_is_learnt_from_missing_categories(partly, names):
    assert len(list(mixed({"a": source(partly)})(pipeline(*names)))) == 3


def test_a_development_set_scores_no_document_without_a_category(partly):
    corpus = DevCorpus(sources={"a": source(partly, kind="projected")})
    with pytest.warns(XltWarning, match="1 documents without a category"):
        assert len(list(corpus(pipeline("textcat")))) == 2


def test_a_document_with_an_intent_is_not_empty_where_intents_are_learnt(make_intent, write_corpus):
    docs = [make_intent(f"toca n{i}", play=1.0) for i in range(20)]
    path = write_corpus([*docs, make_intent("acorda Maria", (1, 2, "PER"), wake=1.0)])
    block = {"a": source(path, keep_empty=0.0)}
    assert len(list(mixed(block)(pipeline("ner", "textcat")))) == 21
    assert len(list(mixed(block)(pipeline("ner")))) == 1


def test_a_document_that_has_none_of_several_labels_is_empty(make_intent, write_corpus):
    path = write_corpus([make_intent("toca jazz", play=1.0, wake=0.0), make_intent("não sei", play=0.0, wake=0.0)])
    (example,) = mixed({"a": source(path, keep_empty=0.0)})(pipeline("textcat_multilabel"))
    assert example.reference.cats == {"play": 1.0, "wake": 0.0}


def test_each_part_of_a_document_that_is_cut_has_its_category(make_intent, write_corpus):
    path = write_corpus([make_intent(" ".join(f"n{i}" for i in range(20)), news=1.0)])
    with pytest.warns(XltWarning, match="W601"):
        read = list(mixed({"a": source(path)}, max_pieces=8, max_word_pieces=1)(pipeline("textcat")))
    assert [eg.reference.cats for eg in read] == [{"news": 1.0}] * 3


def test_categories_that_differ_are_a_warning_and_can_be_mapped(make_intent, write_corpus):
    paths = [
        write_corpus([make_intent(f"{intent} {i}", **{intent: 1.0}) for i, intent in enumerate(intents)], name)
        for name, intents in {"a.spacy": ("play", "wake"), "b.spacy": ("play", "wake_up")}.items()
    ]
    blocks = {"a": source(paths[0]), "b": source(paths[1])}
    message = r"W613(.|\n)*b: play 1, wake_up 1 \(lacks wake\)(.|\n)*\[\"wake\", \"wake_up\"\]"
    with pytest.warns(XltWarning, match=message):
        list(mixed(blocks)(pipeline("textcat")))
    blocks["b"]["labels"] = {"wake_up": "wake"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", XltWarning)
        list(mixed(blocks, labels_may_differ=["x"])(pipeline("textcat")))
        corpus = mixed(blocks)
        assert {cat for eg in corpus(pipeline("textcat")) for cat in eg.reference.cats} == {"play", "wake"}
    assert corpus.counts["b"].labels["cats"] == {"play": 1, "wake": 1}


def test_a_category_that_is_left_out_is_missing(make_intent, write_corpus):
    path = write_corpus([make_intent("toca jazz", play=1.0, other=0.0), make_intent("e então", play=0.0, other=1.0)])
    corpus = mixed({"a": source(path, labels={"other": ""})})
    with pytest.warns(XltWarning, match="1 documents without a category"):
        (example,) = corpus(pipeline("textcat"))
    assert example.reference.cats == {"play": 1.0} and corpus.counts["a"].labels_out == {"other": 1}


def test_entities_are_not_compared_where_they_are_not_learnt_or_missing(make_intent, write_corpus):
    with_ents = write_corpus([make_intent("toca Maria", (1, 2, "PER"), play=1.0)], "a.spacy")
    only_cats = Doc(spacy.blank("pt").vocab, words=["toca", "jazz"])
    only_cats.cats = {"play": 1.0}
    blocks = {"a": source(with_ents), "b": source(write_corpus([only_cats], "b.spacy"))}
    for names in (("textcat",), ("ner", "textcat")):
        assert len(list(mixed(blocks)(pipeline(*names)))) == 2
