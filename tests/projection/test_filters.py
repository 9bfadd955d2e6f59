"""Filters of projected sentences, allowed labels, categories, and spans in parts."""

from __future__ import annotations

import pytest
import spacy
from helpers.projection import project
from spacy.tokens import Doc, Span, SpanGroup

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import DROP_FLAG, ENTS_GROUP, SentencePair, training_target
from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError
from spacy_xlt.projection.annotations import carried
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.filters import LinkScoreFilter, SpanScoreFilter
from spacy_xlt.projection.links.projector import LinkProjector

NLP = spacy.blank("en")


def bitext_of(source, target, links, *ents, split=None):
    """A bitext with entities (start, end, label); `split`: where the second sentence starts on both sides."""
    docs = [Doc(NLP.vocab, words=text.split()) for text in (source, target)]
    docs[0].set_ents([Span(docs[0], *ent) for ent in ents], default="outside")
    bitext = Bitext(*docs, Alignment.from_pharaoh(links))
    if split:
        i, j = split
        bitext.sentences = [SentencePair(0, i, 0, j), SentencePair(i, len(docs[0]), j, len(docs[1]))]
    return bitext


def project_filtered(bitext, *names, engine=None, on_filtered="keep", **settings):
    """Run the component with some filters, by their registered names."""
    filters = {name: spacy.registry.misc.get(f"spacy_xlt.{name}Filter.v1")() for name in names}
    pipe = ProjectorPipe("p", engine or LinkProjector(), filters=filters, on_filtered=on_filtered, **settings)
    pipe.project([bitext])
    return bitext


# "Lee" has no link; "la" in the middle of the second has none; Bo became two words of which one is linked elsewhere
CASES = {
    "CompleteSource": ("Ann Lee sat", "Ana sentou", "0-0 2-1", (0, 2, "PER")),
    "CompleteTarget": ("New York sat", "Nova a York sentou", "0-0 1-2 2-3", (0, 2, "LOC")),
    "SameCounts": ("Ann and Bo", "Ana e", "0-0 1-1", (0, 1, "PER"), (2, 3, "PER")),
    "SpanLength": ("Constantinople fell", "Rio caiu", "0-0 1-1", (0, 1, "LOC")),
}


@pytest.mark.parametrize("name", CASES)
def test_each_filter_names_the_sentences_it_refuses(name):
    bitext = project_filtered(bitext_of(*CASES[name]), *CASES)
    assert name in bitext.flags
    assert [ent.label_ for ent in bitext.target.ents] == [CASES[name][3][2]]


def test_good_sentences_and_those_without_entities_pass_all_filters():
    good = bitext_of("Ann Lee sat", "Ana Li sentou", "0-0 1-1 2-2", (0, 2, "PER"))
    assert project_filtered(good, *CASES, "SpanScore").flags == ()
    assert project_filtered(bitext_of("nobody", "ninguem", ""), *CASES, "SpanScore").flags == ()


def test_scores_are_asked_of_the_projector():
    bitext = bitext_of("Ann sat", "Ana sentou", "0p0 1-1", (0, 1, "PER"))
    assert project_filtered(bitext, "SpanScore").flags == ()
    strict = ProjectorPipe("p", LinkProjector(), filters={"unsure": SpanScoreFilter(min_score=0.8)}, on_filtered="keep")
    strict.project([bitext])
    assert bitext.flags == ("unsure",)


TWO = ("Ann Lee sat . Bo ran .", "Ana sentou . Bo correu .", "0-0 2-1 3-2 4-3 5-4 6-5", (0, 2, "PER"), (4, 5, "PER"))


@pytest.mark.parametrize("way", ["keep", "missing", "drop"])
def test_what_becomes_of_a_refused_sentence(way):
    bitext = project_filtered(bitext_of(*TWO, split=(4, 3)), "CompleteSource", on_filtered=way)
    first, second = bitext.sentences
    assert second.flags == () and "CompleteSource" in first.flags
    assert (DROP_FLAG in first.flags) == (way == "drop")
    assert [ent.text for ent in bitext.target.ents] == (["Bo"] if way == "missing" else ["Ana", "Bo"])
    assert missing_ranges(bitext.target) == ([(0, 3)] if way == "missing" else [])
    assert training_target(bitext).text.split()[0] == ("Bo" if way == "drop" else "Ana")


def test_accepted_entities_of_a_refused_sentence_stay():
    bitext = bitext_of("Ann Lee met Bo", "Ana viu Bo", "0-0 2-1 3-2", (0, 2, "PER"), (3, 4, "PER"))
    project_filtered(bitext, "CompleteSource", on_filtered="missing")
    assert [ent.text for ent in bitext.target.ents] == ["Bo"]
    assert missing_ranges(bitext.target) == [(0, 2)]


def test_bad_settings_of_the_component_are_named():
    with pytest.raises(XltError, match="on_filtered"):
        ProjectorPipe("p", LinkProjector(), on_filtered="ignore")
    with pytest.raises(XltError, match=r"filters\.mine"):
        ProjectorPipe("p", LinkProjector(), filters={"mine": 3})


def test_filters_come_from_a_config():
    nlp = spacy.blank("en")
    config = {"filters": {"complete": {"@misc": "spacy_xlt.CompleteSourceFilter.v1", "min_share": 0.5}}}
    pipe = nlp.add_pipe("xlt_projector", config=config)
    assert pipe.filters["complete"].min_share == 0.5 and pipe.on_filtered == "drop"
    again = spacy.blank("en").from_config(nlp.config)
    assert again.get_pipe("xlt_projector").filters["complete"].min_share == 0.5


def test_a_label_that_is_not_allowed_is_named():
    bitext = bitext_of("Ann", "Ana", "0-0", (0, 1, "PER"))
    assert project_filtered(bitext, labels=["PER"]).target.ents
    with pytest.raises(XltError, match=r"'PER'.*LOC"):
        project_filtered(bitext, labels=["LOC"])
    bitext.source.spans["sc"] = SpanGroup(bitext.source, spans=[Span(bitext.source, 0, 1, "ROLE")])
    with pytest.raises(XltError, match="ROLE"):
        project_filtered(bitext, labels=["PER"])


def test_categories_are_copied_unless_told_otherwise():
    bitext = bitext_of("Ann", "Ana", "0-0")
    bitext.source.cats = {"SPORT": 1.0, "NEWS": 0.0}
    assert project_filtered(bitext, cats=False).target.cats == {}
    assert project_filtered(bitext).target.cats == {"SPORT": 1.0, "NEWS": 0.0}


def test_categories_come_back_to_the_document(make_doc):
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_projector", config={"direction": "target_to_source"})
    doc = make_doc("Ana dorme")
    bitext = Bitext(doc, make_doc("Ann sleeps"), Alignment.from_pharaoh("0-0 1-1"), "pt", "en")
    bitext.target.cats = {"REST": 1.0}
    doc._.xlt["en"] = bitext
    assert nlp(doc).cats == {"REST": 1.0}


def test_links_outside_the_docs_are_refused():
    bitext = bitext_of("Ann", "Ana", "0-0", (0, 1, "PER"))
    bitext.alignment = Alignment.from_pharaoh("0-7")
    with pytest.raises(XltError) as caught:
        project(LinkProjector(), bitext)
    assert caught.value.code == "E002"


# "Ann" stands inside what "gave up" became
APART = ("She gave up Ann", "desistiu Ann afinal ela", "1-0 3-1 2-2 0-3", (1, 3, "EVENT"), (3, 4, "PER"))


@pytest.mark.parametrize(
    ("parts", "ents", "group"),
    [
        ("one", ["desistiu", "Ann"], ["desistiu", "Ann"]),
        ("several", ["desistiu", "Ann", "afinal"], ["desistiu", "afinal", "Ann"]),
        ("discontinuous", ["desistiu", "Ann"], ["desistiu", "afinal", "Ann"]),
    ],
)
def test_spans_whose_words_are_apart(parts, ents, group):
    bitext = bitext_of(*APART)
    project(LinkProjector(parts=parts), bitext)
    assert [ent.text for ent in bitext.target.ents] == ents
    mirrored = bitext.target.spans[ENTS_GROUP]
    assert [span.text for span in mirrored] == group
    assert mirrored.attrs["sources"] == ([0, 1] if parts == "one" else [0, 0, 1])
    assert bitext.lost == [] and len(carried(bitext)) == len(group)
    assert {one.source.text for one in carried(bitext)} == {"gave up", "Ann"}


def test_link_score_is_the_mean_over_the_words_of_both_sides():
    bitext = bitext_of("Ann Lee sat", "Ana sentou", "0-0 2-1", (0, 1, "PER"))
    score = LinkScoreFilter().score(bitext, 0, [])
    assert score == pytest.approx([(2 / 3 + 1) / 2])
    assert [LinkScoreFilter(min_score=least).accept(score[0]) for least in (None, 0.8, 0.9)] == [True, True, False]
    assert LinkScoreFilter().score(bitext_of("", "", ""), 0, []) == [0.0]
