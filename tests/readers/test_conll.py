"""Columns: CoNLL, IOB2 with comments, tab-separated."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from spacy.tokens import Doc

from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError, XltWarning
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
    with pytest.warns(XltWarning, match="W540.*1 sentences.*'Something else'"):
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


def test_a_column_of_dashes_is_said(tmp_path):
    with pytest.warns(XltWarning, match="W551.*--tag-col"):
        docs, _ = read(IOB2, tmp_path, tag_col=4)
    assert [missing_ranges(doc) for doc in docs] == [[(0, 8)], [(0, 1)], [(0, 2)]]


def test_tags_in_another_column_are_said_where_there_is_no_entity(tmp_path):
    with pytest.warns(XltWarning, match="W552.*'B-PER'.*--tag-col"):
        read("Ana B-PER O\nmet O O\n\nRui B-LOC O\n", tmp_path, format="conll")
    assert rows(silently("B-PER x O\n\n", tmp_path, format="conll")) == [("B-PER", "O")]
    silently("Ana B-NP B-PER\n\nmet B-VP O\n", tmp_path, format="conll")


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
        ("Rui B-PER\nDa Costa I-PER\n", {"format": "conll"}, "E516.*line 2: 3 cells, and line 1 has 2"),
        ("Da Costa I-PER\nRui B-PER\n", {"format": "tsv", "tag_col": 3}, "E511.*line 2: no column 3.*has 2"),
        ("a\tO\nDa Costa\tB-PER\nRui B-PER\n", {"format": "tsv"}, "E511.*line 3"),
        ("a\tO\nDa\tCosta\tB-PER\n", {"format": "tsv"}, "E516.*line 2: 3 cells"),
        ("Ana NN O B-PER\nRui B-PER\n", {"format": "conll"}, "E516.*line 2: 2 cells, and line 1 has 4"),
        ("Ana\tNN\tB-PER\nRui\tB-PER\t\n", {"format": "conll"}, "E511.*line 2.*that one empty"),
        ("a O\n\u3000\nb O\n", {"format": "conll"}, "E516.*line 2"),
        ("Porto B-LOC\n B-LOC\n", {"format": "conll"}, "E516.*line 2: 1 cells, and line 1 has 2"),
        ("Porto\tB-LOC\n\tB-LOC\n", {"format": "tsv"}, "E511.*line 2: no column 1.*empty"),
        (" O\n", {"format": "conll"}, "E511.*line 1: no column of tokens beside the tag"),
        ("Ana\nmet\n", {"format": "conll"}, "E512.*line 1: 'Ana'"),
        ("a B_PER", {"format": "conll"}, "E512.*'B_PER'"),
        ("a -PER", {"format": "conll"}, "E512.*'-PER'"),
        ("a b-per", {"format": "conll"}, "E512.*'b-per'"),
        ("a _", {"format": "conll"}, "E512.*'_'"),
        ("a\tB-\u00a0", {"format": "tsv"}, "E512"),
        ("a\tB-PER\u00a0", {"format": "tsv"}, r"E512.*'B-PER\\xa0'"),
        ("a\tB-PER\x0b", {"format": "tsv"}, r"E512.*'B-PER\\x0b'"),
        ("Ana B-PER\x85met O\x85", {"format": "conll"}, r"E512.*line 1: 'B-PER\\x85met'"),
        ("Ana\tB-PER\u2028met\tO\u2028.\tO", {"format": "conll"}, r"E512.*line 1: 'B-PER\\u2028met'"),
        ("name\tkind\nAna\tB-PER\n", {"format": "tsv"}, "E512.*line 1: 'kind'.*header"),
        ("a O\na O " + "x" * 30000 + "\n", {"format": "conll"}, "E516.*line 2"),
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


def silently(text: str | bytes, tmp_path: Path, **settings) -> list[Doc]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(text, tmp_path, **settings)[0]


def rows(docs: list[Doc]) -> list[tuple[str, str]]:
    return [(token.text, f"{token.ent_iob_}-{token.ent_type_}".rstrip("-")) for doc in docs for token in doc]


ANA = [("Ana", "B-PER"), ("sings", "O")]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("#\thttp://example.org\n1\tAna\tB-PER\tO\n2\tsings\tO\tO\n", {"format": "tsv", "token_col": 2, "tag_col": 3}),
        ("#\thttp://example.org\tO\n1\tAna\tB-PER\tO\n2\tsings\tO\tO\n", {"format": "iob2"}),
        ("#3\tx\tO\tO\n1\tAna\tB-PER\tO\n2\tsings\tO\tO\n", {"format": "iob2"}),
        ("# id 1\tdomain=en\nAna _ _ B-PER\nsings _ _ O\n", {"format": "conll"}),
        ("# id 1 domain=en\nAna _ _ B-PER\nsings _ _ O\n", {"format": "conll"}),
        ("# text = O\nAna _ _ B-PER\nsings _ _ O\n", {"format": "conll"}),
        ("#\n#\tx\ty\tz\nAna\tB-PER\nsings\tO\n", {"format": "tsv"}),
        ("  # a comment\nAna\tB-PER\nsings\tO\n", {"format": "tsv"}),
        ("Ana\tB-PER\n# a comment\n# text is here\nsings\tO\n", {"format": "tsv"}),
    ],
)
def test_comments_are_skipped_whatever_is_in_them_in_every_format(tmp_path, text, settings):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*W540")
        assert rows(read(text, tmp_path, **settings)[0]) == ANA


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("# O\na O\n", {"format": "conll"}),
        ("# O O\na O O\n", {"format": "conll"}),
        ("a O\n\n#\tO\n", {"format": "conll"}),
        ("#\tO\n", {"format": "tsv"}),
        ("#tag B-X\n# O\n", {"format": "conll"}),
        ("1\t#\tO\t-\n2\t#x\tO\t-\n", {"format": "iob2"}),
        ("$\ta\tO\n#\t5\tO\n", {"format": "iob2"}),
    ],
)
def test_a_hash_that_is_a_token_is_no_comment(tmp_path, text, settings):
    text = text.replace("\n\n#\t", "\n\n# ")
    n_rows = sum(bool(line) for line in text.splitlines())
    assert len(rows(silently(text, tmp_path, **settings))) == n_rows


def test_a_raw_text_may_end_as_a_row_does(tmp_path):
    assert rows(silently("# text = Type O\nType O\nO O\n", tmp_path, format="conll")) == [("Type", "O"), ("O", "O")]


def test_a_comment_that_may_be_a_row_is_counted(tmp_path):
    with pytest.warns(XltWarning, match="W542.*1 lines.*'# Da Costa I-PER'"):
        assert rows(read("Ana B-PER\nsings O\n# Da Costa I-PER\n", tmp_path, format="conll")[0]) == ANA


@pytest.mark.parametrize(
    "text",
    [
        "-DOCSTART- -X- O O\n\nAna NN O B-PER\n\n\ufeff-DOCSTART- -X- O O\n\nsings NN O O\n",
        "-DOCSTART-\nAna B-PER\n-DOCSTART-\nsings O\n",
        "-docstart- O\n\nAna B-PER\n\n-DOCSTART- (2) O\n\nsings O\n",
        "-DOCSTART-\tO\n\nAna\tB-PER\n\n-DOCSTART-\t\nsings\tO\n",
        "0\t-DOCSTART-\tO\n\n1\tAna\tB-PER\n\n0\t-DOCSTART-\tO\n\n1\tsings\tO\n",
        "# newdoc\n1\tAna\tB-PER\n# newdoc id = 2\n1\tsings\tO\n",
    ],
)
def test_documents_begin_where_the_file_says(tmp_path, text):
    format = "iob2" if "1\t" in text else "conll"
    docs = silently(text, tmp_path, format=format, n_sents=9)
    assert rows(docs) == ANA and len(docs) == 2


def test_the_names_of_columns_do_not_hide_the_start_of_a_document(tmp_path):
    text = "Ana B-PER\n\n-DOCSTART- O\ntoken tag\n\nsings O\n"
    with pytest.warns(XltWarning, match="W541"):
        docs = read(text, tmp_path, format="conll", n_sents=10)[0]
    assert rows(docs) == ANA and len(docs) == 2


def test_a_token_that_begins_like_a_mark_of_documents_is_one(tmp_path):
    assert rows(silently("-DOCSTART-x O\n", tmp_path, format="conll")) == [("-DOCSTART-x", "O")]


def test_no_white_space_but_spaces_and_tabs_ends_a_token(tmp_path):
    tokens = [f"a{chr(code)}b" for code in (0xA0, 0x2009, 0x202F, 0x3000, 0x85, 0x1C, 0x2028, 0x0B, 0x0C, 0xFEFF, 0)]
    for between in ("\t", " "):
        text = "".join(f"{token}{between}B-X\n" for token in tokens)
        assert rows(silently(text + "\n", tmp_path, format="conll")) == [(token, "B-X") for token in tokens]


@pytest.mark.parametrize(
    "text",
    [
        "Ana\tB-PER \nsings\tO\n",
        "Ana \tB-PER\n sings\tO\n",
        "Ana   B-PER  \n  sings O\n",
        "Ana\tB-PER\t\nsings\tO\n",
        "Ana\tB-PER\t\t\nsings\tO\t\t\n",
        "Ana\tB-PER\r\nsings\tO\r\n",
        "Ana B-PER\rsings O\r",
        "Ana B-PER\r\nsings O\r",
    ],
)
def test_white_space_around_cells_is_no_part_of_them(tmp_path, text):
    assert rows(silently(text, tmp_path, format="conll")) == ANA


def test_entities_do_not_begin_or_end_with_white_space_of_their_own(tmp_path):
    with pytest.warns(XltWarning, match="W539.*1 spans.*'Ana'"):
        docs, _ = read("\u00a0 B-PER\nAna I-PER\n\u3000 I-PER\n", tmp_path, format="conll")
    assert rows(docs) == [("\u00a0", "O"), ("Ana", "B-PER"), ("\u3000", "O")]
    with pytest.warns(XltWarning, match="W538.*1 spans"):
        assert rows(read("\u3000 B-PER\n", tmp_path, format="conll")[0]) == [("\u3000", "O")]


def test_a_cell_with_tabs_around_it_may_have_spaces(tmp_path):
    assert rows(silently("São Tomé\tB-LOC\n", tmp_path, format="tsv")) == [("São Tomé", "B-LOC")]


@pytest.mark.parametrize("prefix", ["en:", "zh-min-nan:", "simple:"])
def test_the_prefix_of_wikiann_is_taken_off_where_every_token_has_it(tmp_path, prefix):
    with pytest.warns(XltWarning, match=f"W544.*{prefix}"):
        docs, _ = read(f"{prefix}Ana\tB-PER\n{prefix}sings\tO\n\n{prefix}{prefix}\tO\n", tmp_path, format="tsv")
    assert rows(docs) == [*ANA, (prefix, "O")]


def test_where_a_token_has_no_prefix_all_stay_as_they_are(tmp_path):
    for last in ("x", "en:", "pt:x"):
        with pytest.warns(XltWarning, match="W545.*'en:'"):
            docs, _ = read(f"en:Ana\tB-PER\nen:sings\tO\n{last}\tO\n", tmp_path, format="tsv")
        assert rows(docs) == [("en:Ana", "B-PER"), ("en:sings", "O"), (last, "O")]
    assert rows(silently("http://x\tO\n", tmp_path, format="tsv")) == [("http://x", "O")]
    assert rows(silently("pt:x O\na O\n", tmp_path, format="conll")) == [("pt:x", "O"), ("a", "O")]


@pytest.mark.parametrize("header", ["TOKEN\tTAG", "word\tner", "Token\tner_tags", "words\tlabels", "form\tNE-tag"])
def test_the_names_of_columns_are_no_token_and_named(tmp_path, header):
    with pytest.warns(XltWarning, match="W541.*1 lines"):
        assert rows(read(f"{header}\nAna\tB-PER\nsings\tO\n", tmp_path, format="tsv")[0]) == ANA


NUMBERS = ["3-1", "1-2", "1998-2002", "2.5", "0.1", "1", "2", "1-1"]


@pytest.mark.parametrize("format", ["iob2", "conll", "tsv"])
def test_numbers_are_tokens_in_the_first_column(tmp_path, format):
    text = "".join(f"{number}\tO\n" for number in NUMBERS)
    docs = silently(text, tmp_path, format=format, token_col=1, tag_col=2)
    assert [token for token, _ in rows(docs)] == NUMBERS


def test_a_first_column_that_numbers_the_tokens_is_refused_where_it_would_be_taken_for_them(tmp_path):
    text = "# sent_id = 1\n1\tAna\tB-PER\n2\tmet\tO\n\n1\tRio\tB-LOC\n"
    with pytest.raises(XltError, match="E511.*line 2: no column of tokens as column 1.*--token-col"):
        list(read(text, tmp_path, format="conll"))
    assert rows(silently(text, tmp_path, format="conll", token_col=2))[0] == ("Ana", "B-PER")
    assert rows(silently("1\tx\tO\n\n3\tx\tO\n", tmp_path, format="conll"))[1] == ("3", "O")
    assert len(rows(silently("1\tO\n2\tO\n", tmp_path, format="conll"))) == 2


def test_numbers_are_tokens_in_other_columns_and_beside_other_numbers(tmp_path):
    for first in (NUMBERS, NUMBERS[::-1], ["0.9"] * 8, ["1"] * 8, ["1", "2", "4-5", "3", "4", "5", "6", "7"]):
        text = "".join(f"{one}\t{number}\tO\n" for one, number in zip(first, NUMBERS, strict=True))
        assert [token for token, _ in rows(silently(text, tmp_path))] == NUMBERS


@pytest.mark.parametrize("settings", [{}, {"format": "conll", "token_col": 2}, {"token_col": -2, "tag_col": -1}])
def test_ranges_and_empty_nodes_of_conll_u_are_no_words(tmp_path, settings):
    text = "0.1\tx\t_\n1-2\tdel\t_\n1\tde\tO\n2\tel\tO\n2.1\tx\t_\n2.2\ty\tO\n3-4\tal\t-\n3\ta\tO\n4\tel\tB-X\n"
    docs = silently(text + text, tmp_path, **settings)
    assert [token for token, _ in rows(docs)] == ["de", "el", "a", "el"] * 2
    with pytest.warns(XltWarning, match="W543.*1 ranges.*'3-4 al B-X'"):
        assert len(rows(read(text.replace("al\t-", "al\tB-X"), tmp_path, **settings)[0])) == 4


SENTENCES = ["The O\ncompany O\nØrsted B-ORG\ngrows O\n. O\n", "Ana B-PER\nsings O\n! O\n! O\n", "She O\nworks O\n"]


def test_a_file_without_blank_lines_is_cut_into_its_sentences(tmp_path):
    with_blank_lines = silently("\n".join(SENTENCES), tmp_path, format="conll")
    with pytest.warns(XltWarning, match="W546.*1 sentences.*cut.*'The company"):
        docs, _ = read("".join(SENTENCES), tmp_path, format="conll")
    assert [rows([doc]) for doc in docs] == [rows([doc]) for doc in with_blank_lines] and len(docs) == 3
    with pytest.warns(XltWarning, match="W546"):
        ((doc,), _) = read("".join(SENTENCES), tmp_path, format="conll", n_sents=9)
    assert [len(sent) for sent in doc.sents] == [5, 4, 2]


@pytest.mark.parametrize("around", ["{}\n", "-DOCSTART- O\n\n{}\n-DOCSTART- O\n\n{}", "# newpar\n{}\n# newdoc\n{}"])
def test_blank_lines_around_a_text_are_no_ends_of_sentences(tmp_path, around):
    with pytest.warns(XltWarning, match="W546"):
        docs, _ = read(around.replace("{}", "".join(SENTENCES)), tmp_path, format="conll")
    assert [len(doc) for doc in docs] == [5, 4, 2] * around.count("{}")


def test_a_blank_line_or_a_comment_between_rows_shows_that_they_end_sentences(tmp_path):
    assert len(silently(SENTENCES[0] + "\n" + SENTENCES[1] + SENTENCES[2], tmp_path, format="conll")) == 2
    assert len(silently("# sent_id = 1\n" + "".join(SENTENCES), tmp_path, format="conll")) == 1
    assert len(silently("".join(f"# sent_id = 1\n{one}" for one in SENTENCES), tmp_path, format="conll")) == 3


def test_a_sentence_of_more_than_200_tokens_is_cut_and_no_entity_is(tmp_path):
    long = "a O\n" * 98 + "Yahoo B-ORG\n! I-ORG\nJapan I-ORG\n. O\n"
    with pytest.warns(XltWarning, match="W546.*1 sentences"):
        docs, _ = read(f"x O\n\n{long * 2}\n{long}", tmp_path, format="conll")
    assert [len(doc) for doc in docs] == [1, 102, 102, 102]
    assert [ents(doc) for doc in docs[1:]] == [[("Yahoo ! Japan", "ORG")]] * 3
    with pytest.warns(XltWarning, match="W546.*1 sentences"):
        assert len(read("a O\n" * 201 + "\n", tmp_path, format="conll")[0]) == 1


def test_a_cut_keeps_the_spaces_of_the_raw_text(tmp_path):
    words = "It grew . ".split() * 80
    text = f"# text = {'It grew. ' * 80}\n" + "".join(f"{i}\t{word}\tO\n" for i, word in enumerate(words, 1))
    with pytest.warns(XltWarning, match="W546"):
        docs, notes = read(text, tmp_path)
    assert [doc.text for doc in docs] == ["It grew. "] * 80 and not notes.counts["no text"]


def test_text_in_tokens_needs_no_tokenizer(tmp_path):
    docs = silently("東京 B-LOC\nへ O\n", tmp_path, format="conll", lang="ja")
    assert ents(docs[0]) == [("東京", "LOC")] and docs[0].vocab.lang == "ja"


def test_a_token_of_ten_thousand_characters_is_a_token(tmp_path):
    ((token, tag),) = rows(silently("x" * 20000 + " B-X\n", tmp_path, format="conll"))
    assert (len(token), tag) == (20000, "B-X")


@pytest.mark.parametrize("text", ["", "\n \n\t\n", "# text = a\n", "-DOCSTART- O\n\n", "\ufeff", "\r\r"])
def test_a_file_without_tokens_holds_no_documents(tmp_path, text):
    with pytest.raises(XltError, match="E503"):
        read(text, tmp_path, format="conll")


def test_labels_that_do_not_occur_are_said(tmp_path):
    with pytest.raises(XltError, match="E522.*'NOPE'.*has only: LOC, ORG, PER"):
        read(IOB2, tmp_path, labels=frozenset({"NOPE"}))
    with pytest.warns(XltWarning, match="W522.*NOPE.*it has: LOC, ORG, PER"):
        docs, _ = read(IOB2, tmp_path, labels=frozenset({"NOPE", "PER"}))
    assert ents(docs[0]) == [("Maria", "PER")]
