"""What a development score is made of, read from the config."""

from __future__ import annotations

import pytest
import spacy
from spacy.util import load_config_from_str, resolve_dot_names

from spacy_xlt.errors import XltError
from spacy_xlt.training.selection import selection_of, without_unused_sources

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
    assert str(selection) == expected
    assert selection.uses_target_gold == ("target gold" in expected)


def test_the_reader_and_the_report_agree_on_what_is_refused(numbered):
    path = numbered("pt", 60)
    for lang, train, allowed in (("pt", "", False), ("xx", "", False), ("xx", TRAIN_PT, False), ("de", "", True)):
        text = CONFIG.format(lang=lang, train=train, dev=PT_GOLD.replace('"pt"\nlang', f'"{path}"\nlang'), settings="")
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


def test_sources_that_are_not_used_do_not_count():
    text = CONFIG.format(lang="xx", train=TRAIN_PT, dev=EN + PT, settings='use = ["en"]')
    config = load_config_from_str(text)
    assert str(selection_of(config)) == "source gold (en)"
    config["corpora"]["train"]["use"] = ["pt"]
    assert list(without_unused_sources(config)["corpora"]["train"]["sources"]) == ["pt"]
    assert list(config["corpora"]["train"]["sources"]) == ["en", "pt"]
