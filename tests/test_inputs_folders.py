"""Which files a folder's corpus is, and what their format is."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from helpers.inputs_corpora import opened, spacy_bytes, write

from spacy_xlt.build.inputs import InputSettings, open_inputs
from spacy_xlt.errors import XltError, XltWarning

COLUMNS = "São B-LOC\nx O\n"
IOB2 = "# text = São\n1\tSão\tB-LOC\t-\n"
JSON = '{"text": "a", "label": []}\n'


def named(path: Path, **settings) -> list[tuple[str, str]]:
    return [(file.name, file.format) for file in open_inputs(path, InputSettings(**settings))]


def fill(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def test_formats_are_mixed_in_a_folder_and_other_files_are_passed_over(tmp_path):
    files = {
        "b/corpus.conll": COLUMNS,
        "a/corpus.conll": COLUMNS,
        "東京 corpus.spacy": spacy_bytes(1),
        "a.jsonl.gz": gzip.compress(JSON.encode()),
        "x.iob2": IOB2,
        "words.txt": COLUMNS,
        "no extension": IOB2,
        "old.json": JSON,
        "README.md": "# About\n\nWords and words.\n",
        "LICENSE": "All of it.\n",
        "notes.txt": "Some text.\n",
        "meta.json": '{\n "a": 1}',
        "image.png": b"\x89PNG\r\n\x1a\n",
        ".hidden.conll": COLUMNS,
        ".git/x.conll": COLUMNS,
    }
    assert named(fill(tmp_path, files)) == [
        ("a.jsonl.gz", "jsonl"),
        ("a/corpus.conll", "conll"),
        ("b/corpus.conll", "conll"),
        ("no extension", "iob2"),
        ("old.json", "jsonl"),
        ("words.txt", "conll"),
        ("x.iob2", "iob2"),
        ("東京 corpus.spacy", "spacy"),
    ]


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (spacy_bytes(1), "spacy"),
        (gzip.compress(spacy_bytes(1), mtime=0), "spacy"),
        ("\ufeff" + IOB2, "iob2"),
        ("1-2\tao\t_\n1\ta\tO\n2\to\tB-A\n", "iob2"),
        ("-DOCSTART- -X- O O\n\na DT B-NP B-PER\n", "conll"),
        ("a\tB-PER\thttp\n", "tsv"),
        (JSON, "jsonl"),
        ('{"text": "a", "spans": []}\n', "jsonl"),
    ],
)
def test_the_first_lines_tell_the_format_where_the_name_does_not(tmp_path, data, format):
    fill(tmp_path, {"corpus.data": data})
    assert named(tmp_path / "corpus.data") == [("corpus.data", format)]


@pytest.mark.parametrize("data", ["Some words.\n", "a,b\n", "{\n", "# only a comment\n", b"\x00\x01", "- a -\n"])
def test_a_file_of_unknown_format_names_the_setting(tmp_path, data):
    fill(tmp_path, {"corpus.data": data})
    with pytest.raises(XltError, match="E539.*corpus.data.*--format.*brat"):
        named(tmp_path / "corpus.data")


def test_a_format_that_is_set_chooses_the_files(tmp_path):
    fill(tmp_path, {"a.conll": COLUMNS, "b.tsv": COLUMNS, "c.txt": COLUMNS, "d.jsonl": JSON, "e.md": "# a\n"})
    assert named(tmp_path, format="conll") == [("a.conll", "conll"), ("b.tsv", "conll"), ("c.txt", "conll")]
    assert named(tmp_path / "d.jsonl", format="tsv") == [("d.jsonl", "tsv")]
    with pytest.raises(XltError, match="E503"):
        named(tmp_path, format="spacy")


def test_a_path_without_a_corpus(tmp_path):
    with pytest.raises(XltError, match="E502"):
        named(tmp_path / "none")
    with pytest.raises(XltError, match="E503"):
        named(fill(tmp_path, {"README.md": "x"}))
    with pytest.raises(XltError, match="E503"):
        named(fill(tmp_path, {"empty.data": b""}) / "empty.data")
    os.mkfifo(tmp_path / "pipe.conll")
    with pytest.raises(XltError, match="E503"):
        named(tmp_path)
    with pytest.raises(XltError, match="E535.*no file"):
        named(tmp_path / "pipe.conll")


def test_links_are_followed_and_nothing_is_there_twice(tmp_path):
    corpus = fill(tmp_path / "corpus", {"real/a.conll": COLUMNS, "real/b.conll": COLUMNS})
    fill(tmp_path / "elsewhere", {"c.conll": COLUMNS, "blob": IOB2})
    (corpus / "0 linked").symlink_to(tmp_path / "elsewhere")
    (corpus / "1 again").symlink_to(corpus / "real")
    (corpus / "real" / "up").symlink_to(corpus)
    (corpus / "d.conll").symlink_to(corpus / "real" / "a.conll")
    (corpus / "e.iob2").symlink_to(tmp_path / "elsewhere" / "blob")
    assert named(corpus) == [
        ("0 linked/blob", "iob2"),
        ("0 linked/c.conll", "conll"),
        ("real/a.conll", "conll"),
        ("real/b.conll", "conll"),
    ]
    (tmp_path / "link").symlink_to(corpus / "real" / "a.conll")
    assert named(tmp_path / "link") == [("link", "conll")]


def test_a_link_that_leads_nowhere_is_an_error_where_it_would_be_a_corpus(tmp_path):
    fill(tmp_path, {"a.conll": COLUMNS})
    (tmp_path / "notes").symlink_to(tmp_path / "none")
    assert len(named(tmp_path)) == 1
    (tmp_path / "b.conll").symlink_to(tmp_path / "none")
    with pytest.raises(XltError, match="E502.*b.conll"):
        named(tmp_path)


def test_texts_of_brat_in_folders_are_an_input_each(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "brat")
    fill(tmp_path, {"a.txt": "Ana", "a.ann": "T1\tPER 0 3\tAna\n", "b.conll": COLUMNS})
    assert named(tmp_path) == [("*.ann", "brat"), ("b.conll", "conll"), ("sub/brat/*.ann", "brat")]
    assert [file.scan().docs for file in open_inputs(tmp_path)] == [1, 1, 12]
    assert named(tmp_path / "a.ann") == [("a.ann", "brat")]


def test_texts_without_annotation_are_said_and_annotation_without_a_text_is_an_error(tmp_path):
    fill(tmp_path, {"a.txt": "Ana", "a.ann": "", "b.txt": "Some words", "c.txt": "More words"})
    with pytest.warns(XltWarning, match="W534.*2 texts.*b.txt"):
        assert opened(tmp_path).scan().docs == 1
    with pytest.raises(XltError, match="E536.*b.txt.*no .ann"):
        named(tmp_path / "b.txt")
    fill(tmp_path, {"d.ann": ""})
    with pytest.raises(XltError, match="E536.*d.ann.*no .txt"):
        named(tmp_path)


def test_two_texts_for_one_annotation_are_an_error(tmp_path):
    fill(tmp_path, {"a.txt": "Ana", "a.txt.gz": gzip.compress(b"Ana"), "a.ann": ""})
    with pytest.raises(XltError, match="E536.*a.txt, a.txt.gz"):
        named(tmp_path)


def test_a_name_that_is_no_utf8_has_a_name_that_can_be_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe3.conll"))
    path.write_text(COLUMNS)
    (file,) = open_inputs(tmp_path)
    assert file.name == "\\xe3.conll" and file.name.encode() and file.scan().docs == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "xml"}, "E510.*--format.*'xml'.*brat"),
        ({"encoding": "klingon"}, "E510.*--encoding"),
        ({"n_sents": 0}, "E510.*--n-sents"),
        ({"tag_col": 3}, "E541.*--tag-col.*iob2, conll, tsv"),
        ({"spans_key": "sc"}, "E541.*--spans-key"),
        ({"labels": frozenset({"A"})}, "E541.*--labels"),
    ],
)
def test_settings_that_cannot_be_or_have_no_effect(tmp_path, settings, message):
    fill(tmp_path, {"a.spacy": spacy_bytes(1)})
    with pytest.raises(XltError, match=message):
        named(tmp_path, **settings)
