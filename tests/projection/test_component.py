"""`xlt_projector` in a pipeline: both directions, what happens to lost spans, bad settings, saving."""

from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc, Span
from thinc.api import Config

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import DROP_FLAG, ENTS_GROUP, SentencePair, dropped_pairs, training_target
from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.sentences import LOST_FLAG

PAIRS = [SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 6)]


def pipeline(lang="en", **config):
    nlp = spacy.blank(lang)
    nlp.add_pipe("xlt_projector", config=config)
    return nlp


@pytest.fixture
def doc(make_doc):
    """A document whose second entity has no link."""
    source = make_doc("Maria sleeps . In Rio .", (0, 1, "PER"), (4, 5, "LOC"), sents=[3])
    target = make_doc("Maria dorme . No lugar .", lang="pt", sents=[3])
    target.set_ents([], default="missing")
    source._.xlt["pt"] = Bitext(source, target, Alignment([(0, 0), (1, 1), (2, 2)]), sentences=PAIRS)
    return source


def test_the_translation_is_annotated_and_the_document_left_alone(doc):
    before = doc.to_bytes(exclude=["user_data"])
    bitext = pipeline()(doc)._.xlt["pt"]
    assert [(ent.text, ent.label_) for ent in bitext.target.ents] == [("Maria", "PER")]
    (score,) = bitext.target.spans[ENTS_GROUP].attrs["scores"]
    assert 0.9 < score <= 1
    assert [(s.start, s.end, s.label, s.reason, s.side) for s in bitext.lost] == [(4, 5, "LOC", "no_links", "source")]
    assert bitext.projector.startswith("LinkProjector")
    assert doc.to_bytes(exclude=["user_data"]) == before


@pytest.mark.parametrize(
    ("on_lost", "missing", "flags"), [("keep", [], ()), ("missing", [(3, 6)], ()), ("drop", [], (LOST_FLAG, DROP_FLAG))]
)
def test_sentences_of_lost_spans(doc, on_lost, missing, flags):
    bitext = pipeline(on_lost=on_lost)(doc)._.xlt["pt"]
    assert missing_ranges(bitext.target) == missing
    assert [pair.flags for pair in bitext.sentences] == [(), flags]
    again = pipeline(on_lost=on_lost)(doc)._.xlt["pt"]
    assert again.to_stored() == bitext.to_stored()


@pytest.mark.parametrize(("direction", "dropped"), [("source_to_target", True), ("target_to_source", False)])
def test_sentences_with_chosen_flags_are_left_out(make_doc, direction, dropped):
    doc = make_doc("Rio . Lima .", (0, 1, "LOC"), sents=[2])
    target = make_doc("Rio . Lima .", (0, 1, "LOC"), lang="pt", sents=[2])
    pairs = [SentencePair(0, 2, 0, 2, flags=("looping", "empty")), SentencePair(2, 4, 2, 4, flags=("empty",))]
    doc._.xlt["pt"] = Bitext(doc, target, Alignment([(i, i) for i in range(4)]), sentences=pairs)
    bitext = pipeline(direction=direction, drop_flags=["looping"])(doc)._.xlt["pt"]
    assert [reason for _, reason in dropped_pairs(bitext)] == (["looping"] if dropped else [])
    assert training_target(bitext).text == ("Lima . " if dropped else "Rio . Lima . ")


def test_an_engine_with_other_numbers_of_results_is_named(doc):
    class Short:
        signature = "short-1"

        def place(self, work):
            return [{key: [] for key in groups} for _, groups in work]

    with pytest.raises(XltError, match="E105.*0 results for 2"):
        ProjectorPipe("xlt_projector", Short())(doc)
    with pytest.raises(XltError, match="E101.*place"):
        ProjectorPipe("xlt_projector", object())


def test_a_lost_span_of_a_group_does_not_make_entities_missing(doc):
    doc.set_ents([doc.ents[0]], default="outside")
    doc.spans["sc"] = [Span(doc, 4, 5, label="X")]
    bitext = pipeline(on_lost="missing")(doc)._.xlt["pt"]
    assert missing_ranges(bitext.target) == [] and [span.key for span in bitext.lost] == ["sc"]


def test_the_translations_annotation_comes_back_to_the_document(make_doc):
    doc = Doc(spacy.blank("pt").vocab, words=["Maria", "dorme", "em", "Rio"])
    translation = make_doc("In Rio sleeps Maria", (1, 2, "LOC"), (3, 4, "PER"))
    translation.spans["sc"] = [Span(translation, 0, 4, label="ALL", span_id="s1")]
    doc._.xlt["en"] = Bitext(doc, translation, Alignment([(0, 3), (1, 2), (2, 0), (3, 1)]))
    nlp = pipeline("pt", direction="target_to_source")
    predicted = nlp.get_pipe("xlt_projector").predict([doc])
    assert not doc.ents and not doc.spans
    nlp.get_pipe("xlt_projector").set_annotations([doc], predicted)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Maria", "PER"), ("Rio", "LOC")]
    assert [(span.text, span.label_, span.id_) for span in doc.spans["sc"]] == [(doc.text.strip(), "ALL", "s1")]
    bitext = doc._.xlt["en"]
    assert bitext.target.text == translation.text and bitext.source is doc and bitext.target_lang == "en"


def test_what_is_lost_on_the_way_back_belongs_to_the_translation(make_doc):
    doc = Doc(spacy.blank("pt").vocab, words=["Lá", "dorme"])
    doc._.xlt["en"] = Bitext(doc, make_doc("so then in Rio", (3, 4, "LOC")), Alignment())
    pipeline("pt", direction="target_to_source", on_lost="missing")(doc)
    assert [(span.start, span.label, span.side) for span in doc._.xlt["en"].lost] == [(3, "LOC", "target")]
    assert missing_ranges(doc) == [(0, 2)]


def test_two_translations_cannot_annotate_one_document(make_doc):
    doc = make_doc("Rio")
    for lang in ("pt", "es"):
        doc._.xlt[lang] = Bitext(doc, make_doc("Rio", (0, 1, "LOC"), lang=lang), Alignment([(0, 0)]))
    with pytest.raises(XltError, match="E402.*pt, es"):
        pipeline(direction="target_to_source")(doc)
    chosen = pipeline(direction="target_to_source", targets=["es"])(doc)
    assert [ent.label_ for ent in chosen.ents] == ["LOC"]


@pytest.mark.parametrize("config", [{"direction": "both"}, {"on_lost": "ignore"}, {"min_score": 2.0}])
def test_unknown_settings_are_named(config):
    with pytest.raises(XltError, match=f"E150.*{next(iter(config))}.*{next(iter(config.values()))}"):
        pipeline(**config)


def test_one_bad_document_goes_to_the_error_handler_alone(doc, make_doc):
    nlp = pipeline()
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, err: failed.append((docs[0].text, err.code)))
    bare = make_doc("no bitext here")
    docs = list(nlp.pipe([doc, bare, doc.copy()], as_tuples=False))
    assert len(docs) == 2 and failed == [("no bitext here ", "E102")]


def test_the_component_is_saved_with_its_config(tmp_path, doc):
    nlp = pipeline(on_lost="drop", min_score=0.5)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert loaded.get_pipe("xlt_projector").min_score == 0.5
    assert Config(loaded.config)["components"]["xlt_projector"]["on_lost"] == "drop"
    assert loaded(doc)._.xlt["pt"].sentences[1].flags == (LOST_FLAG, DROP_FLAG)


def test_what_the_component_needs_is_declared():
    analysis = pipeline().analyze_pipes()
    assert analysis["summary"]["xlt_projector"]["requires"] == ["doc._.xlt"]
    assert analysis["problems"]["xlt_projector"] == ["doc._.xlt"]


def test_lost_span_is_missing_and_not_outside_by_default(doc):
    assert missing_ranges(pipeline()(doc)._.xlt["pt"].target) == [(3, 6)]


def test_entities_of_the_translation_alone_are_not_removed_without_a_warning(make_doc):
    nlp, docs = pipeline("pt"), [Doc(spacy.blank("pt").vocab, words=["Maria", "dorme"]) for _ in range(2)]
    for doc in docs:
        doc._.xlt["en"] = Bitext(doc, make_doc("Maria sleeps", (0, 1, "PER")), Alignment([(0, 0), (1, 1)]))
    with pytest.warns(XltWarning, match="W401.*target_to_source") as caught:
        list(nlp.pipe(docs))
    assert len(caught) == 1
