"""Configs side by side: paired bootstrap, scores by length, and the reliability of span scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.cli._util import app
from spacy.tokens import SpanGroup
from test_projection_eval import CONFIG
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.bitext import ENTS_GROUP
from spacy_xlt.evaluation.bootstrap import interval, p_value, resampled_f1
from spacy_xlt.evaluation.reliability import reliability
from spacy_xlt.evaluation.spans import Judged, counts_by_doc, judge, per_length, prf


@pytest.fixture
def compare(tmp_path, write_corpus, make_doc):
    """Run the comparison of a projector that keeps everything with others; the result and its JSON."""
    source, gold = [], []
    for n in range(30):
        source.append(make_doc("Ann saw Bo in Rio", (0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC")))
        # every third person has another label in the gold annotation
        gold.append(make_doc("Ana viu Bo em Rio", (0, 1, "PER"), (2, 3, "ORG" if n % 3 else "PER"), (4, 5, "LOC")))
    corpora = [str(write_corpus(docs, f"{name}.spacy")) for name, docs in (("source", source), ("gold", gold))]

    def run(*configs, options=()):
        paths = []
        for name, text in configs:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            paths.append(str(path))
        out = tmp_path / "out.json"
        several = ["--compare"] if len(configs) > 1 else []
        arguments = ["xlt", "eval-projection", *several, *paths, *corpora, "--json", str(out), *options]
        result = CliRunner().invoke(app, arguments)
        return result, json.loads(out.read_text()) if out.exists() else None

    return run


def test_each_config_is_compared_with_the_first(compare):
    # links of the diagonal aligner have score 1 and so do the spans: a higher demand cannot be met
    nothing = CONFIG.replace('pipeline = ["xlt_aligner","xlt_projector"]', "").replace(
        "min_score = 0.0", "ents = false"
    )
    nothing = nothing.replace("[nlp]", '[nlp]\npipeline = ["xlt_aligner","xlt_projector"]')
    result, scores = compare(("all.cfg", CONFIG), ("same.cfg", CONFIG), ("none.cfg", nothing))
    assert result.exit_code == 0, result.output
    assert scores["baseline"] == "all" and list(scores["systems"]) == ["all", "same", "none"]
    every, same, none = scores["systems"].values()
    # 10 of the 30 sentences have 3 right of 3, the others 2 of 3
    assert every["ents_f"] == pytest.approx(70 / 90)
    low, high = every["ents_f_interval"]
    assert low < 70 / 90 < high and 0.7 < low and high < 0.87
    assert same["difference"] == 0 and same["p_value"] == 1.0
    assert none["ents_f"] == 0 and none["difference"] == pytest.approx(-70 / 90, abs=1e-4) and none["p_value"] < 0.01
    assert "same" in result.output and "F by label" in result.output and "F by length" in result.output


def test_configs_of_the_same_name_are_told_apart_by_their_folders(compare):
    _, scores = compare(("one/project.cfg", CONFIG), ("two/project.cfg", CONFIG))
    names = list(scores["systems"])
    assert names[0].endswith("one/project.cfg") and names[1].endswith("two/project.cfg")


def test_overrides_hold_for_all_configs(compare):
    override = ("--components.xlt_projector.engine.ents", "false")
    result, scores = compare(("a.cfg", CONFIG), ("b.cfg", CONFIG), options=override)
    assert result.exit_code == 0, result.output
    assert all(of_config["ents_f"] == 0 for of_config in scores["systems"].values())


def test_wrong_numbers_of_paths_are_refused(compare, tmp_path):
    result, _ = compare(("a.cfg", CONFIG), ("a.cfg", CONFIG))
    assert result.exit_code == 1 and "XLT-E523" in result.output
    (tmp_path / "a.cfg").write_text(CONFIG)
    few = CliRunner().invoke(app, ["xlt", "eval-projection", "a.cfg", "b.spacy"])
    assert few.exit_code == 1 and "XLT-E524" in few.output
    many = CliRunner().invoke(app, ["xlt", "eval-projection", "a.cfg", "b.cfg", "c.spacy", "d.spacy"])
    assert many.exit_code == 1 and "--compare" in many.output


def test_lengths_and_counts_follow_the_entities(make_doc):
    predicted = make_doc("a b c d e f", (0, 1, "X"), (1, 4, "Y"))
    predicted.spans[ENTS_GROUP] = SpanGroup(predicted, attrs={"scores": [0.9, 0.2]}, spans=list(predicted.ents))
    gold = make_doc("a b c d e f", (0, 1, "X"), (1, 3, "Y"), (4, 6, "X"))
    found, wanted = judge([predicted], [gold])
    assert found == [Judged(0, "X", 1, pytest.approx(0.9), True), Judged(0, "Y", 3, pytest.approx(0.2), False)]
    assert prf(found, wanted)["r"] == pytest.approx(1 / 3)
    lengths = per_length(found, wanted)
    assert lengths["1"]["f"] == 1.0 and lengths["2"] == {"p": 0.0, "r": 0.0, "f": 0.0, "gold": 2}
    assert lengths["3-4"]["gold"] == 0 and "9+" not in lengths
    assert counts_by_doc(found, wanted, 1).tolist() == [[1, 2, 3]]


spans = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(spans)
def test_reliability_counts_every_span_once_and_ignores_the_order_of_equals(pairs):
    found = [Judged(0, "X", 1, score, correct) for score, correct in pairs]
    result = reliability(found)
    assert sum(point["spans"] for point in result["curve"]) == len(pairs)
    assert result["precision"] == pytest.approx(np.mean([correct for _, correct in pairs]), abs=1e-4)
    assert reliability(found[::-1])["precision_of_surest"] == pytest.approx(result["precision_of_surest"], abs=1e-4)
    assert 0 <= result["calibration_error"] <= 1
    if len({score for score, _ in pairs}) == 1:
        assert result["precision_of_surest"] == pytest.approx(result["precision"], abs=1e-4)


def test_leaving_out_wrong_spans_with_low_scores_raises_precision():
    found = [Judged(0, "X", 1, 0.1, False)] * 10 + [Judged(0, "X", 1, 0.9, True)] * 90
    assert reliability(found)["precision"] == 0.9 and reliability(found)["precision_of_surest"] == 1.0


def test_bootstrap_tells_chance_from_difference():
    rng = np.random.default_rng(1)
    gold = np.full(200, 5)
    right = rng.integers(2, 6, 200)
    better = np.minimum(right + 1, 5)

    def counts(n_right):
        return np.stack([n_right, np.full(200, 5), gold], axis=1)

    base, other = resampled_f1(counts(right)), resampled_f1(counts(better))
    assert p_value(other, base) < 0.01
    noise = right.copy()
    noise[:2] = noise[1::-1]
    assert p_value(resampled_f1(counts(noise)), base) > 0.2
    low, high = interval(base)
    assert low < right.sum() / 1000 < high


def test_the_report_shows_configs_with_intervals_and_curves(compare, tmp_path):
    page = tmp_path / "report.html"
    result, scores = compare(("all.cfg", CONFIG), ("same.cfg", CONFIG), options=["--report", str(page)])
    assert result.exit_code == 0 and "report.html" in result.output, result.output
    text = page.read_text(encoding="utf8")
    # all labels, single labels, a curve for each config, speed
    assert text.count('class="xlt-plot"') == 5 and 'id="reliability"' in text
    low, high = scores["systems"]["same"]["ents_f_interval"]
    assert f"{100 * low:.1f} to {100 * high:.1f}" in text and "<td>+0.00</td><td>1.0000</td>" in text
    per_type = scores["systems"]["all"]["ents_per_type"]
    assert all(one["f_interval"][0] <= one["f"] <= one["f_interval"][1] for one in per_type.values())


def test_one_config_has_a_report_as_well(compare, tmp_path):
    _, scores = compare(("all.cfg", CONFIG), options=["--report", str(tmp_path / "one.html")])
    assert "hollow square" not in (tmp_path / "one.html").read_text(encoding="utf8")
    assert scores["ents_f"] == pytest.approx(70 / 90) and "p_value" not in scores
