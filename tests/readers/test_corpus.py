"""Which files a corpus is, what their format is, and that all formats say the same however they are compressed."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import random
import sys
import warnings
from pathlib import Path

import pytest
import spacy
from helpers.corpus_formats import FORMATS, LABELS, N_DOCS, PACK, label, plain, sentence, spacy_bytes, write
from spacy.tokens import DocBin

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import ReadSettings, corpus_files, read_corpus, read_file
from spacy_xlt.readers import docbin as docbin
from spacy_xlt.readers.lines import read_line_pairs

COLUMNS = "São B-LOC\nx O\n"
IOB2 = "# text = São\n1\tSão\tB-LOC\t-\n"
JSON = '{"text": "a", "label": []}\n'


def named(path: Path, **settings) -> list[tuple[str, str]]:
    return [(file.name, file.format) for file in corpus_files(path, ReadSettings(**settings))]


def fill(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


@pytest.mark.parametrize("format", FORMATS)
def test_documents_are_the_same_however_they_are_compressed(tmp_path, format):
    read = {}
    for packed in PACK:
        (tmp_path / f"x{packed}").mkdir()
        read[packed] = plain(read_corpus(write(tmp_path / f"x{packed}", format, packed), lang="xx"))
    assert len(read[""]) == N_DOCS and all(docs == read[""] for docs in read.values())


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_words_and_entities(tmp_path, format):
    docs = list(read_corpus(write(tmp_path, format)))
    for number, doc in enumerate(docs):
        words, at = sentence(number)
        marked = number % 5 < 4 if format == "jsonl" else number % 3
        assert [token.text for token in doc] == words
        assert [(ent.text, ent.label_) for ent in doc.ents] == ([(words[at], label(number))] if marked else [])


@pytest.mark.parametrize("format", FORMATS[1:])
def test_labels_and_a_span_group_are_settings_of_every_format_of_text(tmp_path, format):
    docs = list(read_corpus(write(tmp_path, format), labels=frozenset(LABELS[:1]), spans_key="sc"))
    assert {ent.label_ for doc in docs for ent in doc.ents} == {LABELS[0]}
    assert all(list(doc.spans["sc"]) == list(doc.ents) for doc in docs)


def test_formats_are_mixed_in_a_folder_and_other_files_are_passed_over(tmp_path):
    files = {
        "b/corpus.conll": COLUMNS,
        "a/corpus.conll": COLUMNS,
        "東京 corpus.spacy": spacy_bytes(1),
        "a.jsonl.gz": gzip.compress(JSON.encode()),
        "x.iob2": IOB2,
        "no extension": IOB2,
        "README.md": "# About\n",
        "image.png": b"\x89PNG\r\n\x1a\n",
        ".hidden.conll": COLUMNS,
        ".git/x.conll": COLUMNS,
    }
    assert named(fill(tmp_path, files)) == [
        ("a/corpus.conll", "conll"),
        ("a.jsonl.gz", "jsonl"),
        ("b/corpus.conll", "conll"),
        ("x.iob2", "iob2"),
        ("東京 corpus.spacy", "spacy"),
    ]
    assert len(list(read_corpus(tmp_path))) == 5


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("corpus.data", COLUMNS, "E539.*corpus.data.*--format.*brat"),
        ("b.txt", "Some words", "E536.*b.txt.*no .ann"),
        ("d.ann", "", "E536.*d.ann.*no .txt"),
    ],
)
def test_a_file_whose_name_tells_no_format_is_refused(tmp_path, name, data, message):
    with pytest.raises(XltError, match=message):
        named(fill(tmp_path, {name: data}) / name)


def test_a_format_that_is_set_chooses_the_files(tmp_path):
    fill(tmp_path, {"a.conll": COLUMNS, "b.tsv": COLUMNS, "c.txt": COLUMNS, "d.jsonl": JSON, "e.md": "# a\n"})
    assert named(tmp_path, format="conll") == [("a.conll", "conll"), ("b.tsv", "conll"), ("c.txt", "conll")]
    assert named(tmp_path, format="prodigy") == [("c.txt", "prodigy"), ("d.jsonl", "prodigy")]
    assert named(tmp_path / "d.jsonl", format="tsv") == [("d.jsonl", "tsv")]
    with pytest.raises(XltError, match="E503"):
        named(tmp_path, format="spacy")


def test_a_path_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(XltError, match="E502"):
        named(tmp_path / "none")
    with pytest.raises(XltError, match="E503"):
        named(fill(tmp_path, {"README.md": "x"}))
    os.mkfifo(tmp_path / "pipe.conll")
    with pytest.raises(XltError, match="E503"):
        named(tmp_path)
    with pytest.raises(XltError, match="E535.*no file"):
        named(tmp_path / "pipe.conll")
    (tmp_path / "b.conll").symlink_to(tmp_path / "none")
    with pytest.raises(XltError, match="E535.*b.conll"):
        list(read_corpus(tmp_path))


def test_a_folder_that_links_to_itself_is_read_once(tmp_path):
    fill(tmp_path / "corpus", {"a.conll": COLUMNS})
    fill(tmp_path / "elsewhere", {"c.conll": COLUMNS})
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "up").symlink_to(tmp_path / "corpus")
    assert named(tmp_path / "corpus") == [("a.conll", "conll"), ("linked/c.conll", "conll")]


def test_texts_of_brat_in_a_folder_are_one_file(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "brat")
    fill(tmp_path, {"a.txt": "Ana", "a.ann": "T1\tPER 0 3\tAna\n", "b.conll": COLUMNS, "c.txt": "x", "d.txt": "y"})
    with pytest.warns(XltWarning, match="W534.*2 texts.*c.txt"):
        assert named(tmp_path) == [("*.ann", "brat"), ("b.conll", "conll"), ("sub/brat/*.ann", "brat")]
    assert named(tmp_path / "a.ann") == [("a.ann", "brat")]
    fill(tmp_path, {"a.txt.gz": gzip.compress(b"Ana")})
    with pytest.raises(XltError, match="E536.*a.txt, a.txt.gz"):
        named(tmp_path)


def test_a_name_that_is_no_utf8_has_a_name_that_can_be_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe3.conll"))
    path.write_text(COLUMNS)
    (file,) = corpus_files(tmp_path)
    assert file.name == "\\xe3.conll" and len(list(read_file(file, ReadSettings()))) == 1


def test_a_digest_is_of_bytes_and_of_the_names_in_a_folder(tmp_path):
    (file,) = corpus_files(write(tmp_path, "jsonl", ".gz"))
    assert file.digest() == hashlib.sha256(file.path.read_bytes()).hexdigest()
    folder = write(tmp_path, "brat")
    digests = [corpus_files(folder)[0].digest()]
    os.rename(folder, tmp_path / "moved")
    assert corpus_files(tmp_path / "moved")[0].digest() == digests[0]
    (tmp_path / "moved" / "doc 000.txt").write_text("São other")
    digests.append(corpus_files(tmp_path / "moved")[0].digest())
    for end in ("txt", "ann"):
        os.rename(tmp_path / "moved" / f"doc 000.{end}", tmp_path / "moved" / f"doc 000a.{end}")
    assert len({*digests, corpus_files(tmp_path / "moved")[0].digest()}) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "xml"}, "E510.*--format.*'xml'.*brat"),
        ({"encoding": "klingon"}, "E510.*--encoding"),
        ({"n_sents": 0}, "E510.*--n-sents"),
        ({"spans_key": "xlt_ents"}, "E510.*--spans-key"),
        ({"spans_key": "ents"}, "E510.*--spans-key"),
        ({"tag_col": 3}, "E541.*--tag-col.*iob2, conll, tsv"),
        ({"spans_key": "sc"}, "E541.*--spans-key"),
        ({"labels": frozenset({"A"})}, "E541.*--labels"),
    ],
)
def test_invalid_settings_and_those_without_effect_are_refused(tmp_path, settings, message):
    fill(tmp_path, {"a.spacy": spacy_bytes(1)})
    with pytest.raises(XltError, match=message):
        read_corpus(tmp_path, **settings)


def test_a_file_is_warned_of_once_a_kind_and_not_again_when_it_was_read_before(tmp_path):
    fill(tmp_path, {"a.jsonl": '{"text": "the Anas Bobs", "label": [[4, 7, "PER"], [9, 12, "PER"]]}\n'})
    (file,), settings = corpus_files(tmp_path), ReadSettings(lang="en")
    with pytest.warns(XltWarning, match="W535.*2 spans.*'Ana'") as warned:
        assert [ent.text for doc in read_file(file, settings) for ent in doc.ents] == ["Anas", "Bobs"]
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(read_file(file, settings, quiet=True))) == 1


@pytest.mark.parametrize("packed", [end for end in PACK if end])
def test_a_compressed_file_that_is_cut_short_or_of_another_kind_is_named(tmp_path, packed):
    path = tmp_path / f"a.conll{packed}"
    for data in (PACK[packed](random.Random(0).randbytes(9999).hex().encode())[:-20], b"a O\n"):
        path.write_bytes(data)
        with pytest.raises(XltError, match=rf"E535.*a.conll{packed} cannot be read"):
            list(read_corpus(path))


def test_zstandard_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.conll.zst").write_bytes(PACK[".zst"](b"a O\n"))
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.delattr("backports.zstd", raising=False)
    with pytest.raises(XltError, match=r"E106.*a.conll.zst.*pip install 'spacy-xlt\[zstd\]'"):
        list(read_corpus(tmp_path / "a.conll.zst"))


@pytest.mark.parametrize("format", ["conll", "jsonl", "txt"])
def test_text_in_another_encoding_is_one_error_in_every_format(tmp_path, format):
    (tmp_path / "a.txt").write_text("")
    path = tmp_path / f"a.{format}"
    for data, hint in (("a O\nSão B-LOC\n".encode("latin-1"), "latin-1"), ("São O\n".encode("utf-16-be"), "utf-16-be")):
        path.write_bytes(data if format != "jsonl" or hint == "utf-16-be" else b'{"text": "a"}\n{"text": "\xe3"}\n')
        with pytest.raises(XltError, match=f"E513.*not utf8: byte .*--encoding, for example {hint}") as raised:
            list(read_line_pairs(path, path) if format == "txt" else read_corpus(path))
        assert path.name in str(raised.value) and (hint == "utf-16-be" or "in line 2" in str(raised.value))


def test_the_place_of_a_byte_is_that_in_the_file(tmp_path):
    path = tmp_path / "a.conll"
    # A character is cut by the pieces that are read
    path.write_bytes(b"x" + "é O\n".encode() * 40000 + b"\xe3o O\n")
    with pytest.raises(XltError, match="E513.*byte 200001, in line 40001"):
        list(read_corpus(path))
    path.write_bytes(b"\xef\xbb\xbfa O\n\xe3o O\n")
    with pytest.raises(XltError, match="E513.*byte 7, in line 2"):
        list(read_corpus(path))


@pytest.mark.parametrize("encoding", ["utf-16", "shift_jis", "gb18030", "utf-8-sig", "cp1252"])
def test_other_encodings_are_read_when_asked_for(tmp_path, encoding):
    word = "São" if encoding == "cp1252" else "東京"
    (tmp_path / "a.conll").write_bytes(f"{word} B-LOC\r\n\r\nx\u0020O\r\n".encode(encoding))
    (tmp_path / "a.jsonl").write_bytes(f'{{"text": "{word}", "label": [[0, {len(word)}, "LOC"]]}}'.encode(encoding))
    for name, n_docs in (("a.conll", 2), ("a.jsonl", 1)):
        docs = list(read_corpus(tmp_path / name, encoding=encoding))
        assert [ent.text for doc in docs for ent in doc.ents] == [word] and len(docs) == n_docs


def test_spacy_files_have_an_order_by_name_and_number(tmp_path):
    names = ["a", "a1", "a01", "a2b", "a10", "a10b2", "a10b10", "b", "\u0661", "10", "9"]
    for name in names:
        DocBin(docs=[spacy.blank("xx")(name)]).to_disk(tmp_path / f"{name}.spacy")
    (tmp_path / ".100002.spacy").write_bytes(b"not finished")
    files = [path.stem for path in docbin.corpus_files(tmp_path)]
    assert len(files) == len(names) and [doc.text for doc in docbin.read_docs(tmp_path)] == files
    for before, after in itertools.pairwise(["9", "10", "a2b", "a10", "a10b2", "a10b10", "b"]):
        assert files.index(before) < files.index(after)
    for path, code in ((tmp_path / "none", "E502"), (fill(tmp_path / "x", {"a.md": ""}), "E503")):
        with pytest.raises(XltError, match=code):
            docbin.corpus_files(path)


def test_a_broken_spacy_file_is_named_wherever_it_is_broken(tmp_path):
    data = spacy_bytes()
    broken = [data[:-20], b"a B-PER\n", b"\x78\x9c"]
    broken += [data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :] for at in range(2, len(data), 397)]
    for piece in broken:
        (tmp_path / "corpus.spacy").write_bytes(piece)
        with pytest.raises(XltError, match="E504.*corpus.spacy"):
            list(read_corpus(tmp_path / "corpus.spacy"))
    (tmp_path / "corpus.spacy").write_bytes(b"")
    with pytest.raises(XltError, match="E503"):
        list(read_corpus(tmp_path / "corpus.spacy"))


def test_text_that_is_no_utf_16_is_one_error_with_its_file(tmp_path):
    (tmp_path / "a.conll").write_text("Maria B-PER\n", encoding="utf8")
    with pytest.raises(XltError, match=r"E513.*a\.conll is not utf-16"):
        list(read_corpus(tmp_path / "a.conll", encoding="utf-16"))
