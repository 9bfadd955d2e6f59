"""JSON lines of Prodigy and doccano: what they say, and what is wrong in them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import spacy
from helpers.vocabs import vocab_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import ReadNotes, read_corpus
from spacy_xlt.readers.jsonl import annotated_texts, to_doc

WORDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=4), min_size=1, max_size=8
)


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def lines(tmp_path: Path, *data) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in data), encoding="utf8")
    return path


def span(start: int, end: int, label: str = "PER", **more) -> dict:
    return {"start": start, "end": end, "label": label, **more}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS, data=st.data())
def test_tokens_and_spans_are_read_as_they_were_written(words, data, tmp_path):
    spaces = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    doc = Doc(vocab_of("xx"), words=words, spaces=spaces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
    doc.set_ents([Span(doc, a, b, label=f"L{a}") for a, b in zip(cuts[::2], cuts[1::2], strict=False)])
    line = {
        "text": doc.text.removesuffix(" ") if spaces[-1] else doc.text,
        "tokens": [{"text": t.text, "start": t.idx, "end": t.idx + len(t), "ws": bool(t.whitespace_)} for t in doc],
        "spans": [span(e.start_char, e.end_char, e.label_, token_start=e.start, token_end=e.end - 1) for e in doc.ents],
    }
    (found,) = annotated_texts(lines(tmp_path, line))
    again = to_doc(found, doc.vocab)
    assert [t.text_with_ws for t in again] == [t.text_with_ws for t in doc] and ents(again) == ents(doc)


@pytest.mark.parametrize("format", ["jsonl", "prodigy"])
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
def test_every_form_of_spans_is_read(tmp_path, line, format):
    (doc,) = read_corpus(lines(tmp_path, line), format=format)
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
    notes = ReadNotes()
    with pytest.warns(XltWarning, match="W568.*1 'ignore', 1 'reject'"):
        assert [doc.text for doc in read_corpus(path, notes=notes)] == ["Ana", "Bo", "plain"]
    assert notes.answers == {"reject": 1, "ignore": 1}


def test_texts_without_tokens_get_those_of_their_language(tmp_path):
    line = {"text": "🇵🇹 Lisboa, no 𝔗ejo.", "spans": [span(3, 9, "LOC"), span(14, 18, "LOC")]}
    (doc,) = read_corpus(lines(tmp_path, line), format="prodigy", lang="pt")
    assert ents(doc) == [("Lisboa", "LOC"), ("𝔗ejo", "LOC")]


def test_spans_off_the_tokens_are_widened_or_leave_the_line_out(tmp_path):
    path = lines(tmp_path, {"text": "Rio .", "spans": [span(0, 3)]}, {"text": "Rio .", "spans": [span(1, 3)]})
    with pytest.warns(XltWarning, match="W535.*1 spans.*'io'"):
        assert [ents(doc) for doc in read_corpus(path)] == [[("Rio", "PER")]] * 2
    with pytest.warns(XltWarning, match=r"W562.* 1 lines .*line 2, where the span PER from 1 to 3"):
        assert len(list(read_corpus(path, format="prodigy"))) == 1


def test_a_line_whose_own_tokens_do_not_fit_is_left_out(tmp_path):
    tokens = [{"text": "Ana", "start": 0, "end": 3}, {"text": "is", "start": 4, "end": 6}]
    fits = {"text": "Ana is", "tokens": tokens, "spans": [span(0, 3, token_start=0, token_end=0)]}
    wrong = [{**fits, "spans": [span(0, 2)]}, {**fits, "text": "Bob is"}, {**fits, "spans": [span(0, 3, token_end=1)]}]
    with pytest.warns(XltWarning, match="W562.*3 lines.*line 2, 3, 4, where"):
        docs = list(read_corpus(lines(tmp_path, fits, *wrong, fits)))
    assert [ents(doc) for doc in docs] == [[("Ana", "PER")]] * 2


@pytest.mark.parametrize(
    "other",
    [
        {"ner": [[0, 3, "PER"]]},
        {"tags": ["B-PER", "O", "O"]},
        {"labels": ["O", "O", "B-PER"]},
        {"predictions": [{"entity_group": "PER", "start": 0, "end": 3}]},
        {"mentions": [["PER", 0, 3]]},
    ],
)
def test_an_empty_list_does_not_hide_annotation_under_another_name(tmp_path, other):
    for empty in ({"spans": []}, {"label": []}, {"entities": [], "ents": []}):
        with pytest.raises(XltError, match=f'E564.*line 1.*"{next(iter(other))}" has'):
            list(read_corpus(lines(tmp_path, {"text": "Ana met Rui", **empty, **other})))
    fine = {"topics": ["E-commerce", "news"], "boxes": [[0, 0, 9]], "sentences": [{"start": 0, "end": 3, "text": "a"}]}
    (doc,) = read_corpus(lines(tmp_path, {"text": "Ana met Rui", "spans": [], "labels": ["PER", "LOC"], **fine}))
    assert not doc.ents and not missing_ranges(doc)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', "E564.*line 2.*no JSON"),
        ("[1]", "E564.*line 2.*list, not an object"),
        ({"label": [[0, 1, "A"]]}, "E564.*line 2.*text"),
        ({"text": "a", "spans": [3]}, 'E564.*line 2.*"spans" has 3'),
        ({"text": "a", "label": ["positive"]}, "E564.*line 2.*no span"),
        ({"text": "a", "annotations": [{"label": 3, "start_offset": 0, "end_offset": 1}]}, "E564.*line 2.*no name"),
        ({"text": "a", "label": [[0, 5, "A"]]}, "E564.*line 2.*not in the text"),
        ({"text": "a", "label": [[1, 0, "A"]]}, "E564.*line 2.*not in the text"),
        ({"text": "a", "answer": "maybe"}, "E564.*line 2.*maybe"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path, line, message):
    with pytest.raises(XltError, match=message):
        list(read_corpus(lines(tmp_path, {"text": "ok"}, line)))


@pytest.mark.parametrize(
    ("data", "format", "code"),
    [
        ('{"text": "a", "answer": "reject"}', "prodigy", 'E568.*no line with the answer "accept"'),
        ("\n \n", "prodigy", "E568"),
        ('{"text": "Ana", "spans": [[0, 2, "PER"]]}\n{"text": "a", "answer": "reject"}', "prodigy", "E503"),
        ("\n \n", "jsonl", "E503"),
    ],
)
def test_a_file_without_documents_is_refused(tmp_path, data, format, code):
    with pytest.raises(XltError, match=code):
        list(read_corpus(lines(tmp_path, data), format=format))


def test_white_space_around_a_label_is_no_part_of_it(tmp_path):
    (doc,) = read_corpus(lines(tmp_path, {"text": "Ana met Rui", "label": [[0, 3, " PER"], [8, 11, "PER\n"]]}))
    assert ents(doc) == [("Ana", "PER"), ("Rui", "PER")]


def test_spans_that_overlap_go_into_a_span_group(tmp_path):
    path = lines(tmp_path, {"text": "a b c", "label": [[0, 3, "A"], [2, 5, "B"]]})
    with pytest.warns(XltWarning, match="W536.*1 spans.*'b c'.*'sc' has them all"):
        (doc,) = read_corpus(path, spans_key="sc")
    assert [(s.text, s.label_) for s in doc.spans["sc"]] == [("a b", "A"), ("b c", "B")]
    assert ents(doc) == [("a b", "A")]
    # What only a span covers that is no entity is missing, and not "no entity"
    assert [token.ent_iob_ for token in doc] == ["B", "I", ""]


def test_a_span_may_name_its_group_and_labels_are_chosen(tmp_path):
    path = lines(tmp_path, {"text": "Ana Bo", "spans": [span(0, 3, key="x"), span(0, 3), span(4, 6, "ORG")]})
    notes = ReadNotes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(path, labels=frozenset({"PER"}), notes=notes)
    assert ents(doc) == [("Ana", "PER")] and [s.text for s in doc.spans["x"]] == ["Ana"]
    assert notes.dropped == {"ORG": 1}


def iob(doc: Doc) -> str:
    """A letter a token, "-" where annotation is missing."""
    return "".join(token.ent_iob_ or "-" for token in doc)


@pytest.mark.parametrize(
    "line",
    [
        {"text": "Ana met Bo"},
        {"text": "Ana met Bo", "spans": None},
        {"text": "Ana met Bo", "annotations": []},
        {"text": "Ana met Bo", "label": None, "entities": None},
        {"text": "Ana met Bo", "label": "a class", "meta": {"a": [[0, 3, "PER"]]}, "_session": {"b": 1}},
        {"text": "Ana met Bo", "relations": [{"id": 1}], "Comments": ["x"], "cats": {"A": 1.0}},
        {"text": "Ana met Bo", "answer": "accept", "tokens": None},
        ["Ana met Bo", {"cats": {"A": 1.0}}],
    ],
)
@pytest.mark.parametrize("format", ["jsonl", "prodigy"])
def test_a_line_that_says_nothing_of_spans_is_missing_annotation_and_counted(tmp_path, line, format):
    with pytest.warns(XltWarning, match='W563.*1 texts say nothing of spans.*line 2.*"spans": '):
        first, second = read_corpus(lines(tmp_path, {"text": "no one", "spans": []}, line), format=format)
    assert (iob(first), iob(second)) == ("OO", "---")
    assert not second.has_annotation("ENT_IOB") and not second.spans


@pytest.mark.parametrize(
    "line",
    [
        {"text": "Ana met Bo", "Spans": [span(0, 3)]},
        {"text": "Ana met Bo", "LABEL": [[0, 3, "PER"]]},
        {"Text": "Ana met Bo", "spans": [span(0, 3)]},
        {"text": "Ana met Bo", "spans": [{"Start": 0, "End": 3, "label": "PER"}]},
        {"text": "Ana met Bo", "spans": [{"start": 0, "end": 3, "Label": "PER"}]},
        {"text": "Ana met Bo", "spans": [], "Answer": "reject"},
        {"text": "Ana met Bo", "ner": [[0, 3, "PER"]]},
        {"text": "Ana met Bo", "annotation": {"entities": [[0, 3, "PER"]]}},
        {"text": "Ana met Bo", "entities": {"start": [0], "end": [3], "type": ["PER"]}},
        {"text": "Ana met Bo", "labels": {"PER": [[0, 3]]}},
        {"text": "Ana met Bo", "spans": "0-3 PER"},
        {"text": "Ana met Bo", "ner_tags": [1, 0, 1]},
        {"text": "Ana met Bo", "tokens": ["Ana", "met", "Bo"], "tags": ["B-PER", "O", "B-PER"]},
        {"tokens": ["Ana", "met", "Bo"], "ner_tags": [1, 0, 1]},
        {"text": "Ana met Bo", "entities": ["U-PER", "O", "U-PER"]},
        {"text": "Ana met Bo", "spans": [], "label": [[0, 3, "PER"]]},
        {"text": "Ana met Bo", "spans": [span(0, 3)], "entities": [[0, 3, "ORG"]]},
        {
            "id": 1,
            "data": {"text": "Ana met Bo"},
            "annotations": [{"result": [{"value": {"start": "/p[1]", "end": 3}}]}],
        },
        [{"id": 0, "paragraphs": [{"raw": "Ana met Bo", "sentences": []}]}],
        [{"text": "Ana met Bo", "spans": [span(0, 3)]}],
        {"classes": ["PER"], "annotations": [["Ana met Bo", {"entities": [[0, 3, "PER"]]}]]},
        '{"text": "Ana met Bo", "spans": [], "spans": [{"start": 0, "end": 3, "label": "PER"}]}',
        '{"text": "Ana met Bo", "spans": [{"start": 0, "start": 8, "end": 3, "label": "PER"}]}',
        {"text": "Ana met Bo", "spans": [{"start": 0, "end": 3}]},
        {"text": "Ana met Bo", "spans": [span(0, 3, label=None)]},
        {"text": "Ana met Bo", "spans": [span(0, 3, label=" ")]},
        {"text": "Ana met Bo", "spans": [span(0, 3, key="xlt_ents")]},
        {"text": "Ana met Bo", "spans": [span(0, 3, key="xlt_candidates")]},
        {"text": "Ana met Bo", "spans": {"xlt_ents": [span(0, 3)]}},
        {"text": "Ana met Bo", "spans": [span(0, 3, key="")]},
        {"text": "Ana met Bo", "spans": [span(0, 3, key=None, text=7)]},
        {"text": "Ana met Bo", "spans": [span(0.0, 3)]},
        {"text": "Ana met Bo", "spans": [span("0", "3")]},
        {"text": "Ana met Bo", "spans": [span(False, 3)]},
        {"text": "Ana met Bo", "spans": [span(-3, 3)]},
        {"text": "Ana met Bo", "spans": [span(3, 0)]},
        {"text": "Ana met Bo", "spans": [span(3, 3)]},
        {"text": "Ana met Bo", "spans": [span(8, 11)]},
        {"text": "Ana met Bo", "spans": [span(0, 10**30)]},
        '{"text": "Ana met Bo", "spans": [{"start": NaN, "end": 3, "label": "PER"}]}',
        '{"text": "Ana met Bo", "spans": [{"start": 0, "end": 1e400, "label": "PER"}]}',
        '{"text": "Ana met Bo", "spans": [{"start": 0, "end": ' + "9" * 5000 + ', "label": "PER"}]}',
        '{"text": "Ana met Bo", "spans": [' + "[" * 5000 + "]" * 5000 + "]}",
        '{"text": "Ana met Bo", "spans": [' + "[" * 300 + "]" * 300 + "]}",
        '{"text": "Ana met Bo", "spans": [],}',
        '{"text": "Ana met Bo",',
        "[",
    ],
)
@pytest.mark.parametrize("format", ["jsonl", "prodigy"])
def test_a_form_that_is_not_understood_is_refused_or_its_line_left_out_and_counted(tmp_path, line, format):
    path = lines(tmp_path, {"text": "no one", "spans": []}, line)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            docs = list(read_corpus(path, format=format))
        except XltError as err:
            assert err.code == "E564" and "a.jsonl, line 2" in err.message
            return
    # With the format "prodigy" a span that fits no tokens is no error
    assert format == "prodigy" and len(docs) == 1 and "W562" in str(caught[0].message) and "line 2" in str(caught[0])


@pytest.mark.parametrize(
    "line",
    [
        ["Ana met Bo", {"entities": [[0, 3, "PER"], [8, 10, "ORG"]]}],
        {"text": "Ana met Bo", "ents": [span(0, 3), span(8, 10, "ORG")], "tokens": [
            {"id": 0, "start": 0, "end": 3}, {"id": 1, "start": 4, "end": 7}, {"id": 2, "start": 8, "end": 10}]},
        {"text": "Ana met Bo", "label": [{"start": 0, "end": 3, "text": "Ana", "labels": ["PER"]},
                                         {"start": 8, "end": 10, "text": "Bo", "labels": ["ORG"]}]},
        {"text": "Ana met Bo", "spans": [span(0, 3), span(8, 10, "ORG")], "label": [[8, 10, "ORG"], [0, 3, "PER"]]},
        {"text": "Ana met Bo", "spans": [span(0, 3), span(8, 10, "ORG")], "labels": ["PER", "ORG"], "label": "class"},
        {"text": "Ana met Bo", "entities": [span(0, 3), span(8, 10, "ORG"), span(0, 3)], "relations": []},
    ],
)  # fmt: skip
def test_other_forms_that_say_the_same_are_read(tmp_path, line):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(lines(tmp_path, line))
    assert ents(doc) == [("Ana", "PER"), ("Bo", "ORG")] and iob(doc) == "BOB"


def test_what_spacy_writes_of_a_document_is_read_with_its_span_groups(tmp_path):
    doc = Doc(spacy.blank("xx").vocab, words=["Ana", "met", "Bo"])
    doc.spans["sc"], doc.spans["none"] = [Span(doc, 0, 2, label="X")], []
    only_groups = doc.to_json()
    doc.set_ents([Span(doc, 2, 3, label="PER")])
    first, second = read_corpus(lines(tmp_path, doc.to_json(), only_groups))
    assert ents(first) == [("Bo", "PER")] and iob(second) == "---"
    for read in (first, second):
        assert [(s.text, s.label_) for s in read.spans["sc"]] == [("Ana met", "X")] and list(read.spans["none"]) == []


def test_spans_of_groups_alone_say_nothing_of_entities(tmp_path):
    path = lines(tmp_path, {"text": "Ana met Bo", "spans": [span(0, 3, key="sc")]})
    (doc,) = read_corpus(path)
    assert iob(doc) == "---" and [s.text for s in doc.spans["sc"]] == ["Ana"]
    # The group that is asked for has them, and entities do not come of it
    (doc,) = read_corpus(path, spans_key="sc")
    assert iob(doc) == "---" and [s.text for s in doc.spans["sc"]] == ["Ana"]


def test_an_export_of_a_build_keeps_what_is_missing(tmp_path):
    tokens = [{"text": "Ana", "start": 0, "end": 3}, {"text": "is", "start": 4, "end": 6}]
    row = {
        "text": "Ana is",
        "tokens": tokens,
        "spans": [],
        "source": {"text": "x", "spans": []},
        "lost": [{"start": 0}],
    }
    part = [{"start": 0, "end": 3, "token_start": 0, "token_end": 0}]
    rows = [{**row, "annotated": ["ents"], "missing": part}, {**row, "annotated": ["sc"], "missing": []}]
    rows += [{**row, "spans": None, "annotated": [], "missing": part}]
    first, second, third = read_corpus(lines(tmp_path, *rows))
    assert (iob(first), iob(second), iob(third)) == ("-O", "--", "--")
    assert list(second.spans) == ["sc"] and not third.spans


def test_where_one_span_was_judged_the_rest_of_the_text_is_missing(tmp_path):
    (doc,) = read_corpus(lines(tmp_path, {"text": "Ana met Bo", "spans": [span(0, 3)], "_view_id": "ner"}))
    assert iob(doc) == "B--"


def test_white_space_at_the_ends_of_a_span_is_no_part_of_it(tmp_path):
    text = "Ana met Rui\nand\u00a0Eva ."
    data = {"text": text, "spans": [span(8, 12), span(0, 4), span(15, 19), span(11, 12), span(3, 4)]}
    for format in ("jsonl", "prodigy"):
        with pytest.warns(XltWarning) as warned:
            (doc,) = read_corpus(lines(tmp_path, data), format=format, lang="en")
        assert ents(doc) == [("Ana", "PER"), ("Rui", "PER"), ("Eva", "PER")]
        said = sorted(str(one.message) for one in warned)
        assert len(said) == 2 and "W538" in said[0] and "2 spans" in said[0]
        assert "W539" in said[1] and "3 spans" in said[1] and "'Rui'" in said[1]


def test_spans_that_share_a_token_are_said_and_the_rest_goes_on(tmp_path):
    data = {"text": "Room B12 is warm.", "spans": [span(5, 6, "WING"), span(6, 8, "NR")]}
    same = {"text": "Room B12 is warm.", "spans": [span(5, 6, "NR"), span(6, 8, "NR")]}
    with pytest.warns(XltWarning, match="W547.*2 spans share a token.*'B and 12 in B12'"):
        first, second, third = read_corpus(
            lines(tmp_path, data, same, {"text": "Bo", "spans": [span(0, 2)]}), lang="en"
        )
    assert (ents(first), ents(second), ents(third)) == ([("B12", "WING")], [("B12", "NR")], [("Bo", "PER")])
    with pytest.warns(XltWarning, match="W547"):
        first, *_ = read_corpus(lines(tmp_path, data), lang="en", spans_key="sc")
    assert [(s.text, s.label_) for s in first.spans["sc"]] == [("B12", "WING"), ("B12", "NR")]


@pytest.mark.parametrize("format", ["jsonl", "prodigy"])
@pytest.mark.parametrize(
    "line",
    [
        r'{"text": "\ud83d Maria lives.", "spans": [{"start": 2, "end": 7, "label": "PER"}]}',
        r'{"text": "Maria lives.", "spans": [{"start": 0, "end": 5, "label": "\uDE00"}]}',
        r'{"text": "Maria lives.", "spans": [{"start": 0, "end": 5, "label": "PER", "key": "\ude00\ud83d"}]}',
        r'{"text": "Maria lives.", "spans": [], "meta": {"\ud83d": 1}}',
    ],
)
def test_half_a_character_is_an_error_with_its_line(tmp_path, line, format):
    with pytest.raises(XltError, match=r"E564.*a.jsonl, line 2: \\u[dD].* is half of a character"):
        list(read_corpus(lines(tmp_path, r'{"text": "\ud83d\ude00 \\ud83d", "spans": []}', line), format=format))


def test_token_numbers_that_disagree_with_the_characters_are_said(tmp_path):
    data = {"text": "Ana met Bo", "spans": [span(0, 3, token_start=0, token_end=0), span(8, 10, token_end=1)]}
    with pytest.warns(XltWarning, match="W565.*1 spans.*'Bo'"):
        (doc,) = read_corpus(lines(tmp_path, data))
    assert ents(doc) == [("Ana", "PER"), ("Bo", "PER")]
    with (
        pytest.warns(XltWarning, match="W562.*the tokens of the span PER from 8 to 10 differ"),
        pytest.raises(XltError),
    ):
        list(read_corpus(lines(tmp_path, data), format="prodigy"))


def task(text: str, *results: dict, **more) -> dict:
    """A task as Label Studio exports it; with no result, nobody has annotated it."""
    return {"id": 7, "data": {"text": text}, "annotations": [{"result": list(results), **more}] if results else []}


def result(start: int, end: int, label: str) -> dict:
    return {"type": "labels", "from_name": "label", "value": {"start": start, "end": end, "labels": [label]}}


def export(tmp_path: Path, *tasks: dict) -> Path:
    path = tmp_path / "project.json"
    path.write_text(json.dumps(tasks, indent=2), encoding="utf8")
    return path


def test_tasks_that_label_studio_exports_are_read_with_what_is_not_carried(tmp_path):
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    path = export(
        tmp_path,
        task("Ana is in Rio", result(0, 3, "PER"), result(10, 13, "LOC"), relation),
        task("Bo", result(0, 2, "PER"), was_cancelled=True),
        task("Nobody looked"),
    )
    with pytest.warns(XltWarning) as caught:
        docs = list(read_corpus(path, lang="en"))
    assert [ents(doc) for doc in docs] == [[("Ana", "PER"), ("Rio", "LOC")], []]
    assert missing_ranges(docs[1]) == [(0, 2)]
    said = " ".join(str(warning.message) for warning in caught)
    assert "W567" in said and "W568" in said and "W563" in said


def test_task_that_two_people_annotated_is_left_out_with_its_number(tmp_path):
    double = task("Ana", result(0, 3, "PER"))
    double["annotations"] *= 2
    path = export(tmp_path, task("Bo", result(0, 2, "PER")), double)
    with pytest.warns(XltWarning, match="W562.*line 2.*several people"):
        assert [doc.text for doc in read_corpus(path, lang="en")] == ["Bo"]


def test_array_of_lines_in_a_json_file_is_read_and_in_a_folder_named(tmp_path):
    path = export(tmp_path, {"text": "Ana", "label": [[0, 3, "PER"]]})
    assert [ents(doc) for doc in read_corpus(path, lang="en")] == [[("Ana", "PER")]]
    lines(tmp_path, {"text": "Bo", "spans": [span(0, 2)]})
    with pytest.warns(XltWarning, match="W515.*project.json"):
        assert len(list(read_corpus(tmp_path, lang="en"))) == 1
    assert len(list(read_corpus(tmp_path, lang="en", format="jsonl"))) == 2


def test_metadata_and_ids_are_in_the_user_data(tmp_path):
    meta = {"source": "news", "id": "a-1", "number": 10**30}
    path = lines(
        tmp_path,
        {"text": "Ana", "spans": [span(0, 3)], "meta": meta},
        {"id": 7, "text": "Ana", "label": [[0, 3, "PER"]]},
        {"text": "Ana", "spans": []},
    )
    docs = list(read_corpus(path, lang="en"))
    assert docs[0].user_data["meta"] == {**meta, "number": str(10**30)}
    assert docs[1].user_data["meta"] == {"id": 7}
    assert "meta" not in docs[2].user_data
    Doc(docs[0].vocab).from_bytes(docs[0].to_bytes())
