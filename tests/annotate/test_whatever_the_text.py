"""Answers to any text, of a model that is honest and of one that is careless: properties of `LlmAnnotator`."""

from __future__ import annotations

import unicodedata
import warnings

from helpers.annotating import LABELS, annotator, missing
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_xlt.annotate.tags import TagSet

# Letters of several scripts, marks, spaces, and what looks like tags or escapes
PIECES = ["<", ">", "/", "<PER>", "</LOC>", "<b>", "<<PER>>", "&", "&amp;", "&lt", ";", "PER", " ", "\u00a0", "\u200b"]
PIECES += ["Maria", "São", "Sa\u0303o", "北京", "กรุงเทพ", "한국", "😀", "👩\u200d🚀", "'", "”", "-", "10", "km", "ß"]
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
WORDS = st.lists(st.sampled_from(PIECES) | LETTERS, min_size=1, max_size=12)


@st.composite
def annotated_docs(draw):
    """A document of one sentence on one line, and spans of it, none of which overlap."""
    words = [word for word in draw(WORDS) if word and not any(c in "\r\n\v\f\x85\u2028\u2029" for c in word)]
    # Text is asked for without the white space around it
    assume(words and all(word == word.strip() or word.isspace() for word in words))
    doc = Doc(Vocab(), words=words, spaces=[draw(st.booleans()) for _ in words])
    spans, at = [], 0
    while at < len(doc):
        start = draw(st.integers(at, len(doc)))
        end = draw(st.integers(start, min(len(doc), start + 3)))
        if start < end and not doc[start].text.isspace() and not doc[end - 1].text.isspace():
            spans.append(Span(doc, start, end, label=draw(st.sampled_from(sorted(LABELS)))))
        at = max(end, start + 1)
    return doc, spans


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(annotated_docs())
def test_an_honest_answer_gives_exactly_its_spans_whatever_the_text(made):
    doc, spans = made
    for token in doc:
        token.is_sent_start = token.i == 0
    tags = TagSet(list(LABELS))
    asked = {}

    def say(text, _):
        offset = doc.text.index(text, asked.get("end", 0))
        asked["end"] = offset + len(text)
        inside = [s for s in spans if offset <= s.start_char and s.end_char <= offset + len(text)]
        brackets, parts, at = tags.brackets(text), [], 0
        for span in inside:
            opening, closing = tags.pair(span.label_, brackets)
            begin, end = span.start_char - offset, span.end_char - offset
            parts += [text[at:begin], opening, text[begin:end], closing]
            at = end
        return "".join([*parts, text[at:]])

    engine = annotator(say)
    (copy,) = engine.annotate([doc])
    # A mark of the end of a sentence cuts inside of words where there are no spaces, and with it spans
    assume(len(engine.model.requests) <= 1)
    # Without anything that can be seen, nothing is asked
    assume(engine.model.requests or not spans)
    assert [(e.start, e.end, e.label_) for e in copy.ents] == [(s.start, s.end, s.label_) for s in spans]
    assert missing(copy) == [] and not engine.left_out


ORDINARY = "Maria mora em Lisboa desde ontem Straße Việt 10 北 京 大 学 กรุง".split()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_careless_answer_gives_only_true_spans_and_what_it_changed_is_missing(data):
    words = data.draw(st.permutations(ORDINARY))[: data.draw(st.integers(1, len(ORDINARY)))]
    doc = Doc(Vocab(), words=words)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
    true = [(i, j, "PER") for i, j in zip(cuts[::2], cuts[1::2], strict=False)]
    kinds = [data.draw(st.sampled_from(["same"] * 5 + ["case", "form", "lost", "changed"])) for _ in words]
    change = {"case": str.swapcase, "form": lambda w: unicodedata.normalize("NFD", w), "lost": lambda w: ""}
    said = [change.get(kind, str)(w) if kind != "changed" else "zzz" for kind, w in zip(kinds, words, strict=True)]
    marks = {i: "<PER>" for i, _, _ in true}, {j - 1: "</PER>" for _, j, _ in true}
    space = data.draw(st.sampled_from([" ", "  ", "\u00a0", " , "]))
    answer = space.join(marks[0].get(i, "") + word + marks[1].get(i, "") for i, word in enumerate(said))
    doc[0].is_sent_start = True
    for token in doc[1:]:
        token.is_sent_start = False
    engine = annotator(lambda *_: answer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (copy,) = engine.annotate([doc])
    # Nobody can tell on which side of a tag a word was that is not there
    marked = [[i for i in range(start, end) if kinds[i] != "lost"] for start, end, _ in true]
    whole = [range(inside[0], inside[-1] + 1) for inside in marked if inside]
    good = [span for span in whole if not {"lost", "changed"}.intersection(kinds[span.start : span.stop])]
    if not engine.not_annotated:
        assert [range(ent.start, ent.end) for ent in copy.ents] == good
    unknown = {i for i, kind in enumerate(kinds) if kind in ("lost", "changed")}
    unknown.update(i for span in whole if span not in good for i in span)
    assert unknown <= {token.i for token in copy if token.ent_iob == 0}
