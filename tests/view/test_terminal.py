"""`spacy xlt view --text`."""

from __future__ import annotations

import re

import pytest
import spacy
from helpers.view_bitexts import (
    ANSI,
    arabic,
    bitext,
    chinese,
    hostile,
    lisbon,
    long_sentence,
    many,
    side,
    stored,
    thai,
    view,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_xlt.bitext import Bitext, LostSpan, SentencePair
from spacy_xlt.links import Alignment
from spacy_xlt.span_links import End, Link, Record, SpanLinks
from spacy_xlt.view.data import rows
from spacy_xlt.view.terminal import as_text, hanging, plain, sentence


def test_the_terminal_shows_sentences_and_a_summary(write_corpus):
    result = view(stored(write_corpus, [lisbon(), chinese()]), "--text")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "#1  document 1  en → pt  translation -0.31  ⚑ length_ratio"
    assert "Em [maio DATE 0.97] viu o antigo porto de [Lisboa LOC 0.42] ." in result.output
    assert "[Maria ✗PER] saw {the {old harbour Sight} of {[Lisbon LOC] PLACE} in [May DATE] TRIP} ." in re.sub(
        r"\s+", " ", result.output
    )
    assert "✗ lost PER “Maria”: no_links" in result.output
    assert "[李明 PER 0.96]去年搬到了[上海 LOC 0.99]。" in result.output
    numbers = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert numbers["documents"] == ["2"] and numbers["links"] == ["17"] and numbers["flagged"] == ["length_ratio", "1"]
    assert numbers["PER"] == ["2", "1", "1", "0.960", "0"] and numbers["LOC"] == ["2", "2", "0", "0.705", "1"]


@pytest.mark.parametrize("make", [lisbon, arabic, chinese, thai, hostile, lambda: long_sentence(300)])
def test_the_terminal_has_80_columns(make):
    for colors in (False, True):
        for line in as_text([(0, make())], limit=1, colors=colors):
            assert cell_len(ANSI.sub("", line)) <= 80


def test_colours_only_add_to_what_the_text_says():
    plain_lines, colored = (list(as_text([(0, lisbon())], limit=1, colors=colors)) for colors in (False, True))
    assert "\x1b[" not in "".join(plain_lines) and re.search(r"\x1b\[38;5;\d+;48;5;\d+m", "".join(colored))
    assert [ANSI.sub("", line).rstrip() for line in colored] == plain_lines


def test_the_summary_is_about_all_and_the_limit_about_what_is_shown(write_corpus, tmp_path):
    corpus = stored(write_corpus, many(210))
    result = view(corpus, "--text", "--limit", 2)
    assert result.output.count("#") == 2 and re.search(r"documents +210\b", result.output)
    result = view(corpus, tmp_path / "out.txt", "--text", "--only-lost")
    text = (tmp_path / "out.txt").read_text(encoding="utf8")
    assert re.findall(r"#(\d+)", text) == ["8", "108", "208"] and "\x1b" not in text


def test_text_cannot_steer_the_terminal():
    made = bitext(side(["\x1b[31mred", "a\rb", "\u202eevil", "\x9b2J"]), side("a"))
    text = "\n".join(as_text([(0, made)], limit=1))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@given(st.lists(st.text(max_size=30), max_size=12))
@settings(deadline=None)
def test_wrapping_keeps_the_text_and_the_width(texts):
    text = " ".join(map(plain, texts))
    lines = list(hanging("> ", Text(text), indent=2))
    assert all(cell_len(line) <= 80 for line in lines)
    assert "".join("".join(line[2:] for line in lines).split()) == "".join(text.split())


def test_links_between_spans_are_lines_with_their_ends_and_why_they_were_lost():
    source = Doc(Vocab(), "Ada works at IBM . She was born in Rome .".split())
    source.ents = [Span(source, 0, 1, "PER"), Span(source, 3, 4, "ORG"), Span(source, 9, 10, "LOC")]
    links = [Link(End("ents", 1), End("ents", 0), "employs", 0.5), Link(End("ents", 0), End("ents", 2), "born_in")]
    records = [Record("work", End("ents", 1), (("who", End("ents", 0)),))]
    source._.xlt_links = SpanLinks(links, records)
    target = Doc(Vocab(), "IBM beschäftigt Ada .".split())
    one = Bitext(source, target, Alignment([(0, 2), (1, 1), (3, 0), (4, 3)]))
    spacy.blank("xx").add_pipe("xlt_projector").project([one])
    lines = [line.strip() for line in str(one).splitlines()]
    assert "“IBM” → employs 0.50 → “Ada”" in lines[-1] + lines[-2]
    assert any("✗ “Ada” → born_in → “Rome”: lost, no_links" in line for line in lines)
    assert sum("“IBM” → work.who → “Ada”" in line for line in lines) == 2
    lines = list(as_text([(0, one)], limit=1))
    assert "span links 4 → 3" in lines and "lost links no_links 1" in lines


def test_a_line_end_behind_the_last_sentence_is_no_sentence_to_look_at_but_a_span_in_it_is():
    docs = [side(["Ada", ".", "\n"]) for _ in "st"]
    pairs = [SentencePair(0, 2, 0, 2), SentencePair(2, 3, 2, 3)]
    assert [row["pair"] for row in rows(bitext(*docs, sentences=pairs))] == [0]
    lost = bitext(*docs, sentences=pairs, lost=[LostSpan(2, 3, "PER", "empty")])
    assert [row["pair"] for row in rows(lost)] == [0, 1]


def test_a_link_shows_the_words_of_its_ends_shortened_also_in_another_sentence():
    source, target = (side("Acme grew . " + "long " * 20 + "end", [(0, 1, "ORG"), (3, 23, "ARG")]) for _ in "st")
    source._.xlt_links = SpanLinks([Link(End("ents", 1), End("ents", 0), "about")])
    one = bitext(source, target, sentences=[SentencePair(0, 3, 0, 3), SentencePair(3, 24, 3, 24)])
    first, second = (" ".join(" ".join(sentence(row, number=1)).split()) for row in rows(one))
    assert "→ about" not in first and second.endswith("long long…” → about → “Acme”")
    assert len(second.split("“")[1].split("”")[0]) == 60
