"""Translations looked up in memories and line-parallel files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import spacy
from helpers.paths import ASSETS
from hypothesis import given
from hypothesis import strategies as st

from spacy_xlt.bitext import Bitext
from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Translation, Translator
from spacy_xlt.translation.parallel import ParallelTranslator, UnitIndex, memory_key

TMX = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
{units}
</body></tmx>
"""


def unit(**texts: str) -> str:
    variants = "".join(f'<tuv xml:lang="{code.replace("_", "-")}"><seg>{t}</seg></tuv>' for code, t in texts.items())
    return f"<tu>{variants}</tu>"


@pytest.fixture
def lines(tmp_path: Path):
    """Write two line-parallel files and make the engine that reads them."""

    def make(source: str, target: str, **settings) -> ParallelTranslator:
        (tmp_path / "a.en").write_text(source, encoding="utf8", newline="")
        (tmp_path / "a.pt").write_text(target, encoding="utf8", newline="")
        return ParallelTranslator(
            source_file=str(tmp_path / "a.en"), target_file=str(tmp_path / "a.pt"), languages=["en", "pt"], **settings
        )

    return make


@pytest.fixture
def memory(tmp_path: Path):
    """Write a memory file and make the engine that reads it."""

    def make(content: str | bytes, name: str = "m.tsv", **settings) -> ParallelTranslator:
        data = content if isinstance(content, bytes) else content.encode("utf8")
        (tmp_path / name).write_bytes(data)
        if name.endswith(".tsv"):
            settings.setdefault("languages", ["en", "pt"])
        return ParallelTranslator(memory=str(tmp_path / name), **settings)

    return make


def tmx(*units: str, encoding: str = "UTF-8") -> str:
    return TMX.format(units="\n".join(units), encoding=encoding)


def texts(translations: list[Translation]) -> list[str]:
    return [translation.text for translation in translations]


def code_of(engine: ParallelTranslator, **languages: str) -> tuple[str, str]:
    """The error that a first use raises."""
    with pytest.raises(XltError) as caught:
        engine.translate(["Hello."], source=languages.get("source", "en"), target=languages.get("target", "pt"))
    return caught.value.code, str(caught.value)


def test_it_is_registered_and_made_with_defaults_alone():
    engine = spacy.registry.misc.get("spacy_xlt.ParallelTranslator.v1")()
    assert isinstance(engine, Translator)
    assert "files:[]" in engine.signature
    assert code_of(engine)[0] == "E230"


def test_lines_are_found_in_both_directions(lines):
    engine = lines("Hello.\r\nBye.\r\n", "Olá.\nTchau.\n")
    assert texts(engine.translate(["Bye.", "Hello."], source="en", target="pt")) == ["Tchau.", "Olá."]
    assert texts(engine.translate(["Olá."], source="por_Latn", target="eng_Latn")) == ["Hello."]
    assert engine.directions == [("en", "pt"), ("pt", "en")]


def test_white_space_and_composition_of_characters_do_not_matter(lines):
    engine = lines("A  cafe\u0301\u00a0here \n", "Um  café,\u00a0aqui\n")
    found = engine.translate(["\tA café here\n"], source="en", target="pt")
    # The no-break space is part of the translation, the doubled space is layout
    assert texts(found) == ["Um café,\u00a0aqui"]


def test_case_and_punctuation_do_matter(lines):
    found = lines("Hello.\n", "Olá.\n").translate(["hello.", "Hello"], source="en", target="pt")
    assert found == [Translation("", flags=("not_in_memory",))] * 2


def test_an_empty_text_is_no_missing_one(lines):
    engine = lines("Hello.\n\n", "Olá.\n\n")
    assert engine.translate(["", " \n"], source="en", target="pt") == [Translation("")] * 2
    assert engine.translate([], source="en", target="pt") == []


class Fallback:
    signature = "fallback-1"

    def translate(self, texts, *, source, target):
        return [Translation(text.upper(), -1.0) for text in texts]


def test_a_fallback_translates_what_is_missing(lines):
    engine = lines("Hello.\n", "Olá.\n", fallback=Fallback())
    asked = ["One.", "Hello.", "", "Two."]
    assert texts(engine.translate(asked, source="en", target="pt")) == ["ONE.", "Olá.", "", "TWO."]
    assert texts(engine.translate(["Hello."], source="en", target="es")) == ["HELLO."]
    assert "fallback-1" in engine.signature


def test_the_most_frequent_translation_wins_and_then_the_first(lines):
    engine = lines("Yes.\nYes.\nYes.\nYes.\nNo.\nNo.\n", "Sim.\nÉ.\nÉ.\nClaro.\nNão.\nNem.\n")
    assert texts(engine.translate(["Yes.", "No."], source="en", target="pt")) == ["É.", "Não."]


def test_sides_of_different_length_are_an_error_with_both_counts(lines):
    code, message = code_of(lines("Hello.\n" * 5, "Olá.\n" * 3))
    assert code == "E234" and "has 5" in message and "has 3" in message


def test_a_tsv_memory_may_have_more_columns_than_languages(memory):
    engine = memory("\ufeffHello.\tOlá.\tCC BY\n\nBye.\tTchau.\tCC BY\n")
    assert texts(engine.translate(["Hello.", "Bye."], source="en", target="pt")) == ["Olá.", "Tchau."]


@pytest.mark.parametrize("row", ["Bye.", "Bye.\tTchau.\tmore"])
def test_a_tsv_line_with_other_columns_is_an_error_with_its_number(memory, row):
    code, message = code_of(memory(f"Hello.\tOlá.\n\n{row}\n"))
    assert code == "E531" and "line 3" in message


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "E235", "m.tsv"),
        (b"\n \n\t\n", "E235", "m.tsv"),
        ("Hello.\tOla.\nBye.\tcafé\n".encode("latin-1"), "E513", "in line 2"),
        ("Hello.\tOlá.\n".encode("utf-16-le"), "E513", "utf-16-le"),
    ],
)
def test_a_broken_file_is_a_clear_error(memory, content, code, says):
    found, message = code_of(memory(content))
    assert found == code and says in message


def test_another_encoding_can_be_set(memory):
    engine = memory("Hello.\tcafé\n".encode("cp1252"), encoding="cp1252")
    assert texts(engine.translate(["Hello."], source="en", target="pt")) == ["café"]


def test_a_missing_file_is_an_error_at_first_use():
    engine = ParallelTranslator(memory="nowhere.tmx")
    assert "unreadable" in engine.signature
    assert code_of(engine)[0] == "E535"


def test_compressed_files_are_read(memory):
    for name, data in (("m.tsv.gz", "Hello.\tOlá.\n"), ("m.tmx.gz", tmx(unit(en="Hello.", pt="Olá.")))):
        engine = memory(gzip.compress(data.encode()), name=name)
        engine = ParallelTranslator(memory=engine.memory, languages=["en", "pt"])
        assert texts(engine.translate(["Hello."], source="en", target="pt")) == ["Olá."]
    assert code_of(memory(gzip.compress(b"Hello." * 9999, mtime=0)[:-30], name="m.tmx.gz"))[0] == "E535"


def test_tmx_regions_match_their_language(memory):
    engine = memory(
        tmx(unit(en_US="Bus.", pt_PT="Autocarro.", pt_BR="Ônibus.", es="Autobús."), unit(en_GB="Hi.", PT_br="Oi.")),
        name="m.tmx",
    )
    assert engine.directions == [("en", "es"), ("en", "pt"), ("es", "en"), ("es", "pt"), ("pt", "en"), ("pt", "es")]
    assert texts(engine.translate(["Bus.", "Hi."], source="en", target="pt")) == ["Autocarro.", "Oi."]
    assert texts(engine.translate(["Bus.", "Hi."], source="en", target="pt-BR")) == ["Ônibus.", "Oi."]
    assert texts(engine.translate(["Autobús."], source="es", target="pt-PT")) == ["Autocarro."]


def test_tmx_inline_codes_are_left_out_and_entities_read(memory):
    seg = 'A <bpt i="1">&lt;b></bpt><hi>bold</hi><ept i="1">&lt;/b></ept>\n   &amp; <ph><sub>x</sub></ph>end &#233;'
    engine = memory(tmx(unit(en="Hello.", pt=seg)), name="m.tmx")
    assert texts(engine.translate(["Hello."], source="en", target="pt")) == ["A bold & end é"]


def test_tmx_in_another_encoding_says_so_itself(memory):
    engine = memory(tmx(unit(en="Hello.", pt="Olá."), encoding="UTF-16").encode("utf-16"), name="m.tmx")
    assert texts(engine.translate(["Hello."], source="en", target="pt")) == ["Olá."]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "line 1: no element found"),
        (tmx(unit(en="Hello.", pt="Olá."))[:-15], "line 4: no element found"),
        ("<html><body/></html>", "line 1: the root element is <html>"),
        (tmx("<tu><tuv><seg>x</seg></tuv></tu>"), "line 4: <tuv> without xml:lang"),
        (tmx(unit(en="Hello &nbsp; you", pt="x")), "line 4: undefined entity &nbsp;"),
        (tmx(unit(en="x", pt="y"), encoding="no-such"), "line 1"),
        (tmx(unit(en="x", pt="y"), encoding="shift_jis"), "line 1: multi-byte encodings"),
        (tmx(unit(en="x", pt="caf\xe9")).encode("latin-1"), "line 4"),
        ('<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<tmx>&b;</tmx>', "line 1: it declares the entity"),
        ('<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<tmx>&x;</tmx>', "it declares the entity 'x'"),
    ],
)
def test_a_broken_tmx_file_is_an_error_with_its_line(memory, content, says):
    code, message = code_of(memory(content, name="m.tmx"))
    assert code == "E531" and says in message


def test_a_tmx_file_in_one_language_is_of_no_use(memory):
    assert code_of(memory(tmx(unit(en="Hello.")), name="m.tmx"))[0] == "E235"


def test_several_memories_are_one(memory, tmp_path):
    (tmp_path / "b.tmx").write_text(tmx(unit(en="Bye.", de="Tschüss.")), encoding="utf8")
    first = memory("Hello.\tOlá.\n")
    engine = ParallelTranslator(memory=[first.memory, str(tmp_path / "b.tmx")], languages=["en", "pt"])
    assert texts(engine.translate(["Hello."], source="en", target="pt")) == ["Olá."]
    assert texts(engine.translate(["Bye."], source="en", target="de")) == ["Tschüss."]


def test_an_unknown_direction_names_the_known_ones(memory):
    code, message = code_of(memory("Hello.\tOlá.\n"), target="es")
    assert code == "E201" and "en to pt, pt to en" in message


@pytest.mark.parametrize(
    "settings",
    [
        {"source_file": "a"},
        {"source_file": "a", "target_file": "b"},
        {"source_file": "a", "target_file": "b", "languages": ["en"]},
        {"memory": "m.tsv", "encoding": "utf-9"},
        {"memory": "m.tsv", "fallback": "bergamot"},
    ],
)
def test_settings_that_cannot_be(settings):
    with pytest.raises(XltError, match="E150"):
        ParallelTranslator(**settings)


def test_the_signature_follows_the_content(lines):
    first = lines("Hello.\n", "Olá.\n").signature
    assert lines("Hello.\n", "Olá.\n").signature == first
    assert lines("Hello.\n", "Oi.\n").signature != first


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=12))
def test_every_pair_that_was_added_is_found(pairs):
    index = UnitIndex()
    index.fill([[("en", "."), ("pt", ".")], *([("en", source), ("pt", target)] for source, target in pairs)], "pairs")
    for source, target in pairs:
        if memory_key(source) and memory_key(target) and memory_key(source) != ".":
            best = index.translation(source, source="en", target="pt")
            same = [b for a, b in pairs if memory_key(a) == memory_key(source) and memory_key(b)]
            assert memory_key(best) in map(memory_key, same)


def test_a_document_is_translated_from_real_parallel_files():
    nlp = spacy.blank("en")
    engine = {
        "@misc": "spacy_xlt.ParallelTranslator.v1",
        "source_file": str(ASSETS / "ntrex" / "newstest2019-src.eng.txt"),
        "target_file": str(ASSETS / "ntrex" / "newstest2019-ref.por-BR.txt"),
        "languages": ["en", "pt"],
    }
    nlp.add_pipe("xlt_translator", config={"engine": engine, "target": "pt"})
    sources = (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[:20]
    targets = (ASSETS / "ntrex" / "newstest2019-ref.por-BR.txt").read_text(encoding="utf8").splitlines()[:20]
    docs = [nlp.make_doc(text) for text in [*sources, "This was never written."]]
    for doc in docs:
        # One line is one unit, whatever sentences are in it
        for token in doc:
            token.is_sent_start = token.i == 0
    docs = list(nlp.pipe(docs))
    assert [doc._.xlt["pt"].target.text for doc in docs] == [*targets, ""]
    assert "not_in_memory" in docs[-1]._.xlt["pt"].sentences[0].flags


def translated(text: str, lines: list[tuple[str, str]], tmp_path: Path) -> Bitext:
    for column, name in enumerate(("a.en", "a.pt")):
        (tmp_path / name).write_text("".join(f"{line[column]}\n" for line in lines))
    nlp = spacy.blank("en")
    files = {"source_file": str(tmp_path / "a.en"), "target_file": str(tmp_path / "a.pt"), "languages": ["en", "pt"]}
    engine = {"@misc": "spacy_xlt.ParallelTranslator.v1", **files}
    nlp.add_pipe("xlt_translator", config={"target": "pt", "engine": engine})
    return nlp(text)._.xlt["pt"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        # A line that is the document
        ("It rains. We stay.", [("It rains. We stay.", "Chove e ficamos.")]),
        # A line of two sentences before others
        ("It rains. We stay. Go!", [("It rains. We stay.", "Chove e ficamos."), ("Go!", "Vai!")]),
        # The longest line that is there
        ("Go! It rains. We stay.", [("Go!", "Vai!"), ("It rains. We stay.", "Chove e ficamos.")]),
    ],
)
def test_line_of_several_sentences_is_found_as_a_whole(text: str, pairs: list[tuple[str, str]], tmp_path: Path) -> None:
    bitext = translated(text, [*pairs, ("It rains.", "Chove."), ("We stay.", "Ficamos.")], tmp_path)
    found = [(bitext.source[slice(*p.source)].text, bitext.target[slice(*p.target)].text) for p in bitext.sentences]
    assert found == pairs and not bitext.flags


def test_line_that_breaks_in_the_text_is_found_as_a_whole(tmp_path: Path) -> None:
    bitext = translated("It rains\nhere. Go!", [("It rains here.", "Chove aqui."), ("Go!", "Vai!")], tmp_path)
    assert bitext.target.text.strip() == "Chove aqui. Vai!" and not bitext.flags


def test_sentence_that_no_line_has_is_empty_and_flagged(tmp_path: Path) -> None:
    bitext = translated("It rains. Nobody knows.", [("It rains.", "Chove."), ("Rain.", "Chuva.")], tmp_path)
    assert bitext.target.text.strip() == "Chove."
    assert ["not_in_memory" in pair.flags for pair in bitext.sentences] == [False, True]
