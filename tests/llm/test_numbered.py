"""Answers in JSON: what is taken from them, whatever stands around it."""

from __future__ import annotations

import pytest

from spacy_xlt.llm.numbered import read_numbered, schema_of


@pytest.mark.parametrize(
    "answer",
    [
        '{"1": "Maria", "2": "em Lisboa"}',
        '{"2":"em Lisboa","1":"Maria","3":"Porto","0":"x","note":"done"}',
        '```json\n{"1": "Maria", "2": "em Lisboa"}\n```',
        '<think>{"1": "Ana", "2": "Porto"}? No.</think> {"1": "Maria", "2": "em Lisboa"}',
        'Like {"1": "…", "2": "…"}, so:\n{"1": "Maria", "2": "em Lisboa"}\nI hope that helps {you}.',
        '{"answer": {"1": "Maria", "2": ["em", "Lisboa"]}, "n": 2}',
        '["Maria", "em Lisboa"]',
        '{"spans": ["Maria", "em Lisboa"]}',
        '{"<1>": "Maria", "span 2": "em Lisboa"}',
        '{"1": "Maria", "2": "em Lisboa", "1 more": "x"}',
    ],
)
def test_the_texts_are_found_in_any_form_of_the_answer(answer):
    assert read_numbered(answer, 2) == {1: "Maria", 2: "em Lisboa"}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot help with that.",
        "Maria, Lisboa",
        '{"1": "Maria", "2": "Lis',
        "{'1': 'Maria', '2': 'Lisboa'}",
        '["Maria"]',
        '["Maria", "Lisboa", "Porto"]',
        '{"words": "Maria"}',
        "<think>" + '{"1": "Maria"}',
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"1": true, "2": {"x": 1}}',
    ],
)
def test_what_is_not_json_for_the_numbers_is_no_answer(answer):
    assert read_numbered(answer, 2) == {}


def test_json_that_is_nested_very_deep_is_no_answer():
    assert not any(read_numbered("[" * depth + "]" * depth, 1) for depth in range(700, 1100))


def test_nothing_and_numbers_are_texts_and_what_is_missing_is_missing():
    assert read_numbered('{"1": null, "2": 2019.50, "3": ""}', 4) == {1: "", 2: "2019.50", 3: ""}


def test_the_schema_asks_for_each_number_once():
    schema = schema_of(2, {"type": "string", "enum": ["a"]})
    assert schema["required"] == list(schema["properties"]) == ["1", "2"] and not schema["additionalProperties"]
    assert schema["$defs"] == {"words": {"type": "string", "enum": ["a"]}}
    assert schema_of(1, {"type": "string"})["properties"] == {"1": {"type": "string"}}
