"""Relations in the JSON lines of annotation tools."""

import json

import pytest

from spacy_xlt.errors import XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.span_links import span_at

TEXT = "Ada works at IBM in Rome"


def read(tmp_path, line, *, name="relations.jsonl", **settings):
    path = tmp_path / name
    path.write_text(json.dumps([line] if name.endswith(".json") else line), encoding="utf8")
    (doc,) = read_corpus(path, lang="en", **settings)
    return doc


def named(doc):
    links = doc._.xlt_links.links
    return [(span_at(doc, link.head).text, link.label, span_at(doc, link.child).text) for link in links]


def prodigy(*relations):
    tokens, at = [], 0
    for n, word in enumerate(TEXT.split()):
        tokens.append({"text": word, "start": at, "end": at + len(word), "id": n, "ws": n < 5, "disabled": False})
        at += len(word) + 1
    spans = [
        {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PER", "type": "span"},
        {"start": 13, "end": 24, "token_start": 3, "token_end": 5, "label": "ORG", "type": "span"},
    ]
    return {"text": TEXT, "tokens": tokens, "spans": spans, "relations": list(relations), "answer": "accept"}


def doccano(*relations):
    entities = [
        {"id": 11, "label": "PER", "start_offset": 0, "end_offset": 3},
        {"id": 12, "label": "ORG", "start_offset": 13, "end_offset": 16},
    ]
    return {"id": 3, "text": TEXT, "entities": entities, "relations": list(relations), "Comments": []}


def label_studio(*relations):
    results = [
        {"id": "a", "from_name": "label", "to_name": "text", "type": "labels",
         "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}},
        {"id": "b", "from_name": "label", "to_name": "text", "type": "labels",
         "value": {"start": 13, "end": 16, "text": "IBM", "labels": ["ORG"]}},
    ]  # fmt: skip
    return {"id": 1, "data": {"text": TEXT}, "annotations": [{"id": 5, "result": [*results, *relations]}]}


def test_prodigy_names_the_last_token_of_each_end(tmp_path):
    assert named(read(tmp_path, prodigy({"head": 5, "child": 0, "label": "EMPLOYS"}))) == [
        ("IBM in Rome", "EMPLOYS", "Ada")
    ]


def test_prodigy_says_where_the_span_of_an_end_is(tmp_path):
    line = prodigy()
    head, child = ({key: span[key] for key in ("start", "end", "label")} for span in line["spans"])
    line["relations"] = [{"head": 0, "child": 5, "head_span": head, "child_span": child, "label": "WORKS_AT"}]
    assert named(read(tmp_path, line)) == [("Ada", "WORKS_AT", "IBM in Rome")]


def test_doccano_names_ids(tmp_path):
    doc = read(tmp_path, doccano({"id": 1, "from_id": 12, "to_id": 11, "type": "employs"}))
    assert named(doc) == [("IBM", "employs", "Ada")]
    assert doc._.xlt_links.links[0].score == 1.0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"direction": "right", "labels": ["at"]}, [("Ada", "at", "IBM")]),
        ({"direction": "left", "labels": ["at"]}, [("IBM", "at", "Ada")]),
        ({"direction": "bi", "labels": ["knows"]}, [("Ada", "knows", "IBM"), ("IBM", "knows", "Ada")]),
        ({"direction": "right", "labels": ["at", "since"]}, [("Ada", "at", "IBM"), ("Ada", "since", "IBM")]),
        ({"direction": "right"}, [("Ada", "", "IBM")]),
    ],
)
def test_label_studio_names_ids_and_a_direction(tmp_path, more, expected):
    line = label_studio({"type": "relation", "from_id": "a", "to_id": "b", **more})
    assert named(read(tmp_path, line, name="export.json")) == expected


def test_what_joins_no_two_spans_is_said_and_the_rest_is_kept(tmp_path):
    wrong = [{"from_id": 11, "to_id": 99, "type": "x"}, {"from_id": 11, "to_id": 11, "type": "x"}, "nonsense"]
    said = (
        "W567.* 3 relations.*line 1: an end that is not there: .*99.* and 1 more; line 1: from a span to itself: .*11"
    )
    with pytest.warns(XltWarning, match=said):
        doc = read(tmp_path, doccano(*wrong, {"from_id": 11, "to_id": 12, "type": "at"}))
    assert named(doc) == [("Ada", "at", "IBM")]


def test_results_of_label_studio_that_are_no_relations_do_not_say_that_there_are_none(tmp_path):
    line = label_studio({"type": "choices", "id": "c", "value": {"choices": ["formal"]}})
    with pytest.warns(XltWarning, match="W567.*line 1: neither a span nor a relation: .*choices"):
        doc = read(tmp_path, line, name="export.json")
    assert "xlt_links" not in doc.spans


def test_relations_that_are_no_list_are_said(tmp_path):
    with pytest.warns(XltWarning, match="W567.*line 1: no list of relations: {'a': 1}"):
        assert "xlt_links" not in read(tmp_path, {**doccano(), "relations": {"a": 1}}).spans


def test_a_line_without_relations_is_told_from_one_that_says_there_are_none(tmp_path):
    line = doccano()
    assert "xlt_links" in read(tmp_path, line).spans
    del line["relations"]
    assert "xlt_links" not in read(tmp_path, line).spans


def test_entities_that_overlap_are_joined_in_their_group(tmp_path):
    line = doccano({"from_id": 12, "to_id": 13, "type": "in"})
    line["entities"].append({"id": 13, "label": "PLACE", "start_offset": 13, "end_offset": 24})
    doc = read(tmp_path, line, spans_key="sc")
    assert named(doc) == [("IBM", "in", "IBM in Rome")]
    assert {link.head.key for link in doc._.xlt_links.links} == {"sc"}


def test_labels_that_are_left_out_take_their_links(tmp_path):
    doc = read(tmp_path, doccano({"from_id": 12, "to_id": 11, "type": "employs"}), labels=frozenset({"PER"}))
    assert [ent.text for ent in doc.ents] == ["Ada"] and named(doc) == []
