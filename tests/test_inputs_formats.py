"""What each format of text says, and what is wrong in it."""

from __future__ import annotations

import gzip
import json
import sys
import warnings
from pathlib import Path

import pytest
from helpers.inputs_corpora import docs_of, opened
from spacy.tokens import Doc

from spacy_xlt.build.inputs import FileInfo
from spacy_xlt.errors import XltError, XltWarning


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def read(path: Path, **settings) -> list[Doc]:
    file = opened(path, **settings)
    (found,) = file.slices([(0, file.scan().docs)])
    return docs_of(found)


def lines(tmp_path: Path, *data) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in data), encoding="utf8")
    return path


def brat(tmp_path: Path, text: str | bytes, annotation: str) -> Path:
    (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "a.ann").write_text(annotation, encoding="utf8")
    return tmp_path / "a.txt"


def span(start: int, end: int, label: str = "PER", **more) -> dict:
    return {"start": start, "end": end, "label": label, **more}


@pytest.mark.parametrize(
    "line",
    [
        {"text": "Ana is 😀 Bo", "spans": [span(0, 3), span(9, 11, "ORG")]},
        {"text": "Ana is 😀 Bo", "label": [[0, 3, "PER"], [9, 11, "ORG"]]},
        {"id": 1, "text": "Ana is 😀 Bo", "labels": [[0, 3, "PER"], [9, 11, "ORG"]], "meta": {}},
        {"id": 1, "data": "Ana is 😀 Bo", "label": [[0, 3, "PER"], [9, 11, "ORG"]]},
        {
            "text": "Ana is 😀 Bo",
            "relations": [],
            "entities": [
                {"id": 7, "start_offset": 9, "end_offset": 11, "label": "ORG"},
                {"id": 8, "start_offset": 0, "end_offset": 3, "label": "PER"},
            ],
        },
    ],
)
def test_every_form_of_spans_in_json_lines(tmp_path, line):
    (doc,) = read(lines(tmp_path, line))
    assert ents(doc) == [("Ana", "PER"), ("Bo", "ORG")]


def test_forms_may_be_mixed_and_only_accepted_lines_are_documents(tmp_path):
    path = lines(
        tmp_path,
        {"text": "Ana", "label": [[0, 3, "PER"]]},
        "",
        {"text": "no", "spans": [], "answer": "reject"},
        {"text": "no", "spans": [], "answer": "ignore"},
        {"text": "Bo", "spans": [span(0, 2)], "answer": "accept"},
        {"text": "plain", "label": "a class"},
    )
    assert opened(path).scan() == FileInfo(3, 2)
    assert [doc.text for doc in read(path)] == ["Ana", "Bo", "plain"]


@pytest.mark.filterwarnings("ignore:.*W535")
def test_a_span_inside_a_token_is_widened_and_said_once(tmp_path):
    path = lines(tmp_path, {"text": "the Anas", "label": [[4, 7, "PER"]]}, {"text": "Bobs", "spans": [span(0, 3)]})
    with pytest.warns(XltWarning, match="W535.*2 spans.*'Ana'") as said:
        opened(path, lang="en").scan()
    assert len(said) == 1
    assert [ents(doc) for doc in read(path, lang="en")] == [[("Anas", "PER")], [("Bobs", "PER")]]


def test_a_line_whose_own_tokens_do_not_fit_is_left_out_of_scan_and_slices(tmp_path):
    tokens = [{"text": "Ana", "start": 0, "end": 3}, {"text": "is", "start": 4, "end": 6}]
    fits = {"text": "Ana is", "tokens": tokens, "spans": [span(0, 3, token_start=0, token_end=0)]}
    path = lines(tmp_path, fits, {**fits, "spans": [span(0, 2)]}, {**fits, "text": "Bob is"}, fits)
    file = opened(path)
    with pytest.warns(XltWarning, match="W562.*2 lines.*line 2, 3, where"):
        assert file.scan() == FileInfo(2, 2)
    (last,) = file.slices([(1, 2)])
    assert ents(docs_of(last)[0]) == [("Ana", "PER")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', "E564.*line 2.*no JSON"),
        ("[1]", "E564.*line 2.*list, not an object"),
        ({"label": [[0, 1, "A"]]}, "E564.*line 2.*text"),
        ({"text": "a", "label": ["positive"]}, "E564.*line 2.*no span"),
        ({"text": "a", "annotations": [{"label": 3, "start_offset": 0, "end_offset": 1}]}, "E564.*line 2.*no name"),
        ({"text": "a", "label": [[0, 5, "A"]]}, "E564.*line 2.*not in the text"),
        ({"text": "a", "label": [[1, 0, "A"]]}, "E564.*line 2.*not in the text"),
        ({"text": "a", "answer": "maybe"}, "E564.*line 2.*maybe"),
        ({"text": "a b", "label": [[0, 3, "A"], [0, 1, "B"]]}, "E566.*line 2.*--spans-key"),
    ],
)
def test_a_json_line_of_another_form_is_named(tmp_path, line, message):
    with pytest.raises(XltError, match=message):
        opened(lines(tmp_path, {"text": "ok"}, line)).scan()


def test_spans_that_overlap_go_into_a_span_group(tmp_path):
    path = lines(tmp_path, {"text": "a b", "label": [[0, 3, "A"], [0, 1, "B"]]})
    (doc,) = read(path, spans_key="sc")
    assert [(s.text, s.label_) for s in doc.spans["sc"]] == [("a", "B"), ("a b", "A")]


def test_columns_take_labels_and_a_span_group(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tB-A\nb\tB-B\n\nc\tB-B\n")
    docs = read(tmp_path / "a.tsv", labels=frozenset({"A"}), spans_key="sc")
    assert [ents(doc) for doc in docs] == [[("a", "A")], []] and len(docs[0].spans["sc"]) == 1
    assert opened(tmp_path / "a.tsv", labels=frozenset({"A"})).scan() == FileInfo(2, 1)


def test_columns_counted_from_0_are_taken_so_in_scan_and_slices(tmp_path):
    (tmp_path / "a.conll").write_text("1 a B-A\n\n2 b O\n")
    with pytest.warns(XltWarning, match="W511"):
        assert [ents(doc) for doc in read(tmp_path / "a.conll", token_col=1, tag_col=2)] == [[("a", "A")], []]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.conll", b"a O\n" * 40000 + b"b X\n", "E512.*line 40001"),
        ("a.conll", b"a O\n" * 40000 + b"\xe3o O\n", "E513.*byte 160000, in line 40001.*--encoding"),
        ("a.conll", b"\xef\xbb\xbfa O\n\xe3o O\n", "E513.*byte 7, in line 2"),
        ("a.conll", "ã O\n".encode("utf-16"), "E513.*byte 0"),
        ("a.conll", b"a O\nb O \xe3", "E513.*byte 8, in line 2"),
        ("a.tsv", b"", "E503"),
        ("a.jsonl", b"\n \n", "E503"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xe3"}', "E236.*line 2, byte"),
        ("a.conll.gz", gzip.compress(b"a O\n" * 9999, mtime=0)[:-12], "E535.*damaged or cut short"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 999, mtime=0)[:-12], "E232.*damaged or cut short"),
        ("a.spacy.gz", gzip.compress(b"x" * 9999, mtime=0)[:-12], "E504"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_place(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(XltError, match=message) as raised:
        opened(tmp_path / name).scan()
    assert name in str(raised.value)


@pytest.mark.parametrize("encoding", ["utf-16", "shift_jis", "gb18030", "utf-8-sig", "cp1252"])
def test_columns_in_other_encodings(tmp_path, encoding):
    word = "São" if encoding == "cp1252" else "東京"
    (tmp_path / "a.conll").write_bytes(f"{word} B-LOC\r\n\r\nx\u0020O\r\n".encode(encoding) * 1)
    assert [ents(doc) for doc in read(tmp_path / "a.conll", encoding=encoding)] == [[(word, "LOC")], []]


def test_a_character_may_be_cut_by_the_pieces_that_are_read(tmp_path):
    (tmp_path / "a.conll").write_text("é O\n" * 5 + "x" + "é" * 70000 + " B-A\n", encoding="utf8")
    (doc,) = read(tmp_path / "a.conll")
    assert doc[5].text == "x" + "é" * 70000 and len(doc) == 6


def test_brat_spans_are_entities_and_other_lines_are_not(tmp_path):
    text = "Ana saw\nBo Li in São Paulo."
    note = "T1\tPER 0 3\tAna\nT2\tPER 8 13\tBo Li\nT12\tLOC 17 26\tSão Paulo\n"
    others = "E1\tSee:T1 Who:T2\nR1\tknows Arg1:T1 Arg2:T2\t\nA1\tSure T1\n#1\tNote T1\tx y\n"
    others += "*\tEquiv T1 T2\nN1\tRef T1 W:1\tx\n\n"
    (doc,) = read(brat(tmp_path, text, note + others))
    assert doc.text == text
    assert ents(doc) == [("Ana", "PER"), ("Bo Li", "PER"), ("São Paulo", "LOC")]


@pytest.mark.filterwarnings("ignore:.*W53")
def test_brat_spans_that_overlap_are_counted_or_go_into_a_group(tmp_path):
    path = brat(tmp_path, "University of Lisbon", "T1\tORG 0 20\tUniversity of Lisbon\nT2\tLOC 14 20\tLisbon\n")
    with pytest.warns(XltWarning, match="W536.*1 spans.*'Lisbon'.*--spans-key"):
        assert opened(path).scan() == FileInfo(1, 1)
    assert ents(read(path)[0]) == [("University of Lisbon", "ORG")]
    (doc,) = read(path, spans_key="sc")
    assert [(s.text, s.label_) for s in doc.spans["sc"]] == [("University of Lisbon", "ORG"), ("Lisbon", "LOC")]


@pytest.mark.parametrize(
    ("note", "code", "found"),
    [
        ("T1\tA 0 2;5 6\tab f", "W537", ["ab cd f"]),
        ("T1\tA 1 4\tb c", "W535", ["ab cd"]),
        ("T1\tA 2 3\t ", "W538", []),
    ],
)
@pytest.mark.filterwarnings("ignore:.*W53")
def test_brat_spans_that_are_no_run_of_tokens_are_said(tmp_path, note, code, found):
    path = brat(tmp_path, "ab cd f", note.replace("5 6", "6 7"))
    with pytest.warns(XltWarning, match=code) as said:
        opened(path).scan()
    assert len(said) == 1
    assert [text for text, _ in ents(read(path)[0])] == found


def test_brat_lines_may_lack_the_text_and_have_a_line_end_as_space(tmp_path):
    path = brat(tmp_path, "ab\r\ncd ef", "T1\tA 0 6\tab  cd\nT2\tB 7 9")
    assert [label for _, label in ents(read(path)[0])] == ["A", "B"]


@pytest.mark.parametrize("start", [0, 1])
def test_a_byte_order_mark_in_a_text_of_brat_is_counted_or_not(tmp_path, start):
    path = brat(tmp_path, "\ufeffAna".encode(), f"T1\tPER {start} {start + 3}\tAna\n")
    (doc,) = read(path)
    assert doc.text == "Ana" and ents(doc) == [("Ana", "PER")]


@pytest.mark.parametrize(
    ("text", "note", "message"),
    [
        ("Ana", "T1\tPER 0 3\tAna\nhello", "E537.*a.ann, line 2.*'hello'"),
        ("Ana", "T1\tPER 0 4\tAna", "E537.*a.ann, line 1"),
        ("Ana", "T1\tPER 0 3\tBob", "E537.*line 1.*'Ana'.*not 'Bob'"),
        ("Ana", "T1\tPER 2 2\t", "E537.*no characters"),
        ("Ana", "T1 PER 0 3 Ana", "E537.*no annotation"),
        (b"\xe3", "", "E513.*a.txt.*byte 0"),
        ("", "", "E503"),
    ],
)
def test_what_is_wrong_in_brat_is_named_with_its_line(tmp_path, text, note, message):
    with pytest.raises(XltError, match=message):
        opened(brat(tmp_path, text, note)).scan()


def test_zstandard_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    from helpers.inputs_corpora import PACK

    (tmp_path / "a.conll.zst").write_bytes(PACK[".zst"](b"a O\n"))
    assert opened(tmp_path / "a.conll.zst").scan().docs == 1
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.delattr("backports.zstd", raising=False)
    with pytest.raises(XltError, match=r"E534.*a.conll.zst.*pip install 'spacy-xlt\[zstd\]'"):
        opened(tmp_path / "a.conll.zst").scan()


def test_nothing_is_said_of_a_corpus_that_is_as_it_should_be(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(brat(tmp_path, "Ana saw Bo", "T1\tPER 0 3\tAna\nT2\tPER 8 10\tBo"))[0].ents) == 2
        assert len(read(lines(tmp_path, {"text": "Ana", "spans": [span(0, 3)]}))[0].ents) == 1
