"""`spacy xlt convert`: annotated text of any format to a corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from helpers.corpus_formats import FORMATS, N_DOCS, plain, write
from spacy.cli._util import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import read_docs

IOB2 = """# text = Hi ONU
1\tHi\tO\t-\t-
2\tONU\tI-ORG\t-\t-

1\tRio\tB-LOC\t-\t-
"""


def convert(*args: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["xlt", "convert", *map(str, args)])
    return result.exit_code, " ".join(result.output.split())


def test_a_corpus_is_written_and_a_failed_command_leaves_the_old_file(tmp_path):
    source, output = tmp_path / "in.iob2", tmp_path / "out" / "corpus.spacy"
    source.write_text(IOB2, encoding="utf8")
    code, said = convert(source, output, "--lang", "pt", "--labels", "ORG")
    assert code == 0 and "2 documents, 2 sentences, 3 tokens; ORG 1" in said
    assert "Labels left out: LOC 1" in said and "1 entities begin with an I- tag" in said
    assert len(list(DocBin().from_disk(output).get_docs(spacy.blank("pt").vocab))) == 2
    before = output.read_bytes()
    code, said = convert(source, output, "--tag-col", "9")
    assert code == 1 and "XLT-E511" in said
    assert output.read_bytes() == before and [p.name for p in output.parent.iterdir()] == ["corpus.spacy"]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_converted(tmp_path, format):
    corpus = write(tmp_path, format)
    code, said = convert(corpus, tmp_path / "out.spacy")
    assert code == 0 and f"{N_DOCS} documents" in said
    read, written = plain(read_corpus(corpus)), plain(read_docs(tmp_path / "out.spacy"))
    for key in ("arrays", "groups"):
        assert [doc[key] for doc in read] == [doc[key] for doc in written]


def test_links_records_and_categories_are_counted(tmp_path):
    marked = tmp_path / "relx.txt"
    marked.write_text('1\t"<e1> Ann </e1> runs <e2> IBM </e2>"\nper:employer(e1,e2)\n', encoding="utf8")
    code, said = convert(marked, tmp_path / "links.spacy", "--format", "marked")
    assert code == 0 and "1 documents, 3 tokens, 1 links; e1 1, e2 1" in said
    (tmp_path / "a.txt").write_text("Ann moved", encoding="utf8")
    (tmp_path / "a.ann").write_text("T1\tPER 0 3\tAnn\nT2\tMove 4 9\tmoved\nE1\tMove:T2 Who:T1\n", encoding="utf8")
    assert ", 1 records; Move 1, PER 1" in convert(tmp_path / "a.txt", tmp_path / "records.spacy")[1]
    (tmp_path / "a.tsv").write_text("play it\tPlayMusic\n", encoding="utf8")
    assert ", 1 categories;" in convert(tmp_path / "a.tsv", tmp_path / "cats.spacy", "--format", "texts")[1]


def test_errors_and_help_name_the_formats_that_no_file_name_tells(tmp_path):
    (tmp_path / "a.txt").write_text("<e1> Ann </e1> runs <e2> IBM </e2>", encoding="utf8")
    (tmp_path / "a.json").write_text('{\n"data": []\n}', encoding="utf8")
    (tmp_path / "a.tsv").write_text("play it\tPlayMusic\n", encoding="utf8")
    for name, formats in (("a.txt", "marked pubtator texts"), ("a.json", "squad tacred"), ("a.tsv", "texts")):
        code, said = convert(tmp_path / name, tmp_path / "x.spacy")
        assert code == 1 and all(format in said for format in ["--format", *formats.split()])
    from spacy_xlt.readers.settings import FORMATS as ALL

    assert all(format in convert("--help")[1] for format in ALL)


def test_a_name_that_tells_no_format_needs_the_option(tmp_path):
    (tmp_path / "a.data").write_text(IOB2)
    code, said = convert(tmp_path / "a.data", tmp_path / "out.spacy")
    assert code == 1 and "XLT-E539" in said and "--format" in said
    assert convert(tmp_path / "a.data", tmp_path / "out.spacy", "--format", "iob2")[0] == 0


def test_lines_that_were_not_accepted_are_counted(tmp_path):
    lines = ['{"text": "Rio e", "label": [[0, 3, "LOC"]]}', '{"text": "a", "answer": "ignore"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    code, said = convert(tmp_path / "a.jsonl", tmp_path / "out.spacy", "-f", "prodigy", "-l", "pt")
    assert code == 0 and "1 documents, 2 tokens; LOC 1" in said and "XLT-W568" in said and "1 'ignore'" in said


def test_what_a_reader_had_to_decide_is_said_and_labels_that_are_not_there_are_an_error(tmp_path):
    (tmp_path / "a.conll").write_bytes("Ana B-PER\nleft O\n. O\nShe O\nsings O\n".encode("utf-16"))
    code, said = convert(tmp_path / "a.conll", tmp_path / "out.spacy")
    assert code == 0 and "2 documents, 2 sentences, 5 tokens; PER 1" in said
    assert "XLT-W513" in said and "XLT-W546" in said and said.count("XLT-") == 2
    code, said = convert(tmp_path / "a.conll", tmp_path / "none.spacy", "--labels", "NOPE")
    assert code == 1 and "XLT-E522" in said and "has only: PER" in said and not (tmp_path / "none.spacy").exists()


def test_documents_without_sentences_are_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "Rio is big.", "spans": []}\n{"text": "a b", "spans": []}\n')
    code, said = convert(tmp_path / "a.jsonl", tmp_path / "out.spacy", "-l", "en")
    assert code == 0 and "2 documents, 6 tokens; no entities" in said and "2 documents have no sentences marked" in said


def test_a_corpus_without_any_document_is_not_written(tmp_path):
    lines = {
        "cut.jsonl": '{"text": "Ana.", "spans": [], "tokens": [{"text": "Ana", "start": 0, "end": 3}]}',
        "rejected.jsonl": '{"text": "Ana", "spans": [], "answer": "reject"}',
    }
    for name, line in lines.items():
        (tmp_path / name).write_text(line)
        code, said = convert(tmp_path / name, tmp_path / "out.spacy")
        assert code == 1 and "XLT-E503" in said and not (tmp_path / "out.spacy").exists()


def test_a_development_set_without_documents_is_said(tmp_path):
    (tmp_path / "in.iob2").write_text(IOB2, encoding="utf8")
    outputs = [tmp_path / "train.spacy", "--dev", tmp_path / "dev.spacy", "--dev-share", "0.001"]
    code, said = convert(tmp_path / "in.iob2", *outputs, "--lang", "pt")
    assert code == 0 and "XLT-W550" in said and "dev has no documents" in said


def test_each_language_gets_a_file_and_what_fails_does_not_stop_the_others(tmp_path):
    for name, text in {
        "A/de_pud-test": "1\tBonn\tB-LOC\n", "A/pt_pud-test": "1\tRio\tB-LOC\n", "B/pt_bosque-test": "1\tLula\tB-PER\n",
        "B/sr_set-test": "1\tBeograd\tB-LOC\n", "B/hr_set-test": "1\tZagreb\n", "B/pt_bosque-train": "1\tno\tO\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.iob2").write_text(text, encoding="utf8")
    pattern, output = tmp_path / "*" / "{lang}_*-test.iob2", tmp_path / "out" / "{lang}.spacy"
    code, said = convert(pattern, output, "--lang", "deu, por-BR,swe,srp-Latn,srp-Cyrl,hrv")
    texts = {path.stem: " ".join(doc[0].text for doc in read_docs(path)) for path in (tmp_path / "out").iterdir()}
    assert texts == {"deu": "Bonn", "por-BR": "Rio Lula", "srp-Latn": "Beograd"}
    assert "No file for swe" in said and "No file for srp-Cyrl: this one is in another script" in said
    assert code == 1 and "hrv: XLT-E511" in said and "1 of 6 languages failed: hrv" in said
    assert convert(pattern, output, "--lang", "de,sv")[0] == 0


def test_paths_of_several_languages_are_checked_before_anything_is_written(tmp_path):
    (tmp_path / "a.de.iob2").write_text(IOB2, encoding="utf8")
    for source, output, lang, said in [
        ("a.{lang}.iob2", "out.spacy", "de", "OUTPUT"),
        ("a.de.iob2", "{lang}.spacy", "de", "INPUT"),
        ("a.{lang}.iob2", "{lang}.spacy", "xx", "--lang"),
        ("a.{lang}.iob2", "{lang}.spacy", "sv,da", "No such file of sv, da"),
        ("a.{lang}.iob2", "{lang}.spacy", "de,klingon", "XLT-E010"),
    ]:
        code, message = convert(tmp_path / source, tmp_path / output, "--lang", lang)
        assert code == 1 and said in message
    assert [path.name for path in tmp_path.iterdir()] == ["a.de.iob2"]
