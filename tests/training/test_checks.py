"""What a mixed corpus refuses: labels that differ, text in another language, the evaluation sets, the target's gold."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import spacy
from helpers.paths import ASSETS
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.util import load_config_from_str, resolve_dot_names
from spacy_xlt.training.mixed import create_dev_corpus, create_mixed_corpus
from spacy_xlt.training.wronglang import wrong_language

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.io import write_docs
from spacy_xlt.readers import read_corpus
from spacy_xlt.training.duplicates import NearDuplicates, _letters, _shingles
from spacy_xlt.training.selection import selection_of

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


def source(path: str | Path, **settings: Any) -> dict[str, Any]:
    return {"path": str(path), "lang": "xx", **settings}


@pytest.fixture
def labelled(make_doc, write_corpus):
    """A corpus of one document with an entity of each label."""

    def make(name: str, *labels: str) -> str:
        ents = [(i, i + 1, label) for i, label in enumerate(labels)]
        return str(write_corpus([make_doc(" ".join(f"{name}{i}" for i in range(6)), *ents)], f"{name}.spacy"))

    return make


def test_labels_that_differ_are_named_with_the_mapping_that_would_do(nlp, labelled):
    blocks = {"uner": source(labelled("a", "PER", "LOC")), "wiki": source(labelled("b", "PERSON", "LOC", "MISC"))}
    with pytest.raises(XltError) as raised:
        list(create_mixed_corpus(blocks)(nlp))
    text = str(raised.value)
    assert raised.value.code == "E613"
    assert "uner: LOC 1, PER 1 (lacks MISC, PERSON)" in text and "wiki: LOC 1, MISC 1, PERSON 1 (lacks PER)" in text
    lines = text.split("for example:\n")[1].split("\nWhere")[0]
    # the lines do what they say
    (found,) = load_config_from_str(
        "[corpora]\n[corpora.train]\n[corpora.train.sources]\n[corpora.train.sources.wiki]\n" + lines
    )["corpora"]["train"]["sources"].values()
    assert found["labels"] == {"MISC": "", "PERSON": "PER"}
    blocks["wiki"]["labels"] = found["labels"]
    corpus = create_mixed_corpus(blocks)
    assert len(list(corpus(nlp))) == 2
    assert corpus.counts["wiki"].labels["ents"] == {"PER": 1, "LOC": 1}


def test_a_source_that_lacks_a_label_is_an_error_unless_it_is_meant(nlp, labelled):
    blocks = {"a": source(labelled("a", "PER", "LOC")), "b": source(labelled("b", "PER"))}
    with pytest.raises(XltError, match=r"E613(.|\n)*b: PER 1 \(lacks LOC\)(.|\n)*LOC = \"\"(.|\n)*to \[\"LOC\"\]"):
        list(create_mixed_corpus(blocks)(nlp))
    for accepted in (True, ["LOC"]):
        assert len(list(create_mixed_corpus(blocks, labels_may_differ=accepted)(nlp))) == 2
    with pytest.raises(XltError, match="E613"):
        list(create_mixed_corpus(blocks, labels_may_differ=["PER"])(nlp))


@given(st.lists(st.sets(st.sampled_from(["PER", "PERSON", "LOC", "LOCATION", "ORG", "MISC"])), min_size=2, max_size=4))
def test_the_mapping_that_is_suggested_makes_the_labels_equal(labels):
    from spacy_xlt.training.labels import _suggested

    suggested = _suggested({str(n): dict.fromkeys(found, 1) for n, found in enumerate(labels)})
    after = [{suggested[str(n)].get(label, label) for label in found} - {""} for n, found in enumerate(labels)]
    assert all(found == after[0] for found in after)


def test_few_shot_is_checked_before_it_is_drawn(nlp, make_doc, write_corpus):
    docs = 20 * [make_doc("Maria canta .", (0, 1, "PER"))] + [make_doc("em Roma .", (1, 2, "LOC"))]
    path = write_corpus(docs)
    assert len(list(create_mixed_corpus({"a": source(path), "few": source(path, limit=1)})(nlp))) == 22


def test_labels_are_those_of_what_the_pipeline_learns(make_doc, write_corpus):
    nlp = spacy.blank("pt")
    nlp.add_pipe("spancat", config={"spans_key": "sc"})
    docs = [make_doc("Maria canta", (0, 1, label)) for label in ("PER", "PERSON")]
    for doc in docs:
        doc.spans["sc"] = [doc[0:1]]
        doc.spans["sc"] = [spacy.tokens.Span(doc, 0, 1, label="X")]
    blocks = {f"s{n}": source(write_corpus([doc], f"{n}.spacy")) for n, doc in enumerate(docs)}
    assert len(list(create_mixed_corpus(blocks)(nlp))) == 2
    docs[1].spans["sc"] = [spacy.tokens.Span(docs[1], 0, 1, label="Y")]
    write_corpus([docs[1]], "1.spacy")
    with pytest.raises(XltError, match="E613.*'sc' span"):
        list(create_mixed_corpus(blocks)(nlp))


def test_a_mapping_that_names_what_is_not_there_is_said(nlp, labelled):
    with pytest.warns(XltWarning, match=r"W612.*sources.a.labels\] names PERS.*it has: PER"):
        list(create_mixed_corpus({"a": source(labelled("a", "PER"), labels={"PERS": "PER_"})})(nlp))


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
    corpus = create_mixed_corpus({"a": source(write_corpus(docs))}, exclude=[str(test)], shuffle=False)
    with pytest.warns(XltWarning, match="2 sentences that are in an evaluation set, 1 sentences nearly as in"):
        read = [eg.reference for eg in corpus(nlp)]
    assert [doc.text.strip() for doc in read] == ["Maria Silva canta em Lisboa .", "Pedro chegou .", "Paula saiu ."]
    assert [[ent.text for ent in doc.ents] for doc in read] == [["Maria Silva"], ["Pedro"], ["Paula"]]
    corpus = create_mixed_corpus({"a": source(write_corpus(docs))}, exclude=[str(test)], near_duplicates=1.0)
    with pytest.warns(XltWarning, match="2 sentences that are"):
        assert len(list(corpus(nlp))) == 4


def test_different_sentences_of_real_corpora_are_no_near_duplicates(pud):
    path = ASSETS / "uner" / "Portuguese-Bosque" / "pt_bosque-ud-test.iob2"
    bosque = [doc.text for doc in islice(read_corpus(path, lang="pt"), 600)]
    index = NearDuplicates(bosque[:300], threshold=0.6)
    assert len(index) == len({_letters(text) for text in bosque[:300]})
    assert not [text for text in bosque[300:] if index.similarity(text)]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("abcde ", min_size=15, max_size=60), min_size=1, max_size=12),
    st.text("abcde ", min_size=15, max_size=60),
    st.floats(0.2, 1),
)
def test_the_search_finds_what_comparing_all_pairs_finds(sentences, text, threshold):
    def jaccard(other: str) -> float:
        first, second = _shingles(_letters(text)), _shingles(_letters(other))
        return len(first & second) / len(first | second)

    index = NearDuplicates([*sentences, text[3:]], threshold=threshold)
    long_enough = [other for other in [*sentences, text[3:]] if len(_letters(other)) >= 20]
    best = max((jaccard(other) for other in long_enough), default=0.0) if len(_letters(text)) >= 20 else 0.0
    found = index.similarity(text)
    if _letters(text) and any(_letters(other) == _letters(text) for other in [*sentences, text[3:]]):
        assert found == 1
    elif best >= threshold and threshold < 1:
        assert found == pytest.approx(best, abs=1e-3)
    else:
        assert found == 0


@pytest.mark.parametrize(("declared", "really"), [("en", "pt"), ("pt", "en"), ("de", "pt"), ("es", "de"), ("ja", "en")])
def test_text_in_another_language_than_declared_is_an_error(nlp, pud, declared, really):
    blocks = {"a": {"path": pud[really], "lang": declared}, "b": {"path": pud["de"], "lang": "de"}}
    with pytest.raises(XltError, match=f"E614.*'a'.*'{declared}'.*stop words of '{really}'.*check_language"):
        list(create_mixed_corpus(blocks)(nlp))
    assert list(create_mixed_corpus(blocks, check_language=False, labels_may_differ=True)(nlp))


def test_text_in_the_language_declared_is_none(nlp, pud):
    blocks = {lang: {"path": path, "lang": lang} for lang, path in pud.items()}
    assert len(list(create_mixed_corpus(blocks, labels_may_differ=True)(nlp))) == 300


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
    assert (
        wrong_language(words("ovo je tekst koji nije na ruskom jeziku i to je sve što se može reći " * 5), "sr", ["ru"])
        == ""
    )
    assert wrong_language(words("это текст который написан совсем на другом языке чем сказано " * 5), "pt", [])


def test_gold_in_the_pipelines_language_is_refused_as_a_development_set(nlp, pud):
    with pytest.raises(XltError, match="E615.*'few'.*'pt'.*target_gold = true"):
        list(create_dev_corpus({"few": {"path": pud["pt"], "lang": "por_Latn"}})(nlp))
    assert len(list(create_dev_corpus({"few": {"path": pud["pt"], "lang": "pt"}}, target_gold=True)(nlp))) == 100
    dev = create_dev_corpus(
        {"en": {"path": pud["en"], "lang": "en"}, "p": {"path": pud["pt"], "lang": "pt", "kind": "projected"}}
    )
    once = [eg.reference.text for eg in dev(nlp)]
    assert len(once) == 200 and once == [eg.reference.text for eg in dev(nlp)]


def test_of_a_multi_language_pipeline_the_targets_can_be_said(pud):
    nlp = spacy.blank("xx")
    blocks = {"de": {"path": pud["de"], "lang": "de"}}
    with pytest.raises(XltError, match="E615.*all but none"):
        list(create_dev_corpus(blocks)(nlp))
    assert list(create_dev_corpus(blocks, targets=["pt"])(nlp))
    with pytest.raises(XltError, match="E615.*de, pt"):
        list(create_dev_corpus(blocks, targets=["de", "pt"])(nlp))


def test_labels_that_the_trained_pipeline_does_not_know_are_an_error(nlp, labelled):
    nlp.get_pipe("ner").add_label("PER")
    nlp.get_pipe("ner").add_label("LOC")
    assert list(create_dev_corpus({"a": source(labelled("a", "PER"), kind="projected")})(nlp))
    with pytest.raises(XltError, match=r"E613(.|\n)*the pipeline\): LOC, PER \(lacks PERSON\)(.|\n)*PERSON = \"PER\""):
        list(create_dev_corpus({"a": source(labelled("b", "PERSON"), kind="projected")})(nlp))


CONFIG = """
[nlp]
lang = "{lang}"
[training]
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"
[corpora]
[corpora.train]
@readers = "spacy_xlt.MixedCorpus.v1"
[corpora.train.sources]
[corpora.train.sources.en]
path = "train.spacy"
lang = "en"
{train}
[corpora.dev]
@readers = "spacy_xlt.DevCorpus.v1"
{settings}
[corpora.dev.sources]
{dev}
"""
EN = '[corpora.dev.sources.en]\npath = "en.spacy"\nlang = "en"\n'
PT = '[corpora.dev.sources.pt]\npath = "pt"\nlang = "pt"\nkind = "projected"\n'
PT_GOLD = '[corpora.dev.sources.pt]\npath = "pt"\nlang = "pt"\nlimit = 50\n'
TRAIN_PT = '[corpora.train.sources.pt]\npath = "pt"\nlang = "pt"\nkind = "projected"\n'


@pytest.mark.parametrize(
    ("lang", "train", "dev", "settings", "expected"),
    [
        ("pt", "", EN, "", "source gold (en)"),
        ("pt", "", PT, "", "projected (pt)"),
        ("pt", "", EN + PT, "", "mix of source gold (en) and projected (pt)"),
        ("pt", "", PT_GOLD, "target_gold = true", "target gold (pt, 50 documents)"),
        ("xx", "", EN, "", "source gold (en)"),
        ("xx", "", PT_GOLD, "target_gold = true", "target gold (pt, 50 documents)"),
        ("xx", TRAIN_PT, EN, "", "source gold (en)"),
        ("xx", TRAIN_PT, PT_GOLD, "target_gold = true", "target gold (pt, 50 documents)"),
        ("xx", "", PT_GOLD, 'targets = ["sw"]', "source gold (pt)"),
        ("en", "", EN, "target_gold = true", "target gold (en)"),
    ],
)
def test_the_config_says_what_a_development_score_is_of(tmp_path, lang, train, dev, settings, expected):
    text = CONFIG.format(lang=lang, train=train, dev=dev, settings=settings)
    assert str(selection_of(load_config_from_str(text))) == expected
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.cfg").write_text(text, encoding="utf8")
    selection = selection_of(tmp_path / "model")
    assert str(selection) == expected == selection.to_json()["selected_by"]
    assert selection.uses_target_gold == ("target gold" in expected)


def test_the_reader_and_the_report_agree_on_what_is_refused(tmp_path, pud):
    for lang, train, allowed in (("pt", "", False), ("xx", "", False), ("xx", TRAIN_PT, False), ("de", "", True)):
        text = CONFIG.format(
            lang=lang, train=train, dev=PT_GOLD.replace('"pt"\nlang', f'"{pud["pt"]}"\nlang'), settings=""
        )
        config = load_config_from_str(text)
        nlp = spacy.blank(lang, config={"training": config["training"], "corpora": config["corpora"]})
        (dev,) = resolve_dot_names(config, ["corpora.dev"])
        assert selection_of(config).uses_target_gold is not allowed
        if allowed:
            assert len(list(dev(nlp))) == 50
        else:
            with pytest.raises(XltError, match="E615"):
                list(dev(nlp))


def test_other_readers_do_not_say_what_a_corpus_is():
    text = '[training]\ndev_corpus = "corpora.dev"\n[corpora]\n[corpora.dev]\n@readers = "spacy.Corpus.v1"\n'
    text += 'path = "a/dev.spacy"\n'
    assert str(selection_of(load_config_from_str(text))) == "not stated (dev.spacy)"
    with pytest.raises(XltError, match="E502"):
        selection_of("nowhere.cfg")
    with pytest.raises(XltError, match="E514"):
        selection_of({"nlp": {"lang": "pt"}})
