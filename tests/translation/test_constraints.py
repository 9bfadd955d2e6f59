"""What of a text has a given form in its translation: placeholders, terms, kept spans."""

from __future__ import annotations

import time

import pytest
import spacy
from helpers.translators import Standins, translator_pipe
from spacy.tokens import Doc, Span

from spacy_xlt.errors import XltError
from spacy_xlt.translation.constraints import Glossary, find_placeholders


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See https://en.wikipedia.org/wiki/A_(b), www.bbc.co.uk/news. (http://x.org/a).",
         ["https://en.wikipedia.org/wiki/A_(b)", "www.bbc.co.uk/news", "http://x.org/a"]),
        ("At home.example.com, example.org/help.html or bit.ly/abc!",
         ["home.example.com", "example.org/help.html", "bit.ly/abc"]),
        ("To a.b+c@d-e.co.uk, or cat...@gmail.com.", ["a.b+c@d-e.co.uk", "cat...@gmail.com"]),
        ('Run `git commit -m "x"` or ```a\'b```.', ['`git commit -m "x"`', "```a'b```"]),
        ("@user_1: hi #WeAreHere", ["@user_1", "#WeAreHere"]),
        (r"C:\Users\me\a.txt, /usr/local/bin, ~/x/y.pdf and src/main.py",
         [r"C:\Users\me\a.txt", "/usr/local/bin", "~/x/y.pdf", "src/main.py"]),
        ("{name}, %s, %(n)d, {{ user }}, ${HOME}, {0} and {}",
         ["{name}", "%s", "%(n)d", "{{ user }}", "${HOME}", "{0}", "{}"]),
        ("e.g. this, so.It ends, 100% sure, 1/2, 12/05/2019, and/or, km/h, #1, C#, 3.5, U.S., TCP/IP, a@b", []),
        ("请访问https://x.org/a，或写信给a@b.cn吧。", ["https://x.org/a", "a@b.cn"]),
    ],
)  # fmt: skip
def test_placeholders_are_found(text, expected):
    assert [item.target for item in find_placeholders(text)] == expected


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a-", "a/", "{", "%", "@", "`", "a@", "{a", "/", "a.b/", "\\", "@a", ".com"]
)
def test_long_texts_take_no_long_time(unit):
    start = time.perf_counter()
    find_placeholders(unit * 5000 + "@ a.b/")
    assert time.perf_counter() - start < 2


def terms_of(text: str, **entries: str) -> list[tuple[str, str]]:
    glossary = Glossary({key.replace("_", " "): value for key, value in entries.items()})
    return [(text[term.start : term.end], term.target) for term in glossary.find(spacy.blank("en")(text))]


def test_terms_are_whole_tokens_the_longest_first_and_capitals_count():
    entries = {"bank": "banco", "central_bank": "banco central", "Apple": "Apple Inc.", "apple": "maçã"}
    assert terms_of("The Central Bank, banks and the bank's bank", **entries) == [
        ("Central Bank", "banco central"), ("bank", "banco"), ("bank", "banco"),
    ]  # fmt: skip
    assert terms_of("Apple, apple and APPLE", **entries) == [
        ("Apple", "Apple Inc."), ("apple", "maçã"), ("APPLE", "maçã"),
    ]  # fmt: skip
    assert terms_of("apple pies in\nthe  central \n bank", central_bank="BC") == [("central \n bank", "BC")]
    assert terms_of("a bank") == []


def test_terms_need_no_tokens_like_those_of_spacy():
    doc = Doc(spacy.blank("en").vocab, words=["an", "e-mail", "today"])
    assert [term.target for term in Glossary({"e-mail": "mensagem"}).find(doc)] == ["mensagem"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bank\tbanco\nbroken\n", "E531.*line 2: 1 columns"),
        ("a\tb\tc\n", "E531.*line 1: 3 columns"),
        ("# a comment\n\nbank\t \n", "E531.*line 3: an empty column"),
        ("bank\tbanco\nbank\tmargem\n", "E531.*line 2: 'bank' is 'margem' here and 'banco' in line 1"),
    ],
)
def test_a_broken_glossary_is_named_with_the_line(tmp_path, text, message):
    (tmp_path / "terms.tsv").write_text(text, encoding="utf8")
    with pytest.raises(XltError, match=message):
        Glossary.read(tmp_path / "terms.tsv")


def test_unreadable_glossaries_are_named(tmp_path):
    (tmp_path / "latin.tsv").write_bytes("maçã\tapple".encode("latin-1"))
    for name in ("absent.tsv", "latin.tsv"):
        with pytest.raises(XltError, match=f"E251.*{name}"):
            Glossary.read(tmp_path / name)
    (tmp_path / "bom.tsv").write_text("\ufeffa\tb\r\nc\td\r\n", encoding="utf8")
    assert Glossary.read(tmp_path / "bom.tsv").entries == {"a": "b", "c": "d"}


def test_entities_and_spans_are_kept(make_doc):
    doc = make_doc("Maria Silva saw the sea in Rio", (0, 2, "PER"), (6, 7, "LOC"))
    doc.spans["fixed"] = [Span(doc, 3, 5, label="T")]
    pipe = translator_pipe(Standins(), keep=["PER", "spans:fixed", "spans:absent"])
    assert pipe(doc)._.xlt["pt"].target.text == "Maria Silva SAW the sea IN RIO "
