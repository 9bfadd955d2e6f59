"""JSON lines of Prodigy and doccano: what they say, and what is wrong in them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

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
    doc = Doc(spacy.blank("xx").vocab, words=words, spaces=spaces)
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
        ("\n \n", "jsonl", "E503"),
    ],
)
def test_a_file_without_documents_is_refused(tmp_path, data, format, code):
    with pytest.raises(XltError, match=code):
        list(read_corpus(lines(tmp_path, data), format=format))


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
