"""What is translated at once: sentences, lines, and parts of what is too long."""

from __future__ import annotations

import pytest
import spacy
from helpers.translators import translator_pipe
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from spacy_xlt.docs import sentence_ranges
from spacy_xlt.protocols import Translation
from spacy_xlt.translation.sentences import sentences_of

ENGLISH = spacy.blank("en")


def parts(text: str, **options) -> list[str]:
    return [part.text for sentence in sentences_of(ENGLISH(text), **options) for part in sentence.parts]


def rebuilt(doc: Doc, **options) -> str:
    """The text from its parts, with a mark where the target language decides on a space."""
    sentences = list(sentences_of(doc, **options))
    return "".join(
        "".join(("¦" if part.gap is None else part.gap) + part.text for part in sentence.parts) + sentence.after
        for sentence in sentences
    )


@settings(deadline=None)
@given(st.text(alphabet="ab.!? \n\r\t\u00a0\u2028。é", max_size=49))
def test_kept_line_breaks_leave_the_text_as_it_is(text):
    doc = ENGLISH(text)
    assert rebuilt(doc).replace("¦", "") == text
    for sentence in sentences_of(doc):
        for part in sentence.parts:
            assert text[part.offset : part.offset + len(part.text)] == part.text


@settings(deadline=None)
@given(st.text(alphabet="ab., ;中文。é\u0301", min_size=1, max_size=200), st.integers(20, 60))
def test_parts_are_short_and_nothing_is_lost(text, limit):
    found = [part for sentence in sentences_of(ENGLISH(text), max_chars=limit) for part in sentence.parts]
    assert all(len(part.text) <= limit for part in found)
    assert "".join("".join(part.text.split()) for part in found) == "".join(text.split())


def test_a_doc_s_own_sentences_are_taken():
    doc = Doc(ENGLISH.vocab, words=["a", ".", "b", "c"], sent_starts=[True, False, False, True])
    assert [(s.start, s.end, [p.text for p in s.parts]) for s in sentences_of(doc)] == [
        (0, 3, ["a . b"]),
        (3, 4, ["c"]),
    ]


def test_blank_lines_and_short_lines_are_kept():
    assert parts("A title\n\nThe text goes on\nand on.") == ["A title", "The text goes on", "and on."]
    assert rebuilt(ENGLISH("One\r\n\r\n  two\n\n\nthree ")) == "One\r\n\r\n  two\n\n\nthree "


def test_wrapped_lines_are_joined_but_no_list_items():
    line = "This line is as long as lines in wrapped text are wont to be"
    assert parts(f"{line}\nand goes on") == [f"{line} and goes on"]
    assert parts(f"{line}\r\nand goes on") == [f"{line}  and goes on"]
    assert parts(f"{line}\n- an item") == [line, "- an item"]
    assert parts(f"{line}\n2. an item")[:2] == [line, "2."]


def test_what_is_too_long_is_cut_at_the_best_place():
    assert parts("one two three, four five six seven", max_chars=20) == ["one two three,", "four five six seven"]
    assert parts("one two three four five six", max_chars=20) == ["one two three four", "five six"]
    assert parts("x" * 45, max_chars=20) == ["x" * 20, "x" * 20, "x" * 5]
    # 3.5 is no end, and wide characters count three times
    assert parts("that costs 3.5 millions", max_chars=20) == ["that costs 3.5", "millions"]
    assert parts("中文中文中文，中文中文中文", max_chars=24) == ["中文中文中文，", "中文中文中文"]


def test_no_part_begins_with_an_accent_of_the_character_before():
    assert not any(part.startswith("\u0301") for part in parts("e\u0301" * 40, max_chars=21))


def test_ends_of_sentences_inside_a_token_cut():
    doc = Doc(spacy.blank("xx").vocab, words=["你好世界。我是学生。「真的。」他说。"])
    (sentence,) = sentences_of(doc)
    assert [part.text for part in sentence.parts] == ["你好世界。", "我是学生。", "「真的。」他说。"]


class Copy:
    signature = "copy"

    def __init__(self):
        self.seen: list[str] = []

    def translate(self, texts, *, source, target):
        self.seen += texts
        return [Translation(text, score=-float(len(text)), flags=("f" + text[:1],)) for text in texts]


def test_parts_are_put_together_with_the_space_of_the_target_language():
    text = "one two three, four five six seven\n\nend"
    for target, expected in (("pt", text), ("zh", text.replace("three, four", "three,four"))):
        engine = Copy()
        pipe = translator_pipe(engine, target=target, max_chars=20)
        bitext = pipe.predict([ENGLISH(text)])[0]
        assert bitext.target.text == expected
        assert engine.seen == ["one two three,", "four five six seven", "end"]
    (pair,) = bitext.sentences
    assert pair.flags == ("fo", "ff", "fe") and pair.score == pytest.approx(-(14**2 + 19**2 + 3**2) / 36)


def test_a_sentence_of_white_space_is_not_translated():
    engine = Copy()
    doc = translator_pipe(engine)(Doc(ENGLISH.vocab, words=["\n", "\n"], spaces=[True, False]))
    assert engine.seen == [] and doc._.xlt["pt"].target.text == doc.text


def test_the_sentencizer_rule_cuts_no_placeholder():
    doc = ENGLISH("Say hello. {name} is here! `a. b` too. See x.org/a?b.")
    cut = [[part.text for part in s.parts] for s in sentences_of(doc, protect=("variable", "code", "url"))]
    assert cut == [["Say hello."], ["{name} is here!"], ["`a. b` too."], ["See x.org/a?b."]]


def spanned(text: str, *names: str, group: bool = False, nlp=ENGLISH, sentences: bool = False) -> Doc:
    doc = nlp(text)
    spans = [doc.char_span(text.index(n), text.index(n) + len(n), "X", alignment_mode="expand") for n in names]
    if sentences:
        for token in doc:
            token.is_sent_start = token.i == 0 or doc[token.i - 1].text in "!?."
    if group:
        doc.spans["sc"] = spans
    else:
        doc.ents = spans
    return doc


@pytest.mark.parametrize("settings", [{}, {"group": True}, {"sentences": True}])
def test_no_sentence_ends_inside_a_span(settings):
    doc = spanned("She left Yahoo! Japan last year. He did too.", "Yahoo! Japan", **settings)
    cut = [[part.text for part in s.parts] for s in sentences_of(doc)]
    assert cut == [["She left Yahoo! Japan last year."], ["He did too."]]
    assert len(sentence_ranges(doc)) == (3 if settings.get("sentences") else 2)


def test_a_span_with_whole_sentences_inside_is_cut_where_they_end():
    text = "He went home. She stayed there. They met again."
    doc = spanned(text, "went home. She stayed there. They met", group=True)
    assert len(list(sentences_of(doc))) == 3
    assert len(list(sentences_of(spanned(text, "home. She")))) == 2


def test_no_part_ends_inside_a_span():
    assert parts_of(spanned("He lives in New\nYork today", "New\nYork")) == ["He lives in New York today"]
    doc = Doc(spacy.blank("xx").vocab, words=["娘。の歌。行った。"])
    doc.ents = [Span(doc, 0, 1, "ORG")]
    assert parts_of(doc) == ["娘。の歌。行った。"]
    words = "a b c d e f! g h i"
    assert parts_of(spanned(words, "e f! g h i"), max_chars=20) == [words]
    assert parts_of(spanned(words + " j k l m", "f! g"), max_chars=20)[0] != "a b c d e f!"


def parts_of(doc: Doc, **options) -> list[str]:
    return [part.text for sentence in sentences_of(doc, **options) for part in sentence.parts]
