"""Tags around spans in a text that a language model wrote."""

from __future__ import annotations

import time

import pytest

from spacy_xlt.annotate.tags import TagSet

TAGS = TagSet(["PER", "LOC", "Work of art"])


def read(marked: str, text: str = ""):
    return TAGS.read(marked, text)


def test_a_text_without_its_tags_and_what_stood_in_them():
    tagged = read("<PER>Maria</PER> saw <Work of art>Guernica</Work of art>.")
    assert tagged.text == "Maria saw Guernica." and not tagged.broken and not tagged.unknown
    assert tagged.spans == [(0, 5, "PER"), (10, 18, "Work of art")]


@pytest.mark.parametrize("marked", ["< per >Maria</ PER>", '<PER type="x">Maria</PER>', "＜PER＞Maria＜／PER＞"])
def test_the_form_of_tags_does_not_matter(marked):
    assert read(marked)[:2] == ("Maria", [(0, 5, "PER")])


def test_labels_that_differ_in_case_alone_are_told_apart():
    assert TagSet(["per", "PER"]).read("<per>A</per> <PER>B</PER>", "").spans == [(0, 1, "per"), (2, 3, "PER")]


def test_tags_inside_one_another_and_crossing_ones_are_paired_by_label():
    assert read("<LOC>Port of <PER>Maria</PER></LOC>").spans == [(8, 13, "PER"), (0, 13, "LOC")]
    assert read("<PER>a <LOC>b</PER> c</LOC>").spans == [(0, 3, "PER"), (2, 5, "LOC")]


@pytest.mark.parametrize(
    ("marked", "broken"),
    [
        ("<PER>Maria saw <LOC>Porto</LOC>.", [(0, 10)]),
        ("<LOC>Porto</LOC> saw Maria</PER>.", [(5, 15)]),
        ("We saw <PER>Maria.", [(7, 13)]),
        ("<PER>Maria</PER></PER>", [(5, 5)]),
    ],
)
def test_a_tag_without_its_partner_reaches_to_the_next_one(marked, broken):
    assert read(marked).broken == broken


@pytest.mark.parametrize("marked", ["<" + " " * 20_000, "<PER>" * 20_000 + "</LOC>" * 20_000])
def test_an_answer_that_repeats_itself_is_read_in_little_time(marked):
    start = time.perf_counter()
    assert not read(marked).spans
    assert time.perf_counter() - start < 3


def test_tags_of_other_labels_are_taken_out_and_counted():
    tagged = read("<ORG>Acme</ORG> of <PER>Maria</PER>")
    assert tagged == ("Acme of Maria", [(8, 13, "PER")], [], 1)


def test_tags_that_the_text_has_itself_are_text():
    assert read("<b><PER>Maria</PER></b> < 3", "<b>Maria</b> < 3")[:2] == ("<b>Maria</b> < 3", [(3, 8, "PER")])
    text = "Write <PER>Maria</PER> < here"
    assert TAGS.brackets(text) == 2 and TAGS.pair("PER", 2) == ("<<PER>>", "<</PER>>")
    assert read("Write <PER><<PER>>Maria<</PER>></PER> < here", text)[:2] == (text, [(11, 16, "PER")])


def test_tags_get_more_brackets():
    assert TAGS.with_brackets("<per>Maria</per> of <b>Porto", 2) == "<<PER>>Maria<</PER>> of <b>Porto"


def test_what_a_model_has_escaped_is_taken_back_unless_the_text_is_so():
    assert read("&lt;PER&gt;A&amp;B&lt;/PER&gt;", "A&B")[:2] == ("A&B", [(0, 3, "PER")])
    assert read("<PER>A&amp;B</PER>", "A&amp;B").text == "A&amp;B"
