"""Documents that are edited, cut and copied: tokens, sentences, entities, span groups and what is missing."""

from __future__ import annotations

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup

from spacy_xlt.docs import Replacement, copy_span, edit, missing_ranges, slice_doc, with_words, without

VOCAB = spacy.blank("en").vocab


@st.composite
def annotated(draw: st.DrawFn) -> Doc:
    """A document of up to twelve words with sentences, entities, missing tokens and an overlapping span group."""
    n = draw(st.integers(1, 12))
    starts = [i == 0 or draw(st.booleans()) for i in range(n)]
    doc = Doc(VOCAB, words=[f"w{i}" for i in range(n)], spaces=[True] * n, sent_starts=starts)
    ents, i = [], 0
    while i < n:
        length = draw(st.integers(1, 3))
        if draw(st.booleans()):
            ents.append(Span(doc, i, min(n, i + length), label="PER", kb_id=f"Q{i}", span_id=f"s{i}"))
        i += length
    inside = {i for ent in ents for i in range(ent.start, ent.end)}
    missing = [doc[i : i + 1] for i in range(n) if i not in inside and draw(st.booleans())]
    doc.set_ents(ents, missing=missing, default="outside")
    ranges = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(1, n)), max_size=4))
    spans = [Span(doc, a, b, label="X") for a, b in ranges if a < b]
    attrs = {"scores": [float(k) for k in range(len(spans))], "of": "all"}
    doc.spans["sc"] = SpanGroup(doc, name="sc", spans=spans, attrs=attrs)
    doc.cats = {"a": 1.0}
    return doc


def plain(doc: Doc) -> tuple:
    spans = [(s.text, s.label_, s.kb_id_, s.id_) for s in [*doc.ents, *doc.spans["sc"]]]
    return [t.text for t in doc], [t.is_sent_start for t in doc], spans, missing_ranges(doc), dict(doc.cats)


@settings(deadline=None)
@given(annotated())
def test_a_document_without_changes_is_the_same(doc):
    assert plain(edit(doc, [])) == plain(without(doc, [])) == plain(slice_doc(doc, 0, len(doc))) == plain(doc)
    assert plain(with_words(doc, [t.text for t in doc])) == plain(doc)


@settings(deadline=None)
@given(annotated(), st.data())
def test_deleting_tokens_keeps_the_others_and_drops_spans_that_reach_into_them(doc, data):
    start = data.draw(st.integers(0, len(doc)))
    end = data.draw(st.integers(start, len(doc)))
    copy = without(doc, [(start, end)])
    gone = set(range(start, end))
    assert [t.text for t in copy] == [t.text for t in doc if t.i not in gone]
    kept = [s for s in doc.ents if gone.isdisjoint(range(s.start, s.end))]
    assert [(s.text, s.kb_id_, s.id_) for s in copy.ents] == [(s.text, s.kb_id_, s.id_) for s in kept]
    group = [i for i, s in enumerate(doc.spans["sc"]) if gone.isdisjoint(range(s.start, s.end))]
    assert copy.spans["sc"].attrs == {"scores": [float(i) for i in group], "of": "all"}
    assert [s.text for s in copy.spans["sc"]] == [doc.spans["sc"][i].text for i in group]
    if 0 < end < len(doc):
        # a sentence begins behind what was deleted
        assert copy[start].is_sent_start or start == end
    missing = {doc[i].text for a, b in missing_ranges(doc) for i in range(a, b)} - {doc[i].text for i in gone}
    assert {copy[i].text for a, b in missing_ranges(copy) for i in range(a, b)} == missing


@settings(deadline=None)
@given(annotated(), st.data())
def test_a_slice_holds_the_spans_inside_and_marks_cut_entities_missing(doc, data):
    start = data.draw(st.integers(0, len(doc) - 1))
    end = data.draw(st.integers(start + 1, len(doc)))
    part = slice_doc(doc, start, end)
    assert [t.text for t in part] == [t.text for t in doc[start:end]]
    inside = [ent for ent in doc.ents if start <= ent.start and ent.end <= end]
    assert [(e.text, e.start) for e in part.ents] == [(e.text, e.start - start) for e in inside]
    cut = {i for ent in doc.ents if ent not in inside for i in range(ent.start, ent.end) if start <= i < end}
    missing = {i + start for a, b in missing_ranges(part) for i in range(a, b)}
    assert cut <= missing and missing - cut <= {i for a, b in missing_ranges(doc) for i in range(a, b)}


def test_words_take_the_place_of_others_and_spans_move_along():
    doc = Doc(VOCAB, words=["da", "Maria", "."], spaces=[True, False, False])
    doc.set_ents([Span(doc, 1, 2, label="PER")], default="outside")
    copy = edit(doc, [Replacement(0, 1, ["de", "a"], [True, True], [False, True])])
    assert copy.text == "de a Maria." and [ent.start for ent in copy.ents] == [2]
    assert missing_ranges(copy) == [(1, 2)]


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_a_span_goes_to_a_document_of_another_vocabulary(lang):
    doc = Doc(VOCAB, words=["a", "b", "c"])
    span = Span(doc, 1, 2, label="NEW_LABEL", kb_id="Q7", span_id="id7")
    other = Doc(spacy.blank(lang).vocab, words=["x", "y", "z"])
    copy = copy_span(span, other, 2)
    assert (copy.start, copy.end, copy.label_, copy.kb_id_, copy.id_) == (2, 3, "NEW_LABEL", "Q7", "id7")
