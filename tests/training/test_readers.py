"""The corpus readers: several corpora, mixed, what is left out of them, and what is read once a training."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections import Counter

import pytest
import spacy
from helpers.children import WITHOUT_TORCH
from helpers.mixed_sources import mixed, source, texts
from helpers.paths import CONFIGS
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config_from_str, load_model_from_config, registry, resolve_dot_names

from spacy_xlt.bitext import ENTS_GROUP
from spacy_xlt.config import merge_configs
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.training.readers import DevCorpus

CONFIG = """
[nlp]
lang = "pt"
[corpora]
[corpora.train]
@readers = "spacy_xlt.MixedCorpus.v1"
seed = 3
[corpora.train.sources]
[corpora.train.sources.gold]
path = {gold}
lang = "en"
kind = "gold"
weight = 2
labels = {{"PERSON": "PER", "OTH": null, "MISC": ""}}
[corpora.train.sources.projected]
path = {projected}
lang = "pt"
kind = "projected"
[corpora.train.sources.projected.augmenter]
@augmenters = "spacy_xlt.split_contractions.v1"
lang = "pt"
share = 1.0
"""


@pytest.fixture
def nlp() -> Language:
    nlp = spacy.blank("pt")
    nlp.add_pipe("ner")
    return nlp


def test_a_config_makes_it_with_blocks_of_sources(nlp, make_doc, write_corpus):
    gold = write_corpus(
        [make_doc("Maria met IBM in Rome .", (0, 1, "PERSON"), (2, 3, "OTH"), (4, 5, "MISC"))], "g.spacy"
    )
    projected = write_corpus([make_doc("Maria mora na cidade .", (0, 1, "PER"), lang="pt")], "p.spacy")
    config = load_config_from_str(CONFIG.format(gold=f'"{gold}"', projected=f'"{projected}"'))
    (corpus,) = resolve_dot_names(config, ["corpora.train"])
    read = sorted([eg.reference for eg in corpus(nlp)], key=lambda doc: doc.text)
    assert [doc.text.strip() for doc in read] == ["Maria met IBM in Rome ."] * 2 + ["Maria mora em a cidade ."]
    assert [[(ent.text, ent.label_) for ent in doc.ents] for doc in read] == [[("Maria", "PER")]] * 3
    # left out is outside, which is what the other source says of such words
    assert [token.ent_iob_ for token in read[0]] == ["B", "O", "O", "O", "O", "O"]
    assert corpus.counts["gold"].labels_out == {"OTH": 1, "MISC": 1}


SCRIPT = """
import json, sys, spacy
from spacy_xlt.training.readers import MixedCorpus
corpus = MixedCorpus(sources=json.loads(sys.argv[1]), seed=5)
nlp = spacy.blank("pt")
print(json.dumps([[eg.reference[1].text for eg in corpus(nlp)] for _ in range(2)]))
"""


def test_the_same_seed_gives_the_same_stream_in_another_process(nlp, numbered):
    blocks = {"a": source(numbered("a", 20), limit=9), "b": source(numbered("b", 6), weight=1.5)}
    # Two hash seeds: this process's, which is random, and 1
    env = {**os.environ, **WITHOUT_TORCH, "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(blocks)]
    other = json.loads(subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout)
    corpus = mixed(blocks, seed=5)
    assert other == [texts(corpus, nlp), texts(corpus, nlp)]
    assert other[0] != texts(mixed(blocks, seed=6), nlp)


def test_few_shot_draws_the_same_texts_whatever_the_files(nlp, numbered, tmp_path):
    path = numbered("a", 40)
    few = {n: set(texts(mixed({"a": source(path, limit=n)}), nlp)) for n in (5, 10)}
    assert len(few[5]) == 5 and few[5] < few[10]
    (tmp_path / "folder").mkdir()
    docs = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    DocBin(docs=docs[20:]).to_disk(tmp_path / "folder" / "0.spacy")
    DocBin(docs=docs[:20]).to_disk(tmp_path / "folder" / "1.spacy")
    corpus = mixed({"a": source(tmp_path / "folder", limit=5)})
    assert set(texts(corpus, nlp)) == few[5]
    assert corpus.counts["a"].over_limit == 35
    assert set(texts(mixed({"a": source(path, limit=5)}, seed=1), nlp)) != few[5]
    fixed = mixed({"a": source(path, limit=5, limit_seed=0)}, seed=1)
    assert set(texts(fixed, nlp)) == few[5]


def test_fewer_documents_than_the_limit_is_said(nlp, numbered):
    with pytest.warns(XltWarning, match="W611.*3 documents.*limit.* 10"):
        assert len(texts(mixed({"a": source(numbered("a", 3), limit=10)}), nlp)) == 3


def test_a_development_set_may_have_fewer_documents_than_its_limit(nlp, numbered):
    sources = {"a": source(numbered("a", 3), limit=10)}
    with warnings.catch_warnings():
        warnings.simplefilter("error", XltWarning)
        assert len(texts(DevCorpus(sources=sources, targets=["xx"], target_gold=True), nlp)) == 3


@pytest.mark.parametrize("missing", ["paths.dev", "paths.projected"])
def test_a_corpus_that_is_missing_stops_a_training_before_it_reads_the_others(numbered, tmp_path, missing):
    settings = {"paths.projected": numbered("train", 20), "paths.dev": numbered("dev", 5)}
    settings |= {"corpora.train.use": ["projected"], missing: str(tmp_path / "gone.spacy")}
    with pytest.raises(XltError, match=r"E502.*gone\.spacy"):
        init_nlp(merge_configs([CONFIGS / f"{name}.cfg" for name in ("train", "ner", "tok2vec")], settings))


def scored(doc: Doc, *scores: float) -> Doc:
    doc.spans[ENTS_GROUP] = SpanGroup(doc, name=ENTS_GROUP, spans=list(doc.ents), attrs={"scores": list(scores)})
    return doc


def test_a_doubtful_span_drops_its_document_or_is_missing(nlp, make_doc, write_corpus):
    docs = [
        scored(make_doc("Maria vive em Lisboa .", (0, 1, "PER"), (3, 4, "LOC")), 0.9, 0.3),
        scored(make_doc("Pedro vive em Paris .", (0, 1, "PER"), (3, 4, "LOC")), 0.9, 0.8),
        make_doc("Chove ."),
    ]
    docs[1].set_ents(list(docs[1].ents), missing=[docs[1][4:5]], default="outside")
    blocks = {"p": source(write_corpus(docs), kind="projected", min_score=0.5)}
    corpus = mixed(blocks, shuffle=False)
    with pytest.warns(XltWarning, match="W610.*1 documents with a span below min_score"):
        assert [eg.reference[0].text for eg in corpus(nlp)] == ["Pedro", "Chove"]
    corpus = mixed(blocks, shuffle=False, on_low_score="missing")
    with pytest.warns(XltWarning, match="1 entities below min_score marked missing"):
        first, second, _ = [eg.reference for eg in corpus(nlp)]
    assert [token.ent_iob for token in first] == [3, 2, 2, 0, 2]
    # what was missing before stays so
    assert [token.ent_iob for token in second] == [3, 2, 2, 3, 0]
    assert corpus.counts["p"].spans_missing == 1 and corpus.counts["p"].doubtful == 0


def test_a_span_that_lost_its_place_to_another_does_not_count(nlp, make_doc, write_corpus):
    doc = make_doc("Banco de Portugal .", (0, 3, "ORG"))
    spans = [Span(doc, 0, 3, label="ORG"), Span(doc, 2, 3, label="LOC")]
    doc.spans[ENTS_GROUP] = SpanGroup(doc, name=ENTS_GROUP, spans=spans, attrs={"scores": [0.9, 0.1]})
    corpus = mixed({"p": source(write_corpus([doc]), min_score=0.5)})
    assert len(list(corpus(nlp))) == 1


def test_a_min_score_without_scores_is_an_error(nlp, numbered):
    with pytest.raises(XltError, match=r"E616.*none of its 3 spans.*corpora.train.sources.a"):
        list(mixed({"a": source(numbered("a", 3), min_score=0.5)})(nlp))


def test_documents_without_text_are_left_out_and_counted_once(nlp, make_doc, write_corpus):
    docs = [make_doc("Maria ."), Doc(nlp.vocab), Doc(nlp.vocab, words=[" ", "\u200b", "\n"])]
    corpus = mixed({"a": source(write_corpus(docs))})
    with pytest.warns(XltWarning, match="W610.*2 documents without text left out"):
        assert len(list(corpus(nlp))) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(corpus(nlp))) == 1
    with pytest.raises(XltError, match=r"E612.*0 of 2 documents read; 2 documents without text"):
        list(mixed({"a": source(write_corpus(docs[1:]))})(nlp))


def test_lines_that_a_build_left_out_are_counted_without_a_warning(nlp, make_doc, write_corpus):
    corpus = mixed({"a": source(write_corpus([make_doc("Maria ."), Doc(nlp.vocab)]), kind="projected")})
    with warnings.catch_warnings():
        warnings.simplefilter("error", XltWarning)
        assert len(list(corpus(nlp))) == 1
    assert "1 of 2 documents read; 1 documents that the build has left out" in str(corpus.counts["a"])


def test_a_share_of_the_documents_without_entities_is_drawn_by_the_text(nlp, make_doc, write_corpus, caplog):
    docs = [make_doc("Maria canta .", (0, 1, "PER"))] * 5 + [
        Doc(nlp.vocab, words=["chove", str(i)]) for i in range(200)
    ]
    corpus = mixed({"a": source(write_corpus(docs), keep_empty=0.5)})
    logging.getLogger("spacy").propagate = True
    with caplog.at_level(logging.INFO, logger="spacy"):
        n = len(list(corpus(nlp)))
    assert 5 + 70 < n < 5 + 130 and corpus.counts["a"].empty == 205 - n
    assert f"{205 - n} documents without an entity left out" in caplog.text
    assert n == len(list(corpus(nlp)))


def test_without_an_encoder_long_documents_are_cut_by_words(nlp, make_doc, write_corpus):
    doc = make_doc(" ".join(["Maria canta ."] * 10), (27, 28, "PER"), sents=range(0, 30, 3))
    corpus = mixed({"a": source(write_corpus([doc]))}, max_pieces=10, max_word_pieces=4)
    with pytest.warns(XltWarning, match="W601.*1 documents of more than 10 words cut into 4 windows"):
        read = [eg.reference for eg in corpus(nlp)]
    assert [len(part) for part in read] == [9, 9, 9, 3] and [len(part.ents) for part in read] == [0, 0, 0, 1]
    assert corpus.split_stats.docs_cut == 1


def test_spans_of_a_group_are_kept_by_windows_and_entities_can_be_copied_to_one(make_doc, write_corpus):
    nlp = spacy.blank("pt")
    nlp.add_pipe("spancat", config={"spans_key": "sc"})
    nested = make_doc(" ".join(["Banco de Portugal"] * 6), (0, 3, "ORG"))
    nested.spans["sc"] = [
        Span(nested, 0, 3, label="ORG"),
        Span(nested, 2, 3, label="LOC"),
        Span(nested, 15, 18, label="ORG"),
    ]
    plain = make_doc("Lisboa e IBM .", (0, 1, "LOC"), (2, 3, "ORG"))
    partly = make_doc("Paris e IBM .", (0, 1, "LOC"))
    partly.set_ents(list(partly.ents), missing=[partly[2:3]], default="outside")
    path = write_corpus([nested, plain, partly])
    corpus = mixed({"a": source(path)}, spans_key="sc", shuffle=False, max_pieces=9, max_word_pieces=4)
    with pytest.warns(XltWarning, match="1 documents with missing annotation, which a span group cannot say"):
        read = [eg.reference for eg in corpus(nlp)]
    assert [[(span.start, span.end, span.label_) for span in doc.spans["sc"]] for doc in read] == [
        [(0, 3, "ORG"), (2, 3, "LOC")],
        [(6, 9, "ORG")],
        [(0, 1, "LOC"), (2, 3, "ORG")],
    ]


def test_what_was_missing_stays_missing(nlp, make_doc, write_corpus):
    doc = make_doc("Maria vive em Lisboa .", (0, 1, "PERSON"))
    doc.set_ents(list(doc.ents), missing=[doc[3:4]], default="outside")
    corpus = mixed({"a": source(write_corpus([doc]), labels={"PERSON": "PER"})})
    (eg,) = corpus(nlp)
    assert [token.ent_iob for token in eg.reference] == [3, 2, 2, 0, 2] and eg.reference.ents[0].label_ == "PER"


def test_the_pipelines_vocabulary_takes_in_only_what_is_read(nlp, numbered):
    path = numbered("private", 5)
    other = numbered("a", 3)
    texts(mixed({"a": source(other)}, exclude=[path]), nlp)
    assert "a1" in nlp.vocab.strings and "private1" not in nlp.vocab.strings


@pytest.mark.parametrize(
    ("block", "settings", "message"),
    [
        ({"weight": 0}, {}, "E610.*weight.*0"),
        ({"weight": True}, {}, "E610.*weight"),
        ({"share": 0}, {}, "E610.*share.*0; expected a number above 0 below 1"),
        ({"share": 1.0}, {}, "E610.*share"),
        ({"share": "half"}, {}, "E610.*share"),
        ({"share": 0.5, "weight": 2}, {}, "E610.*not both"),
        ({"share": 0.5}, {}, "E610.*share.*'a': 0.5.*a source without one"),
        ({"lang": None}, {}, "E610.*lang"),
        ({"lang": "zzzz"}, {}, "E010"),
        ({"lang": ["de", "zzzz"], "path": "{lang}"}, {}, "E010"),
        ({"lang": "de,zzzz", "path": "{lang}"}, {}, "E010"),
        ({"lang": "de,sv"}, {}, "E610.*path.*`lang` is several languages"),
        ({"lang": ["de", "sv"]}, {}, "E610.*path.*`lang` is several languages"),
        ({"lang": []}, {}, "E610.*lang"),
        ({"lang": "", "path": "{lang}"}, {}, "E610.*lang.*languages, as `path` has {lang}"),
        ({"path": None}, {}, r"E610.*corpora.train.sources.a\] `path`"),
        ({"kind": "silver"}, {}, "E610.*silver"),
        ({"min_score": 2}, {}, "E610.*min_score"),
        ({"limit": 0.5}, {}, "E610.*limit"),
        ({"keep_empty": 1.5}, {}, "E610.*keep_empty"),
        ({"labels": "PER"}, {}, "E610.*labels"),
        ({"augmenter": "x"}, {}, "E610.*augmenter"),
        ({"wieght": 2}, {}, "E611.*wieght.*It has: path, lang"),
        ({}, {"near_duplicates": 0.0}, "E150.*near_duplicates"),
        ({}, {"on_low_score": "keep"}, "E150.*on_low_score"),
        ({}, {"exclude": "test.spacy"}, "E150.*exclude"),
        ({}, {"max_pieces": 2}, "E150.*max_pieces"),
        ({}, {"max_word_pieces": 256}, "E150.*max_word_pieces"),
        ({}, {"encoder": ""}, "E150.*encoder"),
        ({}, {"use": ["b"]}, r"E610\] \[corpora.train\] `use`.*'b'.*its sources: a"),
        ({}, {"use": []}, "E610.*at least one source"),
    ],
)
def test_an_invalid_setting_is_named(tmp_path, block, settings, message):
    with pytest.raises(XltError, match=message):
        mixed({"a": source(tmp_path, **block)}, **settings)


def test_only_the_sources_in_use_are_read_and_each_needs_a_path(nlp, numbered):
    blocks = {"a": source(numbered("a", 3)), "b": {"path": None, "lang": "pt"}}
    assert len(texts(mixed(blocks, use=["a"]), nlp)) == 3
    with pytest.raises(XltError, match=r"E610\] \[corpora.train.sources.b\] `path` is None"):
        mixed(blocks, use=["a", "b"])


def test_an_epoch_has_every_document_once_and_another_order_each_time(nlp, numbered):
    corpus = mixed({"a": source(numbered("a", 30)), "b": source(numbered("b", 7))})
    first, second = texts(corpus, nlp), texts(corpus, nlp)
    assert Counter(first) == Counter(second) == Counter([f"a{i}" for i in range(30)] + [f"b{i}" for i in range(7)])
    assert first != second
    assert first[:7] != [f"b{i}" for i in range(7)]


def test_a_weight_repeats_a_source_or_reads_a_part_of_it(nlp, numbered):
    corpus = mixed({"a": source(numbered("a", 12), weight=0.25), "few": source(numbered("few", 4), weight=3)})
    epochs = [Counter(texts(corpus, nlp)) for _ in range(4)]
    assert corpus.epoch_sizes == {"a": 3, "few": 12}
    assert all(epoch[f"few{i}"] == 3 for epoch in epochs for i in range(4))
    parts = [{text for text in epoch if text.startswith("a")} for epoch in epochs]
    assert {len(part) for part in parts} == {3} and len(set.union(*parts)) > 3


def test_a_share_is_a_part_of_the_epoch_whatever_the_sizes(nlp, numbered):
    sources = {
        "few": source(numbered("few", 4), share=0.5),
        "large": source(numbered("large", 90)),
        "small": source(numbered("small", 10)),
        "some": source(numbered("some", 40), share=0.1),
    }
    corpus = mixed(sources)
    epoch = texts(corpus, nlp)
    # The others keep their length of 100: 40% of 250
    assert corpus.epoch_sizes == {"few": 125, "large": 90, "small": 10, "some": 25}
    assert Counter(text.rstrip("0123456789") for text in epoch) == corpus.epoch_sizes
    assert {Counter(epoch)[f"few{i}"] for i in range(4)} == {31, 32}


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, [90, 9, 1]), (2.0, [70, 22, 7]), (1000.0, [33, 33, 33])])
def test_a_block_of_several_languages_is_a_corpus_each_made_even_by_its_temperature(
    nlp, numbered, tmp_path, temperature, expected
):
    paths = {lang: numbered(lang, n) for lang, n in [("de", 90), ("sv", 9), ("sw", 1)]}
    pattern = paths["de"].replace("de.spacy", "{lang}.spacy")
    many = {"path": pattern, "lang": list(paths), "temperature": temperature}
    corpus = mixed({"many": many, "en": source(numbered("en", 5))})
    epoch = Counter(text.rstrip("0123456789") for text in texts(corpus, nlp))
    assert epoch == {**dict(zip(paths, expected, strict=True)), "en": 5}
    assert list(corpus.counts) == ["many/de", "many/sv", "many/sw", "en"]
    as_text = mixed({"many": {**many, "lang": "de, sv,sw"}, "en": source(numbered("en", 5))})
    assert texts(as_text, nlp) and as_text.epoch_sizes == corpus.epoch_sizes
    assert texts(mixed({"many": {**many, "lang": "sw"}}), nlp) == ["sw0"]


def test_a_share_of_a_block_of_several_languages_is_that_of_all_of_them(nlp, numbered):
    pattern = numbered("de", 10).replace("de.spacy", "{lang}.spacy")
    numbered("sv", 30)
    corpus = mixed({"many": {"path": pattern, "lang": ["de", "sv"], "share": 0.5}, "en": source(numbered("en", 80))})
    assert texts(corpus, nlp) and corpus.epoch_sizes == {"many/de": 20, "many/sv": 60, "en": 80}


def test_a_source_with_a_tiny_share_gives_one_document(nlp, numbered):
    corpus = mixed({"a": source(numbered("a", 3)), "b": source(numbered("b", 9), share=0.001)})
    assert len(texts(corpus, nlp)) == 4 and corpus.epoch_sizes == {"a": 3, "b": 1}


def test_two_readers_of_a_training_read_and_warn_once(nlp, numbered, monkeypatch):
    import spacy_xlt.training.sources as sources

    opened: list[str] = []
    read_bin = sources.read_bin
    monkeypatch.setattr(sources, "read_bin", lambda file: opened.append(file.name) or read_bin(file))
    blocks = {"a": source(numbered("a", 3), limit=10)}
    with pytest.warns(XltWarning, match="W611") as caught:
        first, second = texts(mixed(blocks), nlp), texts(mixed(blocks), nlp)
    assert first == second and opened == ["a.spacy"]
    assert len([warning for warning in caught if "W611" in str(warning.message)]) == 1
    # Other settings, another pipeline or a changed file are read anew
    with pytest.warns(XltWarning, match="W611"):
        texts(mixed(blocks, seed=1), nlp)
    with pytest.warns(XltWarning, match="W611"):
        texts(mixed(blocks), spacy.blank("pt"))
    numbered("a", 4)
    with pytest.warns(XltWarning, match="W611"):
        assert len(texts(mixed(blocks), nlp)) == 4
    assert len(opened) == 4


def test_a_training_reads_its_corpora_and_warns_once(numbered, tmp_path, monkeypatch):
    import spacy_xlt.training.sources as sources

    opened: list[str] = []
    read_bin = sources.read_bin
    monkeypatch.setattr(sources, "read_bin", lambda file: opened.append(file.name) or read_bin(file))
    settings = {"paths.projected": numbered("train", 20), "paths.dev": numbered("dev", 5)}
    settings |= {"corpora.train.use": ["projected"], "training.max_steps": 2, "training.eval_frequency": 1}
    settings |= {"corpora.train.sources.projected.limit": 30, "paths.evaluation": [numbered("test", 3)]}
    config = merge_configs([CONFIGS / f"{name}.cfg" for name in ("train", "ner", "tok2vec")], settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(init_nlp(config), None, stdout=io.StringIO(), stderr=io.StringIO())
    assert sorted(opened) == ["dev.spacy", "train.spacy"]
    assert sum("XLT-W611" in str(warning.message) for warning in caught) == 1


def test_training_may_stream(numbered):
    settings = {"paths.projected": numbered("train", 20), "paths.dev": numbered("dev", 5)}
    settings |= {"corpora.train.use": ["projected"], "training.max_epochs": -1, "training.max_steps": 4}
    settings |= {"training.eval_frequency": 4, "training.batcher.size": 30}
    config = merge_configs([CONFIGS / f"{name}.cfg" for name in ("train", "ner", "tok2vec")], settings)
    nlp = train(init_nlp(config), None, stdout=io.StringIO(), stderr=io.StringIO())[0]
    assert nlp.get_pipe("ner").labels == ("PER",)


def test_documents_come_in_order_with_the_pipelines_tokens_when_asked(make_doc, write_corpus):
    pt = spacy.blank("pt")
    doc = Doc(pt.vocab, words=["John", "'s", "dog"], spaces=[False, True, False])
    doc.set_ents([Span(doc, 0, 1, label="PER")], default="outside")
    path = str(write_corpus([doc, Doc(pt.vocab), make_doc("Maria sings .")]))
    blocks = {"a": source(path)}
    with pytest.warns(XltWarning, match="W610"):
        tokens = [[t.text for t in eg.predicted] for eg in mixed(blocks, gold_tokens=False, shuffle=False)(pt)]
    assert tokens == [[t.text for t in pt.make_doc("John's dog")], ["Maria", "sings", "."]]
    (first, _) = mixed(blocks, shuffle=False)(pt)
    assert [t.text for t in first.predicted] == ["John", "'s", "dog"]
    with pytest.raises(XltError, match="E502"):
        list(mixed({"a": source("none.spacy")})(pt))


def test_a_development_set_of_a_multi_language_pipeline_may_name_languages_by_variables(numbered):
    settings = {"nlp.lang": "xx", "paths.dev": numbered("dev", 5), "languages.source": "pt", "languages.target": "de"}
    config = merge_configs([CONFIGS / f"{name}.cfg" for name in ("train", "ner", "tok2vec")], settings)
    nlp = load_model_from_config(config, auto_fill=True)
    block = nlp.config.interpolate()["corpora"]["dev"]
    dev = registry.resolve({"dev": block})["dev"]
    assert isinstance(dev, DevCorpus) and len(list(dev(nlp))) == 5
