"""`spacy xlt shards export`: documents as JSON lines and as Parquet, and what is not known stays so."""

from __future__ import annotations

import builtins
import json

import pytest
from helpers.shards_build import (
    CUT,
    DOCS_PER_SHARD,
    EMPTY,
    GROUPED,
    N_DOCS,
    ONLY_PT,
    PARTLY,
    UNKNOWN,
)
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build.shards import parquet
from spacy_xlt.build.shards.exporting import Exporter
from spacy_xlt.build.shards.records import Records
from spacy_xlt.errors import XltError
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import read_docs


def export(folder, path, **settings):
    exporter = Exporter(Records(folder), **settings)
    exporter.write(path, overwrite=True)
    if exporter.format == "jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    assert len(rows) == exporter.rows
    return rows


def in_pt(rows):
    """Rows by the number of their document in the input."""
    return {int(row["shard"]) * DOCS_PER_SHARD + row["doc"]: row for row in rows if row["lang"] == "pt"}


def test_a_row_for_each_document_and_language(built_shards, tmp_path):
    for what in ("target", "bitext"):
        rows = export(built_shards, tmp_path / "out", what=what)
        assert len(rows) == 2 * N_DOCS - 1
        assert [row["lang"] for row in rows if (row["shard"], row["doc"]) == ("00001", ONLY_PT - 4)] == ["pt"]
        assert list(in_pt(rows)) == list(range(N_DOCS))
    assert len(export(built_shards, tmp_path / "out", lang="es")) == N_DOCS - 1


def test_offsets_of_tokens_spans_and_sentences_give_their_text(built_shards, tmp_path):
    sides = 0
    for row in export(built_shards, tmp_path / "out", what="bitext"):
        for side in (row, row["source"]):
            text, tokens = side["text"], side["tokens"]
            assert "".join(token["text"] + " " * token["ws"] for token in tokens) == text
            assert all(text[token["start"] : token["end"]] == token["text"] for token in tokens)
            for span in [*(side["spans"] or []), *(side["sentences"] or []), *side["missing"]]:
                assert span["start"] == tokens[span["token_start"]]["start"]
                assert span["end"] == tokens[span["token_end"]]["end"]
            sides += bool(side["spans"])
    assert sides > 40


def test_a_target_is_what_is_trained_on_with_its_source(built_shards, tmp_path):
    rows = in_pt(export(built_shards, tmp_path / "out"))
    assert rows[CUT]["text"] == "Maria-pt sleeps-pt .-pt " and rows[CUT]["source"]["text"] == "Maria sleeps . In Rio . "
    assert [(span["label"], span["score"]) for span in rows[CUT]["spans"]] == [("PER", 0.5)]
    assert [span["label"] for span in rows[CUT]["source"]["spans"]] == ["PER", "LOC"]
    (lost,) = rows[CUT]["lost"]
    assert (lost["text"], lost["label"], lost["reason"], lost["side"]) == ("Rio", "LOC", "no_links", "source")
    assert rows[CUT]["source"]["text"][lost["start"] : lost["end"]] == "Rio"
    assert "dropped" in rows[CUT]["flags"] and rows[0]["flags"] == [] and rows[0]["translation_score"] == -0.25
    assert rows[EMPTY]["text"] == "" and rows[EMPTY]["tokens"] == [] and rows[EMPTY]["lost"]


def test_the_targets_are_those_of_the_build(built_shards, tmp_path):
    docs = [doc for doc in read_docs(built_shards / "target") if "-es" in doc.text]
    rows = [row for row in export(built_shards, tmp_path / "out", lang="es") if row["text"]]
    assert [row["text"] for row in rows] == [doc.text for doc in docs]
    for row, doc in zip(rows, docs, strict=True):
        ents = [(span["start"], span["end"], span["label"]) for span in row["spans"] or [] if span["key"] == "ents"]
        assert ents == [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]


def test_what_is_not_known_does_not_look_like_no_entity(built_shards, tmp_path):
    for what in ("target", "bitext"):
        rows = in_pt(export(built_shards, tmp_path / "out", what=what))
        unknown, partly = rows[UNKNOWN], rows[PARTLY]
        assert unknown["spans"] is None and unknown["annotated"] == []
        assert [token["tag"] for token in unknown["tokens"]] == [None] * 3
        assert [(one["token_start"], one["token_end"]) for one in unknown["missing"]] == [(0, 2)]
        assert unknown["source"]["spans"] is None
        assert [token["tag"] for token in partly["tokens"]] == ["B-PER", "O", None, None]
        assert [(one["token_start"], one["token_end"]) for one in partly["missing"]] == [(2, 3)]
        assert rows[0]["missing"] == [] and rows[0]["annotated"] == ["ents"]


def test_span_groups_have_their_keys_and_scores(built_shards, tmp_path):
    row = in_pt(export(built_shards, tmp_path / "out"))[GROUPED]
    assert row["annotated"] == ["ents", "sc"]
    assert [(span["label"], span["key"], span["token_end"]) for span in row["spans"]] == [
        ("PER", "ents", 0),
        ("LOC", "ents", 2),
        ("FACT", "sc", 2),
    ]
    assert all(0.0 < span["score"] <= 1.0 for span in row["spans"])


def test_links_and_pairs_of_bitexts(built_shards, tmp_path):
    rows = in_pt(export(built_shards, tmp_path / "out", what="bitext"))
    assert [(link["source"], link["target"]) for link in rows[CUT]["links"]] == [(i, i) for i in range(3)]
    assert rows[CUT]["links"][0]["score"] == 0.5
    first, second = rows[CUT]["pairs"]
    assert (second["source_start"], second["source_end"], second["score"]) == (3, 6, -0.25)
    assert first["flags"] == [] and "dropped" in second["flags"]
    assert rows[CUT]["text"] == "Maria-pt sleeps-pt .-pt other-pt other-pt other-pt "


def test_json_lines_can_be_read_back_as_prodigy_s(built_shards, tmp_path):
    export(built_shards, tmp_path / "out.jsonl", lang="es")
    docs = [doc for doc in read_docs(built_shards / "target") if "-es" in doc.text]
    rows = [line for line in (tmp_path / "out.jsonl").read_text().splitlines() if '"tokens": []' not in line]
    (tmp_path / "some.jsonl").write_text("\n".join(rows))
    again = list(read_corpus(tmp_path / "some.jsonl", format="prodigy", lang="es"))
    assert [[token.text_with_ws for token in doc] for doc in again] == [[t.text_with_ws for t in doc] for doc in docs]
    assert [[str(ent) for ent in doc.ents] for doc in again] == [[str(ent) for ent in doc.ents] for doc in docs]
    assert any("sc" in doc.spans for doc in again)


@pytest.mark.parametrize("what", ["target", "bitext"])
def test_parquet_says_what_json_lines_say(built_shards, tmp_path, what):
    pq = pytest.importorskip("pyarrow.parquet")
    lines = export(built_shards, tmp_path / "out.jsonl", what=what)
    assert export(built_shards, tmp_path / "out.parquet", what=what, format="parquet") == lines
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert str(schema.field("flags").type) == "list<element: string>"
    assert str(schema.field("tokens").type).startswith("list<element: struct<id: int32, text: string, start: int32")
    assert str(schema.field("source").type).startswith(
        "struct<lang: string, text: string, spans: list<element: struct<"
    )
    about = json.loads(schema.metadata[b"spacy_xlt"])
    assert about["what"] == what and about["engines"]["xlt_projector"]


def test_row_groups_are_bounded(built_shards, tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet, "_TOKENS_A_GROUP", 30)
    monkeypatch.setattr(parquet, "_TOKENS_A_TABLE", 10)
    rows = export(built_shards, tmp_path / "out.parquet", format="parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sum(sizes) == len(rows) and len(sizes) > 3
    read = [file.read_row_group(i).to_pylist() for i in range(file.num_row_groups)]
    assert [row for group in read for row in group] == rows
    assert all(sum(len(row["tokens"]) for row in group) < 45 for group in read)


def test_without_pyarrow_the_extra_is_named(built_shards, tmp_path, monkeypatch):
    really_import = builtins.__import__

    def without_pyarrow(name, *arguments, **settings):
        if name.split(".")[0] == "pyarrow":
            raise ImportError("No module named 'pyarrow'")
        return really_import(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(XltError, match=r"E555.*spacy-xlt\[parquet\]"):
        export(built_shards, tmp_path / "out", format="parquet")


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_an_export_that_is_interrupted_or_fails_leaves_what_was_there(built_shards, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow")

    def interrupt(n_shards):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    out.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        Exporter(Records(built_shards), format=format).write(out, overwrite=True, progress=interrupt)
    (built_shards / "bitext" / "00002.spacy").write_bytes(b"spoilt")
    with pytest.raises(XltError, match="E550.*shard 00002"):
        export(built_shards, out, format=format)
    assert out.read_text() == "before" and {path.name for path in tmp_path.iterdir()} == {"built", "out"}


def test_the_command_says_what_it_wrote_and_refuses_what_it_does_not_know(built_shards, tmp_path):
    arguments = ["xlt", "shards", "export", str(built_shards), str(tmp_path / "out.jsonl")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and f"{2 * N_DOCS - 1} rows" in result.output
    assert "XLT-E554" in CliRunner().invoke(app, arguments).output
    result = CliRunner().invoke(app, [*arguments, "--format", "csv"])
    assert result.exit_code == 1 and "XLT-E510" in result.output
    result = CliRunner().invoke(app, [*arguments, "--lang", "de", "--overwrite"])
    assert result.exit_code == 1 and "XLT-E552" in result.output
