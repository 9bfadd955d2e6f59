"""Columns: CoNLL, IOB2 with comments, tab-separated."""

from __future__ import annotations

from pathlib import Path

import pytest
from spacy.tokens import Doc

from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError
from spacy_xlt.readers import ReadNotes, read_corpus

IOB2 = """# newdoc id = d1
# sent_id = 1
# text = Maria doesn't live in São Paulo.
1\tMaria\tB-PER\t-\t-
2-3\tdoesn't\t_\t-\t-
2\tdoes\tO\t-\t-
3\tn't\tO\t-\t-
4\tlive\tO\t-\t-
5\tin\tO\t-\t-
6\tSão\tB-LOC\t-\t-
7\tPaulo\tI-LOC\t-\t-
8\t.\tO\t-\t-

# text = OK
1\tOK\tO\t-\t-

# newdoc id = d2
# text = Hi ONU
1\tHi\tO\t-\t-
2\tONU\tB-ORG\t-\t-
"""


def read(text: str | bytes, tmp_path: Path, **settings) -> tuple[list[Doc], ReadNotes]:
    path = tmp_path / "input.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf8"))
    notes = ReadNotes()
    docs = list(read_corpus(path, notes=notes, **{"format": "iob2", "lang": "pt", **settings}))
    return docs, notes


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_spaces_come_from_the_raw_text(tmp_path):
    docs, notes = read(IOB2, tmp_path)
    assert docs[0].text == "Maria doesn't live in São Paulo. "
    assert ents(docs[0]) == [("Maria", "PER"), ("São Paulo", "LOC")]
    assert [(len(doc), ents(doc)) for doc in docs[1:]] == [(1, []), (2, [("ONU", "ORG")])]


def test_raw_text_that_does_not_fit_is_counted(tmp_path):
    docs, notes = read(IOB2.replace("Hi ONU", "Something else"), tmp_path)
    assert notes.counts["no text"] == 1 and docs[2].text == "Hi ONU "


def test_sentences_are_grouped_within_their_document(tmp_path):
    docs, _ = read(IOB2, tmp_path, n_sents=10)
    assert [len(list(doc.sents)) for doc in docs] == [2, 1]


def test_only_the_labels_asked_for_are_kept(tmp_path):
    docs, notes = read(IOB2, tmp_path, labels=frozenset({"PER"}))
    assert ents(docs[0]) == [("Maria", "PER")] and notes.dropped == {"LOC": 1, "ORG": 1}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-A I-A O", [("b c", "A")]),
        ("I-A I-A B-A I-B", [("a b", "A"), ("c", "A"), ("d", "B")]),
        ("S-A B-A I-A E-A", [("a", "A"), ("b c d", "A")]),
        ("U-A B-A L-A U-A", [("a", "A"), ("b c", "A"), ("d", "A")]),
        ("B-A B-A O I-A", [("a", "A"), ("b", "A"), ("d", "A")]),
    ],
)
def test_every_kind_of_iob_is_read(tmp_path, tags, expected):
    text = "\n".join(f"{word} {tag}" for word, tag in zip("abcd", tags.split(), strict=True))
    docs, _ = read(text, tmp_path, format="conll")
    assert ents(docs[0]) == expected


def test_a_dash_is_missing_annotation(tmp_path):
    docs, _ = read("a O\nb -\nc B-A", tmp_path, format="conll")
    assert missing_ranges(docs[0]) == [(1, 2)] and ents(docs[0]) == [("c", "A")]


def test_docstart_begins_a_document_and_a_hash_is_a_token(tmp_path):
    docs, _ = read("-DOCSTART- O\n\n# O\n1 O\n\n-DOCSTART- O\n\nb B-A\n", tmp_path, format="conll", n_sents=9)
    assert [doc.text for doc in docs] == ["# 1 ", "b "]


def test_byte_order_marks_and_windows_line_ends_are_no_text(tmp_path):
    text = "\ufeffa O\r\nb B-A\r\n\r\n\ufeff-DOCSTART- O\r\n\r\nc O"
    docs, _ = read(text.encode(), tmp_path, format="tsv", n_sents=9)
    assert [[token.text for token in doc] for doc in docs] == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "E503.*holds no documents"),
        ("\n\n# text = a\n", {}, "E503"),
        ("a O\nb", {"format": "tsv"}, "E511.*line 2: no column 2.*has 1"),
        ("a O", {"format": "tsv", "token_col": 0}, "E510.*--token-col.* 0;.*counted from 1"),
        ("a O", {"format": "tsv", "tag_col": 5}, "E511.*line 1: no column 5"),
        ("a O", {"format": "conll", "tag_col": 1}, "E512.*line 1: 'a' in column 1"),
        ("a B-", {"format": "conll"}, "E512.*'B-'"),
        ("a\t\tO", {"format": "tsv", "token_col": 2, "tag_col": 3}, "E511.*empty"),
        ("São O".encode("latin-1"), {"format": "conll"}, "E513.*not utf8: byte 1.*--encoding"),
        ("a O\n" * 40000 + "b X\n", {"format": "conll"}, "E512.*line 40001"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, settings, message):
    with pytest.raises(XltError, match=message):
        read(text, tmp_path, **settings)


def test_a_span_group_is_for_documents_without_missing_annotation(tmp_path):
    docs, _ = read("a B-A\n\nb -\n", tmp_path, format="conll", spans_key="sc")
    assert [span.text for span in docs[0].spans["sc"]] == ["a"] and "sc" not in docs[1].spans
