"""`spacy xlt eval-projection`: the scores, the JSON, configs side by side, the page, and what bad corpora get."""

from __future__ import annotations

import json

import pytest
from helpers.engines import DIAGONAL
from spacy.cli._util import app
from spacy.tokens import Doc, Span
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.report.projection import projection_parts
from spacy_xlt.span_links import End, Link, SpanLinks

CONFIG = f"""
[nlp]
lang = "en"
pipeline = ["xlt_aligner","xlt_projector"]
[components]
[components.xlt_aligner]
factory = "xlt_aligner"
[components.xlt_aligner.engine]
@misc = "{DIAGONAL["@misc"]}"
[components.xlt_projector]
factory = "xlt_projector"
min_score = 0.0
[components.xlt_projector.engine]
@misc = "spacy_xlt.LinkProjector.v1"
"""
KEYS = {
    "ents_p", "ents_r", "ents_f", "ents_per_type", "spans_in", "spans_projected", "spans_lost", "lost_reasons",
    "ceiling_f", "reliability", "seconds", "pairs_per_second", "signature",
}  # fmt: skip


@pytest.fixture
def evaluate(tmp_path, write_corpus):
    """Run the command on two lists of docs; its result and its JSON."""

    def run(source, gold, *options, config=CONFIG):
        paths = [str(write_corpus(docs, f"{name}.spacy")) for name, docs in (("source", source), ("gold", gold))]
        (tmp_path / "config.cfg").write_text(config)
        out = tmp_path / "new" / "scores.json"
        arguments = ["xlt", "eval-projection", str(tmp_path / "config.cfg"), *paths, "--json", str(out), *options]
        result = CliRunner().invoke(app, arguments)
        return result, json.loads(out.read_text()) if out.exists() else None

    return run


@pytest.fixture
def corpora(make_doc):
    source = [
        make_doc("Ann saw Bo in Rio", (0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC")),
        make_doc("and left Lima", (2, 3, "LOC")),
        make_doc("nothing at all"),
    ]
    gold = [
        make_doc("Ana viu Bo em Rio", (0, 1, "PER"), (2, 3, "ORG"), (4, 5, "LOC")),
        make_doc("e deixou", (1, 2, "LOC")),
        make_doc("nada", (0, 1, "LOC")),
    ]
    return source, gold


def test_scores_are_exact_and_lost_spans_counted(evaluate, corpora):
    result, scores = evaluate(*corpora)
    assert result.exit_code == 0, result.output
    assert set(scores) >= KEYS
    # Ann and Rio are right, Bo has another label; Lima has no link, but its neighbour's link leaves a place for none
    assert scores["spans_in"] == 4 and scores["spans_projected"] == 3 and scores["spans_lost"] == 1
    assert scores["lost_reasons"] == {"no_links": 1}
    assert scores["ents_p"] == pytest.approx(2 / 3) and scores["ents_r"] == pytest.approx(2 / 5)
    assert scores["ents_f"] == pytest.approx(0.5) and scores["ents_per_type"]["LOC"]["p"] == 1.0
    assert "diagonal-1" in scores["signature"] and "LinkProjector" in scores["signature"]
    assert "66.67" in result.output and "4 spans in, 3 projected, 1 lost (no_links 1)" in result.output


def test_labels_restrict_both_sides(evaluate, corpora):
    result, scores = evaluate(*corpora, "--labels", "PER, LOC")
    assert scores["spans_in"] == 4 and set(scores["ents_per_type"]) == {"PER", "LOC"}
    _, scores = evaluate(*corpora, "--labels", "PER")
    assert scores["spans_in"] == 2 and scores["ents_r"] == 1.0 and scores["ents_p"] == 0.5


def test_span_groups_and_the_links_between_their_spans_are_scored(evaluate, make_doc):
    docs = []
    for place in (2, 1):
        source, gold = make_doc("Ann saw Bo"), make_doc("Ana viu Bo")
        source.spans["sc"] = [Span(source, 0, 1, "A"), Span(source, 2, 3, "B")]
        gold.spans["sc"] = [Span(gold, 0, 1, "A"), Span(gold, place, place + 1, "B")]
        for doc in (source, gold):
            doc._.xlt_links = SpanLinks([Link(End("sc", 0), End("sc", 1), "saw")])
        docs.append((source, gold))
    result, scores = evaluate(*map(list, zip(*docs, strict=True)), "--spans-key", "sc")
    assert result.exit_code == 0, result.output
    assert (scores["ents_p"], scores["ents_f"], scores["spans_in"]) == (0.75, 0.75, 4)
    assert (scores["links_f"], scores["links"], scores["links_gold"]) == (0.5, 2, 2)
    assert "2 links in the gold, 2 projected: F 50.00; ends found: 50.00" in result.output
    assert "|spans:sc|" in scores["signature"]
    result, _ = evaluate(*map(list, zip(*docs, strict=True)), "--spans-key", "other")
    assert result.exit_code == 1 and "XLT-E521" in result.output
    said = " ".join(result.output.split())
    assert "no spans in the group 'other' (it has spans in sc: set --spans-key)" in said


def test_settings_can_be_overridden(evaluate, corpora):
    result, scores = evaluate(*corpora, "--components.xlt_projector.min_score", "1")
    assert result.exit_code == 0, result.output
    assert "min_score:1" in scores["signature"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s, g: (s, g[:2]), ["E520", "3", "2"]),
        (lambda s, g: (s[2:] * 3, g), ["E521", "source.spacy"]),
        (lambda s, g: (s, [Doc(d.vocab, words=["x"]) for d in g]), ["E521", "gold.spacy"]),
        (lambda s, g: ([], g), ["E503", "source.spacy"]),
    ],
)
def test_eval_projection_rejects_corpora_that_do_not_fit(evaluate, corpora, change, expected):
    result, scores = evaluate(*change(*corpora))
    assert result.exit_code == 1 and scores is None
    assert all(part in result.output for part in expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [(("--labels", "MISC"), ["E522", "MISC", "LOC, PER"]), (("--labels", " ,"), ["E510", "--labels"])],
)
def test_eval_projection_names_labels_that_are_missing(evaluate, corpora, options, expected):
    result, scores = evaluate(*corpora, *options)
    assert result.exit_code == 1 and scores is None
    assert all(part in result.output for part in expected)


def test_eval_projection_rejects_config_without_projector(evaluate, corpora):
    result, _ = evaluate(*corpora, config=CONFIG.replace(',"xlt_projector"', ""))
    assert result.exit_code == 1 and "E509" in result.output and "xlt_projector" in result.output


def test_missing_files_are_named(tmp_path):
    (tmp_path / "config.cfg").write_text(CONFIG)
    arguments = ["xlt", "eval-projection", str(tmp_path / "config.cfg"), str(tmp_path / "a.spacy"), str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "E502" in result.output and "a.spacy" in result.output


def test_empty_documents_are_ordinary(evaluate, corpora, make_doc):
    source, gold = corpora
    empty = Doc(source[0].vocab)
    result, scores = evaluate([empty, *source], [empty, *gold])
    assert result.exit_code == 0 and scores["pairs"] == 4 and scores["ents_f"] == pytest.approx(0.5)


def test_filters_trade_sentences_for_precision(evaluate, make_doc):
    # the second sentence's only entity is projected onto a word that is none
    source = [make_doc("Ann sleeps", (0, 1, "PER")), make_doc("Rio Janeiro", (0, 2, "LOC"))]
    gold = [make_doc("Ana dorme", (0, 1, "PER")), make_doc("lá")]
    filters = "[components.xlt_projector.filters]\n[components.xlt_projector.filters.short]\n"
    filters += '@misc = "spacy_xlt.SpanLengthFilter.v1"\nmin_ratio = 0.9\n'
    result, scores = evaluate(source, gold, config=CONFIG + filters)
    assert result.exit_code == 0, result.output
    assert scores["ents_p"] == 0.5 and scores["spans_projected"] == 2
    filtered = scores["filtered"]
    assert filtered["sentences"] == 2 and filtered["dropped"] == 1 and filtered["reasons"] == {"short": 1}
    assert filtered["ents_p"] == 1.0 and filtered["ents_r"] == 1.0
    assert "1 of 2 sentences left out (short 1)" in result.output


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
    assert "same" in result.output and "By label" in result.output and "By length" in result.output


def test_configs_of_the_same_name_are_shown_with_their_folders(compare):
    _, scores = compare(("one/project.cfg", CONFIG), ("two/project.cfg", CONFIG))
    names = list(scores["systems"])
    assert names[0].endswith("one/project.cfg") and names[1].endswith("two/project.cfg")


def test_overrides_hold_for_all_configs(compare):
    override = ("--components.xlt_projector.ents", "false")
    result, scores = compare(("a.cfg", CONFIG), ("b.cfg", CONFIG), options=override)
    assert result.exit_code == 0, result.output
    assert all(of_config["ents_f"] == 0 for of_config in scores["systems"].values())


def test_eval_projection_rejects_wrong_numbers_of_paths(compare, tmp_path):
    result, _ = compare(("a.cfg", CONFIG), ("a.cfg", CONFIG))
    assert result.exit_code == 1 and "XLT-E523" in result.output
    (tmp_path / "a.cfg").write_text(CONFIG)
    few = CliRunner().invoke(app, ["xlt", "eval-projection", "a.cfg", "b.spacy"])
    assert few.exit_code == 1 and "XLT-E524" in few.output
    many = CliRunner().invoke(app, ["xlt", "eval-projection", "a.cfg", "b.cfg", "c.spacy", "d.spacy"])
    assert many.exit_code == 1 and "--compare" in many.output


def test_the_report_shows_configs_with_intervals_and_curves(compare, tmp_path):
    page = tmp_path / "report.html"
    result, scores = compare(("all.cfg", CONFIG), ("same.cfg", CONFIG), options=["--report", str(page)])
    assert result.exit_code == 0 and "report.html" in result.output, result.output
    text = page.read_text(encoding="utf8")
    # all labels, single labels, a curve for each config
    assert text.count('class="xlt-plot"') == 4 and 'id="reliability"' in text
    low, high = scores["systems"]["same"]["ents_f_interval"]
    assert f"{100 * low:.1f} to {100 * high:.1f}" in text and "<td>+0.00</td><td>1.0000</td>" in text
    per_type = scores["systems"]["all"]["ents_per_type"]
    assert all(one["f_interval"][0] <= one["f"] <= one["f_interval"][1] for one in per_type.values())


def test_one_config_has_a_report_as_well(compare, tmp_path):
    _, scores = compare(("all.cfg", CONFIG), options=["--report", str(tmp_path / "one.html")])
    assert "hollow square" not in (tmp_path / "one.html").read_text(encoding="utf8")
    assert scores["ents_f"] == pytest.approx(70 / 90) and "p_value" not in scores


def test_answers_are_scored_by_question_where_the_gold_has_ids(evaluate, make_doc):
    source, gold = make_doc("in 1815 at Ghent"), make_doc("em 1815 em Gante")
    for doc, last in ((source, 4), (gold, 3)):
        doc.spans["answers"] = [Span(doc, 1, 2, "answer", span_id="q1"), Span(doc, 2, last, "answer", span_id="q2")]
    result, scores = evaluate([source], [gold], "--spans-key", "answers")
    assert result.exit_code == 0, result.output
    assert (scores["answers"], scores["answers_exact"]) == (2, 0.5)
    # "em Gante" for "em"
    assert scores["answers_f"] == pytest.approx((1 + 2 / 3) / 2)
    assert "2 questions: exact match 50.00, F1 over words 83.33" in result.output


def test_intents_are_scored_where_both_sides_have_categories(evaluate, corpora):
    source, gold = corpora
    _, scores = evaluate(source, gold)
    assert "intents" not in scores and "answers" not in scores
    for doc, other, intents in zip(source, gold, ("aa", "ab", "aa"), strict=True):
        doc.cats, other.cats = {intents[0]: 1.0}, {intents[1]: 1.0}
    result, scores = evaluate(source, gold)
    assert scores["intent_accuracy"] == pytest.approx(2 / 3) and scores["intents_and_slots"] == 0.0
    assert "3 intents: accuracy 66.67; intent and all slots exact: 0.00" in result.output


def test_configs_are_compared_by_answers_and_intents_too(compare):
    _, scores = compare(("one.cfg", CONFIG), ("two.cfg", CONFIG))
    assert all(part.name != "tasks" for part in projection_parts(scores))
    scores["systems"]["two"] |= {"answers_exact": 0.5, "answers_f": 0.75}
    (part,) = (part for part in projection_parts(scores) if part.name == "tasks")
    assert [list(row) for row in part.tables[0].rows] == [["one", "-", "-"], ["two", "50.0", "75.0"]]
