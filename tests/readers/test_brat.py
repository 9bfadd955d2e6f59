"""brat's texts and annotation: what they say, and what is wrong in them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from spacy.tokens import Doc

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import read_corpus


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def brat(tmp_path: Path, text: str | bytes, annotation: str) -> Path:
    (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "a.ann").write_text(annotation, encoding="utf8")
    return tmp_path / "a.txt"


def test_spans_are_entities_and_other_lines_are_not(tmp_path):
    text = "Ana saw\nBo Li in São Paulo."
    note = "T1\tPER 0 3\tAna\nT2\tPER 8 13\tBo Li\nT12\tLOC 17 26\tSão Paulo\n"
    others = "E1\tSee:T1 Who:T2\nR1\tknows Arg1:T1 Arg2:T2\t\nA1\tSure T1\n#1\tNote T1\tx y\n"
    others += "*\tEquiv T1 T2\nN1\tRef T1 W:1\tx\n\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(brat(tmp_path, text, note + others))
    assert doc.text == text
    assert ents(doc) == [("Ana", "PER"), ("Bo Li", "PER"), ("São Paulo", "LOC")]


def test_spans_that_overlap_are_counted_or_go_into_a_group(tmp_path):
    path = brat(tmp_path, "University of Lisbon", "T1\tORG 0 20\tUniversity of Lisbon\nT2\tLOC 14 20\tLisbon\n")
    with pytest.warns(XltWarning, match="W536.*1 spans.*'Lisbon'.*--spans-key"):
        (doc,) = read_corpus(path)
    assert ents(doc) == [("University of Lisbon", "ORG")]
    with pytest.warns(XltWarning, match="W536.*'sc' has them all"):
        (doc,) = read_corpus(path, spans_key="sc")
    assert [(s.text, s.label_) for s in doc.spans["sc"]] == [("University of Lisbon", "ORG"), ("Lisbon", "LOC")]


@pytest.mark.parametrize(
    ("note", "code", "found"),
    [
        ("T1\tA 0 2;6 7\tab f", "W537", ["ab cd f"]),
        ("T1\tA 1 4\tb c", "W535", ["ab cd"]),
        ("T1\tA 2 3\t ", "W538", []),
    ],
)
def test_spans_that_are_no_run_of_tokens_are_warned_of(tmp_path, note, code, found):
    with pytest.warns(XltWarning, match=code) as warned:
        (doc,) = read_corpus(brat(tmp_path, "ab cd f", note))
    assert len(warned) == 1 and [text for text, _ in ents(doc)] == found


def test_lines_may_lack_the_text_and_have_a_line_end_as_space(tmp_path):
    (doc,) = read_corpus(brat(tmp_path, "ab\r\ncd ef", "T1\tA 0 6\tab  cd\nT2\tB 7 9"))
    assert [label for _, label in ents(doc)] == ["A", "B"]


@pytest.mark.parametrize("start", [0, 1])
def test_a_byte_order_mark_is_counted_or_not(tmp_path, start):
    (doc,) = read_corpus(brat(tmp_path, "\ufeffAna".encode(), f"T1\tPER {start} {start + 3}\tAna\n"))
    assert doc.text == "Ana" and ents(doc) == [("Ana", "PER")]


@pytest.mark.parametrize(
    ("text", "note", "message"),
    [
        ("Ana", "T1\tPER 0 3\tAna\nhello", "E537.*a.ann, line 2.*'hello'"),
        ("Ana", "T1\tPER 0 3\tBob", "E537.*line 1.*'Ana'.*not 'Bob'"),
        ("Ana", "T1\tPER 2 2\t", "E537.*no characters"),
        ("Ana", "T1 PER 0 3 Ana", "E537.*no annotation"),
        ("", "", "E503"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, note, message):
    with pytest.raises(XltError, match=message):
        list(read_corpus(brat(tmp_path, text, note)))
