"""Alignment, Bitext and their stored form."""

from __future__ import annotations

import json

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import LostSpan, SentencePair
from spacy_xlt.docs import missing_ranges, sentence_ranges
from spacy_xlt.errors import XltError

plain_alignments = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1, width=32)), max_size=20
).map(lambda rows: Alignment([r[:2] for r in rows], [r[2] for r in rows]))
alignments = st.builds(
    lambda links, weak: Alignment(links.links, links.scores, weak),
    plain_alignments,
    st.none() | plain_alignments,
)


@given(alignments)
def test_transposing_twice_is_the_identity(alignment):
    assert alignment.transpose().transpose().links.tolist() == alignment.links.tolist()


@given(alignments)
def test_stored_form_survives_json(alignment):
    assert Alignment.from_stored(json.loads(json.dumps(alignment.to_stored()))) == alignment


@given(alignments)
def test_pharaoh_keeps_the_links(alignment):
    assert np.array_equal(Alignment.from_pharaoh(alignment.to_pharaoh()).links, alignment.links)


@given(alignments, st.integers(0, 9), st.integers(0, 9))
def test_between_undoes_shift(alignment, i, j):
    assert alignment.shift(i, j).between((i, i + 31), (j, j + 31)) == alignment


@given(alignments, alignments)
def test_links_without_weak_ones_count_as_weak_ones(first, second):
    both = Alignment.concatenate([first, second])
    assert len(both) == len(first) + len(second)
    if first.weak_links is None and second.weak_links is None:
        assert both.weak_links is None
    else:
        assert len(both.weak_links) == sum(len(a if a.weak_links is None else a.weak_links) for a in (first, second))


def test_weak_links_outside_the_docs_are_refused():
    with pytest.raises(XltError, match="E002"):
        Alignment([(0, 0)], None, Alignment([(0, 5)])).check(1, 1)


@pytest.mark.parametrize("text", ["0", "0:1", "a-b", "-1-2"])
def test_bad_pharaoh_is_named(text):
    with pytest.raises(XltError, match="E003.*" + text):
        Alignment.from_pharaoh(text)


def test_each_link_needs_a_score():
    with pytest.raises(XltError, match="E001"):
        Alignment([(0, 0)], [0.1, 0.2])


@pytest.mark.parametrize("links", [[(2, 0)], [(0, 2)], [(-1, 0)]])
def test_links_outside_the_docs_are_refused(make_doc, links):
    with pytest.raises(XltError, match="E002"):
        Bitext(make_doc("a b"), make_doc("c d", lang="pt"), Alignment(links))


def test_sentences_outside_the_docs_are_refused(make_doc):
    with pytest.raises(XltError, match="E006"):
        Bitext(make_doc("a b"), make_doc("c d"), sentences=[SentencePair(0, 3, 0, 2)])


@pytest.fixture
def bitext(make_doc) -> Bitext:
    target = make_doc("Maria mora . Aqui !", (0, 1, "PER"), lang="pt", sents=[3])
    target.set_ents([Span(target, 0, 1, label="PER", kb_id="Q1", span_id="s1")], missing=[target[3:5]])
    target.spans["sc"] = SpanGroup(target, name="sc", attrs={"scores": [0.25]}, spans=[target[0:2]])
    target.cats = {"NEWS": 1.0}
    return Bitext(
        source=make_doc("Maria lives . Here !", (0, 1, "PER"), sents=[3]),
        target=target,
        alignment=Alignment([(0, 0), (4, 4)], [0.9, 0.1]),
        sentences=[SentencePair(0, 3, 0, 3, -0.5, ("copied",)), SentencePair(3, 5, 3, 5)],
        engine="e-1",
        aligner="a-1",
        projector="p-1",
        attention=Alignment([(1, 1)], [0.4]),
        lost=[LostSpan(3, 4, "LOC", "no_links")],
    )


def same(found: Bitext, expected: Bitext) -> bool:
    return found.to_stored() == expected.to_stored()


def test_a_doc_keeps_its_bitext_through_docbin(bitext):
    bitext.source._.xlt["pt"] = bitext
    data = DocBin(docs=[bitext.source], store_user_data=True).to_bytes()
    (again,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert same(again._.xlt["pt"], bitext)
    # and once more, from what is stored as tuples by now
    data = DocBin(docs=[again], store_user_data=True).to_bytes()
    (again,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert same(again._.xlt["pt"], bitext)


def test_the_target_comes_back_whole(bitext):
    target = Bitext.from_stored(bitext.source, bitext.to_stored()).target
    assert target.text == bitext.target.text and target.lang_ == "pt"
    assert [sent.text for sent in target.sents] == ["Maria mora .", "Aqui !"]
    (ent,) = target.ents
    assert (ent.text, ent.label_, ent.kb_id_, ent.id_) == ("Maria", "PER", "Q1", "s1")
    assert missing_ranges(target) == [(3, 5)]
    assert [span.text for span in target.spans["sc"]] == ["Maria mora"]
    assert target.spans["sc"].attrs == {"scores": [0.25]}
    assert target.cats == {"NEWS": 1.0}


def test_a_target_without_annotation_stays_without(make_doc):
    target = Doc(spacy.blank("pt").vocab, words=["a"])
    stored = Bitext(make_doc("a"), target).to_stored()
    assert not Bitext.from_stored(make_doc("a"), stored).target.has_annotation("ENT_IOB")


def test_languages_are_known_by_any_code(bitext):
    store = bitext.source._.xlt
    store["por_Latn"] = bitext
    assert "pt" in store and "por" in store and list(store) == ["pt"]
    del store["pt"]
    assert not len(store)


def test_asking_for_an_absent_language_says_which_are_there(bitext):
    bitext.source._.xlt["pt"] = bitext
    with pytest.raises(KeyError, match="E005.*'de'.*pt"):
        bitext.source._.xlt["de"]


def test_copies_of_a_doc_do_not_share_their_bitexts(bitext):
    copy = bitext.source.copy()
    copy._.xlt["pt"] = bitext
    assert "pt" not in bitext.source._.xlt


def test_data_of_a_newer_version_is_refused(bitext):
    with pytest.raises(XltError, match="E004.*99"):
        Bitext.from_stored(bitext.source, {**bitext.to_stored(), "format": 99})


def test_a_retokenised_doc_does_not_get_its_old_bitext(bitext, make_doc):
    with pytest.raises(XltError, match="E007"):
        Bitext.from_stored(make_doc("one"), bitext.to_stored())


def test_transposing_exchanges_everything(bitext):
    other = bitext.transpose()
    assert other.source is bitext.target and other.source_lang == "pt"
    assert other.sentences[1].source == bitext.sentences[1].target
    assert same(
        other.transpose(), Bitext.from_stored(bitext.source, {**bitext.to_stored(), "lost": [], "projector": ""})
    )


def test_flags_and_score_are_those_of_the_sentences(bitext):
    assert bitext.flags == ("copied",) and bitext.score == -0.5


def test_sentences_cover_a_doc_with_and_without_boundaries(make_doc):
    assert sentence_ranges(make_doc("a b . c d", sents=[3])) == [(0, 3), (3, 5)]
    assert sentence_ranges(make_doc("a b . c d")) == [(0, 3), (3, 5)]
    assert sentence_ranges(make_doc("")) == []
