"""brat's texts and annotation: what they say, and what is wrong in them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from spacy.tokens import Doc

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import ReadNotes, ReadSettings, corpus_files, read_corpus, read_file
from spacy_xlt.span_links import End, span_at


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def brat(tmp_path: Path, text: str | bytes, annotation: str) -> Path:
    (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "a.ann").write_text(annotation, encoding="utf8")
    return tmp_path / "a.txt"


def test_a_text_without_relations_has_none_where_another_text_has_some(tmp_path):
    for name, relation in (("a", "R1\tknows Arg1:T1 Arg2:T2\n"), ("b", "")):
        note = f"T1\tPER 0 3\tAna\nT2\tPER 8 10\tBo\n{relation}"
        (tmp_path / f"{name}.txt").write_text("Ana saw Bo", encoding="utf8")
        (tmp_path / f"{name}.ann").write_text(note, encoding="utf8")
    first, second = (doc._.xlt_links for doc in read_corpus(tmp_path))
    assert len(first.links) == 1 and (second.links, second.complete) == ([], True)
    (tmp_path / "a.ann").unlink()
    (tmp_path / "a.txt").unlink()
    (alone,) = read_corpus(tmp_path)
    assert not alone._.xlt_links.complete


def test_spans_are_entities_and_other_lines_are_not(tmp_path):
    text = "Ana saw\nBo Li in São Paulo."
    note = "T1\tPER 0 3\tAna\nT2\tPER 8 13\tBo Li\nT12\tLOC 17 26\tSão Paulo\n"
    others = "A1\tSure T1\n#1\tNote T1\tx y\n*\tEquiv T1 T2\n\n"
    # What is about spans and not carried is counted, but for what people note
    with pytest.warns(XltWarning, match="W567.* 2 relations, .*line 4: A1 Sure") as warned:
        (doc,) = read_corpus(brat(tmp_path, text, note + others))
    assert len(warned) == 1
    assert doc.text == text
    assert ents(doc) == [("Ana", "PER"), ("Bo Li", "PER"), ("São Paulo", "LOC")]
    assert not doc.spans


BOUGHT = "T1\tORG 0 3\tIBM\nT2\tBuy 4 10\tbought\nT3\tORG 11 18\tRed Hat\nT4\tSay 20 24\tsays\nT5\tPER 25 28\tAda\n"


def read_bought(tmp_path: Path, others: str, **settings: str) -> Doc:
    (doc,) = read_corpus(brat(tmp_path, "IBM bought Red Hat, says Ada.", BOUGHT + others), **settings)
    return doc


def name(doc: Doc, end: End | int) -> str | int:
    return end if isinstance(end, int) else span_at(doc, end).text


def test_relations_join_spans(tmp_path):
    doc = read_bought(tmp_path, "R1\towns Arg1:T1 Arg2:T3\t\nR2\tof Arg1:T3 Arg2:T1\n")
    links = doc._.xlt_links.links
    assert [(name(doc, k.head), k.label, name(doc, k.child)) for k in links] == [
        ("IBM", "owns", "Red Hat"),
        ("Red Hat", "of", "IBM"),
    ]


def test_events_are_records_with_roles_that_may_be_events(tmp_path):
    doc = read_bought(tmp_path, "E2\tSay:T4 Who:T5 What:E1\nE1\tBuy:T2 Buyer:T1 Thing:T3 Thing2:T1\nE3\tSay:T4\n")
    say, buy, bare = doc._.xlt_links.records
    assert (say.label, name(doc, say.anchor)) == ("Say", "says")
    assert [(role, name(doc, end)) for role, end in say.roles] == [("Who", "Ada"), ("What", 1)]
    assert [(role, name(doc, end)) for role, end in buy.roles] == [
        ("Buyer", "IBM"),
        ("Thing", "Red Hat"),
        ("Thing", "IBM"),
    ]
    assert bare.roles == ()


def test_normalisations_are_identifiers_of_spans(tmp_path):
    doc = read_bought(tmp_path, "N1\tReference T3 Wikidata:Q485593\tRed Hat Inc.\nN2\tReference T5 Wikidata:Q7259\n")
    assert [ent.kb_id_ for ent in doc.ents] == ["", "", "Wikidata:Q485593", "", "Wikidata:Q7259"]


def test_spans_in_a_group_alone_have_links_and_identifiers(tmp_path):
    others = "T9\tPART 15 18\tHat\nR1\tpart Arg1:T9 Arg2:T3\nN1\tReference T9 W:1\n"
    with pytest.warns(XltWarning, match="W536"):
        doc = read_bought(tmp_path, others, spans_key="sc")
    (link,) = doc._.xlt_links.links
    assert (name(doc, link.head), link.head.key, link.child.key) == ("Hat", "sc", "ents")
    assert [span.kb_id_ for span in doc.spans["sc"] if span.text == "Hat"] == ["W:1"]


@pytest.mark.parametrize(
    ("others", "reason", "n_left"),
    [
        ("R1\towns Arg1:T1 Arg2:T7\nR2\towns Arg1:T1 Arg2:T3\n", "line 6: an end that is not there", 1),
        ("R1\towns Arg1:T1 Arg2:T1\nR2\towns Arg1:T1 Arg2:T3\n", "line 6: from a span to itself", 1),
        ("E1\tBuy:T7 Buyer:T1\nE2\tBuy:T2\n", "line 6: a trigger that is not there", 1),
        ("E1\tBuy:T2 Buyer:T7 Thing:T3\n", "line 6: a role that is not there", 1),
        ("N1\tReference T7 W:1\tIBM\nR2\towns Arg1:T1 Arg2:T3\n", "a.ann, line 6: a span that is not there: N1", 1),
        ("E1\tSay:T4 What:E2\nE2\tBuy:T2 Thing:E1\n", "line 6: an event that is a part of itself", 2),
    ],
)
def test_what_joins_no_spans_is_said_and_the_rest_is_kept(tmp_path, others, reason, n_left):
    with pytest.warns(XltWarning, match=f"W567.*{reason}"):
        doc = read_bought(tmp_path, others)
    links = doc._.xlt_links
    assert len(links.links) + len(links.records) == n_left
    assert len(doc.ents) == 5


def test_spans_that_are_left_out_by_their_labels_take_their_relations_in_silence(tmp_path):
    others = "R1\towns Arg1:T1 Arg2:T5\nR2\towns Arg1:T1 Arg2:T3\nE1\tSay:T4 Who:T5\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error", XltWarning)
        doc = read_bought(tmp_path, others, labels=frozenset({"ORG", "Say"}))
    assert len(doc._.xlt_links.links) == len(doc._.xlt_links.records) == 1


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


@pytest.mark.parametrize(
    "line",
    [
        "E1\tPER 0 3\tAna",
        "A1\tPER 0 3\tAna",
        "R1\tPER 0 3\tAna",
        "#1\tPER 0 3\tAna",
        "*\tPER 0 3\tAna",
        "E1\tSee:T2 Who:T2T1\tPER 0 3\tAna",
        "#1\tNote T2\tsureT1\tPER 0 3",
        "t1\tPER 0 3\tAna",
        "T1\tPER 0 3 Ana",
        "T1\tPER 0,3\tAna",
        "T1\tPER 0 3;\tAna",
        "T1\tPER -1 3\tAna",
        "T1\tPER 0 3.0\tAna",
        "T1\tPER ٠ ٣\tAna",
        "T1\tPER 0 " + "9" * 5000,
        "T1\t 0 3\tAna",
        "T1\tPER 0 3\tAna\tBo",
        "T1\tPER 3 0\tAna",
        "T1\tPER 8 12\tBo",
        "T1\tPER 0 3;2 2\tAna",
    ],
)
def test_a_line_that_could_be_a_span_is_never_taken_for_something_else(tmp_path, line):
    with pytest.raises(XltError, match="E537.*a.ann, line 2"):
        list(read_corpus(brat(tmp_path, "Ana met Bo", "T2\tPER 8 10\tBo\n" + line)))


def test_lines_about_spans_are_no_spans(tmp_path):
    others = "E1\tBinding:T1 Theme:T1 Theme2:T2 \nM1\tNegation E1\nR2\tx Arg1:E1 Arg2:T1\n# a comment\n#2\tNote\tR2 x\n"
    others = others.replace("#2\tNote\tR2 x", "#2\tNote R2\tx") + "A3\tLevel E1 High\n*\tEquiv T1 T2 T3\n"
    (doc,) = read_corpus(brat(tmp_path, "Ana met Bo", "T1\tPER 0 3\tAna\n" + others))
    assert ents(doc) == [("Ana", "PER")]


def test_white_space_at_the_ends_is_no_part_of_a_span_and_spans_that_share_a_token_are_said(tmp_path):
    with pytest.warns(XltWarning, match="W539.*1 spans.*'Ana'"):
        (doc,) = read_corpus(brat(tmp_path, "Ana \nmet Bo", "T1\tPER 0 5\tAna  \n"), lang="en")
    assert ents(doc) == [("Ana", "PER")]
    with pytest.warns(XltWarning, match="W547.*1 spans.*'B and 12 in B12'"):
        (doc,) = read_corpus(brat(tmp_path, "Room B12", "T1\tWING 5 6\tB\nT2\tNR 6 8\t12\n"), lang="en")
    assert ents(doc) == [("B12", "WING")]


def test_what_only_an_overlapping_span_covers_is_missing(tmp_path):
    with pytest.warns(XltWarning, match="W536"):
        (doc,) = read_corpus(brat(tmp_path, "a b c d e", "T1\tX 0 5\ta b c\nT2\tY 4 7\tc d\n"))
    assert [token.ent_iob_ for token in doc] == ["B", "I", "I", "", "O"]


def test_a_text_that_cannot_be_read_is_left_out_alone_when_asked(tmp_path):
    for number, note in enumerate(["T1\tPER 0 3\tAna", "T1\tPER 5 5\t", "T1\tPER 0 3\tBob", ""], start=1):
        (tmp_path / f"{number}.txt").write_text("Ana sings.")
        (tmp_path / f"{number}.ann").write_text(note + "\n")
    (tmp_path / "5.txt").write_bytes(b"\xff")
    (tmp_path / "5.ann").write_text("")
    (file,), notes = corpus_files(tmp_path), ReadNotes()
    with pytest.raises(XltError, match="E537.*2.ann, line 1"):
        list(read_file(file, ReadSettings()))
    with pytest.warns(XltWarning, match="W584.*3 of the 5 texts.*first one is 2.ann.*line 1: a span has no characters"):
        docs = list(read_file(file, ReadSettings(), notes=notes, skip_corrupt=True))
    assert [ents(doc) for doc in docs] == [[("Ana", "PER")], []] and list(notes.left_out) == ["2.ann", "3.ann", "5.ann"]
