"""The reports in a real browser: nothing runs or leaves, keys, narrow screens, contrast in both themes."""

from __future__ import annotations

import spacy
from spacy.tokens import Doc, Span

from spacy_xlt.bitext import Alignment, Bitext, SentencePair
from spacy_xlt.build import builder
from spacy_xlt.report.build import write_build_report
from spacy_xlt.report.projection import projection_page

HOSTILE = "</script><script>window.ran=1</script><img/src=x/onerror=window.ran=1>"
# Every text against the nearest background behind it; the pictures have their own colours
CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = color => rgb(color).slice(0, 3).map(c => linear(c / 255))
    .reduce((sum, c, n) => sum + c * [.2126, .7152, .0722][n], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (rgb(color)[3] !== 0) return color;
    }
  };
  return [...document.querySelectorAll("body *")].filter(e => !e.closest("svg, script") && e.offsetParent
      && [...e.childNodes].some(node => node.nodeType === 3 && node.data.trim())).map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => x - y);
    return (b + .05) / (a + .05);
  });
}"""


def build(write_corpus, tmp_path) -> str:
    """The report of a build with hostile words, lost spans and a label with tags in it."""
    vocab, docs = spacy.blank("en").vocab, []
    for n in range(3):
        source = Doc(vocab, words=["Maria", HOSTILE, "saw", "Rio", "<b>&", "."])
        source.set_ents([Span(source, 0, 1, "PER"), Span(source, 1, 2, "<i>$x$"), Span(source, 3, 4, "LOC")])
        target = Doc(spacy.blank("ar").vocab, words=["رأت", HOSTILE, "ماريا", *["كلمة"] * 200 * n, "."])
        pair = SentencePair(0, 6, 0, len(target), -0.2, ("<u>flag",))
        source._.xlt["ar"] = Bitext(source, target, Alignment([(0, 2), (1, 1)]), sentences=[pair])
        docs.append(source)
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_projector")
    builder.build(nlp, write_corpus(docs), tmp_path / "built")
    write_build_report(tmp_path / "built")
    return (tmp_path / "built" / "report.html").read_text(encoding="utf8")


def comparison() -> str:
    curve = [{"score": n / 10, "precision": n / 12, "spans": 5} for n in range(10)]
    sure = {"curve": curve, "precision": 0.5, "precision_of_surest": 0.6, "calibration_error": 0.1}
    scores = {
        "ents_p": 0.5, "ents_r": 0.5, "ents_f": 0.5, "ents_f_interval": [0.4, 0.6],
        "ents_per_length": {"1": {"f": 0.5}}, "ents_per_type": {HOSTILE: {"f": 0.5, "f_interval": [0.3, 0.7]}},
        "ceiling_f": 0.9,
        "reliability": sure,
        "spans_in": 9, "spans_projected": 8, "spans_lost": 1, "lost_reasons": {"no_links": 1}, "seconds": 1.0,
        "pairs": 3, "pairs_per_second": 3.0, "signature": HOSTILE, "difference": 0.1, "p_value": 0.04,
    }  # fmt: skip
    return projection_page(
        {"baseline": "first", "systems": {"first": scores, HOSTILE: scores}, "bootstrap": {"samples": 2000}},
        title=HOSTILE,
    )


def open_report(show, html, **options):
    page = show(html, waits_for="main section", **options)
    assert page.evaluate("window.ran") is None
    assert page.locator("img, main i, main u, section script").count() == 0
    return page


def test_examples_are_stepped_through_and_nothing_runs(show, write_corpus, tmp_path):
    page = open_report(show, build(write_corpus, tmp_path))
    assert page.locator(".example:visible").count() == 0
    page.keyboard.press("j")
    lost = page.locator("#lost details.examples").first
    assert page.evaluate("document.activeElement.className") == "example current"
    assert lost.evaluate("box => box.open") and lost.locator(".at").inner_text() == "1 of 3"
    lost.get_by_role("button", name="Next").click()
    assert lost.locator(".at").inner_text() == "2 of 3"
    page.keyboard.press("k")
    assert lost.locator(".at").inner_text() == "1 of 3"
    assert "<script>window.ran=1" in lost.inner_text() and "✗ LOC" in lost.inner_text()
    assert lost.locator(".target").first.get_attribute("dir") == "rtl"


def test_both_reports_fit_a_narrow_screen_and_can_be_read_in_both_themes(show, write_corpus, tmp_path):
    for html in (build(write_corpus, tmp_path), comparison()):
        for theme in ("light", "dark"):
            page = open_report(show, html, width=360, color_scheme=theme)
            page.evaluate("document.querySelectorAll('details').forEach(box => box.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 30 and min(contrasts) >= 4.5
            assert page.locator("svg.xlt-plot").count() >= 3
