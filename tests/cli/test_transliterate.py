"""`spacy xlt transliterate`: a corpus in other letters."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from helpers.tiny_pipelines import saved_ruler
from helpers.vocabs import vocab_of
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import read_docs


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["xlt", "transliterate", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a corpus, a text and a table."""
    monkeypatch.chdir(tmp_path)
    doc = Doc(vocab_of("ru"), words=["Ада", "из", "Рима", "!", "Ура"], sent_starts=[True, False, False, False, True])
    doc.set_ents([Span(doc, 0, 1, "PER"), Span(doc, 2, 3, "LOC")], missing=[doc[4:]], default="outside")
    doc.spans["sc"] = [Span(doc, 1, 3, "WHERE")]
    doc[0].pos_ = "PROPN"
    doc.user_data["meta"] = {"id": "a7"}
    DocBin(docs=[doc], store_user_data=True).to_disk("a.spacy")
    Path("a.txt").write_text("Ада из Рима.\n\n  Ура!\n", encoding="utf8")
    Path("letters.tsv").write_text("а\ta\nд\td\n", encoding="utf8")
    return tmp_path


def test_a_corpus_keeps_its_annotation(folder):
    code, said = run("a.spacy", "b.spacy")
    assert code == 0 and "1 documents; 4 of 5 tokens are in other letters" in said and "b.spacy" in said
    (doc,) = read_docs("b.spacy")
    assert doc.text == "Ada iz Rima ! Ura "
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Ada", "PER"), ("Rima", "LOC")]
    assert [token.text for token in doc if token.ent_iob == 0] == ["Ura"] and doc[0].pos_ == "PROPN"
    assert len(list(doc.sents)) == 2 and doc.spans["sc"][0].text == "iz Rima" and doc.user_data["meta"] == {"id": "a7"}


def test_text_and_json_lines_are_read_and_written(folder):
    assert run("a.txt", "b.txt", "--lang", "ru", "--table", "letters.tsv")[0] == 0
    assert Path("b.txt").read_text(encoding="utf8") == "Ada из Римa.\nУрa!\n"
    assert run("a.spacy", "b.jsonl")[0] == 0
    row = json.loads(Path("b.jsonl").read_text(encoding="utf8"))
    assert row["text"] == "Ada iz Rima ! Ura " and row["meta"] == {"id": "a7"} and row["missing"][0]["token_start"] == 4
    (read,) = read_corpus("b.jsonl", lang="ru")
    assert [(ent.text, ent.label_) for ent in read.ents] == [("Ada", "PER"), ("Rima", "LOC")]
    assert [token.text for token in read if token.ent_iob == 0] == ["Ura"] and len(read.spans["sc"]) == 1
    assert run("b.jsonl", "again.spacy")[1].count("0 of 5 tokens") == 1


def test_a_folder_becomes_a_file(folder):
    (folder / "all").mkdir()
    for name in ("1.spacy", "2.spacy"):
        (folder / "all" / name).write_bytes(Path("a.spacy").read_bytes())
    assert "2 documents" in run("all", "b.spacy")[1] and len(list(read_docs("b.spacy"))) == 2


def texts(*words: object) -> str:
    code, said = run("a.spacy", "b.txt", "--overwrite", *words)
    assert code == 0, said
    return Path("b.txt").read_text(encoding="utf8").strip()


def test_words_are_chosen_by_a_list_by_tags_and_by_a_pipeline(folder):
    Path("words.txt").write_text("из\n", encoding="utf8")
    assert texts("--words", "words.txt") == "Ада iz Рима ! Ура"
    assert texts("--tags", "LOC, PROPN") == "Ada из Rima ! Ура"
    assert texts("--tags", "PER,LOC", "--words", "words.txt", "--others") == "Ада из Рима ! Ura"
    saved_ruler(folder / "ruler", "ru", {"Ура": "CRY", "из": "FROM"})
    assert texts("--tags", "CRY", "--pipeline", "ruler") == "Ада из Рима ! Ura"
    (doc,) = read_docs("a.spacy")
    assert len(doc.ents) == 2


def test_a_tag_that_no_token_has_is_named(folder):
    code, said = run("a.spacy", "b.spacy", "--tags", "NOUN,PER")
    assert code == 0 and "1 of 5 tokens" in said
    assert "XLT-W577" in said and "a.spacy: no token has NOUN" in said and "they have: LOC, PER, PROPN" in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("none.txt b.txt", "E502", "none.txt"),
        ("a.txt b.conll", "E510", ".spacy, .jsonl or .txt"),
        ("a.txt b.txt --table none.tsv", "E502", "table"),
        ("a.txt b.txt --table a.txt", "E577", "a.txt, line 1"),
        ("a.txt b.txt --words empty.txt", "E568", "words"),
        ("a.txt b.txt --others", "E150", "`others`"),
        ("a.txt b.txt --pipeline ruler", "E510", "--tags"),
        ("a.txt b.txt --pipeline ruler --tags PER", "E104", "--pipeline"),
        ("a.txt b.txt --lang nolanguage", "E010", "nolanguage"),
        ("empty.txt b.txt", "E503", "empty.txt"),
        ("a.txt a.txt --overwrite", "E553", "which is read"),
        ("a.txt letters.tsv", "E510", "OUT"),
        ("a.txt letters.tsv --table letters.tsv", "E553", "which is read"),
        ("a.txt a.spacy", "E554", "--overwrite"),
        ("a.txt out.txt", "E553", "is a folder"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(folder, words, code, said):
    (folder / "out.txt").mkdir()
    Path("empty.txt").touch()
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    status, output = run(*words.split())
    assert status == 1 and f"XLT-{code}" in output and said in output
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_without_uroman_a_table_is_enough(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "uroman", None)
    status, output = run("a.txt", "b.txt")
    assert status == 1 and "XLT-E106" in output and "spacy-xlt[romanise]" in output and "set `table`" in output
    assert run("a.txt", "b.txt", "--table", "letters.tsv")[0] == 0
