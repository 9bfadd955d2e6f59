"""Links between spans and records follow the spans that are projected."""

from collections import Counter

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span

from spacy_xlt.bitext import REASONS, Bitext, LostLink, SentencePair, dropped_pairs, training_target
from spacy_xlt.docs import replace_ents, slice_doc, without
from spacy_xlt.links import Alignment
from spacy_xlt.span_links import End, Link, Record, SpanLinks, span_at

ADA, IBM, ROME = (End("ents", n) for n in range(3))


@pytest.fixture
def nlp():
    return spacy.blank("en")


@pytest.fixture
def source(nlp):
    doc = nlp("Ada works at IBM . She was born in Rome .")
    doc.ents = [Span(doc, 0, 1, "PER"), Span(doc, 3, 4, "ORG"), Span(doc, 9, 10, "LOC")]
    doc.spans["verbs"] = [Span(doc, 1, 2, "VERB"), Span(doc, 7, 8, "VERB")]
    links = [Link(IBM, ADA, "employs", 0.5), Link(ADA, ROME, "born_in")]
    records = [
        Record("work", End("verbs", 0), (("who", ADA), ("where", IBM))),
        Record("life", None, (("born", End("verbs", 1)), ("part", 0))),
    ]
    doc._.xlt_links = SpanLinks(links, records)
    return doc


def named(doc):
    return [(span_at(doc, k.head).text, k.label, span_at(doc, k.child).text) for k in doc._.xlt_links.links]


def project(source, target, links, **settings):
    nlp = spacy.blank("xx")
    pipe = nlp.add_pipe("xlt_projector", config=settings)
    return pipe.project([Bitext(source, target, Alignment(links))])[0]


def test_links_survive_what_spacy_does_with_documents(nlp, source):
    (read,) = DocBin().from_bytes(DocBin(docs=[source]).to_bytes()).get_docs(nlp.vocab)
    for doc in (read, source.copy(), Doc(nlp.vocab).from_bytes(source.to_bytes())):
        assert doc._.xlt_links == source._.xlt_links
    assert nlp("Ada")._.xlt_links == SpanLinks(complete=False)


def test_a_part_of_a_document_has_the_links_inside(source):
    part = slice_doc(source, 0, 5)
    assert named(part) == [("IBM", "employs", "Ada")]
    assert [record.label for record in part._.xlt_links.records] == ["work", "life"]
    assert part._.xlt_links.records[1].roles == (("part", 0),)
    rest = without(source, [(0, 1)])
    assert named(rest) == []
    assert rest._.xlt_links.records[0].roles == (("where", End("ents", 0)),)
    assert slice_doc(source, 5, 11)._.xlt_links.records == [Record("life", None, (("born", End("verbs", 0)),))]


def test_links_stay_with_the_words_where_entities_change(source):
    replace_ents(source, [Span(source, 3, 4, "COMPANY"), *source.ents[:1]])
    assert named(source) == [("IBM", "employs", "Ada")]


def test_ends_follow_their_spans_whatever_their_order(source):
    target = Doc(spacy.blank("xx").vocab, "IBM beschäftigt Ada . In Rom geboren .".split())
    bitext = project(source, target, [(0, 2), (1, 1), (3, 0), (4, 3), (9, 5), (7, 6), (8, 4)])
    assert named(bitext.target) == [("IBM", "employs", "Ada"), ("Ada", "born_in", "Rom")]
    assert bitext.lost_links == [] and bitext.target._.xlt_links.complete
    first, second = bitext.target._.xlt_links.links
    assert first.score == pytest.approx(second.score * 0.5, rel=0.2)
    work, life = bitext.target._.xlt_links.records
    assert span_at(bitext.target, work.anchor).text == "beschäftigt"
    assert life.roles[1] == ("part", 0)


def test_a_lost_end_takes_the_link_with_it_and_says_why(source):
    target = Doc(spacy.blank("xx").vocab, "Ada arbeitet .".split())
    bitext = project(source, target, [(0, 0), (1, 1), (4, 2)])
    assert named(bitext.target) == []
    assert bitext.lost_links[:2] == [
        LostLink(IBM, ADA, "employs", "no_links"),
        LostLink(ADA, ROME, "born_in", "no_links"),
    ]
    assert LostLink(End("verbs", 0), IBM, "work.where", "no_links") in bitext.lost_links
    assert not bitext.target._.xlt_links.complete
    source._.xlt["de"] = bitext
    assert source._.xlt["de"].lost_links == bitext.lost_links


def test_ends_on_the_same_words_are_no_link(nlp):
    source = nlp("Mount Etna erupts")
    source.spans["sc"] = [Span(source, 0, 1, "A"), Span(source, 1, 2, "B")]
    source._.xlt_links = SpanLinks([Link(End("sc", 0), End("sc", 1), "is")])
    bitext = project(source, Doc(nlp.vocab, ["Etna", "bricht"]), [(0, 0), (1, 0), (2, 1)])
    assert [lost.reason for lost in bitext.lost_links] == ["same_words"]


def test_a_group_that_is_not_projected_loses_its_links(source):
    target = Doc(spacy.blank("xx").vocab, [token.text for token in source])
    bitext = project(source, target, [(i, i) for i in range(len(source))], ents=False)
    assert {lost.reason for lost in bitext.lost_links} == {"not_projected"}


def test_sentences_of_lost_links_can_be_left_out(source):
    target = Doc(spacy.blank("xx").vocab, "Ada arbeitet .".split())
    bitext = project(source, target, [(0, 0), (1, 1), (4, 2)], on_lost_link="drop")
    assert bitext.sentences[0].flags == ("lost_link", "dropped")


def in_two_sentences(source, *, flags=(), links=None, **settings):
    """The source projected onto itself, the second sentence with flags."""
    target = Doc(spacy.blank("xx").vocab, [token.text for token in source])
    links = [(i, i) for i in range(len(source))] if links is None else links
    sentences = [SentencePair(0, 5, 0, 5), SentencePair(5, 11, 5, 11, None, flags)]
    pipe = spacy.blank("xx").add_pipe("xlt_projector", config=settings)
    return pipe.project([Bitext(source, target, Alignment(links), sentences=sentences)])[0]


def test_links_into_a_sentence_that_is_left_out_are_listed(source):
    before = source._.xlt_links
    source._.xlt_links = SpanLinks([*before.links, Link(End("verbs", 1), ROME, "place")], before.records)
    bitext = in_two_sentences(source, flags=("bad",), drop_flags=["bad"])
    born = End("verbs", 1)
    assert bitext.lost_links == [
        LostLink(ADA, ROME, "born_in", "dropped"),
        LostLink(born, born, "life.born", "dropped"),
    ]
    assert named(bitext.target) == [("IBM", "employs", "Ada"), ("born", "place", "Rome")]
    corpus = training_target(bitext)
    assert named(corpus) == [("IBM", "employs", "Ada")] and corpus._.xlt_links.complete


def test_a_lost_anchor_takes_its_roles_along_and_each_is_listed(source):
    links = [(i, i) for i in range(len(source)) if i != 1]
    target = Doc(spacy.blank("xx").vocab, [token.text if token.i != 1 else "," for token in source])
    source._.xlt_links = SpanLinks([], [*source._.xlt_links.records, Record("cause", ROME, (("what", 0),))])
    bitext = project(source, target, links)
    verb = End("verbs", 0)
    assert [record.label for record in bitext.target._.xlt_links.records] == ["life", "cause"]
    assert [(lost.head, lost.child, lost.label) for lost in bitext.lost_links] == [
        (verb, verb, "work"),
        (verb, ADA, "work.who"),
        (verb, IBM, "work.where"),
        (verb, verb, "life.part"),
        (ROME, verb, "cause.what"),
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_link_and_role_is_in_the_target_or_listed_with_a_reason(data):
    nlp = spacy.blank("en")
    source = nlp("Ada works at IBM . She was born in Rome .")
    source.ents = [Span(source, n, n + 1, "E") for n in (0, 1, 3, 5, 7, 9)]
    ends = st.integers(0, 5).map(lambda n: End("ents", n))
    links = st.lists(st.builds(Link, ends, ends, st.sampled_from("ab")), max_size=5)
    roles = st.lists(st.tuples(st.just("r"), ends | st.integers(0, 1)), max_size=3).map(tuple)
    records = st.lists(st.builds(Record, st.just("R"), ends, roles), min_size=2, max_size=2)
    source._.xlt_links = SpanLinks(data.draw(links), data.draw(records))
    linked = data.draw(st.sets(st.integers(0, 10)))
    bitext = in_two_sentences(
        source,
        flags=("bad",),
        links=sorted((n, n) for n in linked),
        drop_flags=data.draw(st.sampled_from([[], ["bad"]])),
        on_lost=data.draw(st.sampled_from(["keep", "missing", "drop"])),
        on_lost_link=data.draw(st.sampled_from(["keep", "drop"])),
    )
    lost = Counter(link.label for link in bitext.lost_links)
    assert Counter(source._.xlt_links.labels()) == Counter(bitext.target._.xlt_links.labels()) + lost
    assert all(link.reason in REASONS for link in bitext.lost_links)
    # What is left out is whole sentences, with the links inside them
    left_out = [pair.target for pair, _ in dropped_pairs(bitext)]
    target = bitext.target
    inside = sum(
        any(start <= span_at(target, link.head).start < end for start, end in left_out)
        for link in target._.xlt_links.links
    )
    assert len(training_target(bitext)._.xlt_links.links) == len(target._.xlt_links.links) - inside
