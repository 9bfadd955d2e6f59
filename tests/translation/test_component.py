"""The component `xlt_translator`: settings, tokens of the translation, attention, signature."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
from helpers.engines import UPPER, UpperTranslator
from helpers.translators import Standins, translator_pipe

from spacy_xlt.alignment.attention import AttentionAligner
from spacy_xlt.errors import XltError
from spacy_xlt.protocols import SoftAlignment, Translation
from spacy_xlt.translation.quality import LogProbabilityFilter, QualityGates


@pytest.mark.parametrize(
    "settings",
    [
        {"max_chars": 5},
        {"protect": ["tags"]},
        {"keep": "PER"},
        {"keep": ["spans:"]},
        {"keep": [3]},
        {"cache_mb": 0},
    ],
)
def test_invalid_settings_are_named(settings):
    with pytest.raises(XltError, match=f"E150.*{next(iter(settings))}"):
        translator_pipe(UpperTranslator(), **settings)


def test_an_unknown_target_language_is_refused():
    with pytest.raises(XltError, match="E010.*klingon"):
        spacy.blank("en").add_pipe("xlt_translator", config={"engine": UPPER, "target": "klingon"})


def test_the_engine_is_told_the_variety_that_the_code_names():
    class Asked(UpperTranslator):
        def translate(self, texts, *, source, target):
            self.codes = source, target
            return super().translate(texts, source=source, target=target)

    engine = Asked()
    doc = translator_pipe(engine, target="zh-Hant")(spacy.blank("en")("hello"))
    assert engine.codes == ("en", "zh-Hant") and list(doc._.xlt) == ["zh"]


def test_a_missing_target_pipeline_is_named():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt", "target_pipeline": "no_such_pipeline"})
    with pytest.raises(XltError, match="E104.*no_such_pipeline.*target_pipeline"):
        nlp("a")


def test_the_target_pipeline_cuts_the_translation(tmp_path):
    other = spacy.blank("pt")
    other.tokenizer = spacy.tokenizer.Tokenizer(other.vocab)
    other.to_disk(tmp_path / "white_space")
    config = {"engine": UPPER, "target": "pt", "target_pipeline": str(tmp_path / "white_space")}
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config=config)
    assert [token.text for token in nlp("a, b.")._.xlt["pt"].target] == ["A,", "B."]


@pytest.mark.parametrize("text", ["One. Two.", "One. See {x} and {y}."])
def test_an_engine_that_returns_too_little_is_caught(text):
    class Short:
        signature = "short"

        def translate(self, texts, *, source, target):
            return [Translation("x")]

    with pytest.raises(XltError, match="E105.*1 results for 2"):
        translator_pipe(Short())(spacy.blank("en")(text))


class Attentive:
    signature = "attentive"

    def translate(self, texts, *, source, target):
        pieces = np.asarray([[0, 2], [3, 5]], np.int32)
        soft = SoftAlignment(np.asarray([[0.9, 0.0], [0.1, 1.0]], np.float32), pieces, pieces)
        return [Translation(text, alignment=soft) for text in texts]


def test_attention_is_stored_as_soft_links_where_it_is_asked_for():
    doc = spacy.blank("en")("  ab cd")
    bitext = translator_pipe(Attentive(), store_attention=True).predict([doc])[0]
    assert bitext.attention.links.tolist() == [[1, 1], [2, 1], [2, 2]]
    assert bitext.attention.scores.tolist() == pytest.approx([0.9, 0.1, 1.0])
    assert translator_pipe(Attentive()).predict([doc])[0].attention is None


def test_sentences_that_were_masked_are_attended_anew():
    class Attender(Standins):
        def attend(self, sources, targets, *, source, target):
            return [np.eye(len(a), len(b), dtype=np.float32) for a, b in zip(sources, targets, strict=True)]

    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt", "store_attention": True})
    nlp.get_pipe("xlt_translator").engine = Attender()
    nlp.add_pipe("xlt_aligner", config={"engine": {"@misc": "test.DiagonalAligner.v1"}})
    nlp.get_pipe("xlt_aligner").engine = AttentionAligner(translator=Attender())
    bitext = nlp("One word . Go to {x} now .")._.xlt["pt"]
    first, second = bitext.sentences
    assert len(bitext.attention.between(first.source, first.target)) > 0
    assert len(bitext.attention.between(second.source, second.target)) == 0
    assert len(bitext.alignment.between(second.source, second.target)) == second.source_end - second.source_start


def test_the_signature_tells_of_every_setting_that_decides(tmp_path):
    lines = ("a\tb", "a\tc")
    for i, line in enumerate(lines):
        (tmp_path / f"{i}.tsv").write_text(line, encoding="utf8")
    deciding = [
        {},
        *({"terms": str(tmp_path / f"{i}.tsv")} for i in range(len(lines))),
        {"max_chars": None},
        {"target_pipeline": "some_pipeline"},
        {"protect": []},
        {"join_contractions": True},
        {"keep": ["PER"]},
        {"store_attention": True},
        {"quality": QualityGates()},
        {"quality": QualityGates(filters={"sure": LogProbabilityFilter(min_score=-1)})},
        {"quality": QualityGates(filters={"sure": LogProbabilityFilter(min_score=-2)})},
    ]
    signatures = {translator_pipe(UpperTranslator(), **settings).signature for settings in deciding}
    assert len(signatures) == len(deciding)
    pipe = translator_pipe(UpperTranslator(), quality=QualityGates(), cache=str(tmp_path / "c.sqlite"))
    assert pipe.signature == UpperTranslator.signature
