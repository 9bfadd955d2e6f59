"""What a corpus reader refuses: labels that differ, text in another language, the evaluation sets, target gold."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest
import spacy
from helpers.mixed_sources import mixed, source
from helpers.paths import ASSETS
from spacy.language import Language

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.io import write_docs
from spacy_xlt.readers import read_corpus
from spacy_xlt.training.checks import wrong_language
from spacy_xlt.training.readers import DevCorpus

FILES = {
    "en": "English-PUD/en_pud-ud-test",
    "pt": "Portuguese-PUD/pt_pud-ud-test",
    "de": "German-PUD/de_pud-ud-test",
}


@pytest.fixture(scope="module")
def pud(tmp_path_factory) -> dict[str, str]:
    """A hundred sentences of PUD in each language, as .spacy files."""
    folder = tmp_path_factory.mktemp("pud")
    paths = {lang: str(folder / f"{lang}.spacy") for lang in FILES}
    for lang, name in FILES.items():
        read = read_corpus(ASSETS / "uner" / f"{name}.iob2", lang=lang)
        write_docs(paths[lang], islice(read, 100))
    return paths


@pytest.fixture
def nlp() -> Language:
    nlp = spacy.blank("pt")
    nlp.add_pipe("ner")
    return nlp


def dev_corpus(blocks: dict[str, Any], **settings: Any) -> DevCorpus:
    return DevCorpus(sources=blocks, **settings)


@pytest.fixture
def labelled(make_doc, write_corpus):
    """A corpus of one document with an entity of each label."""

    def make(name: str, *labels: str) -> str:
        ents = [(i, i + 1, label) for i, label in enumerate(labels)]
        return str(write_corpus([make_doc(" ".join(f"{name}{i}" for i in range(6)), *ents)], f"{name}.spacy"))

    return make


def test_labels_that_differ_are_named_and_can_be_mapped(nlp, labelled):
    blocks = {"uner": source(labelled("a", "PER", "LOC")), "wiki": source(labelled("b", "PERSON", "LOC", "MISC"))}
    with pytest.raises(XltError) as raised:
        list(mixed(blocks)(nlp))
    text = str(raised.value)
    assert raised.value.code == "E613"
    assert "uner: LOC 1, PER 1 (lacks MISC, PERSON)" in text and "wiki: LOC 1, MISC 1, PERSON 1 (lacks PER)" in text
    assert '[corpora.train.sources.NAME.labels]: PERSON = "PER"' in text
    blocks["wiki"]["labels"] = {"MISC": "", "PERSON": "PER"}
    corpus = mixed(blocks)
    assert len(list(corpus(nlp))) == 2
    assert corpus.counts["wiki"].labels["ents"] == {"PER": 1, "LOC": 1}


def test_a_source_that_lacks_a_label_is_an_error_unless_it_is_meant(nlp, labelled):
    blocks = {"a": source(labelled("a", "PER", "LOC")), "b": source(labelled("b", "PER"))}
    with pytest.raises(XltError, match=r"E613(.|\n)*b: PER 1 \(lacks LOC\)(.|\n)*to \[\"LOC\"\]"):
        list(mixed(blocks)(nlp))
    for accepted in (True, ["LOC"]):
        assert len(list(mixed(blocks, labels_may_differ=accepted)(nlp))) == 2
    with pytest.raises(XltError, match="E613"):
        list(mixed(blocks, labels_may_differ=["PER"])(nlp))


def test_labels_are_those_of_what_the_pipeline_learns(make_doc, write_corpus):
    nlp = spacy.blank("pt")
    nlp.add_pipe("spancat", config={"spans_key": "sc"})
    docs = [make_doc("Maria canta", (0, 1, label)) for label in ("PER", "PERSON")]
    for doc in docs:
        doc.spans["sc"] = [doc[0:1]]
        doc.spans["sc"] = [spacy.tokens.Span(doc, 0, 1, label="X")]
    blocks = {f"s{n}": source(write_corpus([doc], f"{n}.spacy")) for n, doc in enumerate(docs)}
    assert len(list(mixed(blocks)(nlp))) == 2
    docs[1].spans["sc"] = [spacy.tokens.Span(docs[1], 0, 1, label="Y")]
    write_corpus([docs[1]], "1.spacy")
    with pytest.raises(XltError, match="E613.*'sc' span"):
        list(mixed(blocks)(nlp))


def test_a_mapping_that_names_what_is_not_there_is_said(nlp, labelled):
    with pytest.warns(XltWarning, match=r"W612.*sources.a.labels\] names PERS.*it has: PER"):
        list(mixed({"a": source(labelled("a", "PER"), labels={"PERS": "PER_"})})(nlp))


def test_sentences_of_evaluation_sets_are_removed_with_their_near_duplicates(nlp, make_doc, write_corpus):
    test = write_corpus(
        [make_doc('Maria Silva mora em Lisboa desde 1999 , disse o jornal " Público " .')], "test.spacy"
    )
    docs = [
        make_doc("MARIA Silva mora em Lisboa desde 1999, disse o jornal 'Público'"),
        make_doc("Maria Silva mora em Lisboa desde 2004 , disse o jornal Público ."),
        make_doc("Maria Silva canta em Lisboa .", (0, 2, "PER")),
        make_doc(
            "Pedro chegou . Maria Silva mora em Lisboa desde 1999 , disse o jornal Público . Paula saiu .",
            (0, 1, "PER"), (3, 5, "PER"), (16, 17, "PER"), sents=[3, 16],
        ),
    ]  # fmt: skip
    corpus = mixed({"a": source(write_corpus(docs))}, exclude=[str(test)], shuffle=False)
    with pytest.warns(XltWarning, match="2 sentences that are in an evaluation set, 1 sentences nearly as in"):
        read = [eg.reference for eg in corpus(nlp)]
    assert [doc.text.strip() for doc in read] == ["Maria Silva canta em Lisboa .", "Pedro chegou .", "Paula saiu ."]
    assert [[ent.text for ent in doc.ents] for doc in read] == [["Maria Silva"], ["Pedro"], ["Paula"]]
    corpus = mixed({"a": source(write_corpus(docs))}, exclude=[str(test)], near_duplicates=1.0)
    with pytest.warns(XltWarning, match="2 sentences that are"):
        assert len(list(corpus(nlp))) == 4


@pytest.mark.parametrize(("declared", "really"), [("en", "pt"), ("pt", "en"), ("de", "pt"), ("es", "de"), ("ja", "en")])
def test_text_in_another_language_than_declared_is_an_error(nlp, pud, declared, really):
    blocks = {"a": {"path": pud[really], "lang": declared}, "b": {"path": pud["de"], "lang": "de"}}
    with pytest.raises(XltError, match=f"E614.*'a'.*'{declared}'.*stop words of '{really}'.*check_language"):
        list(mixed(blocks)(nlp))
    assert list(mixed(blocks, check_language=False, labels_may_differ=True)(nlp))


def test_text_in_the_language_declared_is_none(nlp, pud):
    blocks = {lang: {"path": path, "lang": lang} for lang, path in pud.items()}
    assert len(list(mixed(blocks, labels_may_differ=True)(nlp))) == 300


def words(text: str) -> dict[str, int]:
    return {word: text.lower().split().count(word) for word in text.lower().split()}


def test_where_the_language_is_not_sure_nothing_is_said():
    english = "the house is in the city and it was not far from what they had been told of before that day " * 4
    assert wrong_language(words(english), "pt", ["en"])
    assert wrong_language(words("Maria Lisboa Google 1999"), "en", ["pt"]) == ""
    assert wrong_language(words("the house is in the city"), "pt", ["en"]) == ""
    # no list of its own, but close to one that has: Nynorsk and Bokmål
    bokmal = "det er ikke noe som kan gjøres med dette når man er der og vi har det med oss til dem " * 4
    assert wrong_language(words(bokmal), "nn", ["nb"]) == ""
    assert wrong_language(words(english), "sw", ["en"])
    assert wrong_language(words(english), "xx", ["en"]) == ""
    # Serbian is written in two scripts; spaCy's list is in one of them
    serbian = "ovo je tekst koji nije na ruskom jeziku i to je sve što se može reći " * 5
    assert wrong_language(words(serbian), "sr", ["ru"]) == ""


def test_a_list_of_stop_words_in_another_script_says_nothing():
    text = (ASSETS / "ntrex" / "newstest2019-ref.srp-Latn.txt").read_text(encoding="utf8").lower()
    serbian = Counter(text.split())
    # spaCy's list of Serbian is in Cyrillic letters
    assert wrong_language(serbian, "sr", ["hr", "en"]) == ""
    english = (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").lower()
    assert wrong_language(Counter(english.split()), "sr", ["hr", "en"])


def test_gold_in_the_pipelines_language_is_refused_as_a_development_set(nlp, pud):
    with pytest.raises(XltError, match="E615.*'few'.*'pt'.*target_gold = true"):
        list(dev_corpus({"few": {"path": pud["pt"], "lang": "por_Latn"}})(nlp))
    assert len(list(dev_corpus({"few": {"path": pud["pt"], "lang": "pt"}}, target_gold=True)(nlp))) == 100
    dev = dev_corpus(
        {"en": {"path": pud["en"], "lang": "en"}, "p": {"path": pud["pt"], "lang": "pt", "kind": "projected"}}
    )
    once = [eg.reference.text for eg in dev(nlp)]
    assert len(once) == 200 and once == [eg.reference.text for eg in dev(nlp)]


def test_of_a_multi_language_pipeline_the_targets_can_be_said(pud):
    nlp = spacy.blank("xx")
    blocks = {"de": {"path": pud["de"], "lang": "de"}}
    with pytest.raises(XltError, match="E615.*all but none"):
        list(dev_corpus(blocks)(nlp))
    assert list(dev_corpus(blocks, targets=["pt"])(nlp))
    with pytest.raises(XltError, match="E615.*de, pt"):
        list(dev_corpus(blocks, targets=["de", "pt"])(nlp))


def test_labels_that_the_trained_pipeline_does_not_know_are_an_error(nlp, labelled):
    nlp.get_pipe("ner").add_label("PER")
    nlp.get_pipe("ner").add_label("LOC")
    assert list(dev_corpus({"a": source(labelled("a", "PER"), kind="projected")})(nlp))
    with pytest.raises(XltError, match=r"E613(.|\n)*the pipeline\): LOC, PER \(lacks PERSON\)"):
        list(dev_corpus({"a": source(labelled("b", "PERSON"), kind="projected")})(nlp))
