"""Links in a .spacy file that lead nowhere are left out, and the rest is kept."""

import pytest
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.vocab import Vocab

from spacy_xlt.errors import XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.span_links import End, Link, Record, SpanLinks

ADA, IBM, GONE, NOWHERE = End("ents", 0), End("ents", 1), End("ents", 7), End("sc", 0)
GOOD = Link(ADA, IBM, "at")


def read(tmp_path, links=(), records=(), attrs=None):
    """A document behind one that is good."""
    docs = []
    for of_doc in (SpanLinks([GOOD]), SpanLinks(list(links), list(records))):
        doc = Doc(Vocab(), words="Ada works at IBM".split())
        doc.ents = [Span(doc, 0, 1, "PER"), Span(doc, 3, 4, "ORG", span_id="T1")]
        doc._.xlt_links = of_doc
        docs.append(doc)
    if attrs is not None:
        docs[1].spans["xlt_links"] = SpanGroup(docs[1], name="xlt_links", attrs=attrs)
    DocBin(docs=docs).to_disk(tmp_path / "a.spacy")
    first, second = read_corpus(tmp_path / "a.spacy", lang="en")
    assert first._.xlt_links.links == [GOOD] and [ent.text for ent in second.ents] == ["Ada", "IBM"]
    return second


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Link(ADA, GONE, "x"), "an end that is not there: x from ents 0 to ents 7"),
        (Link(NOWHERE, ADA, "x"), "an end that is not there: x from sc 0 to ents 0"),
        (Link(ADA, ADA, "x"), "from a span to itself"),
    ],
)
def test_a_link_that_leads_nowhere_is_left_out(tmp_path, wrong, reason):
    with pytest.warns(XltWarning, match=f"W567.*a.spacy: 1 relations.*document 2: {reason}"):
        doc = read(tmp_path, [wrong, GOOD])
    assert doc._.xlt_links == SpanLinks([GOOD])


@pytest.mark.parametrize(
    ("records", "reason", "kept"),
    [
        ([Record("E", GONE), Record("F", ADA, (("of", 0),))], "a trigger that is not there", [Record("F", ADA)]),
        (
            [Record("E", ADA, (("who", IBM), ("at", GONE)))],
            "a role that is not there: E.at",
            [Record("E", ADA, (("who", IBM),))],
        ),
        ([Record("E", ADA, (("of", 3),))], "a role that is not there", [Record("E", ADA)]),
        ([Record("E", ADA, (("of", 0),))], "an event that is a part of itself", [Record("E", ADA)]),
        (
            [Record("E", ADA, (("of", 1),)), Record("F", IBM, (("of", 0),))],
            "an event that is a part of itself",
            [Record("E", ADA), Record("F", IBM, (("of", 0),))],
        ),
    ],
)
def test_a_part_of_a_record_that_cannot_be_is_left_out(tmp_path, records, reason, kept):
    with pytest.warns(XltWarning, match=f"W567.*1 relations.*document 2: {reason}"):
        doc = read(tmp_path, records=records)
    assert doc._.xlt_links.records == kept


def test_links_of_another_form_are_left_out(tmp_path):
    with pytest.warns(XltWarning, match="W567.*document 2: links of another form"):
        assert "xlt_links" not in read(tmp_path, attrs={"links": [["head", 3]]}).spans
