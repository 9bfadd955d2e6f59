"""Links in the forms that others read."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_xlt.span_links import End, Link, SpanLinks, as_dicts, as_rel, span_at

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


def pairs(doc):
    """The pairs that the tutorial's component proposes: entities in both orders, by their first tokens."""
    return [(one.start, other.start) for one in doc.ents for other in doc.ents if one != other]


def test_the_tutorial_s_component_reads_what_it_learns_and_is_scored_by(doc):
    if not Doc.has_extension("rel"):
        Doc.set_extension("rel", default={})
    doc.set_ents([*doc.ents, Span(doc, 2, 4, "X")])
    doc._.xlt_links = SpanLinks([Link(End("ents", 2), ADA, "employs"), Link(ADA, End("ents", 2), "knows")])
    doc._.rel = as_rel(doc, {"owns"})
    (read,) = DocBin().from_bytes(DocBin(docs=[doc], store_user_data=True).to_bytes()).get_docs(doc.vocab)
    # Its labels are those of any pair; what it learns has a number for each pair and label
    labels = sorted({label for of_pair in read._.rel.values() for label in of_pair})
    assert labels == ["employs", "knows", "owns"]
    truth = {pair: [read._.rel[pair].get(label, 0) for label in labels] for pair in pairs(read)}
    assert len(truth) == 6 and truth[4, 0] == [1, 0, 0] and truth[0, 4] == [0, 1, 0]
    assert sum(map(sum, truth.values())) == 2
    # Its score looks up all pairs of predicted entities, here the gold ones, and takes those with 1.0
    right = {pair: [label for label, value in read._.rel[pair].items() if value == 1.0] for pair in pairs(read)}
    assert right[4, 0] == ["employs"] and right[2, 4] == []


@pytest.mark.parametrize("key", ["ents", "sc"])
def test_a_link_that_leads_nowhere_is_named(doc, key):
    doc.ents = doc.ents[:1]
    with pytest.raises(IndexError, match=rf"span 1 of '{key}'.*links_follow"):
        span_at(doc, End(key, 1))
