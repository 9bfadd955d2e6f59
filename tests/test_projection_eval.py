"""`spacy xlt eval-projection`: the scores, the JSON, and what bad corpora get."""

from __future__ import annotations

import json

import pytest
from helpers.engines import DIAGONAL
from spacy.cli._util import app
from spacy.tokens import Doc
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401

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
[components.xlt_projector.engine]
@misc = "spacy_xlt.LinkProjector.v1"
min_score = 0.0
"""
KEYS = {
    "ents_p", "ents_r", "ents_f", "ents_per_type", "spans_in", "spans_projected", "spans_lost", "lost_reasons",
    "seconds", "pairs_per_second", "signature",
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


def test_settings_can_be_overridden(evaluate, corpora):
    result, scores = evaluate(*corpora, "--components.xlt_projector.engine.min_score", "1")
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
def test_corpora_that_do_not_fit_are_refused(evaluate, corpora, change, expected):
    result, scores = evaluate(*change(*corpora))
    assert result.exit_code == 1 and scores is None
    assert all(part in result.output for part in expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [(("--labels", "MISC"), ["E522", "MISC", "LOC, PER"]), (("--labels", " ,"), ["E510", "--labels"])],
)
def test_labels_that_are_not_there_are_named(evaluate, corpora, options, expected):
    result, scores = evaluate(*corpora, *options)
    assert result.exit_code == 1 and scores is None
    assert all(part in result.output for part in expected)


def test_a_config_without_a_projector_is_refused(evaluate, corpora):
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
    # the second sentence's only entity is projected to the wrong place
    source = [make_doc("Ann sleeps", (0, 1, "PER")), make_doc("in Rio", (0, 2, "LOC"))]
    gold = [make_doc("Ana dorme", (0, 1, "PER")), make_doc("no Rio de Janeiro", (1, 4, "LOC"))]
    filters = "[components.xlt_projector.filters]\n[components.xlt_projector.filters.short]\n"
    filters += '@misc = "spacy_xlt.SpanLengthFilter.v1"\nmin_ratio = 0.9\n'
    result, scores = evaluate(source, gold, config=CONFIG + filters)
    assert result.exit_code == 0, result.output
    assert scores["ents_p"] == 0.5 and scores["spans_projected"] == 2
    filtered = scores["filtered"]
    assert filtered["sentences"] == 2 and filtered["dropped"] == 1 and filtered["reasons"] == {"short": 1}
    assert filtered["ents_p"] == 1.0 and filtered["ents_r"] == 1.0
    assert "1 of 2 sentences left out (short 1)" in result.output
