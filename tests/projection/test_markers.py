"""MarkerProjector: markers put into texts, found again in translations, and what happens to those that are damaged."""

from __future__ import annotations

import pickle

import pytest
import spacy
from helpers.projection import project as project_bitext
from helpers.tiny_scorer import Copier, found, make_bitext, places
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Span

from spacy_xlt.bitext import ENTS_GROUP, SentencePair
from spacy_xlt.errors import XltError
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.markers import MarkerProjector
from spacy_xlt.projection.marking import STYLES, layers, mark, read
from spacy_xlt.projection.sentences import MARKERS_FLAG


def contents(translation, text, style):
    reading = read(translation, text, STYLES[style])
    return reading.text, [(reading.text[m.start : m.end], m.number) for m in reading.marked]


def project(bitext, translator=None, **config):
    return project_bitext(MarkerProjector(translator=translator or Copier(), **config), bitext)


class Damaging(Copier):
    """Replaces texts by whole translations."""

    def __init__(self, table):
        super().__init__()
        self.whole = table

    def translate(self, texts, *, source, target):
        plain = super().translate(texts, source=source, target=target)
        return [type(t)(self.whole.get(text, t.text)) for text, t in zip(texts, plain, strict=True)]


words = st.text("abcçdé", min_size=1, max_size=5)


@given(st.lists(words, min_size=1, max_size=8), st.data(), st.sampled_from(sorted(STYLES)))
@settings(max_examples=60, deadline=None)
def test_what_is_marked_is_read_again_nested_or_not(texts, data, name):
    text, style = " ".join(texts), STYLES[name]
    starts = [sum(len(t) + 1 for t in texts[:i]) for i in range(len(texts))]
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, len(texts) - 1)] * 2), max_size=5))
    ranges = sorted({(starts[min(p)], starts[max(p)] + len(texts[max(p)])) for p in pairs})
    seen = []
    for layer in layers(ranges):
        own = [ranges[n] for n in layer]
        reading = read(mark(text, own, style), text, style)
        assert reading.text.split() == text.split() and reading.halves == []
        assert sorted((m.start, m.end) for m in reading.marked) == sorted(own)
        if style.numbered:
            assert [own[m.number - 1] for m in reading.marked] == [(m.start, m.end) for m in reading.marked]
        seen += own
    assert sorted(seen) == ranges


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("[1: Rio ] brilha", [("Rio", 1)]),
        ("[ 1 : Rio] brilha", [("Rio", 1)]),
        ("(1: Rio) brilha", [("Rio", 1)]),
        ("【1：Rio】 brilha", [("Rio", 1)]),
        ("[[1: Rio]] brilha", [("Rio", 1)]),
        ("[1: Rio)] brilha", [("Rio", 1)]),
        ("[Rio] brilha", [("Rio", None)]),
        ("[1: ] Rio brilha", []),
    ],
)
def test_damaged_numbered_brackets_are_understood(translation, expected):
    assert contents(translation, "Rio shines", "numbered")[1] == expected


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("<a>Rio</a> e <b>Ana</b>", [("Rio", 1), ("Ana", 2)]),
        ("<b> Ana </b> e < A >Rio</ a>", [("Ana", 2), ("Rio", 1)]),
        ("＜a＞Rio＜/a＞ e Ana", [("Rio", 1)]),
        ("<a>Rio <b>e</a> Ana</b>", [("Rio e", 1), ("e Ana", 2)]),
        ("<aa>Rio</aa>", [("Rio", 27)]),
        ("<a>Rio e Ana</b>", []),
    ],
)
def test_tags_are_told_apart_by_their_names(translation, expected):
    assert contents(translation, "Rio and Ana", "tags")[1] == expected


def test_a_tag_without_partner_is_completed():
    table = {"<a>New York</a> is big": "New York</a> é grande"}
    bitext = make_bitext("New York is big", "New York é grande", "", (0, 2, "LOC"))
    project(bitext, Damaging(table), markers="tags", fallback=None)
    assert found(bitext) == [("New York", "LOC")]


def test_a_text_with_tags_of_its_own_is_not_marked_with_tags():
    translator = Copier()
    bitext = make_bitext("<b> Ann </b> met Bo", "<b> Ann </b> met Bo", None, (1, 2, "PER"))
    project(bitext, translator, markers=["tags", "brackets"])
    assert found(bitext) == [("Ann", "PER")] and not any("<a>" in text for text in translator.seen)


def test_brackets_that_the_text_has_itself_are_no_markers():
    assert contents("[Rio] (Brasil) brilha", "Rio (Brazil) shines", "brackets") == (
        "Rio (Brasil) brilha",
        [("Rio", None)],
    )
    assert not STYLES["brackets"].is_usable("array[0]") and STYLES["brackets"].is_usable("f(x)")


def test_spans_that_cross_are_marked_in_different_texts():
    assert [len(layer) for layer in layers([(0, 5), (3, 9), (3, 5)])] == [2, 1]


def test_reordered_spans_are_told_apart_by_their_numbers():
    table = {"[1: Ann] met [2: Bo]": "[2: Bo] conheceu [1: Ann]"}
    bitext = project(make_bitext("Ann met Bo", "Bo conheceu Ann", "", (0, 1, "PER"), (2, 3, "ORG")), Damaging(table))
    assert found(bitext) == [("Bo", "ORG"), ("Ann", "PER")]
    assert bitext.flags == () and bitext.target.spans[ENTS_GROUP].attrs["by"] == ["MarkerProjector"] * 2


def test_without_numbers_a_spans_own_translation_tells():
    table = {"[Ann] met [Bo]": "[Bo] conheceu [Ann]"}
    bitext = make_bitext("Ann met Bo", "Bo conheceu Ann", "", (0, 1, "PER"), (2, 3, "ORG"))
    assert found(project(bitext, Damaging(table), markers="brackets")) == [("Bo", "ORG"), ("Ann", "PER")]


def test_a_marker_without_partner_is_completed():
    table = {"[1: New York] is big": "[1: New York é grande"}
    bitext = make_bitext("New York is big", "New York é grande", "", (0, 2, "LOC"))
    project(bitext, Damaging(table), markers="numbered", fallback=None)
    assert found(bitext) == [("New York", "LOC")]


def test_a_lost_marker_is_tried_alone_then_in_the_next_style_then_left_to_the_fallback():
    table = {
        "[1: Ann] met [2: Bo]": "[1: Ann] conheceu Bo",
        "Ann met [1: Bo]": "Ann conheceu Bo",
        "Ann met [Bo]": "Ann conheceu Bo",
    }
    translator = Damaging(table)
    bitext = make_bitext("Ann met Bo", "Ann conheceu Bo", None, (0, 1, "PER"), (2, 3, "PER"))
    project(bitext, translator)
    assert found(bitext) == [("Ann", "PER"), ("Bo", "PER")]
    assert set(table) <= set(translator.seen)
    assert bitext.target.spans[ENTS_GROUP].attrs["by"] == ["MarkerProjector", "LinkProjector"]
    assert bitext.flags == (MARKERS_FLAG,)
    alone = make_bitext("Ann met Bo", "Ann conheceu Bo", None, (0, 1, "PER"), (2, 3, "PER"))
    project(alone, Damaging(table), fallback=None)
    assert [(span.start, span.reason) for span in alone.lost] == [(2, "markers_lost")]


def test_text_that_the_target_words_differently_is_found_by_its_letters_near_its_place():
    links = "0-0 1-1 2-2 3-3 4-4"
    bitext = make_bitext("Rio saw Rios and Rio", "Rio viu Rioz e Rio", links, (0, 1, "A"), (2, 3, "B"), (4, 5, "C"))
    assert places(project(bitext)) == [(0, 1, "A"), (2, 3, "B"), (4, 5, "C")]


def test_sentences_are_marked_apart():
    bitext = make_bitext("Ann left . Bo came .", "Ann left . Bo came .", None, (0, 1, "P"), (3, 4, "P"))
    bitext.sentences = [SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 6)]
    translator = Copier()
    assert places(project(bitext, translator)) == [(0, 1, "P"), (3, 4, "P")]
    assert translator.seen == ["[1: Ann] left .", "[1: Bo] came ."]


def test_bad_settings_have_codes():
    for config, code in (
        ({"markers": "stars"}, "E150"),
        ({"markers": []}, "E150"),
        ({"fallback": "none"}, "E101"),
        ({"translator": object()}, "E101"),
    ):
        with pytest.raises(XltError) as err:
            MarkerProjector(**config)
        assert err.value.code == code, config


def test_it_pickles_and_says_all_its_settings():
    projector = pickle.loads(pickle.dumps(MarkerProjector(translator=Copier(), markers="numbered")))
    assert "markers:numbered|" in projector.signature
    assert "fallback:(LinkProjector" in projector.signature
    assert "copier-1" in projector.signature


def test_in_a_pipeline_that_translates_no_aligner_is_needed():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt"})
    nlp.add_pipe("xlt_projector", config={"engine": {"@misc": "spacy_xlt.MarkerProjector.v1"}})
    doc = nlp.make_doc("Michael Jordan was born in Brooklyn.")
    doc.set_ents([Span(doc, 0, 2, "PER"), Span(doc, 5, 6, "LOC")])
    for name in nlp.pipe_names:
        doc = nlp.get_pipe(name)(doc)
    target = doc._.xlt["pt"].target
    assert [(ent.text, ent.label_) for ent in target.ents] == [("Michael Jordan", "PER"), ("Brooklyn", "LOC")]


def test_towards_the_source_the_other_direction_is_asked():
    bitext = make_bitext("Ann met Bo", "Ann met Bo", None)
    bitext.target.set_ents([Span(bitext.target, 2, 3, "PER")])
    doc = bitext.source
    doc.ents = []
    doc._.xlt["pt"] = bitext
    translator = Copier()
    pipe = ProjectorPipe("xlt_projector", MarkerProjector(translator=translator), direction="target_to_source")
    assert [(ent.text, ent.label_) for ent in pipe(doc).ents] == [("Bo", "PER")]
    assert doc.spans[ENTS_GROUP].attrs["by"] == ["MarkerProjector"]
