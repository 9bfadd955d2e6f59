"""Links between spans as arcs, in a real browser: between the right words, apart from each other, at any width."""

from __future__ import annotations

from itertools import combinations

import pytest
from helpers.view_bitexts import bitext, lisbon, side

from spacy_xlt.bitext import LostLink, SentencePair
from spacy_xlt.span_links import End, Link, Record, SpanLinks

# For each arc of a row: its label, and the words below its two ends; "" where it goes on in another line
ENDS = """number => {
  const svg = document.querySelector(`.row[data-row="${number}"] svg.arcs`);
  const labels = [...svg.querySelectorAll("text")].map(text => text.textContent);
  return [...svg.querySelectorAll("path.line")].map((path, n) => {
    const frame = svg.getBoundingClientRect();
    const below = at => {
      const { x, y } = path.getPointAtLength(at);
      const isLeg = Math.abs(path.getPointAtLength(Math.abs(at - 2)).y - y) > 1.5;
      const found = isLeg && document.elementFromPoint(frame.left + x, frame.top + y + 8);
      return found ? found.closest("mark").querySelector(".word").textContent : "";
    };
    return [labels[n], below(0), below(path.getTotalLength())];
  });
}"""
BOXES = """selector => [...document.querySelectorAll(selector)].map(element => {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  return [left, top, right, bottom];
})"""


def ents(*numbers: int) -> list[End]:
    return [End("ents", n) for n in numbers]


@pytest.fixture
def sale():
    """Links that nest, cross and go both ways, an event, and a link that the target has lost."""
    source = side(
        "In 2019 Acme bought Borealis from Ann in Oslo",
        [(1, 2, "DATE"), (2, 3, "ORG"), (3, 4, "Buy"), (4, 5, "ORG"), (6, 7, "PER"), (8, 9, "LOC")],
    )
    target = side(
        "Em 2019 Acme comprou Borealis de Ann em Oslo",
        [(1, 2, "DATE"), (2, 3, "ORG"), (3, 4, "Buy"), (4, 5, "ORG"), (6, 7, "PER"), (8, 9, "LOC")],
    )
    when, acme, buy, borealis, ann, oslo = ents(*range(6))
    links = [Link(borealis, ann, "founded_by"), Link(acme, oslo, "seat"), Link(ann, acme, "sold_to")]
    events = [Record("Buy", buy, (("buyer", acme), ("when", when)))]
    source._.xlt_links = SpanLinks(links, events)
    target._.xlt_links = SpanLinks(links[1:], events)
    return bitext(source, target, lost_links=[LostLink(borealis, ann, "founded_by", "no_links")])


@pytest.fixture
def wedding():
    """A target that is written from right to left."""
    source = side("Layla married Omar in Cairo", [(0, 1, "PER"), (1, 2, "Marry"), (2, 3, "PER"), (4, 5, "LOC")])
    target = side("تزوجت ليلى عمر في القاهرة", [(0, 1, "Marry"), (1, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")])
    layla, marry, omar, cairo = ents(*range(4))
    source._.xlt_links = SpanLinks(
        [Link(layla, omar, "spouse"), Link(omar, layla, "husband"), Link(marry, cairo, "at")]
    )
    marry, layla, omar, cairo = ents(*range(4))
    target._.xlt_links = SpanLinks(
        [Link(layla, omar, "spouse"), Link(omar, layla, "husband"), Link(marry, cairo, "at")]
    )
    return bitext(source, target, "0-1 1-0 2-2 3-3 4-4", "en ar")


SALE = {
    ("founded_by", "Borealis", "Ann"),
    ("seat", "Acme", "Oslo"),
    ("sold_to", "Ann", "Acme"),
    ("Buy.buyer", "bought", "Acme"),
    ("Buy.when", "bought", "2019"),
    ("seat", "Acme", "Oslo"),
    ("Buy.buyer", "comprou", "Acme"),
    ("Buy.when", "comprou", "2019"),
}


def overlap(a: list[float], b: list[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_arcs_lead_from_the_words_of_the_head_to_those_of_the_child_on_both_sides(show, sale):
    page = show([sale], width=1700)
    arcs = page.evaluate(ENDS, 0)
    assert {tuple(arc) for arc in arcs} == SALE and len(arcs) == 9
    assert page.locator(".arcs path.lost.line").count() == 1
    assert "en ✗ “Borealis” → founded_by → “Ann”: lost, no_links" in page.inner_text(".arc-notes").translate(
        {0x2068: None, 0x2069: None}
    )


def test_arcs_of_a_text_from_right_to_left_lead_to_its_words(show, wedding):
    page = show([wedding], width=1500)
    names = {"spouse": "ليلى عمر", "husband": "عمر ليلى", "at": "تزوجت القاهرة"}
    arabic = [(label, *words.split()) for label, words in names.items()]
    english = [("spouse", "Layla", "Omar"), ("husband", "Omar", "Layla"), ("at", "married", "Cairo")]
    assert {tuple(arc) for arc in page.evaluate(ENDS, 0)} == {*english, *arabic}


@pytest.mark.parametrize("width", [1700, 1000, 420])
def test_labels_of_arcs_lie_apart_from_each_other_and_from_the_words(show, sale, wedding, width):
    page = show([sale, wedding], width=width, height=1600)
    labels, words = page.evaluate(BOXES, "svg.arcs rect"), page.evaluate(BOXES, ".row .word")
    assert len(labels) >= 15
    assert not any(overlap(a, b) for a, b in combinations(labels, 2))
    assert not any(overlap(label, word) for label in labels for word in words)
    tops = page.evaluate(BOXES, ".row")
    assert not any(overlap(label, meta) for label in labels for meta in page.evaluate(BOXES, ".meta b"))
    assert all(any(top[1] <= label[1] and label[3] <= top[3] for top in tops) for label in labels)


def test_an_arc_between_two_lines_leaves_one_and_enters_the_other_also_after_the_width_has_changed(show, sale):
    page = show([sale], width=1700)
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_function("document.querySelectorAll('svg.arcs path.line').length > 9")
    arcs = {tuple(arc) for arc in page.evaluate(ENDS, 0)}
    assert {("seat", "Acme", ""), ("seat", "", "Oslo")} <= arcs
    ends = {(label, head) for label, head, _ in arcs if head} | {(label, child) for label, _, child in arcs if child}
    assert ends == {(label, word) for label, *words in SALE for word in words}


def test_a_row_without_links_is_drawn_as_on_a_page_without_any(show, sale):
    alone = show([lisbon()]).locator(".row").bounding_box()["height"]
    page = show([sale, lisbon()])
    assert page.locator(".row:not(.with-arcs) svg.arcs").count() == 0
    assert page.locator('.row[data-row="1"] .side').first.evaluate("e => getComputedStyle(e).paddingTop") == "0px"
    assert page.locator('.row[data-row="1"]').bounding_box()["height"] >= alone


def test_a_link_to_another_sentence_is_listed_with_its_words(show):
    source, target = (
        side(text, [(0, 1, "ORG"), (5, 6, "ORG")]) for text in ("Acme grew . It sold X", "Acme cresceu . Ela vendeu X")
    )
    for doc in (source, target):
        doc._.xlt_links = SpanLinks([Link(*ents(0, 1), "sold")])
    page = show([bitext(source, target, sentences=[SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 6)])])
    said = [
        text.replace("\u2068", "").replace("\u2069", "") for text in page.locator(".arc-notes li").all_inner_texts()
    ]
    assert said == ["en “Acme” → sold → “X”", "pt “Acme” → sold → “X”"]
    assert page.locator("svg.arcs path").count() == 0
