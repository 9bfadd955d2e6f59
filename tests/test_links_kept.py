"""Links between spans stay with their spans wherever annotation is written, read or cut."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import spacy
from helpers.tiny_pipelines import saved_ruler
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.strings import hash_string
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example

from spacy_xlt.bitext import Alignment, Bitext, LostLink
from spacy_xlt.build.rows import bitext_row, target_row
from spacy_xlt.build.shard import ShardCounts
from spacy_xlt.compare.score import read_gold
from spacy_xlt.docs import join_docs, links_follow, slice_doc
from spacy_xlt.io import write_docs
from spacy_xlt.languages import vocab_of
from spacy_xlt.probabilities import SpanKey
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.filters import CompleteSourceFilter
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.span_links import End, Link, Record, SpanLinks, span_at
from spacy_xlt.teaching.label import Labeller, LabelSettings
from spacy_xlt.teaching.teachers import Found
from spacy_xlt.training.augment import SplitContractions, Transliterate
from spacy_xlt.training.code_switch import CodeSwitch


def named(doc: Doc) -> list[tuple[str, str, str]]:
    return [(span_at(doc, k.head).text, k.label, span_at(doc, k.child).text) for k in doc._.xlt_links.links]


@pytest.fixture
def doc(make_doc) -> Doc:
    """ "Ada" (PER) lives in "Rome" (LOC), and so does the span "Ada" of the group "sc"."""
    made = make_doc("then Ada lived in Rome .", (0, 1, "DATE"), (1, 2, "PER"), (4, 5, "LOC"))
    made.spans["sc"] = [Span(made, 0, 1, "WHEN"), Span(made, 1, 2, "WHO"), Span(made, 4, 5, "WHERE")]
    links = [Link(End("ents", 1), End("ents", 2), "in"), Link(End("sc", 1), End("sc", 2), "at")]
    made._.xlt_links = SpanLinks(links)
    return made


BOTH = [("Ada", "in", "Rome"), ("Ada", "at", "Rome")]


def test_an_evaluation_set_of_some_labels_keeps_the_links_between_them(doc, write_corpus):
    path = write_corpus([doc])
    (gold,) = read_gold(path, name="set", labels=["PER", "LOC", "WHO", "WHERE"])
    assert [ent.label_ for ent in gold.ents] == ["PER", "LOC"] and len(gold.spans["sc"]) == 2
    assert named(gold) == BOTH
    (gold,) = read_gold(path, name="set", labels=["LOC", "WHERE"])
    assert named(gold) == [] and not gold._.xlt_links.complete


def test_spans_whose_ids_have_no_names_keep_their_links(doc, tmp_path):
    doc.set_ents([*doc.ents[:2], Span(doc, 4, 5, "LOC", kb_id="nameless")])
    spans = list(doc.spans["sc"])
    doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[*spans[:2], Span(doc, 4, 5, "WHERE", kb_id="nameless")])
    stored = DocBin(docs=[doc])
    stored.strings -= {"nameless"}
    stored.to_disk(tmp_path / "ids.spacy")
    (read,) = read_docs(tmp_path / "ids.spacy")
    assert read.ents[2].kb_id_ == str(hash_string("nameless")) and named(read) == BOTH


def test_entities_that_are_written_anew_keep_the_links_of_the_same_words(doc):
    with links_follow(doc):
        doc.set_ents([Span(doc, 1, 2, "PERSON"), Span(doc, 2, 3, "EVENT"), Span(doc, 4, 5, "GPE")])
        doc.spans["sc"] = [Span(doc, 4, 5, "WHAT"), Span(doc, 4, 5, "WHERE"), Span(doc, 1, 2, "WHO")]
    assert named(doc) == BOTH and doc._.xlt_links.links[1].child == End("sc", 1)
    with links_follow(doc):
        doc.set_ents([Span(doc, 4, 5, "GPE")])
    assert named(doc) == [("Ada", "at", "Rome")] and not doc._.xlt_links.complete


def test_an_annotator_of_the_source_keeps_the_links_of_what_it_finds_again(doc, tmp_path):
    ruler = saved_ruler(tmp_path / "ruler", "en", {"Ada": "PER", "Rome": "LOC"})
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("xlt_annotator", config={"pipeline": str(ruler), "side": "source"})
    assert named(pipe(doc)) == BOTH and len(doc.ents) == 2


def test_an_ensemble_keeps_the_links_of_what_it_finds_again(doc, tmp_path):
    ruler = saved_ruler(tmp_path / "ruler", "en", {"Ada": "PER", "Rome": "LOC"})
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("xlt_ensemble", config={"members": {"one": str(ruler)}})
    assert named(pipe(doc)) == BOTH and len(doc.ents) == 2


def test_labelling_with_two_views_keeps_the_links_of_entities_that_stay(doc):
    class Teacher:
        tags = ()

    found = Found({SpanKey(1, 2, "PER"): 0.9, SpanKey(4, 5, "LOC"): 0.9}, frozenset(), np.zeros((0, 0), np.float16))
    for chosen, links in (
        (LabelSettings.of(sure=None, doubtful=None, agree=True), [("Ada", "in", "Rome")]),
        (LabelSettings.of(sure=None, doubtful=None), []),
    ):
        labeller = Labeller(Teacher(), chosen, lang="en", exclude=None)
        new = labeller._labelled(doc, found, ShardCounts())
        assert [ent.text for ent in new.ents] == ["Ada", "Rome"] and named(new) == links


def test_augmenters_keep_links(make_doc, tmp_path):
    nlp = spacy.blank("pt")
    source = make_doc("Ada fala da Roma .", (0, 1, "PER"), (2, 4, "LOC"), lang="pt", sents=[0])
    source._.xlt_links = SpanLinks([Link(End("ents", 1), End("ents", 0), "of")], [Record("talk", End("ents", 0))])
    (split,) = SplitContractions(share=1.0)(nlp, Example(source.copy(), source))
    assert named(split.reference) == [("Roma", "of", "Ada")] and split.reference._.xlt_links.records
    target = make_doc("Ada speaks of Rome .", (0, 1, "PER"), (2, 4, "LOC"), sents=[0])
    source._.xlt["en"] = Bitext(source, target, Alignment([(i, i) for i in range(5)], [0.9] * 5), "pt", "en")
    write_docs(tmp_path / "build/bitext/00000.spacy", [source], store_user_data=True)
    (mixed,) = CodeSwitch(bitexts=tmp_path / "build", share=1.0, words=1.0)(nlp, Example(source.copy(), source))
    assert named(mixed.reference) == [("of Rome", "of", "Ada")]


def test_romanised_documents_keep_links(make_doc):
    pytest.importorskip("uroman")
    doc = make_doc("Ада Рим", (0, 1, "PER"), (1, 2, "LOC"), lang="ru")
    doc._.xlt_links = SpanLinks([Link(End("ents", 1), End("ents", 0), "of")])
    (made,) = Transliterate(share=1.0)(spacy.blank("ru"), Example(doc.copy(), doc))
    assert made.reference.text != doc.text and len(named(made.reference)) == 1


@pytest.fixture
def back(make_doc) -> Doc:
    """A Portuguese text whose translation has three entities, of which "Rome" is lost on the way back."""
    doc = Doc(vocab_of("pt"), words=["Ontem", "Ada", "amou", "Rui"])
    translation = make_doc("Ada loved Rui in Rome", (0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC"))
    links = [Link(End("ents", 0), End("ents", 1), "loves"), Link(End("ents", 0), End("ents", 2), "in")]
    translation._.xlt_links = SpanLinks(links)
    doc._.xlt["en"] = Bitext(doc, translation, Alignment([(1, 0), (2, 1), (3, 2)]))
    return doc


def test_links_of_the_translation_come_back_to_the_document(back):
    back.set_ents([Span(back, 0, 1, "DATE"), Span(back, 3, 4, "PER")])
    back._.xlt_links = SpanLinks([Link(End("ents", 0), End("ents", 1), "its own")])
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_projector", config={"direction": "target_to_source"})
    doc = nlp(back)
    assert named(doc) == [("Ada", "loves", "Rui")] and not doc._.xlt_links.complete
    lost = [LostLink(End("ents", 0), End("ents", 2), "in", "no_links", "target")]
    assert doc._.xlt["en"].lost_links == lost
    (row,) = bitext_row(doc._.xlt["en"])["lost_links"]
    assert (row["child"]["text"], row["side"]) == ("Rome", "target")


def test_own_links_of_a_document_go_with_the_entities_that_are_replaced(back):
    (translation,) = [bitext.target for bitext in back._.xlt.values()]
    del translation.spans["xlt_links"]
    back._.xlt["en"] = Bitext(back, translation, Alignment([(1, 0), (2, 1), (3, 2)]))
    back.set_ents([Span(back, 0, 1, "DATE"), Span(back, 3, 4, "PER")])
    back._.xlt_links = SpanLinks([Link(End("ents", 0), End("ents", 1), "its own")])
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_projector", config={"direction": "target_to_source"})
    assert named(nlp(back)) == []


def test_links_of_entities_that_a_filter_refuses_are_lost(make_doc):
    source = make_doc("Ann Lee met Bo in Rio", (0, 2, "PER"), (3, 4, "PER"), (5, 6, "LOC"))
    ann, bo, rio = (End("ents", n) for n in range(3))
    source._.xlt_links = SpanLinks([Link(ann, bo, "met"), Link(bo, rio, "in")])
    links = Alignment([(0, 0), (2, 1), (3, 2), (4, 3), (5, 4)])
    bitext = Bitext(source, make_doc("Ana viu Bo no Rio", lang="pt"), links)
    pipe = ProjectorPipe("p", LinkProjector(), filters={"whole": CompleteSourceFilter()}, on_filtered="missing")
    pipe.project([bitext])
    assert [ent.text for ent in bitext.target.ents] == ["Bo", "Rio"] and named(bitext.target) == [("Bo", "in", "Rio")]
    assert [(link.label, link.reason) for link in bitext.lost_links] == [("met", "not_projected")]
    assert not bitext.target._.xlt_links.complete


def test_exported_rows_have_links_and_are_read_back_with_them(doc, tmp_path):
    doc._.xlt_links = SpanLinks(doc._.xlt_links.links[:1], [Record("stay", End("sc", 1), (("place", End("ents", 2)),))])
    bitext = Bitext(doc, doc.copy())
    row = target_row(doc, bitext)
    (relation,) = row["relations"]
    assert (relation["head"], relation["child"], relation["label"]) == (1, 4, "in")
    assert row["records"][0]["roles"][0]["span"]["label"] == "LOC" and row["relations_complete"]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf8")
    (read,) = read_corpus(path, lang="en")
    assert named(read) == [("Ada", "in", "Rome")]


WORDS = st.integers(0, 7)
NLP = spacy.blank("en")


@st.composite
def linked_docs(draw) -> Doc:
    """Eight words, each an entity and in a group, with any links and records between them."""
    doc = Doc(NLP.vocab, words=[f"w{n}" for n in range(8)], sent_starts=[n % 4 == 0 for n in range(8)])
    doc.set_ents([Span(doc, n, n + 1, "E") for n in range(8)])
    doc.spans["sc"] = [Span(doc, n, n + 1, "S") for n in range(8)]
    ends = st.builds(End, st.sampled_from(["ents", "sc"]), WORDS)
    links = st.lists(st.builds(Link, ends, ends, st.sampled_from("ab"), st.sampled_from([0.25, 1.0])), max_size=4)
    roles = st.lists(st.tuples(st.just("role"), ends | st.integers(0, 2)), max_size=3).map(tuple)
    records = st.lists(st.builds(Record, st.just("R"), st.none() | ends, roles), min_size=3, max_size=3)
    doc._.xlt_links = SpanLinks(draw(links), draw(records | st.just([])), draw(st.booleans()))
    return doc


@settings(max_examples=30, deadline=None)
@given(linked_docs())
def test_links_go_wherever_spacy_takes_a_document(doc):
    (stored,) = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(NLP.vocab)
    as_bytes = Doc(NLP.vocab).from_bytes(doc.to_bytes(exclude=["user_data"]))
    for other in (stored, as_bytes, doc.copy(), copy.deepcopy(doc), pickle.loads(pickle.dumps(doc)), *NLP.pipe([doc])):
        assert other._.xlt_links == doc._.xlt_links


@settings(max_examples=30, deadline=None)
@given(linked_docs(), linked_docs())
def test_documents_that_are_joined_and_cut_again_have_their_links(first, second):
    joined = join_docs([first, second])
    for doc, start in ((first, 0), (second, 8)):
        part = slice_doc(joined, start, start + 8)
        assert part._.xlt_links.links == doc._.xlt_links.links
    assert len(joined._.xlt_links.records) == len(first._.xlt_links.records) + len(second._.xlt_links.records)
    assert joined._.xlt_links.complete == (first._.xlt_links.complete and second._.xlt_links.complete)


def test_records_of_joined_documents_are_still_roles_of_each_other(doc):
    doc._.xlt_links = SpanLinks([], [Record("a", End("ents", 0)), Record("b", None, (("part", 0),))])
    assert join_docs([doc, doc.copy()])._.xlt_links.records[3] == Record("b", None, (("part", 2),))


def test_where_spacy_loses_links_nothing_says_that_there_are_none(doc):
    assert doc._.xlt_links.complete
    for lost in (Doc.from_docs([doc, doc]), doc[:3].as_doc(), Doc(doc.vocab).from_json(doc.to_json()), NLP("Ada")):
        assert not lost._.xlt_links and not lost._.xlt_links.complete


def test_a_document_without_links_does_not_say_that_its_pairs_have_none(doc):
    plain = Doc(doc.vocab, words=["Ada"])
    assert not join_docs([doc, plain])._.xlt_links.complete and named(join_docs([plain, doc])) == BOTH
