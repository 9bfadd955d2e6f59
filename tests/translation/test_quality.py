"""Quality gates: what each flags and what it leaves alone, and what becomes of flagged sentences."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import spacy
from helpers.engines import UPPER
from helpers.paths import ASSETS
from helpers.translators import translator_pipe
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.util import load_model_from_config
from thinc.api import Config

from spacy_xlt.build.builder import build
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.protocols import Translation
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.translation.quality import (
    DEFAULT,
    CopiedFilter,
    EmptyFilter,
    LengthRatioFilter,
    LogProbabilityFilter,
    LoopingFilter,
    NumbersFilter,
    QualityGates,
    SourceLanguageFilter,
    TranslationPair,
    WrongLanguageFilter,
    _identifier,
)

ALL = (*DEFAULT, WrongLanguageFilter, SourceLanguageFilter, LogProbabilityFilter)
LONG = "The committee will vote on the new proposal at the end of the week, its chair said"


def is_flagged(gate, source: str, target: str, source_lang: str = "en", target_lang: str = "pt", **more) -> bool:
    score = gate.score(TranslationPair(source, target, source_lang, target_lang, **more))
    return score is not None and not gate.accept(score)


@pytest.mark.parametrize(
    ("gate", "source", "target"),
    [
        (EmptyFilter(), "Yes.", ""),
        (EmptyFilter(), "7", " \u200b "),
        (CopiedFilter(), "She went home after the meeting", "She went home after the meeting"),
        (LoopingFilter(), "I see you", "eu vejo vejo vejo vejo vejo vejo"),
        (LoopingFilter(), "I see you", "eu vejo a casa de a casa de a casa de a casa de"),
        (LoopingFilter(), "I see you", "eu vejo" + "ha" * 15),
        (LengthRatioFilter(), LONG, "O comitê votará"),
        (LengthRatioFilter(), "I see you now", "Eu " * 40),
        (NumbersFilter(), "In 1984 there were 12 of them", "Havia 12 deles em 1948"),
        (NumbersFilter(), "It has 45,123 people", "Tem 45.132 habitantes"),
        (LogProbabilityFilter(min_score=-1.0), "a", "b"),
    ],
)
def test_faults_are_flagged(gate, source, target):
    assert is_flagged(gate, source, target, score=-2.0)


@pytest.mark.parametrize(
    ("gate", "source", "target"),
    [
        (EmptyFilter(), "...", ""),
        (EmptyFilter(), "Yes.", "Sim."),
        (CopiedFilter(), "OK", "OK"),
        (CopiedFilter(), "Michael Jackson, Thriller", "Michael Jackson, Thriller"),
        (CopiedFilter(), "The hospital is near the metal material", "O hospital está perto do material de metal"),
        (LoopingFilter(), "No, no, no, no, no, no, no", "Não, não, não, não, não, não, não"),
        (LoopingFilter(), "very big", "muito, muito, muito grande"),
        (LoopingFilter(), "one - - - - - -", "um - - - - - -"),
        (LengthRatioFilter(), "OK", "Está bem"),
        (LengthRatioFilter(), LONG, "O comitê votará a nova proposta no fim da semana, disse o seu presidente"),
        (NumbersFilter(), "It cost 1,500,000 in 1984, at 7.55 am", "Custou 1,5 milhão em 1984, às 7h55"),
        (NumbersFilter(), "more than 380,000 people", "mais de 380 mil pessoas"),
        (NumbersFilter(), "a hundred, 100, 12 or 3.75", "cem, doze ou três"),
        (NumbersFilter(), "in 1984", "在一九八四年"),
        (NumbersFilter(), "12 345 people", "12345 pessoas"),
        (LogProbabilityFilter(), "a", "b"),
    ],
)
def test_good_translations_are_left_alone(gate, source, target):
    assert not is_flagged(gate, source, target)


def test_digits_of_any_script_are_the_same():
    assert not is_flagged(NumbersFilter(), "in 1984", "في عام ١٩٨٤", target_lang="ar")
    assert is_flagged(NumbersFilter(), "in 1984", "في عام ١٩٤٨", target_lang="ar")


def test_scripts_without_spaces_have_lengths_of_their_own():
    gate = LengthRatioFilter()
    assert not is_flagged(gate, LONG, "主席表示，委员会将在本周末对新提案进行投票", target_lang="zh")
    assert is_flagged(gate, LONG, "主席", target_lang="zh")
    assert is_flagged(LoopingFilter(), "good", "好的好的好的好的好的好的", target_lang="zh")


@pytest.mark.parametrize(
    ("target", "lang", "flagged"),
    [
        ("O comitê votará a nova proposta no fim da semana, disse o presidente", "pt", False),
        ("Der Ausschuss wird am Ende der Woche über den neuen Vorschlag abstimmen", "pt", True),
        (LONG, "pt", True),
        ("Wort", "pt", False),
        ("A comisión votará a nova proposta a fin de semana, dixo o presidente", "pt", False),
        ("Komiteen vil stemme over det nye forslaget i slutten av uken, sier lederen", "nb", False),
        ("委员会将在本周末对新提案进行投票", "zh", False),
        ("委员会将在本周末对新提案进行投票", "pt", True),
        (LONG, "tlh", False),
    ],
)
def test_text_in_another_language(target, lang, flagged):
    pytest.importorskip("py3langid")
    assert is_flagged(WrongLanguageFilter(), LONG, target, target_lang=lang) is flagged
    assert is_flagged(SourceLanguageFilter(), target, "x", source_lang=lang) is flagged


def test_without_the_identifier_the_extra_is_named(monkeypatch):
    _identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(XltError, match=r"E106.*pip install 'spacy-xlt\[langid\]'"):
        WrongLanguageFilter().score(TranslationPair("a", LONG, "en", "en"))


@pytest.mark.parametrize("make", ALL)
@settings(deadline=None, max_examples=25)
@given(source=st.text(max_size=60), target=st.text(max_size=60), lang=st.sampled_from(["pt", "zh", "xx", "de"]))
def test_no_text_is_too_odd(make, source, target, lang):
    gate = make()
    score = gate.score(TranslationPair(source, target, "en", lang))
    assert score is None or isinstance(gate.accept(score), bool)


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (CopiedFilter, {"max_share": 2}, "E150.*`max_share` of CopiedFilter is 2; expected a number from 0 to 1"),
        (LoopingFilter, {"max_words": "3"}, "E150.*max_words.*'3'"),
        (LengthRatioFilter, {"max_ratio": 0.5}, "E150.*max_ratio"),
        (LogProbabilityFilter, {"min_score": 1}, "E150.*min_score"),
        (QualityGates, {"filters": {"mine": 3}}, "E150.*`filters.mine` of QualityGates is 3; expected a filter"),
    ],
)
def test_settings_that_cannot_be(make, values, message):
    with pytest.raises(XltError, match=message):
        make(**values)


def test_good_translations_pass_the_default_gates():
    names = ("newstest2019-src.eng.txt", "newstest2019-ref.por-BR.txt")
    texts = [(ASSETS / "ntrex" / name).read_text(encoding="utf8").splitlines()[:1000] for name in names]
    pairs = [TranslationPair(s, t, "en", "pt") for s, t in zip(*texts, strict=True)]
    gates = QualityGates()
    assert sum(bool(gates.flags(pair)) for pair in pairs) <= 10


CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_translator"]
[components]
[components.xlt_translator]
factory = "xlt_translator"
target = "pt"
[components.xlt_translator.engine]
@misc = "test.UpperTranslator.v1"
[components.xlt_translator.quality]
@misc = "spacy_xlt.QualityGates.v1"
default = false
[components.xlt_translator.quality.filters]
[components.xlt_translator.quality.filters.sure]
@misc = "spacy_xlt.LogProbabilityFilter.v1"
min_score = -0.1
[components.xlt_translator.quality.filters.copies]
@misc = "spacy_xlt.CopiedFilter.v1"
max_share = 0.5
"""


def test_a_config_chooses_the_filters():
    nlp = load_model_from_config(Config().from_str(CONFIG), auto_fill=True, validate=True)
    gates = nlp.get_pipe("xlt_translator").quality
    assert [gate.flag for gate in gates.gates] == ["low_score", "copied"]
    assert nlp("a word")._.xlt["pt"].flags == ("low_score",)
    assert [gate.flag for gate in QualityGates(filters={"mine": CopiedFilter(max_share=0.1)}).gates] == [
        "empty", "looping", "length_ratio", "numbers", "copied",
    ]  # fmt: skip


class Faulty:
    """Leaves out numbers, and says nothing for "nothing"."""

    signature = "faulty"

    def translate(self, texts, *, source, target):
        made = ["" if text.startswith("nothing") else text.upper().replace("1984", "the year") for text in texts]
        return [Translation(text, flags=("truncated",) if "CUT" in text else ()) for text in made]


def test_what_is_protected_does_not_count():
    pipe = translator_pipe(Faulty(), quality=QualityGates())
    docs = list(pipe.pipe(map(spacy.blank("en"), ["see x.org/1984", "see 1984 now", "nothing", "cut the 1984 thing"])))
    assert [doc._.xlt["pt"].flags for doc in docs] == [(), ("numbers",), ("empty",), ("numbers", "truncated")]


def test_build_keeps_flagged_sentences_or_leaves_them_out(make_doc, write_corpus, tmp_path: Path):
    docs = [
        make_doc("Maria came in 1984 . Rio slept .", (0, 1, "PER"), (5, 6, "LOC"), sents=[5]),
        make_doc("nothing Ana . Ana cut .", (3, 4, "PER"), sents=[3]),
    ]
    corpus = write_corpus(docs)
    texts = {}
    for name, drop in (("keep", []), ("drop", ["numbers", "empty"])):
        nlp = spacy.blank("en")
        nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"})
        nlp.get_pipe("xlt_translator").engine = Faulty()
        nlp.add_pipe("xlt_projector", config={"drop_flags": drop})
        summary = build(nlp, corpus, tmp_path / name)
        dropped = {"dropped": 2} if drop else {}
        assert summary["flags"] == {"empty": 1, "numbers": 1, "truncated": 1, **dropped}
        assert summary["sentences_dropped"] == dict.fromkeys(sorted(drop), 1)
        texts[name] = [doc.text.strip() for doc in read_docs(tmp_path / name / "target", lang="pt")]
    assert texts["keep"] == ["MARIA CAME IN the year . RIO SLEPT .", "ANA CUT ."]
    assert texts["drop"] == ["RIO SLEPT .", "ANA CUT ."]


def test_sources_in_another_language_are_said_once():
    pytest.importorskip("py3langid")
    gates = QualityGates(filters={"source": SourceLanguageFilter()})
    pipe = translator_pipe(Faulty(), quality=gates)
    nlp = spacy.blank("en")
    text = "Der Ausschuss wird am Ende der Woche über den neuen Vorschlag abstimmen"
    with pytest.warns(XltWarning, match="W251.*'en'.*Der Ausschuss") as caught:
        flags = [pipe(nlp(text))._.xlt["pt"].flags for _ in range(3)]
    assert len(caught) == 1 and flags == [("source_language",)] * 3


def test_a_text_in_capitals_that_stays_as_it_is_is_a_copy():
    gate = CopiedFilter()
    text = "SOCCER GETS A LUCKY WIN"
    assert gate.score(TranslationPair(text, text)) == 1.0
    assert gate.score(TranslationPair(text, "FUTEBOL GANHA COM SORTE")) == 0.0
