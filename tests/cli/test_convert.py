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
