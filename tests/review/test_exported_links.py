"""Links between projected spans go to annotation tools and come back."""

import json

import pytest
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_xlt.bitext import Bitext, SentencePair
from spacy_xlt.readers import read_corpus
from spacy_xlt.review.tools import TOOLS, tasks
from spacy_xlt.span_links import End, Link, SpanLinks, span_at


@pytest.fixture
def bitext():
    target = Doc(Vocab(), "Hallo . IBM beschäftigt Ada in Rom .".split())
    target.ents = [Span(target, 2, 3, "ORG"), Span(target, 4, 5, "PER"), Span(target, 6, 7, "LOC")]
    links = [Link(End("ents", 0), End("ents", 1), "employs", 0.7), Link(End("ents", 1), End("ents", 2), "lives_in")]
    target._.xlt_links = SpanLinks(links)
    return Bitext(target, target, sentences=[SentencePair(0, 2, 0, 2), SentencePair(2, 8, 2, 8)])


@pytest.mark.parametrize("tool", TOOLS)
def test_links_come_back_as_they_went(bitext, tool, tmp_path):
    exported = list(tasks(bitext, tool))
    if tool == "label-studio":
        # As it exports what a person has taken over from the prediction
        exported = [{**task, "annotations": task.pop("predictions")} for task in exported]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(exported), encoding="utf8")
    docs = list(read_corpus(path, lang="de"))
    named = [
        [(span_at(doc, k.head).text, k.label, span_at(doc, k.child).text) for k in doc._.xlt_links.links]
        for doc in docs
    ]
    assert named == [[], [("IBM", "employs", "Ada"), ("Ada", "lives_in", "Rom")]]
    # Label Studio's tasks without relations do not say that there are none
    assert all("xlt_links" in doc.spans for doc in docs[tool == "label-studio" :])


def test_a_link_to_another_sentence_is_left_out(bitext):
    links = [Link(End("sc", 0), End("ents", 0), "before"), Link(End("ents", 0), End("ents", 1), "employs")]
    bitext.target.spans["sc"] = [Span(bitext.target, 0, 1, "X")]
    bitext.target._.xlt_links = SpanLinks(links)
    first, second = tasks(bitext, "prodigy")
    assert first["relations"] == [] and [one["label"] for one in second["relations"]] == ["employs"]
    assert (second["relations"][0]["head"], second["relations"][0]["child"]) == (0, 2)
