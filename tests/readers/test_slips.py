"""Slips in JSON lines and in brat's files: an error or a warning, or each span is where the file says."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from helpers.fuzz import Reading, fuzzed, mutated, read
from hypothesis import given
from hypothesis import strategies as st

TOKENS = [{"text": "Ana", "start": 0, "end": 3, "id": 0}, {"text": "met", "start": 4, "end": 7, "id": 1}]
ANA = {"start": 0, "end": 3, "label": "PER"}
LINES: list[Any] = [
    {"text": "Ana met Rui.", "spans": [{**ANA, "text": "Ana"}, {"start": 8, "end": 11, "label": "PER"}]},
    {"text": "Ana met", "tokens": TOKENS, "spans": [{**ANA, "token_start": 0, "token_end": 0}], "answer": "accept"},
    {"text": "😀 Ana in São Paulo", "label": [[2, 5, "PER"], [9, 18, "LOC"]], "Comments": []},
    {"text": "Ana of Böhm", "entities": [{"start_offset": 7, "end_offset": 11, "label": "ORG"}], "relations": []},
    {"id": 3, "data": "Ana left", "labels": [[0, 3, "PER"]]},
    {"text": "no one", "spans": []},
    {"text": "Bo left", "spans": [], "answer": "reject", "meta": {"source": "x", "n": [1, 2]}},
    ["Ana met Bo", {"entities": [[0, 3, "PER"], [8, 10, "PER"]]}],
]
FILES = [
    "".join(json.dumps(line, ensure_ascii=i) + end for line in LINES).encode() for i, end in enumerate(["\n", "\r\n"])
]
FILES += [(json.dumps(line, ensure_ascii=False) + "\n").encode() for line in LINES]
TEXTS = [
    "Ana met\r\nRui in São Paulo.\r\nBo left.",
    "\ufeff😀 Ana\nof Böhm met Bo",
    "Ana met Bo",
]
NOTES = [
    "T1\tPER 0 3\tAna\nT2\tPER 9 12\tRui\nR1\tknows Arg1:T1 Arg2:T2\t\nT3\tLOC 16 25\tSão Paulo\n#1\tNote T3\tsure\n",
    "T1\tPER 2 5\tAna\nT2\tORG 9 13\tBöhm\nA1\tSure T2\nT3\tPER 18 20\tBo\n",
    "T1\tPER 0 3\tAna\nE1\tMeeting:T1 Who:T2\nT2\tPER 8 10\n",
]
SPAN_KEYS = ("spans", "ents", "entities", "annotations", "labels", "label")


def said_in(line: str) -> tuple[str, set[tuple[str, str]]] | None:
    """The text of a line and its entities, None where it was not accepted."""
    data = json.loads(line)
    data = {"text": data[0], **data[1]} if isinstance(data, list) else data
    if data.get("answer") not in (None, "accept"):
        return None
    text = data["text"] if data.get("text") is not None else data["data"]
    found = set()
    for key in SPAN_KEYS:
        for span in data[key] if isinstance(data.get(key), list) else []:
            one = dict(zip(("start", "end", "label"), span, strict=True)) if isinstance(span, list) else span
            start, end = (one.get(at, one.get(f"{at}_offset")) for at in ("start", "end"))
            found.add((text[start:end], one.get("label", one.get("labels"))))
    return text, found


def lines_of(data: bytes) -> list[str]:
    lines = re.split("\r\n|\r|\n", data.decode("utf8"))
    return [line.lstrip("\ufeff") for line in lines]


def plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def ents(reading: Reading) -> list[set[tuple[str, str]]]:
    return [{(ent.text, ent.label_) for ent in doc.ents} for doc in reading.docs]


@fuzzed
@given(data=mutated(FILES), format=st.sampled_from(["jsonl", "prodigy"]))
def test_slips_in_json_lines_change_nothing_in_silence(data, format):
    reading = read({"a.jsonl": data}, "a.jsonl", format=format, lang="en")
    if not reading.is_silent:
        return
    expected = [said_in(line) for line in lines_of(data) if line.strip()]
    accepted = [one for one in expected if one is not None]
    assert [doc.text.strip(" ") for doc in reading.docs] == [text.strip(" ") for text, _ in accepted]
    assert ents(reading) == [found for _, found in accepted]
    assert all(doc.has_annotation("ENT_IOB", require_complete=True) or not len(doc) for doc in reading.docs)


@fuzzed
@given(data=st.data(), number=st.integers(0, len(TEXTS) - 1), in_text=st.booleans())
def test_slips_in_brat_files_change_nothing_in_silence(data, number, in_text):
    text, notes = TEXTS[number].encode(), NOTES[number].encode()
    if in_text:
        text = data.draw(mutated([text]))
    else:
        notes = data.draw(mutated([notes]))
    reading = read({"a.txt": text, "a.ann": notes}, "a.txt", lang="en")
    if not reading.is_silent:
        return
    (doc,) = reading.docs
    assert doc.text == text.decode("utf8").removeprefix("\ufeff")
    found = set()
    for line in lines_of(notes):
        if line.startswith("T"):
            _, place, *covered = line.split("\t")
            label, start, end = place.split(" ")
            found.add((plain(covered[0]) if covered else doc.text[int(start) : int(end)], label))
        else:
            assert not re.search(r"^\S*\t\S+ \d+ \d+", line), "a span was taken for something else"
    assert {(plain(ent.text), ent.label_) for ent in doc.ents} == found
