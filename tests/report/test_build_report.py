"""The build report: figures that add up, the same after a kill, from old builds too, and text that never runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import spacy
from helpers.builds import CONFIG
from helpers.engines import DIAGONAL, UPPER
from helpers.killing import killed_after
from helpers.vocabs import vocab_of
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.cli._util import app
from spacy.tokens import Doc, Span, SpanGroup
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.bitext import ENTS_GROUP, Alignment, Bitext, LostSpan, SentencePair
from spacy_xlt.build import builder as build_module
from spacy_xlt.build.builder import build
from spacy_xlt.errors import XltError
from spacy_xlt.report.build import pieces, write_build_report
from spacy_xlt.report.plots import Histogram, nice_ticks
from spacy_xlt.report.stats import EXAMPLES, RATIO_EDGES, SCORE_BINS, BuildStats
from spacy_xlt.span_links import End, Link, Record, SpanLinks

# a report that lacks something says so
pytestmark = pytest.mark.filterwarnings("error::spacy_xlt.errors.XltWarning")
HOSTILE = "</script><script>window.ran=1</script>"


@pytest.fixture
def corpus(make_doc, write_corpus) -> Path:
    docs = [make_doc(f"Maria saw Rio {i} .", (0, 1, "PER"), (2, 3, "LOC")) for i in range(10)]
    return write_corpus(docs)


def lossy(make_doc, i: int = 0) -> Doc:
    """A source document with a bitext in which "Maria" is linked and "Rio" is not."""
    source = make_doc(f"Maria saw Rio {i} .", (0, 1, "PER"), (2, 3, "LOC"))
    target = make_doc(f"Maria viu lugar {i} .", lang="pt")
    pair = SentencePair(0, 5, 0, 5, -0.1, ("copied",))
    source._.xlt["pt"] = Bitext(source, target, Alignment([(0, 0)]), sentences=[pair], aligner="a")
    return source


@pytest.fixture
def lost_build(make_doc, write_corpus, tmp_path) -> Path:
    """A build of 30 documents in which every LOC is lost."""
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_projector")
    build(nlp, write_corpus([lossy(make_doc, i) for i in range(30)]), tmp_path / "built", docs_per_shard=7)
    return tmp_path / "built"


@pytest.fixture
def linked(make_doc, write_corpus) -> Path:
    """Six documents with bitexts in which "Rio" is lost, and with it a link and the role of a record."""
    docs = [lossy(make_doc, i) for i in range(6)]
    maria, rio = End("ents", 0), End("ents", 1)
    for doc in docs:
        doc._.xlt_links = SpanLinks([Link(maria, rio, "saw")], [Record("visit", maria, (("where", rio),))])
    return write_corpus(docs)


def test_lost_links_are_listed_counted_and_shown(linked, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_projector")
    summary = build(nlp, linked, tmp_path / "built", docs_per_shard=4)
    assert summary["links_in"] == {"saw": 6, "visit": 6, "visit.where": 6}
    assert summary["links_projected"] == {"visit": 6}
    assert summary["lost_link_reasons"] == {"no_links": 12} and summary["links_lost"] == 12
    lines = [json.loads(line) for line in (tmp_path / "built" / "lost" / "00001.jsonl").open(encoding="utf8")]
    assert [line["label"] for line in lines if line["doc"] == 0] == ["LOC", "saw", "visit.where"]
    maria = {"text": "Maria", "start": 0, "end": 1, "label": "PER", "key": "ents"}
    rio = {"text": "Rio", "start": 2, "end": 3, "label": "LOC", "key": "ents"}
    where = {"doc": 0, "lang": "pt", "label": "saw", "reason": "no_links", "side": "source"}
    assert lines[1] == {**where, "head": maria, "child": rio}
    report = write_build_report(tmp_path / "built")
    links = report["directions"]["en → pt"]["links"]
    assert links["saw"] == {"in": 6, "out": 0, "lost": {"no_links": 6}}
    assert links["visit"] == {"in": 6, "out": 6, "lost": {}}
    page = (tmp_path / "built" / "report.html").read_text(encoding="utf8")
    assert "Links between spans" in page and "visit.where" in page


def test_links_count_the_same_after_a_kill(linked, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_projector")
    whole = build(nlp, linked, tmp_path / "whole", docs_per_shard=2)
    with killed_after(3, build_module):
        build(nlp, linked, tmp_path / "killed", docs_per_shard=2)
    killed = build(nlp, linked, tmp_path / "killed", docs_per_shard=2)
    for key in ("links_in", "links_projected", "lost_link_reasons", "links_lost"):
        assert killed[key] == whole[key] != {}
    assert write_build_report(tmp_path / "killed") == write_build_report(tmp_path / "whole")


def test_a_build_without_links_says_nothing_of_them(lost_build):
    report = write_build_report(lost_build)
    assert report["directions"]["en → pt"]["links"] == {}
    assert "Links between spans" not in (lost_build / "report.html").read_text(encoding="utf8")


def test_the_figures_are_those_of_the_summary(lost_build):
    report = write_build_report(lost_build)
    assert report == json.loads((lost_build / "report.json").read_text(encoding="utf8"))
    summary = json.loads((lost_build / "summary.json").read_text())
    (direction,) = report["directions"].values()
    assert list(report["directions"]) == ["en → pt"] and report["finished"]
    spans = direction["spans"]["ents"]
    assert {label: counts["in"] for label, counts in spans.items()} == summary["spans_in"] == {"LOC": 30, "PER": 30}
    assert {label: counts["out"] for label, counts in spans.items() if counts["out"]} == summary["spans_projected"]
    assert spans["LOC"]["lost"] == summary["lost_reasons"] == {"no_links": 30}
    # Equal pairs have equal scores
    assert sorted(spans["PER"]["scores"])[-2:] == [0, 30]
    assert direction["flags"] == summary["flags"] == {"copied": 30}
    assert direction["pairs"] == 30 and direction["words"] == [150, 150]
    one = RATIO_EDGES.index(1.0) + 1
    assert direction["ratios"][one] == sum(direction["ratios"]) == 30
    # exp(-0.1) is 0.905
    assert direction["translation_scores"][18] == 30
    assert report["words_unlinked"] == summary["words_unlinked"]


def test_the_page_has_examples_with_the_lost_span_struck_out(lost_build):
    write_build_report(lost_build)
    page = (lost_build / "report.html").read_text(encoding="utf8")
    lost = page[page.index('id="lost"') : page.index('id="scores"')]
    assert lost.count('class="example"') == EXAMPLES
    assert lost.count("<s>Rio</s><b>✗ LOC</b>") == EXAMPLES
    assert "<b>30</b> no_links: no word of the span is linked" in lost and "viu" in lost
    # the sample is of the whole build, not of its first shard
    assert len(set(re.findall(r"bitext/(\d+)\.spacy", lost))) > 2
    assert "No reliability curve" in page and page.count('class="xlt-plot"') >= 3


def test_examples_link_into_the_page_of_view(lost_build):
    write_build_report(lost_build, view=Path("view.html"))
    page = (lost_build / "report.html").read_text(encoding="utf8")
    links = re.findall(r'href="view\.html#at=(\d+)">bitext/(\d+)\.spacy, document (\d+), sentence 1<', page)
    assert links and all(int(at) == 7 * int(shard) + int(doc) for at, shard, doc in links)


@pytest.mark.parametrize("after", [3, 7])
def test_a_killed_build_has_the_same_report(nlp, corpus, tmp_path, after):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    build(nlp, corpus, whole, docs_per_shard=4)
    with killed_after(after, build_module):
        build(nlp, corpus, killed, docs_per_shard=4)
    half = write_build_report(killed)
    assert half["docs"] == 4 * (after // 3) and not half["finished"]
    assert "Not finished" in (killed / "report.html").read_text(encoding="utf8")
    build(nlp, corpus, killed, docs_per_shard=4)
    for folder in (whole, killed):
        write_build_report(folder)
    assert (killed / "report.json").read_bytes() == (whole / "report.json").read_bytes()
    pages = [(folder / "report.html").read_text(encoding="utf8") for folder in (whole, killed)]
    whole_page, killed_page = (re.sub(r'<section id="time".*?</section>', "", page, flags=re.S) for page in pages)
    assert killed_page.replace("killed", "whole") == whole_page and 'id="time"' in pages[0]


def test_text_and_labels_are_escaped(make_doc, write_corpus, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"})
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector")
    doc = make_doc(f"{HOSTILE} saw $x$ & <img/src=x/onerror=window.ran=1> .", (0, 1, "<b>&$y$"), (2, 3, "LOC"))
    build(nlp, write_corpus([doc]), tmp_path / "built")
    write_build_report(tmp_path / "built")
    page = (tmp_path / "built" / "report.html").read_text(encoding="utf8")
    assert page.count("<script>") == 1 and "<img" not in page and "<b>&$" not in page
    assert "&lt;/script&gt;&lt;script&gt;window.ran=1" in page and "&lt;b&gt;&amp;$y$" in page


def test_annotation_that_goes_from_the_target_to_the_source(make_doc, write_corpus, tmp_path):
    source, target = make_doc("Maria saw Rio", lang="en"), make_doc("Maria viu lugar", (0, 1, "PER"), (2, 3, "LOC"))
    source._.xlt["pt"] = Bitext(source, target, Alignment([(0, 0)]))
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_projector", config={"direction": "target_to_source"})
    build(nlp, write_corpus([source]), tmp_path / "built")
    (direction,) = write_build_report(tmp_path / "built")["directions"].values()
    figures = {label: (c["in"], c["out"], c["lost"]) for label, c in direction["spans"]["ents"].items()}
    assert figures == {"PER": (1, 1, {}), "LOC": (1, 0, {"no_links": 1})}


words = st.lists(st.sampled_from(["a", "bb", "."]), max_size=12)


@st.composite
def bitexts(draw: st.DrawFn) -> Bitext:
    vocab = vocab_of("xx")
    source, target = (Doc(vocab, words=draw(words)) for _ in range(2))
    ents = [Span(target, n, n + 1, label=draw(st.sampled_from("AB"))) for n in range(0, len(target), 3)]
    target.set_ents(ents, default="outside")
    scores = [draw(st.floats(0, 1)) for _ in ents]
    target.spans[ENTS_GROUP] = SpanGroup(target, spans=ents, attrs={"scores": scores})
    lost = [LostSpan(n, n + 1, "A", draw(st.sampled_from(["no_links", "odd"]))) for n in range(0, len(source), 2)]
    return Bitext(source, target, source_lang="en", target_lang=draw(st.sampled_from(["pt", "de"])), lost=lost)


@settings(max_examples=40, deadline=None)
@given(st.lists(bitexts(), max_size=60))
def test_stats_count_every_span_and_keep_the_least_sure(made):
    stats = BuildStats()
    for i, bitext in enumerate(made):
        stats.add("00000", i, bitext)
    counts = [label for one in stats.directions.values() for label in one.spans.values()]
    assert all(sum(label.scores) == label.out and len(label.scores) == SCORE_BINS for label in counts)
    assert sum(label.out for label in counts) == sum(len(bitext.target.ents) for bitext in made)
    assert sum(label.lost.total() for label in counts) == sum(len(bitext.lost) for bitext in made)
    assert sum(one.pairs for one in stats.directions.values()) == stats.sentences == len(made)
    assert all(len(kept) <= EXAMPLES and kept == sorted(kept) for kept in stats.examples.values())
    scores = sorted(s for bitext in made for s in bitext.target.spans[ENTS_GROUP].attrs["scores"])
    assert [example.rank for example in stats.examples.get("least sure", [])] == scores[:EXAMPLES]
    assert all(example.row["doc"] == example.doc for kept in stats.examples.values() for example in kept)


def test_a_sentence_of_thousands_of_words_is_cut_around_the_lost_span():
    part = {
        "at": 100,
        "words": [f"w{n} " for n in range(5000)],
        "spans": [[3100, 3102, "PER", "ents", None, "overlap"]],
    }
    made = pieces(part)
    assert made[0] == ("… ", None) and made[-1] == (" …", None) and len(made) < 100
    assert [text for text, span in made if span] == ["w3000 w3001"]


def test_spans_that_cross_leave_the_words_as_they_are():
    spans = [[0, 3, "A", "sc", 0.5, None], [1, 4, "B", "ents", 0.5, None], [2, 5, "C", "ents", None, "no_links"]]
    made = pieces({"at": 0, "words": ["a ", "b ", "c ", "d ", "e"], "spans": spans})
    assert "".join(text for text, _ in made) == "a b c d e"
    assert [(text, span[2]) for text, span in made if span] == [("c d e", "C")]


def test_what_is_no_build_is_refused(tmp_path, lost_build):
    for content, code in ((None, "E580"), ("", "E581"), ('{"format": 3}\n', "E580"), ("no json\n", "E581")):
        folder = tmp_path / f"folder{code}{content is None}"
        folder.mkdir(exist_ok=True)
        if content is not None:
            (folder / "manifest.jsonl").write_text(content)
        with pytest.raises(XltError, match=code):
            write_build_report(folder)
    result = CliRunner().invoke(app, ["xlt", "build-report", str(tmp_path / "absent")])
    assert result.exit_code == 1 and "XLT-E502" in result.output


def test_the_commands_write_reports(corpus, tmp_path):
    (tmp_path / "config.cfg").write_text(CONFIG)
    arguments = ["xlt", "build", str(tmp_path / "config.cfg"), str(corpus)]
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "plain"), "--no-report"])
    assert result.exit_code == 0, result.output
    assert not list((tmp_path / "plain").glob("report.*"))
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "built")])
    assert result.exit_code == 0, result.output
    assert "report.html" in result.output and (tmp_path / "built" / "report.json").exists()
    again = tmp_path / "again.html"
    result = CliRunner().invoke(app, ["xlt", "build-report", str(tmp_path / "plain"), str(again)])
    assert result.exit_code == 0, result.output
    assert "Build report: plain" in again.read_text(encoding="utf8")


def test_a_logarithmic_histogram_shows_small_bars_beside_large_ones():
    plot = Histogram("scores", [1, 20, 0, 3000], "score", "spans", {0: "0"}, log=True)
    assert plot.levels == [1, 10, 100, 1000]
    heights = [plot.height(count) for count in plot.counts]
    assert heights[2] == 0 and 0.05 < heights[0] < heights[1] < heights[3] == 1


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_inside_and_few(low, span):
    ticks = nice_ticks(low, low + span)
    assert len(ticks) <= 6 and all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)
