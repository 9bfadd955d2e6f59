"""`xlt_parallel`: Bitexts of documents and the translations that were read beside them."""

from __future__ import annotations

import pytest
import spacy

from spacy_xlt.errors import XltError
from spacy_xlt.translation.parallel_text import given


@pytest.fixture
def nlp():
    nlp = spacy.blank("xx")
    nlp.add_pipe("xlt_parallel")
    return nlp


def test_document_and_translation_are_one_pair_cut_by_their_languages(nlp):
    doc = nlp(
        given(spacy.blank("en")("We saw Rome. It rained."), "我们看到了罗马。下雨了。", source="en", target="zho-CN")
    )
    bitext = doc._.xlt["zh"]
    assert [token.text for token in bitext.target][:5] == ["我", "们", "看", "到", "了"]
    assert [(pair.source, pair.target) for pair in bitext.sentences] == [((0, len(doc)), (0, 12))]
    assert (bitext.source_lang, bitext.target_lang, bitext.flags) == ("en", "zh", ())
    assert not doc.user_data.keys() - {"xlt"}


def test_what_is_no_translation_is_flagged(nlp):
    text = "They have not said what they want to do about it"
    assert nlp(given(nlp.make_doc(text), text, source="en", target="de"))._.xlt["de"].flags == ("copied",)
    nlp.get_pipe("xlt_parallel").engine = None
    assert nlp(given(nlp.make_doc(text), text, source="en", target="de"))._.xlt["de"].flags == ()


def test_document_without_a_translation_and_gates_that_are_none_are_errors(nlp):
    with pytest.raises(XltError, match="E107"):
        nlp("Rome")
    with pytest.raises(XltError, match="E150.*quality"):
        nlp.add_pipe("xlt_parallel", name="again", config={"quality": 3})


def test_a_pipeline_cuts_the_translations_into_its_language(nlp, tmp_path):
    text = "我们 看到了 罗马"
    spacy.blank("xx").to_disk(tmp_path / "by_spaces")
    nlp.add_pipe("xlt_parallel", name="cut", config={"target_pipelines": {"zho-CN": str(tmp_path / "by_spaces")}})
    nlp.remove_pipe("xlt_parallel")
    make = lambda target: nlp(given(spacy.blank("en")("We saw Rome"), text, source="en", target=target))  # noqa: E731
    assert [token.text for token in make("zh")._.xlt["zh"].target] == ["我们", "看到了", "罗马"]
    assert len(make("zh-Hant")._.xlt["zh"].target) == 3
    assert "target_pipelines.zh:" in nlp.get_pipe("cut").signature


def test_an_encoder_cuts_languages_without_spaces(nlp):
    cut = nlp.add_pipe("xlt_parallel", name="cut", config={"encoder": "bundled:encoder"}).cut
    assert [token.text for token in cut("总统在北京大学讲话。", "zh")] == ["总统", "在北京", "大学", "讲话", "。"]
    # Neither has what spaCy needs for it: a class, or a package
    for lang, text in (("km", "ទៅទីក្រុងភ្នំពេញ"), ("th", "ไปกรุงเทพฯ"), ("ja", "東京の大学")):
        assert len(cut(text, lang)) > 1 and cut(text, lang).text == text
    assert len(cut("Roma bela", "pt")) == 2
    assert "encoder:bundled:encoder" in nlp.get_pipe("cut").signature
    missing = nlp.add_pipe("xlt_parallel", name="missing", config={"encoder": "no/such"})
    with pytest.raises(XltError, match=r"E303.*missing.encoder"):
        missing.cut("北京", "zh")
    with pytest.raises(XltError, match="E150.*encoder"):
        nlp.add_pipe("xlt_parallel", name="again", config={"encoder": 3})


def test_pipelines_that_cut_are_a_mapping_and_have_to_be_there(nlp):
    with pytest.raises(XltError, match="E150.*target_pipelines"):
        nlp.add_pipe("xlt_parallel", name="again", config={"target_pipelines": {"zh": 3}})
    with pytest.raises(XltError, match="E010"):
        nlp.add_pipe("xlt_parallel", name="unknown", config={"target_pipelines": {"no code": "x"}})
    nlp.add_pipe("xlt_parallel", name="missing", config={"target_pipelines": {"zh": "no_such_pipeline"}})
    with pytest.raises(XltError, match="E104.*no_such_pipeline.*target_pipelines.zh"):
        nlp.get_pipe("missing").cut("我们", "zh")
