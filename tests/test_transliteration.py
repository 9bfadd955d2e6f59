"""Words in Latin letters, or in those of a table: how each is written, which are chosen, and what stays."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.vocabs import vocab_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span

from spacy_xlt import Alignment, Bitext
from spacy_xlt.errors import XltError
from spacy_xlt.romanisation import romanised_word
from spacy_xlt.span_links import End, Link, SpanLinks
from spacy_xlt.transliteration import choice, read_table, tags_of, transliterated, writer

WORDS = ["Москва", "Иван", "ъ", "(", "2,5", "São", "Ελλάδα", "北京", "\u200d", "🙂", "a", "١٢", "।", "«", " ", "ＡＢＣ"]
LATIN = "a b v g d đ e ž z i j k l lj m n nj o p r s t ć u f h c č dž š".split()
SERBIAN = dict(zip("абвгдђежзијклљмнњопрстћуфхцчџш", LATIN, strict=True))


@pytest.fixture
def file(tmp_path) -> Callable[[str], Path]:
    def write(text: str, name: str = "letters.tsv") -> Path:
        (tmp_path / name).write_text(text, encoding="utf8")
        return tmp_path / name

    return write


def rows(table: dict[str, str]) -> str:
    return "".join(f"{letters}\t{written}\n" for letters, written in table.items())


@pytest.mark.parametrize(
    ("word", "romanised"),
    [
        ("ь", "ь"),  # nothing would be left
        ("\u200d", "\u200d"),
        ("São", "São"),
        ("–", "–"),
        ("🙂", "🙂"),
        ("µ", "µ"),
        ("。", "."),  # without the space that uroman adds
        ("١٢", "12"),
        ("Москва-2", "Moskva-2"),
        ("ＡＢＣ", "ABC"),
    ],
)
def test_a_word_that_is_latin_or_would_become_nothing_is_left_alone(word, romanised):
    assert romanised_word(word) == romanised


def test_marks_are_taken_off_when_asked(make_doc):
    doc = transliterated(make_doc("São João , naïve"), writer(strip_marks=True))
    assert doc.text == "Sao Joao , naive "


def test_a_language_may_read_its_letters_its_own_way():
    assert [writer(lang=lang)("гора") for lang in (None, "xx", "uk")] == ["gora", "gora", "hora"]


@pytest.mark.parametrize(
    ("cyrillic", "latin"),
    [
        ("љубав", "ljubav"),
        ("Љубав", "Ljubav"),
        ("ЉУБАВ", "LJUBAV"),
        ("Њујорк", "Njujork"),
        ("Џ.", "Dž."),
        ("НАТО-а", "NATO-a"),
        ("iPhone", "iPhone"),
        ("2,5", "2,5"),
    ],
)
def test_a_table_is_read_both_ways_and_upper_case_is_carried_over(file, cyrillic, latin):
    there = writer(table=file(rows(SERBIAN)))
    assert there(cyrillic) == latin
    back = writer(table=file(rows({latin: cyrillic for cyrillic, latin in SERBIAN.items()})))
    if cyrillic != latin:
        assert back(latin) == cyrillic


def test_the_most_letters_go_first_and_a_place_in_the_word_before_none(file):
    write = writer(table=file("# a comment\na\t1\nab\t2\n^a\t3\na$\t4\n^a$\t5\n\nx\t\n#\t6\n"))
    assert [write(word) for word in ("a", "aa", "aaa", "abca", "axa#", "x", "xy", "ab")] == [
        "5", "34", "314", "2c4", "316", "x", "y", "2",
    ]  # fmt: skip


def test_letters_are_the_same_however_they_are_composed(file):
    write = writer(table=file("c\u0307\tch\n"))
    assert write("ċ") == write("c\u0307") == "ch" and write("Ċar") == "Char"
    assert write("e\u0301") == "e\u0301"  # nothing to write


def test_a_table_with_letters_in_upper_case_is_taken_by_its_word(file):
    write = writer(table=file("a\tَ\nA\tا\nH\tح\n"))
    assert [write(word) for word in ("aAh", "HA")] == ["َاh", "حا"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("a\n", "E577", "line 1: it has 1 columns"),
        ("a\tb\nc\td\te\n", "E577", "line 2: it has 3 columns"),
        ("\tb\n", "E577", "no letters before the tab"),
        ("^\tb\n", "E577", "no letters before the tab"),
        ("a\tb c\n", "E577", "a space inside"),
        ("a\tb\na\tc\n", "E577", "'a' is there before, as 'b'"),
        ('{"a": "b"}', "E577", "it has 1 columns"),
        ("", "E568", "has no letters"),
        ("# nothing\n", "E568", "has no letters"),
    ],
)
def test_what_is_no_table_is_an_error_with_its_line(file, text, code, said):
    with pytest.raises(XltError, match=f"{code}.*letters.tsv.*{said}"):
        read_table(file(text))


def test_a_table_leaves_no_room_for_settings_of_latin_letters(file):
    with pytest.raises(XltError, match="E150.*`strip_marks`"):
        writer(table=file("a\tb\n"), strip_marks=True)
    with pytest.raises(XltError, match="E502.*table"):
        writer(table="none.tsv")


@pytest.fixture
def tagged(make_doc) -> Doc:
    doc = make_doc("Иван и Рим", (0, 1, "PER"), (2, 3, "LOC"), lang="ru")
    doc[1].pos_, doc[1].tag_, doc[0].pos_ = "CCONJ", "CC", "PROPN"
    return doc


@pytest.mark.parametrize(
    ("tags", "others", "text"),
    [
        (["CC"], False, "Иван i Рим "),
        (["CCONJ", "LOC"], False, "Иван i Rim "),
        (["PROPN"], True, "Иван i Rim "),
        (["nothing"], False, "Иван и Рим "),
    ],
)
def test_only_words_with_a_tag_or_all_others_are_written(tagged, tags, others, text):
    assert transliterated(tagged, writer(), choice(tags=tags, others=others)).text == text


def test_words_of_a_list_and_words_with_a_tag(tagged, file):
    words = file("рИМ и\n", "words.txt")
    assert transliterated(tagged, writer(), choice(words=words)).text == "Иван i Rim "
    assert transliterated(tagged, writer(), choice(words=words, tags=["PER"])).text == "Ivan i Rim "
    assert transliterated(tagged, writer(), choice(words=words, others=True)).text == "Ivan и Рим "
    with pytest.raises(XltError, match="E568.*words"):
        choice(words=file(" \n", "words.txt"))
    assert choice() is None


def test_another_document_may_say_what_the_tokens_are(tagged):
    plain = Doc(vocab_of("ru"), words=["Иван", "и", "Рим"])
    assert transliterated(plain, writer(), choice(tags=["LOC"]), asked=tagged).text == "Иван и Rim "
    assert [tags_of(token) for token in tagged] == [{"PROPN", "PER"}, {"CCONJ", "CC"}, {"LOC"}]


def test_what_is_stored_with_a_document_stays(make_doc):
    doc = make_doc("Ада Рим", (0, 1, "PER"), (1, 2, "LOC"), lang="ru")
    doc.user_data["meta"] = {"id": 3}
    doc._.xlt["en"] = Bitext(doc, make_doc("Ada Rome", (0, 1, "PER")), Alignment([(0, 0), (1, 1)]), "ru", "en")
    doc._.xlt_links = SpanLinks([Link(End("ents", 1), End("ents", 0), "of")])
    (new,) = DocBin(docs=[transliterated(doc, writer())], store_user_data=True).get_docs(doc.vocab)
    assert new.text == "Ada Rim " and new.user_data["meta"] == {"id": 3}
    assert new._.xlt_links == doc._.xlt_links and new._.xlt["en"].target.text == "Ada Rome "
    assert transliterated(new, writer()) is new


LETTERS = st.text(st.sampled_from("abъЉשا^$ßİǅ1.-\u0307\u200d"), min_size=1, max_size=3)
TABLES = st.dictionaries(LETTERS.filter(lambda text: text.removeprefix("^").removesuffix("$")), LETTERS | st.just(""))
ANY = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=6)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS) | LETTERS | ANY, min_size=1, max_size=12), TABLES, st.booleans(), st.data())
def test_no_token_appears_vanishes_or_is_cut_in_two_and_annotation_stays(file, words, table, strip_marks, data):
    spaces = [data.draw(st.booleans()) for _ in words]
    doc = Doc(vocab_of("xx"), words=words, spaces=spaces)
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    missing = [doc[i : i + 1] for i in range(len(words)) if not start <= i < end and data.draw(st.booleans())]
    doc.set_ents([Span(doc, start, end, "X", kb_id="Q1")], missing=missing, default="outside")
    doc.spans["sc"] = [Span(doc, start, end, "Y"), Span(doc, 0, len(words), "Z")]
    for token in doc:
        token.is_sent_start = token.i == 0 or data.draw(st.booleans())
        token.pos_, token.tag_, token.lemma_ = "NOUN", "NN", "lemma"
    doc.cats = {"news": 1.0}
    distinct = {unicodedata.normalize("NFC", letters): written for letters, written in table.items()}
    write = writer(table=file(rows(distinct))) if distinct else writer(strip_marks=strip_marks)
    new = transliterated(doc, write)
    assert len(new) == len(doc) and [t.whitespace_ for t in new] == [t.whitespace_ for t in doc]
    assert new.to_json().keys() == doc.to_json().keys()
    attrs = "ENT_IOB ENT_TYPE ENT_KB_ID SENT_START POS TAG LEMMA".split()
    assert new.to_array(attrs).tolist() == doc.to_array(attrs).tolist() and new.cats == doc.cats
    for key in ("ents", "sc"):
        of = [each.ents if key == "ents" else each.spans[key] for each in (doc, new)]
        assert len({tuple((s.start, s.end, s.label_, s.kb_id_) for s in spans) for spans in of}) == 1
    for old, token in zip(doc, new, strict=True):
        assert token.text and (token.text == old.text or token.text.strip())
        assert token.text == old.text or not any(char.isspace() for char in set(token.text) - set(old.text))
        if not distinct:
            assert write(token.text) == token.text
