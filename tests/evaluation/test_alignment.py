"""Scores of an aligner against gold links, and the command that shows them."""

import json

import pytest
from helpers.paths import CONFIGS
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.evaluation.alignment import GoldPair, evaluate_alignment, read_pairs, score_links
from spacy_xlt.links import Alignment
from spacy_xlt.protocols import PairContext

LINES = """The cat sleeps .\tO gato dorme .\t0-0 1-1 2-2 3-3
Maria lives in Lisbon .\tA Maria vive em Lisboa .\t0p0 0-1 1-2 2-3 3-4 4-5
"""
link_sets = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def _alignment(links):
    return Alignment(sorted(links) if links else [])


def _gold(sure, possible):
    return GoldPair(list("abcdef"), list("uvwxyz"), sure, sure | possible)


def test_scores_are_those_of_och_and_ney():
    gold = _gold(frozenset({(0, 0), (1, 1), (2, 2)}), frozenset({(3, 3)}))
    scores = score_links([_alignment({(0, 0), (1, 1), (3, 3), (4, 4)})], [gold])
    # |A| = 4, |S| = 3, |A and S| = 2, |A and P| = 3
    assert scores["precision"] == 75 and scores["recall"] == pytest.approx(66.6667)
    assert scores["f1"] == pytest.approx(2 * 75 * 66.6667 / 141.6667, abs=1e-3)
    assert scores["aer"] == pytest.approx(100 * (1 - 5 / 7), abs=1e-3)


@given(sure=link_sets, possible=link_sets)
def test_the_gold_links_are_without_error(sure, possible):
    scores = score_links([_alignment(sure)], [_gold(sure, possible)])
    assert scores["aer"] == 0
    assert scores["f1"] == (100 if sure else 0)


@given(found=link_sets, sure=link_sets)
def test_without_possible_links_the_error_rate_is_what_f1_lacks(found, sure):
    scores = score_links([_alignment(found)], [_gold(sure, frozenset())])
    if found or sure:
        assert scores["aer"] == pytest.approx(100 - scores["f1"], abs=1e-3)
    else:
        assert scores["aer"] == 0


def test_pairs_are_read_with_sure_and_possible_links(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(
        b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode("utf8") + b"\r\na\xc2\x85\xe2\x80\xa8b\tc\t\r\n"
    )
    first, second, third = read_pairs(path)
    assert first.sure == first.possible == {(i, i) for i in range(4)}
    assert second.possible - second.sure == {(0, 0)} and (0, 1) in second.sure
    assert third.source == ["a\x85\u2028b"] and third.possible == frozenset()


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "E521.*no sentence pairs"),
        ("\n \n", "E521"),
        (LINES + "a b\tc\n", "E530.*line 3: 2 columns"),
        (LINES + "a\tb\t0-0\tmore\n", "E530.*line 3: 4 columns"),
        (LINES + "a b\tc\t1-1\n", r"E531.*line 3: .*\(1, 1\).*2 source and 1 target"),
        ("a b\tc\t2-0\n", r"E531.*line 1: .*\(2, 0\)"),
        (LINES + "a b\tc\t0:0\n", "E531.*line 3: .*'0:0'"),
        ("a b\tc\t0p0\n", "E521.*no sure"),
        ("a b\tc\t\n", "E521"),
    ],
)
def test_files_that_cannot_be_scored_name_the_line(tmp_path, text, message):
    path = tmp_path / "pairs.tsv"
    path.write_text(text, encoding="utf8")
    with pytest.raises(XltError, match=message):
        read_pairs(path)


def test_missing_and_undecodable_files_are_errors(tmp_path):
    with pytest.raises(XltError, match="E502.*pairs.tsv"):
        read_pairs(tmp_path / "pairs.tsv")
    (tmp_path / "pairs.tsv").write_bytes(LINES.encode() + "é\te\t0-0".encode("latin-1"))
    with pytest.raises(XltError, match="E513.*utf-8.*byte 1"):
        read_pairs(tmp_path / "pairs.tsv")


def test_evaluation_reports_speed_and_signature():
    class Nothing:
        signature = "nothing-1"

        def align(self, pairs, *, contexts=None):
            return [Alignment() for _ in pairs]

    gold = _gold(frozenset({(0, 0)}), frozenset())
    scores = evaluate_alignment(Nothing(), [gold, gold], data="toy")
    assert (scores["precision"], scores["recall"], scores["f1"], scores["aer"]) == (0, 0, 0, 100)
    assert scores["pairs"] == 2 and scores["pairs_per_second"] > 0
    assert "toy" in scores["signature"] and "nothing-1" in scores["signature"]


def test_the_aligner_is_told_the_languages():
    class Listening:
        signature = "listening-1"

        def align(self, pairs, *, contexts=None):
            self.heard = contexts
            return [Alignment() for _ in pairs]

    gold, engine = _gold(frozenset({(0, 0)}), frozenset()), Listening()
    scores = evaluate_alignment(engine, [gold, gold], source_lang="en", target_lang="por_Latn")
    assert engine.heard == [PairContext("en", "pt")] * 2
    assert "languages:en-pt" in scores["signature"]
    assert "languages" not in evaluate_alignment(engine, [gold])["signature"]
    assert engine.heard == [PairContext()]
    with pytest.raises(XltError, match="E010"):
        evaluate_alignment(engine, [gold], source_lang="nothing")


def test_command_passes_the_languages_on(tmp_path):
    pairs, config = tmp_path / "pairs.tsv", tmp_path / "attention.cfg"
    pairs.write_text(LINES, encoding="utf8")
    config.write_text(
        '[nlp]\nlang = "en"\npipeline = ["xlt_aligner"]\n[components]\n[components.xlt_aligner]\n'
        'factory = "xlt_aligner"\n'
        '[components.xlt_aligner.engine]\n@misc = "spacy_xlt.AttentionAligner.v1"\n'
        '[components.xlt_aligner.engine.translator]\n@misc = "spacy_xlt.BergamotTranslator.v1"\n'
    )
    run = ["eval-alignment", str(config), str(pairs)]
    without = CliRunner().invoke(app, run)
    assert without.exit_code == 1 and "E309" in without.output
    result = CliRunner().invoke(app, [*run, "--source-lang", "en", "--target-lang", "pt"])
    assert result.exit_code == 0 and "languages:en-pt" in result.output.replace("\n", ""), result.output


def test_command_writes_the_scores(tmp_path):
    pairs, out = tmp_path / "pairs.tsv", tmp_path / "deep" / "scores.json"
    pairs.write_text(LINES, encoding="utf8")
    arguments = ["eval-alignment", str(CONFIGS / "project.cfg"), str(pairs), "--json", str(out)]
    small = ["--components.xlt_aligner.engine.model", "bundled:encoder-en-pt"]
    result = CliRunner().invoke(app, [*arguments, *small])
    assert result.exit_code == 0, result.output
    scores = json.loads(out.read_text())
    assert {"precision", "recall", "f1", "aer", "pairs", "pairs_per_second", "signature"} <= set(scores)
    assert scores["pairs"] == 2 and scores["f1"] > 80
    assert f"{scores['f1']:.2f}" in result.output and "encoder-en-pt" in scores["signature"]


def test_command_says_what_is_wrong_and_writes_nothing(tmp_path):
    pairs, out = tmp_path / "pairs.tsv", tmp_path / "scores.json"
    pairs.write_text(LINES + "a\tb\n", encoding="utf8")
    arguments = ["eval-alignment", str(CONFIGS / "project.cfg"), str(pairs), "--json", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "line 3" in " ".join(result.output.split()) and "Traceback" not in result.output
    config = tmp_path / "empty.cfg"
    config.write_text('[nlp]\nlang = "xx"\npipeline = []\n')
    pairs.write_text(LINES, encoding="utf8")
    result = CliRunner().invoke(app, ["eval-alignment", str(config), str(pairs), "--json", str(out)])
    assert result.exit_code == 1 and "xlt_aligner" in result.output
    assert not out.exists()
