"""Text in files: byte order marks, encodings, line ends."""

from __future__ import annotations

import warnings

import pytest

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.lines import read_line_pairs
from spacy_xlt.textfiles import text_lines

TEXTS = {"conll": "São B-LOC\nx O\n", "jsonl": '{"text": "São", "label": [[0, 3, "LOC"]]}\n'}


def lines(tmp_path, data: bytes, encoding: str = "utf8", **settings) -> list[str]:
    (tmp_path / "a.txt").write_bytes(data)
    return [line for _, line in text_lines(tmp_path / "a.txt", encoding, **settings)]


@pytest.mark.parametrize("format", TEXTS)
@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_a_byte_order_mark_says_the_encoding_in_every_format(tmp_path, format, mark):
    path, text = tmp_path / f"a.{format}", TEXTS[format]
    path.write_bytes((text if mark in ("utf-8-sig", "utf-16", "utf-32") else f"\ufeff{text}").encode(mark))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        docs = list(read_corpus(path))
    assert [(ent.text, ent.label_) for doc in docs for ent in doc.ents] == [("São", "LOC")]
    assert {"W513" in str(one.message) for one in said} == ({True} if mark != "utf-8-sig" else set())


@pytest.mark.parametrize("format", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_an_encoding_is_set_in_the_same_way_for_all_formats(tmp_path, format, encoding):
    path = tmp_path / f"a.{format}"
    path.write_bytes(TEXTS[format].encode(encoding))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(path, encoding=encoding)
    assert [ent.text for ent in doc.ents] == ["São"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "shift_jis"])
def test_a_mark_says_more_than_the_setting(tmp_path, encoding):
    with pytest.warns(XltWarning, match=f"W513.*mark of utf-8.*not as {encoding}"):
        assert lines(tmp_path, b"\xef\xbb\xbfa\n", encoding) == ["a"]


def test_marks_at_the_start_of_any_line_are_no_text(tmp_path):
    assert lines(tmp_path, "\ufeffa\n\ufeff\ufeffb\nc\ufeffd\n\ufeff".encode()) == ["a", "b", "c\ufeffd"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("asked", ["utf8", "latin-1", "utf-16"])
def test_wide_characters_without_a_mark_are_refused_with_what_to_set(tmp_path, encoding, asked):
    with pytest.raises(XltError, match=f"E513.*a.txt is not {asked}.*--encoding, for example {encoding}"):
        lines(tmp_path, "Ana B-PER\nmet O\n".encode(encoding), asked)


def test_utf8_that_is_read_in_bytes_is_said(tmp_path):
    with pytest.warns(XltWarning, match="W514.*read as latin-1.*utf-8"):
        assert lines(tmp_path, "São".encode(), "latin-1") == ["SÃ£o"]
    with pytest.warns(XltWarning, match="W514.*read as latin-1.*cp1252"):
        lines(tmp_path, "“São”".encode("cp1252"), "latin-1")
    with pytest.raises(XltError, match="E513.*for example cp1252"):
        lines(tmp_path, "“São”".encode("cp1252"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lines(tmp_path, "São".encode("latin-1"), "latin-1") == ["São"]
        assert lines(tmp_path, "“São”".encode("cp1252"), "cp1252") == ["“São”"]


@pytest.mark.parametrize("encoding", ["unicode_escape", "utf-7", "punycode", "idna", "undefined"])
def test_halves_of_characters_and_odd_encodings_are_no_traceback(tmp_path, encoding):
    with pytest.raises(XltError, match="E513"):
        lines(tmp_path, rb"\ud83d+2D0-".replace(b"\\", b"" if encoding == "utf-7" else b"\\") + b"\xff", encoding)


def test_every_line_end_ends_a_line_and_no_other_character_does(tmp_path):
    assert lines(tmp_path, b"a\rb\r\nc\n\rd\r\r") == ["a", "b", "c", "", "d", ""]
    inside = "a\x0bb\x0cc\x1cd\x1ee\x85f\u2028g\u2029h\0i"
    assert lines(tmp_path, f"{inside}\n".encode()) == [inside]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_are_found_where_pieces_of_the_file_meet(tmp_path, end):
    wanted = ["x" * n for n in range(65530, 65540)]
    for cr_ends in (True, False):
        assert lines(tmp_path, (end.join(wanted) + end).encode(), cr_ends=cr_ends) == wanted


def test_parallel_lines_are_counted_in_line_feeds(tmp_path):
    (tmp_path / "a").write_bytes(b"one\rmore\ntwo\r\n")
    (tmp_path / "b").write_bytes(b"um\ndois\n")
    assert list(read_line_pairs(tmp_path / "a", tmp_path / "b")) == [("one\rmore", "um"), ("two", "dois")]
    for name in "ab":
        (tmp_path / name).write_bytes(b"one\rtwo\r")
    assert len(list(read_line_pairs(tmp_path / "a", tmp_path / "b"))) == 2
