"""Links between spans follow what a reviewer does with the spans."""

from unittest.mock import ANY

import spacy
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_xlt.bitext import Bitext
from spacy_xlt.links import Alignment
from spacy_xlt.review.apply import apply_corrections
from spacy_xlt.review.records import Correction, Mark
from spacy_xlt.span_links import End, Link, SpanLinks, span_at


def test_links_follow_the_spans_that_a_reviewer_moves_and_brings_back():
    source = Doc(Vocab(), "Ada works at IBM".split())
    source.ents = [Span(source, 0, 1, "PER"), Span(source, 3, 4, "ORG")]
    source._.xlt_links = SpanLinks([Link(End("ents", 1), End("ents", 0), "employs")])
    bitext = Bitext(source, Doc(Vocab(), "Die Chefin arbeitet bei IBM".split()), Alignment([(1, 2), (3, 4)]))
    spacy.blank("xx").add_pipe("xlt_projector", config={"min_score": 0.6}).project([bitext])
    assert [lost.reason for lost in bitext.lost_links] == ["low_score"]
    mark = Mark(None, (1, 2, "PER", "ents"), (0, 1, "PER", "ents"))
    apply_corrections(bitext, [(0, Correction("0", 1, "ignore", (), (mark,)))])
    assert bitext.target._.xlt_links.links == [Link(End("ents", 1), End("ents", 0), "employs", ANY)]
    assert bitext.lost_links == []
    mark = Mark((1, 2, "PER", "ents"), (0, 2, "PER", "ents"), None)
    apply_corrections(bitext, [(0, Correction("0", 1, "ignore", (), (mark,)))])
    (link,) = bitext.target._.xlt_links.links
    assert span_at(bitext.target, link.child).text == "Die Chefin"
    apply_corrections(bitext, [(0, Correction("0", 1, "ignore", (), (Mark((0, 2, "PER", "ents"), None, None),)))])
    assert not bitext.target._.xlt_links and [lost.reason for lost in bitext.lost_links] == ["reviewed"]
