"""What the offsets of spans count, and that a span is where its text is: JSON lines and brat."""

from __future__ import annotations

import json
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.places import CODE_POINTS, UNITS, UTF8, UTF16, Ruler

FOUR = "\U0001f600" * 4 + " Ana met Rui."
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def ents(doc: Doc) -> list[str]:
    return [ent.text for ent in doc.ents]


def size(text: str, unit: str) -> int:
    return {
        CODE_POINTS: len(text),
        UTF16: len(text.encode("utf-16-le")) // 2,
        UTF8: len(text.encode()),
    }[unit]


def line(text: str, *found: str, unit: str = CODE_POINTS, own: bool = True) -> dict:
    """A line whose spans are these words."""
    spans = []
    for word in found:
        start = size(text[: text.index(word)], unit)
        span = {"start": start, "end": start + size(word, unit), "label": "PER"}
        spans.append({**span, **({"text": word} if own else {})})
    return {"text": text, "spans": spans}


def jsonl(tmp_path: Path, *data: dict) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in data), encoding="utf8")
    return path


def brat(tmp_path: Path, text: str, *notes: tuple[int, int, str]) -> Path:
    (tmp_path / "a.txt").write_bytes(text.encode())
    lines = [f"T{n}\tPER {start} {end}\t{said}".rstrip("\t") for n, (start, end, said) in enumerate(notes, start=1)]
    (tmp_path / "a.ann").write_text("\n".join(lines) + "\n", encoding="utf8")
    return tmp_path / "a.txt"


@given(text=st.text(), data=st.data())
def test_a_ruler_finds_what_python_counts(text, data):
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    for unit in UNITS:
        ruler = Ruler(text, unit)
        assert len(ruler) == size(text, unit)
        place = ruler.characters(size(text[:start], unit), size(text[:end], unit))
        assert place == ((start, end) if start < end else None)
    assert Ruler(text).characters(0, len(text) + 1) is Ruler(text).characters(-1, len(text)) is None


def test_an_offset_inside_a_character_is_no_place():
    assert Ruler("😀a", UTF16).characters(1, 3) is None and Ruler("éa", UTF8).characters(0, 1) is None


@pytest.mark.parametrize("unit", [UTF16, UTF8])
def test_spans_whose_text_fits_only_in_another_unit_are_read_so_in_the_whole_file(tmp_path, unit):
    data = [line(FOUR, "Ana", unit=unit), line("😀😀 Bo", "Bo", unit=unit, own=False), line("Eva", "Eva")]
    with pytest.warns(XltWarning, match=f"W564.*taken for '{unit}'") as warned:
        docs = list(read_corpus(jsonl(tmp_path, *data)))
    assert [ents(doc) for doc in docs] == [["Ana"], ["Bo"], ["Eva"]] and len(warned) == 1


def test_offsets_with_a_text_of_a_javascript_tool_are_read(tmp_path):
    span = {"start": 9, "end": 12, "label": "PER", "text": "Ana"}
    with pytest.warns(XltWarning, match="W564.*UTF-16"):
        (doc,) = read_corpus(jsonl(tmp_path, {"text": FOUR, "spans": [span]}))
    assert ents(doc) == ["Ana"]


def test_where_nothing_tells_the_unit_it_is_an_error_with_line_and_span(tmp_path):
    path = jsonl(tmp_path, {"text": "Bo", "label": []}, {"text": FOUR, "label": [[9, 12, "PER"]]})
    with pytest.raises(XltError, match="E564.*line 2: a span is 'met' in code points and 'Ana' in UTF-16 units"):
        list(read_corpus(path))
    # Another span that fits only one way tells it
    for end, found in ((8, [["Ana"], ["met"]]), (12, [["Rui"], ["Ana"]])):
        start = 5 if end == 8 else 17
        more = {"text": FOUR, "label": [[start, start + 3, "PER"]]}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            docs = list(read_corpus(jsonl(tmp_path, more, {"text": FOUR, "label": [[9, 12, "PER"]]})))
        assert [ents(doc) for doc in docs] == found and len(caught) == (found[0] != ["Ana"])


def test_spans_off_the_tokens_in_code_points_but_not_in_utf_16_are_read_so(tmp_path):
    text = f"{FAMILY} Ana went to Lisbon 😀 with Rui"
    with pytest.warns(XltWarning, match="W564"):
        (doc,) = read_corpus(jsonl(tmp_path, line(text, "Ana", "Lisbon", "Rui", unit=UTF16, own=False)))
    assert ents(doc) == ["Ana", "Lisbon", "Rui"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(jsonl(tmp_path, line(text, "Ana", "Lisbon", "Rui", own=False)))
    assert ents(doc) == ["Ana", "Lisbon", "Rui"]


def test_offsets_that_count_cr_lf_as_one_are_read_so(tmp_path):
    text = "Hello\r\n\r\nAna went to Lisbon\r\nwith Rui"

    def counted(*words, own):
        data = line(text.replace("\r\n", "\n"), *words, own=own)
        return {**data, "text": text}

    for own in (True, False):
        with pytest.warns(XltWarning, match="W564.*CR LF as one"):
            (doc,) = read_corpus(jsonl(tmp_path, counted("Ana", "Lisbon", "Rui", own=own)))
        assert ents(doc) == ["Ana", "Lisbon", "Rui"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (doc,) = read_corpus(jsonl(tmp_path, line(text, "Hello", "Ana", "Lisbon", "Rui", own=own)))
        assert ents(doc) == ["Hello", "Ana", "Lisbon", "Rui"]
    both = {"text": "a\r\nb\r\nc\r\nxx Ana met Rui.", "label": [[9, 12, "PER"]]}
    with pytest.raises(XltError, match="E564.*line 1.*'Ana' in code points with CR LF as one, and nothing tells"):
        list(read_corpus(jsonl(tmp_path, both)))


def test_code_points_that_may_be_bytes_are_warned_of(tmp_path):
    text = "é" * 4 + " Ana met Rui."
    with pytest.warns(XltWarning, match="W566.*'met' in code points and 'Ana' in UTF-8 bytes"):
        (doc,) = read_corpus(jsonl(tmp_path, line(text, "met", own=False)))
    assert ents(doc) == ["met"]


@pytest.mark.parametrize("format", ["jsonl", "prodigy"])
def test_a_text_of_a_span_that_is_elsewhere_is_an_error_with_line_and_span(tmp_path, format):
    for first, wrong in (("Ana", "Anna"), ("Ana", "ana"), ("Ana", ""), ("é", "e")):
        data = line("Ana é met", first)
        data["spans"][0]["text"] = wrong
        with pytest.raises(XltError, match=f"E564.*line 2: the span PER from .*'{first}' there, and '{wrong}'"):
            list(read_corpus(jsonl(tmp_path, {"text": "ok", "spans": []}, data), format=format))
    # One span fits only in one unit, another one only in another
    mixed = jsonl(tmp_path, line(FOUR, "Ana", unit=UTF16), line(FOUR, "Rui"))
    with pytest.raises(XltError, match="E564.*line 1: the span PER from 9 to 12 has 'met' there, and 'Ana'"):
        list(read_corpus(mixed, format=format))


def test_white_space_and_composed_letters_may_differ(tmp_path):
    text = unicodedata.normalize("NFD", "José\u00a0Sá\n met")
    data = {"text": text, "spans": [{"start": 0, "end": 9, "label": "PER", "text": "José  Sá"}]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(jsonl(tmp_path, data), lang="en")
        assert ents(doc) == [text[:9]]
        (doc,) = read_corpus(brat(tmp_path, text, (0, 9, "José Sá")), lang="en")
        assert ents(doc) == [text[:9]]
    # Offsets of the other form do not fit
    with pytest.raises(XltError, match="E564.*'Jose"):
        list(read_corpus(jsonl(tmp_path, {"text": text, "spans": [{**data["spans"][0], "end": 7}]})))


def test_tokens_of_a_span_tell_the_unit(tmp_path):
    words = ["😀", "😀", "a", "b"]
    tokens = [{"text": word, "start": 2 * i, "end": 2 * i + 1} for i, word in enumerate(words)]
    span = {"start": 4, "end": 5, "label": "PER", "token_start": 2, "token_end": 2}
    (doc,) = read_corpus(jsonl(tmp_path, {"text": " ".join(words), "tokens": tokens, "spans": [span]}))
    assert ents(doc) == ["a"]


@pytest.mark.parametrize(
    ("text", "note", "found"),
    [
        ("Ana met Rui.\r\nShe left.\r\n", (13, 16, "She"), "She"),
        ("Ana met Rui.\r\nShe left.\r\n", (14, 17, "She"), "She"),
        ("Ana\r\n\r\nmet\r\nRui", (9, 12, "Rui"), "Rui"),
        ("\ufeffAna met\r\nRui", (9, 12, "Rui"), "Rui"),
        ("\ufeffAna met\r\nRui", (8, 11, "Rui"), "Rui"),
        ("\ufeffAna met\r\nRui", (10, 13, "Rui"), "Rui"),
        ("Ana\r\nMaria left", (0, 9, "Ana Maria"), "Ana\r\nMaria"),
        ("Ana\r\nMaria left", (0, 10, "Ana  Maria"), "Ana\r\nMaria"),
        # Without the covered text, what begins and ends with a token
        ("Ana met Rui.\r\nShe left.\r\n", (13, 16, ""), "She"),
        ("Ana met Rui.\r\nShe left.\r\n", (14, 17, ""), "She"),
    ],
)
def test_line_ends_of_brat_count_as_one_character_or_two(tmp_path, text, note, found):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (doc,) = read_corpus(brat(tmp_path, text, note), lang="en")
    assert ents(doc) == [found] and doc.text == text.removeprefix("\ufeff")


@pytest.mark.parametrize("unit", [UTF16, UTF8])
def test_brat_offsets_in_other_units_are_read_and_said(tmp_path, unit):
    text = f"{FAMILY} Ana met\r\nRui"
    start = size(text[: text.index("Rui")], unit) - 1
    with pytest.warns(XltWarning, match=f"W564.*{unit}"):
        (doc,) = read_corpus(brat(tmp_path, text, (start, start + 3, "Rui")), lang="en")
    assert ents(doc) == ["Rui"]


def test_a_brat_span_without_its_text_that_fits_in_two_units_is_an_error_with_the_line(tmp_path):
    with pytest.raises(XltError, match="E537.*a.ann, line 1.*'met' or 'Ana'"):
        list(read_corpus(brat(tmp_path, FOUR, (9, 12, "")), lang="en"))


def test_brat_spans_that_fit_in_different_ways_are_an_error_with_the_line(tmp_path):
    path = brat(tmp_path, "Ana met Rui.\r\nShe left.\r\nHe too", (13, 16, "She"), (27, 29, "He"))
    with pytest.raises(XltError, match="E537.*a.ann, line 1.*not 'She'"):
        list(read_corpus(path))
