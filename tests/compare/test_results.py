"""What a comparison says of its runs: scores, how sure they are, the tables and the picture."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spacy.scorer import Scorer, get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_xlt.compare.plan import Plan, Strategy
from spacy_xlt.compare.results import compare_strategies, over_seeds
from spacy_xlt.compare.score import SetScore, read_gold, score_predictions
from spacy_xlt.errors import XltError
from spacy_xlt.io import write_docs
from spacy_xlt.report.compare import comparison_page, comparison_plot, tables, to_markdown
from spacy_xlt.report.page import render_plot
from spacy_xlt.report.plots import Panel, Panels, Row

VOCAB = spacy.blank("xx").vocab


@st.composite
def annotated(draw: st.DrawFn, text: str) -> Doc:
    """The text in words of any length, with entities, span groups, sentences and missing tokens."""
    cuts = sorted(draw(st.sets(st.integers(1, len(text) - 1))))
    words = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    starts = [i == 0 or draw(st.booleans()) for i in range(len(words))]
    doc = Doc(VOCAB, words=words, spaces=[False] * len(words), sent_starts=starts)
    spans, position = [], 0
    while position < len(words):
        length = draw(st.integers(1, 3))
        if draw(st.booleans()):
            spans.append(Span(doc, position, min(len(words), position + length), label=draw(st.sampled_from("AB"))))
        position += length
    missing = [doc[i : i + 1] for i in draw(st.sets(st.integers(0, len(words) - 1), max_size=2))]
    missing = [span for span in missing if not any(s.start <= span.start < s.end for s in spans)]
    doc.set_ents(spans, missing=missing, default="outside")
    doc.spans["sc"] = [
        *spans,
        *(Span(doc, 0, n, label="A") for n in draw(st.sets(st.integers(1, len(words)), max_size=2))),
    ]
    return doc


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from([None, "sc"]))
def test_scores_and_counts_are_those_of_spacys_scorer(data: st.DataObject, spans_key: str | None) -> None:
    texts = ["abcdefgh", "ijklm"]
    golds, found = ([data.draw(annotated(text)) for text in texts] for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "found.spacy")
        write_docs(path, found)
        score = score_predictions(path, golds, name="test", spans_key=spans_key)
    assert len(score.counts) == sum(len(list(doc.sents)) for doc in golds)
    examples = [Example(doc, gold) for doc, gold in zip(found, golds, strict=True)]
    if spans_key is None:
        expected = {key.removeprefix("ents_"): value for key, value in get_ner_prf(examples).items()}
    else:
        scores = Scorer.score_spans(examples, "sc", getter=lambda doc, key: doc.spans[key], allow_overlap=True)
        expected = {key.removeprefix("sc_"): value for key, value in scores.items()}
    assert [score.p, score.r, score.f] == pytest.approx([expected[key] or 0.0 for key in "prf"])
    per_type = expected["per_type"] or {}
    assert set(score.per_label) <= set(per_type)
    for label, of_label in per_type.items():
        assert score.per_label.get(label, dict.fromkeys("prf", 0.0)) == pytest.approx(of_label)
    right, predicted, gold = score.counts.sum(axis=0)
    assert score.f == pytest.approx(2 * right / (predicted + gold) if right else 0)


def test_labels_that_do_not_count_are_left_out_on_both_sides(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    path = write_corpus([make_doc("Ana in Porto", (0, 1, "PER"), (2, 3, "LOC"))], "gold.spacy")
    write_docs(tmp_path / "found.spacy", [make_doc("Ana in Porto", (0, 1, "PER"), (1, 2, "OTH"))])
    golds = read_gold(path, name="gold", labels=["PER"])
    score = score_predictions(tmp_path / "found.spacy", golds, name="gold", labels=["PER"])
    assert (score.p, score.r, score.f, list(score.per_label)) == (1.0, 1.0, 1.0, ["PER"])
    golds = read_gold(path, name="gold", labels=None)
    assert score_predictions(tmp_path / "found.spacy", golds, name="gold").f == 0.5


def test_a_set_without_the_span_group_counts_its_entities(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    path = write_corpus([make_doc("Ana in Porto", (0, 1, "PER"), (2, 3, "LOC"))], "gold.spacy")
    found = make_doc("Ana in Porto")
    found.spans["sc"] = [Span(found, 0, 1, label="PER"), Span(found, 0, 3, label="LOC")]
    write_docs(tmp_path / "found.spacy", [found])
    golds = read_gold(path, name="gold")
    score = score_predictions(tmp_path / "found.spacy", golds, name="gold", spans_key="sc")
    assert (score.p, score.r) == (0.5, 0.5)
    assert score.per_label["PER"]["f"] == 1.0
    assert "sc" not in golds[0].spans
    write_docs(tmp_path / "found.spacy", [found, found])
    with pytest.raises(XltError) as caught:
        score_predictions(tmp_path / "found.spacy", golds, name="gold")
    assert caught.value.code == "E672"


def runs(*quality: float, n: int = 200, seed: int = 0) -> NDArray[np.int64]:
    """Counts of runs over the same sentences with two entities each, of which a share is found."""
    rng = np.random.default_rng(seed)
    right = np.stack([rng.binomial(2, share, n) for share in quality])
    return np.stack([right, np.full_like(right, 2), np.full_like(right, 2)], axis=2)


def score(counts: NDArray[np.int64]) -> SetScore:
    right, predicted, gold = counts.sum(axis=0)
    f = 2 * right / (predicted + gold)
    return SetScore(right / predicted, right / gold, f, {"PER": {"p": f, "r": f, "f": f}}, counts)


def result_of(*sets: str) -> dict[str, object]:
    """As `collect` makes it, of a baseline, something better with `<b>` in its name, and a ceiling."""
    plan = Plan(
        strategies={name: Strategy(name, "train") for name in ("zero", "<b>", "top")},
        sets={name: Path("test.spacy") for name in sets}, seeds=(0, 1, 2), baseline="zero", ceiling="top",
        n_bootstrap=500,
    )  # fmt: skip
    shares = {"zero": (0.5, 0.52, 0.48), "<b>": (0.7, 0.71, 0.69), "top": (0.9, 0.9, 0.9)}
    scores = {
        key: {
            name: {n: score(c) for n, c in enumerate(runs(*(s - i / 20 for s in share), n=200 - i))}
            for name, share in shares.items()
        }
        for i, key in enumerate(sets)
    }
    about = {
        "type": "train", "selected_by": "source gold (en)", "needs": [], "runs": 3, "runs_wanted": 3, "seconds": 12.3,
        "train_words_per_second": None, "words_per_second": 1234.5, "devices": ["cpu"],
    }  # fmt: skip
    one = {"docs": 200, "words": 900, "entities": {"PER": 400}, "digest": "0123456789abcdef"}
    compared = compare_strategies(plan, scores)  # type: ignore[arg-type]
    return {
        "baseline": "zero", "ceiling": "top", "sets": dict.fromkeys(sets, one),
        "missing": {"late/0": "it was ended by signal 9"},
        "strategies": {name: about | both for name, both in compared.items()},
        "runs": {f"{name}/0": {"signature": f"strategy:{name}|x"} for name in compared},
        "bootstrap": {"method": "some", "correction": "other", "samples": 500},
    }  # fmt: skip


@pytest.fixture
def result() -> dict[str, object]:
    return result_of("test")


def test_what_a_strategy_reaches_is_measured_between_baseline_and_ceiling(result: dict) -> None:
    of = {name: data["sets"]["test"] for name, data in result["strategies"].items()}
    assert of["zero"]["difference"] is None
    assert of["<b>"]["gap_closed"] == pytest.approx(0.5, abs=0.1)
    assert of["top"]["gap_closed"] == 1.0
    low, high = of["<b>"]["difference_interval"]
    assert low < of["<b>"]["difference"] < high
    assert of["<b>"]["p_holm"] >= of["<b>"]["p_value"]


def test_several_sets_have_a_mean_and_a_worst_and_stand_in_rows() -> None:
    result = result_of("de", "sw", "zh")
    over = {name: data["over_sets"] for name, data in result["strategies"].items()}
    of_sets = [one["f"]["values"] for one in result["strategies"]["<b>"]["sets"].values()]
    assert over["<b>"]["f"]["values"] == pytest.approx([sum(by_seed) / 3 for by_seed in zip(*of_sets, strict=True)])
    assert over["<b>"]["worst"] == {"set": "zh", "f": result["strategies"]["<b>"]["sets"]["zh"]["f"]}
    low, high = over["<b>"]["difference_interval"]
    assert 0 < low < over["<b>"]["difference"] < high and over["<b>"]["p_holm"] < 0.05
    # Of three sets the mean is surer than one alone
    assert high - low < np.subtract(*reversed(result["strategies"]["<b>"]["sets"]["de"]["difference_interval"]))
    (table,) = (table for table in tables(result) if table.title == "F1 by set")
    assert [row[0] for row in table.rows] == ["de", "sw", "zh", "mean of all sets", "worst"]
    assert "(zh)" in table.rows[-1][1]
    assert not any(table.title == "F1 by set" for table in tables(result_of("de", "sw")))


def test_many_sets_are_drawn_as_differences_to_the_baseline_on_one_axis() -> None:
    result = result_of("de", "sw", "zh")
    plot = comparison_plot(result)
    assert plot is not None
    assert [(panel.title, len(panel.rows)) for panel in plot.panels] == [
        ("mean of all sets", 3),
        ("<b>", 3),
        ("top", 3),
    ]
    panel, of_sets = plot.panels[1], result["strategies"]["<b>"]["sets"]
    assert [row.mean for row in panel.rows] == [100 * of_sets[row.name]["difference"] for row in panel.rows]
    before, after = (100 * result["strategies"][name]["sets"]["zh"]["f"]["mean"] for name in ("zero", "<b>"))
    assert panel.lines == {"zero": 0.0} and panel.rows[2].note.endswith(f"({before:.1f} → {after:.1f})")
    assert panel.unit in render_plot(plot).replace("&lt;b&gt;", "<b>")
    few = comparison_plot(result_of("de", "sw"))
    assert few is not None and [panel.title for panel in few.panels] == ["mean of all sets", "de", "sw"]


def test_a_strategy_that_misses_a_set_stands_in_the_table_of_many() -> None:
    result = result_of("de", "sw", "zh")
    del result["strategies"]["top"]["sets"]["sw"], result["strategies"]["top"]["over_sets"]
    first, by_set = tables(result)[:2]
    assert [row[-1] for row in by_set.rows] == [by_set.rows[0][-1], "missing", by_set.rows[2][-1], "missing", "missing"]
    assert first.rows[-1][2] == "missing" and "missing" not in by_set.rows[0][-1]


def test_a_language_without_gold_is_named_once(result: dict) -> None:
    assert to_markdown({**result, "no_gold": ["swe", "srp-Cyrl"]}).count("No gold: swe, srp-Cyrl.") == 1
    assert "No gold" not in to_markdown(result)


def test_a_strategy_with_other_seeds_in_a_set_has_no_mean_over_sets() -> None:
    plan = Plan({"zero": Strategy("zero", "train")}, {"de": Path(), "sw": Path()}, (0, 1), "zero", n_bootstrap=200)
    first, second = (score(counts) for counts in runs(0.5, 0.6))
    compared = compare_strategies(plan, {"de": {"zero": {0: first, 1: second}}, "sw": {"zero": {0: first}}})
    assert set(compared["zero"]["sets"]) == {"de", "sw"} and "over_sets" not in compared["zero"]


def test_one_seed_has_no_spread() -> None:
    counts = runs(0.5, 0.7)
    assert over_seeds([score(counts[0])])["f"]["sd"] is None
    two = over_seeds([score(one) for one in counts])
    assert two["f"]["sd"] == pytest.approx(np.std(two["f"]["values"], ddof=1), abs=1e-6)
    assert two["per_label"]["PER"]["f"]["mean"] == two["f"]["mean"]


def test_the_report_says_the_same_in_every_form(result: dict) -> None:
    markdown = to_markdown(result, picture="report.svg")
    page = comparison_page(result)
    for table in tables(result):
        assert f"## {table.title}" in markdown
        for row in table.rows:
            assert len(row) == len(table.head)
            cells = [cell.replace("<b>", "&lt;b&gt;") for cell in row]
            assert "| " + " | ".join(cells) + " |" in markdown
    assert "late/0: it was ended by signal 9" in markdown
    assert "late/0: it was ended by signal 9" in page
    # text is shown, never read as part of the page
    assert "<b>" not in page
    assert page.count("&lt;b&gt;") > 5
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_holds_every_figure_as_text(result: dict) -> None:
    picture = render_plot(comparison_plot(result))
    tree = ElementTree.fromstring(picture.encode("utf8"))
    assert tree.get("role") == "img"
    words = " ".join(tree.itertext())
    for name, data in result["strategies"].items():
        assert name in words
        assert f"{100 * data['sets']['test']['f']['mean']:.1f} ±" in words
    assert "prefers-color-scheme: dark" in words


def test_a_panel_of_one_row_without_spread_can_be_drawn() -> None:
    picture = render_plot(Panels("t", [Panel("p", [Row("only", 0.0, 0.0, 0.0)])], "F1"))
    assert "only" in picture and "nan" not in picture
