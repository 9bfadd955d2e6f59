"""Language codes of the different worlds."""

from __future__ import annotations

import pytest

from spacy_xlt import languages
from spacy_xlt.errors import XltError, XltWarning


@pytest.mark.parametrize(
    ("code", "spacy_code", "iso", "nllb"),
    [
        ("pt", "pt", "por", "por_Latn"),
        ("por", "pt", "por", "por_Latn"),
        ("por_Latn", "pt", "por", "por_Latn"),
        ("pt-BR", "pt", "por", "por_Latn"),
        ("sw", "sw", "swa", "swh_Latn"),
        ("swh_Latn", "sw", "swh", "swh_Latn"),
        ("ar", "ar", "ara", "arb_Arab"),
        ("zh", "zh", "zho", "zho_Hans"),
        ("zho_Hant", "zh", "zho", "zho_Hant"),
        ("no", "nb", "nor", "nob_Latn"),
        ("sr", "sr", "srp", "srp_Cyrl"),
        ("ig", "ig", "ibo", "ibo_Latn"),
        ("fa", "fa", "fas", "pes_Arab"),
        ("prs", "fa", "fas", "prs_Arab"),
        ("ko", "ko", "kor", "kor_Hang"),
        ("ko-Kore", "ko", "kor", "kor_Hang"),
        ("tl", "fil", "fil", "tgl_Latn"),
    ],
)
def test_codes_are_mapped(code, spacy_code, iso, nllb):
    assert (languages.to_spacy(code), languages.to_iso639_3(code), languages.to_nllb(code)) == (spacy_code, iso, nllb)


def test_all_codes_of_nllb_are_themselves_and_so_are_the_bare_ones_of_one_script():
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as known

    assert len(known) == 202 and [languages.to_nllb(code) for code in known] == list(known)
    assert len({languages.language_name(code) for code in known}) == 202
    scripts: dict[str, list[str]] = {}
    for code in known:
        scripts.setdefault(code.split("_")[0], []).append(code)
    for bare, codes in scripts.items():
        assert languages.to_nllb(bare) in codes
        # The code that documents are stored under leads back to a language of the model
        assert languages.to_nllb(languages.to_spacy(codes[0])) in known


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("pt", "Portuguese"),
        ("por_Latn", "Portuguese"),
        ("pt-BR", "Portuguese (Brazil)"),
        ("sr", "Serbian"),
        ("srp_Latn", "Serbian (Latin script)"),
        ("zho_Hant", "Chinese (Han, Traditional variant script)"),
        ("swh_Latn", "Swahili"),
        ("kmr_Latn", "Northern Kurdish"),
        ("el", "Modern Greek"),
    ],
)
def test_languages_have_names_with_what_the_code_says_beside(code, name):
    assert languages.language_name(code) == name


@pytest.mark.parametrize("code", ["", "klingon", "qqqq", None, 3])
def test_unknown_codes_are_named(code):
    with pytest.raises(XltError, match=f"E010.*{code!r}"):
        languages.to_spacy(code)


def test_the_closest_codes_are_found_among_those_of_other_kinds():
    assert languages.closest("deu", ["pud", "en", "de"]) == ["de"]
    assert languages.closest("zho-CN", ["zh", "zho-CN"]) == ["zho-CN"]
    assert languages.closest("sr", ["srp-Cyrl", "srp-Latn", "hr"]) == ["srp-Cyrl", "srp-Latn"]
    assert languages.closest("srp-Latn", ["srp-Cyrl", "sr-Latn"]) == ["sr-Latn"]
    assert languages.closest("swe", ["pud", "nb"]) == []


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("Beograd 2019", "srp-Latn", True), ("Beograd", "srp-Cyrl", False), ("Београд (EU)", "sr-Cyrl", True),
        ("Beograd", "sr", True), ("北京", "zh-Hans", True), ("2019", "srp-Cyrl", True),
    ],
)  # fmt: skip
def test_a_text_is_told_from_one_in_another_script(text, code, expected):
    assert languages.in_script_of(text, code) is expected


def test_the_multi_language_class_is_no_language_of_its_own():
    assert languages.to_spacy("xx") == "xx"
    with pytest.raises(XltError, match="E010"):
        languages.to_nllb("xx")


def test_right_to_left_scripts():
    assert languages.is_right_to_left("ar") and languages.is_right_to_left("heb_Hebr")
    assert not languages.is_right_to_left("pt") and not languages.is_right_to_left("xx")


def test_a_language_spacy_does_not_know_becomes_xx_and_is_warned_about_once():
    languages._blanks.clear()
    with pytest.warns(XltWarning, match="W010.*'ha'") as caught:
        assert languages.blank("ha").lang == "xx"
        languages.blank("ha")
    assert len(caught) == 1


def test_an_unsegmented_script_is_not_cut_in_silence():
    languages._blanks.clear()
    with pytest.warns(XltWarning, match="W011.*target_pipeline"):
        languages.blank("lo")


def test_a_tokenizer_that_needs_a_package_says_which():
    languages._blanks.clear()
    try:
        import pythainlp  # noqa: F401
    except ImportError:
        with pytest.raises(XltError, match="E011.*PyThaiNLP"):
            languages.blank("th")
    else:
        assert languages.blank("th").lang == "th"


def test_spacy_classes_are_used_where_there_are_any():
    assert languages.blank("por_Latn").lang == "pt"


def test_a_vocab_that_has_taken_in_many_words_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "MAX_NEW_STRINGS", 50)
    before = languages.blank("pt")
    doc = before.tokenizer("uma palavra")
    assert languages.blank("pt") is before
    before.tokenizer(" ".join(f"palavra{i}" for i in range(60)))
    after = languages.blank("pt")
    assert after is not before and languages.blank("pt") is after
    assert "palavra7" not in after.vocab.strings
    assert [token.text for token in doc] == ["uma", "palavra"]
