"""How each family of translation models is told the languages."""

from __future__ import annotations

import pytest

from spacy_xlt.errors import XltError
from spacy_xlt.translation.language_codes import LanguageCodes, Tags, detect_family, marian_pair

NLLB = ["eng_Latn", "por_Latn", "zho_Hans", "zho_Hant", "tgl_Latn", "arb_Arab", "ary_Arab", "nob_Latn", "pes_Arab"]
M2M100 = ["__en__", "__pt__", "__no__", "__ns__", "__tl__", "__zh__"]
MBART = ["en_XX", "pt_XX", "zh_CN", "he_IL"]
MADLAD = ["<2en>", "<2pt>", "<2zh>", "<2zh_Latn>", "<2iw>", "<2translate>"]
OPUS = [">>por<<", ">>pt_br<<", ">>spa<<"]


@pytest.mark.parametrize(
    ("family", "vocabulary", "expected"),
    [
        ("nllb", NLLB, Tags(before="eng_Latn", first="por_Latn")),
        ("m2m100", M2M100, Tags(before="__en__", first="__pt__")),
        ("madlad", MADLAD, Tags(text_before="<2pt>")),
        ("mbart50", MBART, Tags(before="en_XX", first="pt_XX")),
        ("marian", OPUS, Tags(before=">>por<<")),
        ("marian", [], Tags()),
    ],
)
def test_each_family_is_told_the_languages_in_its_own_way(family: str, vocabulary: list, expected: Tags) -> None:
    assert LanguageCodes(family, [*vocabulary, "▁a", "</s>"], pair=("en", "pt")).tags("en", "pt") == expected


@pytest.mark.parametrize(
    ("family", "vocabulary", "code", "token"),
    [
        ("nllb", NLLB, "zh-TW", "zho_Hant"),
        ("nllb", NLLB, "zh", "zho_Hans"),
        ("nllb", NLLB, "tl", "tgl_Latn"),
        ("nllb", NLLB, "ary", "ary_Arab"),
        ("nllb", NLLB, "ar", "arb_Arab"),
        ("nllb", NLLB, "nb", "nob_Latn"),
        ("nllb", NLLB, "por_Latn", "por_Latn"),
        ("m2m100", M2M100, "nb", "__no__"),
        ("m2m100", M2M100, "nso", "__ns__"),
        ("m2m100", M2M100, "pt-BR", "__pt__"),
        ("m2m100", M2M100, "zho_Hans", "__zh__"),
        ("mbart50", MBART, "zh", "zh_CN"),
        ("mbart50", MBART, "he", "he_IL"),
    ],
)
def test_codes_of_any_kind_find_the_nearest_that_the_model_has(
    family: str, vocabulary: list, code: str, token: str
) -> None:
    assert LanguageCodes(family, vocabulary).tags("en", code).first == token


def test_a_script_of_its_own_is_not_mistaken_for_the_usual_one() -> None:
    codes = LanguageCodes("madlad", MADLAD)
    assert codes.tags("en", "zh").text_before == "<2zh>"
    assert codes.tags("en", "zh-Latn").text_before == "<2zh_Latn>"
    assert codes.tags("en", "he").text_before == "<2iw>"


@pytest.mark.parametrize(("family", "vocabulary"), [("nllb", NLLB), ("m2m100", M2M100), ("mbart50", MBART)])
@pytest.mark.parametrize(("source", "target"), [("en", "fi"), ("fi", "en")])
def test_a_language_that_the_model_lacks_is_an_error_that_names_those_it_has(
    family: str, vocabulary: list, source: str, target: str
) -> None:
    with pytest.raises(XltError, match=r"E201.*'fi'.*any two of .*en, .*pt"):
        LanguageCodes(family, vocabulary).tags(source, target)


def test_a_model_without_language_codes_names_the_setting_to_change() -> None:
    with pytest.raises(XltError, match="E223.*nllb.*`model`.*`family`"):
        LanguageCodes("nllb", ["a", "b"])
    with pytest.raises(XltError, match=r"E224.*`prefix`.*\{source\}"):
        LanguageCodes("prefix", [])
    with pytest.raises(XltError, match="E225.*`directions`"):
        LanguageCodes("marian", [])
    with pytest.raises(XltError, match="E225.*`directions`"):
        LanguageCodes("prefix", [], prefix="")


def test_prefixes_are_filled_with_names_or_codes() -> None:
    names = LanguageCodes("prefix", [], prefix="translate {source} to {target}: ")
    assert names.tags("en", "por_Latn").text_before == "translate English to Portuguese: "
    codes = LanguageCodes("prefix", [], prefix="{source_code}>{target_code} ")
    assert codes.tags("eng", "pt-BR").text_before == "en>pt "
    with pytest.raises(XltError, match=r"E150.*\{lang\}"):
        LanguageCodes("prefix", [], prefix="to {lang}: ")


def test_t5_s_own_tasks_are_known() -> None:
    tasks = {"translation_en_to_de": {"prefix": "translate English to German: "}, "summarization": {"prefix": "s: "}}
    codes = LanguageCodes("prefix", [], tasks=tasks)
    assert codes.tags("en", "de").text_before == "translate English to German: "
    with pytest.raises(XltError, match="E201.*It knows: en to de"):
        codes.tags("de", "en")


def test_directions_limit_what_a_model_is_used_for() -> None:
    codes = LanguageCodes("prefix", [], prefix="", directions=[["en", "pt"]])
    assert codes.tags("en", "pt") == Tags()
    with pytest.raises(XltError, match="E201.*It knows: en to pt"):
        codes.tags("pt", "en")


@pytest.mark.parametrize(
    ("settings", "name", "pair"),
    [
        ({}, "Helsinki-NLP/opus-mt-en-pt", ("en", "pt")),
        ({}, "Helsinki-NLP/opus-mt-tc-big-en-pt", ("en", "pt")),
        ({}, "models/opus-mt-ROMANCE-en/", ("ROMANCE", "en")),
        ({"source_lang": "eng", "target_lang": "por"}, "my-model", ("eng", "por")),
        ({}, "my-model", (None, None)),
    ],
)
def test_the_languages_of_marian_models_are_in_their_files_or_names(settings: dict, name: str, pair: tuple) -> None:
    assert marian_pair(settings, name=name) == pair


def test_marian_models_of_groups_take_any_language_of_that_side() -> None:
    many_to_one = LanguageCodes("marian", [], pair=("ROMANCE", "en"))
    assert many_to_one.tags("pt", "en") == Tags()
    with pytest.raises(XltError, match="E201.*ROMANCE to en"):
        many_to_one.tags("pt", "es")
    one_to_many = LanguageCodes("marian", OPUS, pair=("eng", "itc"))
    assert one_to_many.tags("en", "es").before == ">>spa<<"
    with pytest.raises(XltError, match="E201.*any of es, pt"):
        one_to_many.tags("en", "fr")
    with pytest.raises(XltError, match="E201"):
        one_to_many.tags("fr", "es")


@pytest.mark.parametrize(
    ("config", "tokenizer", "name", "vocabulary", "family"),
    [
        ({"model_type": "m2m_100"}, {"tokenizer_class": "NllbTokenizer"}, "x", [], "nllb"),
        ({"model_type": "m2m_100"}, {}, "facebook/nllb-200-distilled-600M", [], "nllb"),
        ({"model_type": "m2m_100"}, {}, "x", NLLB, "nllb"),
        ({"model_type": "nllb-moe"}, {}, "x", [], "nllb"),
        ({"model_type": "m2m_100"}, {"tokenizer_class": "M2M100Tokenizer"}, "x", M2M100, "m2m100"),
        ({"model_type": "mbart"}, {"tokenizer_class": "MBart50Tokenizer"}, "x", [], "mbart50"),
        ({"model_type": "mbart"}, {}, "facebook/mbart-large-50-many-to-many-mmt", [], "mbart50"),
        ({"model_type": "mbart"}, {"tokenizer_class": "MBartTokenizer"}, "facebook/mbart-large-en-ro", [], None),
        ({"model_type": "marian"}, {}, "x", [], "marian"),
        ({"model_type": "t5"}, {}, "x", MADLAD, "madlad"),
        ({"model_type": "mt5"}, {}, "x", ["a"], "prefix"),
        ({"model_type": "bart"}, {}, "x", [], None),
    ],
)
def test_families_are_told_apart_by_their_files(
    config: dict, tokenizer: dict, name: str, vocabulary: list, family: str | None
) -> None:
    assert detect_family(config, tokenizer, name=name, vocabulary=vocabulary) == family
