"""Given terms and names appear in the translation as they are given."""

from __future__ import annotations

import pytest
import spacy
from helpers.standins import Standins
from spacy.tokens import Doc, Span, SpanGroup

from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Translation
from spacy_xlt.translation.cached import CachedTranslator
from spacy_xlt.translation.component import TranslatorPipe
from spacy_xlt.translation.glossary import Glossary
from spacy_xlt.translation.guarded import GuardedTranslator, Request
from spacy_xlt.translation.placeholders import KINDS
from spacy_xlt.translation.standins import TERM, Fixed


def terms_of(text: str, **entries: str) -> list[tuple[str, str]]:
    doc = spacy.blank("en")(text)
    glossary = Glossary({key.replace("_", " "): value for key, value in entries.items()})
    return [(text[term.start : term.end], term.form) for term in glossary.find(doc)]


def test_terms_are_whole_tokens_the_longest_first_and_capitals_count():
    entries = {"bank": "banco", "central_bank": "banco central", "Apple": "Apple Inc.", "apple": "maçã"}
    assert terms_of("The Central Bank, banks and the bank's bank", **entries) == [
        ("Central Bank", "banco central"), ("bank", "banco"), ("bank", "banco"),
    ]  # fmt: skip
    assert terms_of("Apple, apple and APPLE", **entries) == [
        ("Apple", "Apple Inc."),
        ("apple", "maçã"),
        ("APPLE", "maçã"),
    ]
    assert terms_of("apple pies in\nthe  central \n bank", central_bank="BC") == [("central \n bank", "BC")]


def test_terms_need_no_tokens_like_spacy_s():
    doc = Doc(spacy.blank("en").vocab, words=["an", "e-mail", "today"])
    assert [term.form for term in Glossary({"e-mail": "mensagem"}).find(doc)] == ["mensagem"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bank\tbanco\nbroken\n", "E252.*line 2: 1 columns"),
        ("a\tb\tc\n", "E252.*line 1: 3 columns"),
        ("# a comment\n\nbank\t \n", "E252.*line 3: an empty column"),
        ("bank\tbanco\nbank\tmargem\n", "E252.*line 2: 'bank' is 'margem' here and 'banco' in line 1"),
    ],
)
def test_a_broken_glossary_is_named_with_the_line(tmp_path, text, message):
    (tmp_path / "terms.tsv").write_text(text, encoding="utf8")
    with pytest.raises(XltError, match=message):
        Glossary.read(tmp_path / "terms.tsv")


def test_glossaries_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.tsv").write_bytes("maçã\tapple".encode("latin-1"))
    for name in ("absent.tsv", "latin.tsv"):
        with pytest.raises(XltError, match=f"E251.*{name}"):
            Glossary.read(tmp_path / name)
    (tmp_path / "bom.tsv").write_text("\ufeffa\tb\r\nc\td\r\n", encoding="utf8")
    assert Glossary.read(tmp_path / "bom.tsv").entries == {"a": "b", "c": "d"}


class TakesTerms(Standins):
    takes_terms = True

    def __init__(self, obeys: bool = True):
        super().__init__()
        self.obeys = obeys
        self.told: list[list[tuple[str, str]]] = []

    def translate(self, texts, *, source, target, terms=None):
        self.told += [[(t.source, t.target) for t in of_text] for of_text in terms or []]
        made = super().translate(texts, source=source, target=target)
        if not self.obeys or terms is None:
            return made
        return [
            Translation(m.text + "".join(f" {t.target}" for t in of_text), m.score)
            for m, of_text in zip(made, terms, strict=True)
        ]


def with_terms(engine, text: str, tmp_path, **settings):
    (tmp_path / "terms.tsv").write_text("bank\tbanco\nkind\tkind\n", encoding="utf8")
    pipe = TranslatorPipe("t", engine, source="en", target="pt", terms=str(tmp_path / "terms.tsv"), **settings)
    return pipe(spacy.blank("en")(text))._.xlt["pt"]


def test_an_engine_that_takes_terms_is_told_of_them(tmp_path):
    engine = TakesTerms()
    bitext = with_terms(engine, "the bank. No word. {x}", tmp_path)
    assert engine.told == [[], [("bank", "banco")]] and engine.seen == ["No word.", "the bank."]
    assert bitext.target.text == "THE BANK. banco NO WORD. {x}" and bitext.flags == ()


@pytest.mark.parametrize("engine", [Standins(), TakesTerms(obeys=False)])
def test_other_engines_get_stand_ins_where_a_term_is_missing(tmp_path, engine):
    bitext = with_terms(engine, "the bank of {x} here", tmp_path)
    assert bitext.target.text == "THE banco OF {x} HERE" and bitext.flags == ()


def test_a_term_that_comes_by_itself_needs_nothing_more(tmp_path):
    class Plain(Standins):
        def _one(self, text):
            return Translation("o banco")

    engine = Plain()
    assert with_terms(engine, "the bank", tmp_path).flags == () and engine.seen == ["the bank"]


def test_a_term_that_is_lost_is_flagged(tmp_path):
    class Deaf(Standins):
        def _one(self, text):
            return Translation("bancos")

    assert with_terms(Deaf(), "the bank", tmp_path).flags == ("term_missing",)


def test_entities_and_spans_are_kept(make_doc):
    doc = make_doc("Maria Silva saw the sea in Rio", (0, 2, "PER"), (6, 7, "LOC"))
    doc.spans["fixed"] = SpanGroup(
        doc,
        name="fixed",
        attrs={"targets": ["o mar", None]},
        spans=[Span(doc, 3, 5, label="T"), Span(doc, 2, 3, label="T")],
    )
    pipe = TranslatorPipe("t", Standins(), source="en", target="pt", keep=["PER", "spans:fixed"])
    assert pipe(doc)._.xlt["pt"].target.text == "Maria Silva saw o mar IN RIO "
    doc.spans["fixed"].attrs["targets"] = ["o mar"]
    with pytest.raises(XltError, match="E253.*fixed.*1 forms.*2 spans"):
        pipe(doc)
    for keep in ("PER", ["spans:"], [3]):
        with pytest.raises(XltError, match="E103.*keep"):
            TranslatorPipe("t", Standins(), source="en", target="pt", keep=keep)


def test_the_signature_tells_of_other_terms(tmp_path):
    signatures = set()
    for line in ("a\tb", "a\tc"):
        (tmp_path / "terms.tsv").write_text(line, encoding="utf8")
        pipe = TranslatorPipe("t", Standins(), source="en", target="pt", terms=str(tmp_path / "terms.tsv"))
        signatures.add(pipe.signature)
    assert len(signatures) == 2


def test_the_bundled_model_uses_terms_and_keeps_names(tmp_path, make_doc):
    (tmp_path / "terms.tsv").write_text("river bank\tmargem do rio\nhouse\tmoradia\n", encoding="utf8")
    nlp = spacy.blank("en")
    config = {"target": "pt", "terms": str(tmp_path / "terms.tsv"), "keep": ["LOC"]}
    nlp.add_pipe("xlt_translator", config=config)
    doc = make_doc("They sold their house near the river bank in New York .", (9, 11, "LOC"))
    bitext = nlp(doc)._.xlt["pt"]
    assert bitext.flags == ()
    assert all(term in bitext.target.text for term in ("moradia", "margem do rio", "New York"))


def test_terms_and_placeholders_never_overlap():
    request = Request("see x.com/a b", (Fixed(4, 9, "no", TERM), Fixed(12, 13, "si", TERM)))
    guarded = GuardedTranslator(CachedTranslator(Standins()), protect=KINDS)
    made = guarded.translate([request], source="en", target="pt")
    assert made[0].text == "SEE x.com/a si"
