"""`spacy xlt view` and `spacy_xlt.render`: what the page holds, without a browser; the terminal."""

from __future__ import annotations

import json
import re
import sys
import time

import pytest
import spacy
from helpers.view_bitexts import arabic, bitext, chinese, hostile, lisbon, many, side, stored, view
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_xlt import Alignment, Bitext, render
from spacy_xlt.bitext import LostSpan, SentencePair
from spacy_xlt.errors import XltError
from spacy_xlt.view.data import rows
from spacy_xlt.view.page import SCRIPTS, _static, as_json


def data_in(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


# What the page holds


def test_a_row_has_words_spans_links_and_what_was_lost():
    (row,) = rows(lisbon(), doc=3)
    assert (row["doc"], row["pair"], row["langs"], row["flags"], row["score"]) == (
        3,
        0,
        ["en", "pt"],
        ["length_ratio"],
        -0.31,
    )
    assert "".join(row["source"]["words"]) == "Maria saw the old harbour of Lisbon in May . "
    assert [0, 1, "PER", "ents", None, "no_links"] in row["source"]["spans"]
    assert [2, 7, "PLACE", "sc", None, None] in row["source"]["spans"]
    assert row["target"]["spans"] == [[1, 2, "DATE", "ents", 0.97, None], [7, 8, "LOC", "ents", 0.42, None]]
    assert row["links"][:3] == [1, 2, 0.99] and len(row["links"]) == 27


def test_sentences_of_a_document_keep_the_positions_of_the_document():
    source, target = side("A b . C d .", [(1, 4, "ORG")]), side("A b . C d .", [(4, 5, "LOC")], scores=[0.5])
    pairs = [SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 6)]
    first, second = rows(bitext(source, target, "0-0 3-3 4-4 5-0", sentences=pairs))
    assert (second["source"]["at"], second["source"]["words"]) == (3, ["C ", "d ", ". "])
    # an entity that reaches over the end of a sentence is in both
    assert first["source"]["spans"] == second["source"]["spans"] == [[1, 4, "ORG", "ents", None, None]]
    assert (first["target"]["spans"], len(second["target"]["spans"])) == ([], 1)
    # the link out of the sentence is in none
    assert (first["links"][:2], [n for n in second["links"] if n >= 1]) == ([0, 0], [3, 3, 4, 4])


@given(st.data())
@settings(deadline=None)
def test_sentences_hold_the_same_links_and_spans_as_looking_at_each_token(data):
    n = data.draw(st.integers(1, 12))
    cuts = sorted({0, n, *data.draw(st.lists(st.integers(0, n), max_size=3))})
    links = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=12, unique=True))
    ranges = st.integers(0, n - 1).flatmap(lambda a: st.tuples(st.just(a), st.integers(a + 1, n)))
    spans = data.draw(st.lists(ranges, max_size=6, unique=True))
    source, target = (side("w " * n) for _ in "ab")
    source.spans["sc"] = SpanGroup(source, spans=[Span(source, *span, label="X") for span in spans])
    pairs = [SentencePair(a, b, a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    found = list(rows(Bitext(source=source, target=target, alignment=Alignment(links), sentences=pairs)))
    for row, pair in zip(found, pairs, strict=True):
        inside = {(i, j) for i, j in links if pair.source_start <= i < pair.source_end > j >= pair.source_start}
        assert {tuple(row["links"][k : k + 2]) for k in range(0, len(row["links"]), 3)} == inside
        reaching = {s for s in spans if any(pair.source_start <= i < pair.source_end for i in range(*s))}
        assert {tuple(span[:2]) for span in row["source"]["spans"]} == reaching


def test_a_long_document_takes_time_in_proportion_to_its_length():
    def seconds(n: int) -> float:
        source, target = (
            side("a b c d e f g h i j " * n, [(k * 10, k * 10 + 2, "ORG") for k in range(n)]) for _ in "ab"
        )
        pairs = [SentencePair(k * 10, k * 10 + 10, k * 10, k * 10 + 10) for k in range(n)]
        made = bitext(source, target, sentences=pairs)
        before = time.process_time()
        assert len(list(rows(made))) == n
        return time.process_time() - before

    short, long = (min(seconds(n) for _ in range(3)) for n in (150, 1500))
    assert long < 30 * short


def test_infinite_scores_and_scores_of_another_form_are_left_out():
    target = side("A b", [(0, 1, "PER"), (1, 2, "LOC")], scores=[float("inf"), 0.5])
    made = bitext(side("A b"), target, sentences=[SentencePair(0, 2, 0, 2, float("nan"))])
    (row,) = rows(made)
    assert row["score"] is None and [span[4] for span in row["target"]["spans"]] == [None, 0.5]
    target.spans["xlt_ents"].attrs["scores"] = "high"
    assert [span[4] for span in next(rows(made))["target"]["spans"]] == [None, None]


def test_a_lost_span_that_is_not_in_the_document_any_more_is_shown_if_it_can_be():
    lost = [
        LostSpan(1, 2, "PER", "no_links"),
        LostSpan(5, 9, "LOC", "no_links"),
        LostSpan(0, 1, "X", "overlap", side="target"),
    ]
    (row,) = rows(bitext(side("A b c"), side("A b c"), lost=lost))
    assert row["source"]["spans"] == [[1, 2, "PER", "ents", None, "no_links"]]
    assert row["target"]["spans"] == [[0, 1, "X", "ents", None, "overlap"]]


def test_words_without_annotation_are_marked():
    target = side("A b c")
    target.set_ents([], missing=[target[1:3]], default="outside")
    (row,) = rows(bitext(side("A b c"), target))
    assert row["target"]["missing"] == [[1, 3]] and row["source"]["missing"] == []


# The file


def test_nothing_in_the_page_can_run_or_leave_the_data():
    html = render([hostile()], title="</title><script>x</script>")
    body = html.split('id="data">')[1]
    inside = body[: body.index("</script>")]
    assert not set("<>&\u2028\u2029") & set(inside)
    assert data_in(html)["rows"][0]["source"]["words"][0].startswith("</script>")
    assert html.count("<script") == 2 and "<title>&lt;/title&gt;" in html


@given(st.text(st.characters(codec=None)))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back_from_the_json_in_the_page(text):
    found = as_json([text])
    assert not set("<>&\u2028\u2029") & set(found)
    whole = text.encode("utf8", "replace").decode("utf8")
    assert json.loads(found) == [whole]


def test_the_policy_of_the_page_allows_its_own_script_and_style_and_no_network():
    html = render([lisbon()])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//|@import|url\(|fetch\(|XMLHttpRequest', html)


def test_text_never_becomes_markup_in_the_scripts():
    for name in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", _static(name)
        )


# spacy_xlt.render


def test_render_takes_bitexts_and_docs():
    one, other = lisbon(), chinese()
    one.source._.xlt["pt"] = one
    assert len(data_in(render(one))["rows"]) == len(data_in(render(one.source))["rows"]) == 1
    assert len(data_in(render(b for b in [one.source, other]))["rows"]) == 2
    assert data_in(render(one.source, title="mine"))["title"] == "mine"
    assert ".label-0{--label:#123456" in render(one.source, colors={"DATE": "#123456"})


def test_render_as_a_frame_holds_the_whole_page_as_text():
    frame = render(hostile(), page=False, height=300)
    assert frame.count("<") == 4 and 'sandbox="allow-scripts' in frame and "height:300px" in frame


def test_render_in_a_notebook_displays(monkeypatch):
    shown = []
    module = type(sys)("IPython.display")
    module.HTML, module.display = (lambda html: html), shown.append
    monkeypatch.setitem(sys.modules, "IPython", type(sys)("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    assert render(lisbon(), jupyter=True) is None
    assert "<iframe" in shown[0] and render(lisbon(), jupyter=False).startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("given", ["text", 5, [5], Doc(spacy.blank("en").vocab, words=["a"])])
def test_render_says_what_it_wants(given):
    with pytest.raises(XltError, match="E562"):
        render(given)


def test_render_of_a_document_of_another_version_says_so():
    one = lisbon()
    one.source._.xlt["pt"] = one
    one.source.user_data["xlt"] = {"pt": {**one.source.user_data["xlt"]["pt"], "format": 99}}
    with pytest.raises(XltError, match="E560.*E004.*99"):
        render(one.source)


# The command


def test_the_command_writes_a_page(write_corpus, tmp_path):
    result = view(stored(write_corpus, [lisbon(), arabic()]), tmp_path / "out.html")
    assert result.exit_code == 0 and "2 documents, 2 sentences" in result.output
    data = data_in((tmp_path / "out.html").read_text(encoding="utf8"))
    assert data["title"] == "stored.spacy" and data["directions"] == {"ar": "rtl", "en": "ltr", "pt": "ltr"}


def test_the_command_keeps_to_limits(write_corpus, tmp_path):
    corpus = stored(write_corpus, many(210))
    result = view(corpus, tmp_path / "out.html", "--limit", 10)
    assert (
        "first 10 documents" in result.output and len(data_in((tmp_path / "out.html").read_text("utf8"))["rows"]) == 10
    )
    result = view(corpus, tmp_path / "out.html", "--only-lost", "--limit", 2)
    assert "first 2 documents" in result.output
    assert [row["doc"] for row in data_in((tmp_path / "out.html").read_text("utf8"))["rows"]] == [7, 107]
    result = view(corpus, tmp_path / "out.html", "--only-lost")
    assert "3 documents, 3 sentences" in result.output and "first" not in result.output


def test_a_corpus_without_bitexts_is_refused(make_doc, write_corpus, tmp_path):
    corpus = write_corpus([make_doc("Ana saw Rio", (0, 1, "PER"))])
    for args in ([tmp_path / "page.html"], ["--text"]):
        result = view(corpus, *args)
        assert result.exit_code == 1 and "XLT-E515" in result.output
    assert not (tmp_path / "page.html").exists()


def test_a_page_needs_a_name(write_corpus):
    result = view(stored(write_corpus, [lisbon()]))
    assert result.exit_code == 1 and "XLT-E563" in result.output and "--text" in result.output


def change(path, number, **values):
    """A file in which the bitext of one document is as another version would have stored it."""
    docs = list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))
    (lang,) = docs[number].user_data["xlt"]
    docs[number].user_data["xlt"] = {lang: {**docs[number].user_data["xlt"][lang], **values}}
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.mark.parametrize(
    "values",
    [{"format": 99}, {"target": None}],
)
def test_a_bitext_that_cannot_be_read_does_not_take_the_others_down(values, write_corpus, tmp_path):
    path = change(stored(write_corpus, [lisbon(), lisbon()]), 0, **values)
    result = view(path, tmp_path / "out.html")
    assert result.exit_code == 0 and "XLT-W560" in result.output and "1 documents, 1 sentences" in result.output
    only = change(stored(write_corpus, [lisbon()], "only.spacy"), 0, **values)
    result = view(only, tmp_path / "none.html")
    assert result.exit_code == 1 and "XLT-E560" in result.output and not (tmp_path / "none.html").exists()
