"""Links in the forms that others read."""

import pytest
import spacy
from spacy.tokens import Span

from spacy_xlt.span_links import End, Link, SpanLinks, as_dicts, as_rel

ADA, IBM = End("ents", 0), End("ents", 1)


@pytest.fixture
def doc():
    doc = spacy.blank("en")("Ada Byron works at IBM")
    doc.ents = [Span(doc, 0, 2, "PER"), Span(doc, 4, 5, "ORG")]
    doc._.xlt_links = SpanLinks([Link(IBM, ADA, "employs", 0.5)])
    return doc


def test_all_pairs_have_all_labels_as_in_spacy_s_tutorial(doc):
    nothing = {"employs": 0.0, "owns": 0.0}
    rel = {(0, 0): nothing, (0, 4): nothing, (4, 0): {"employs": 1.0, "owns": 0.0}, (4, 4): nothing}
    assert as_rel(doc, ["owns"]) == rel


def test_what_is_not_known_is_not_zero(doc):
    doc._.xlt_links = SpanLinks([Link(IBM, ADA, "employs")], complete=False)
    assert as_rel(doc) == {(0, 0): {}, (0, 4): {}, (4, 0): {"employs": 1.0}, (4, 4): {}}


def test_links_as_dicts_are_prodigy_s_relations(doc):
    (link,) = as_dicts(doc)
    assert (link["head"], link["child"], link["label"], link["score"]) == (4, 1, "employs", 0.5)
    assert link["child_span"] == {
        "text": "Ada Byron",
        "start": 0,
        "end": 9,
        "token_start": 0,
        "token_end": 1,
        "label": "PER",
        "key": "ents",
    }
