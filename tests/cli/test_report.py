"""`spacy xlt report`: what the project's commands measured, put together."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spacy_xlt.cli import app

F1 = {"mean": 0.5, "sd": 0.01, "values": [0.49, 0.51]}
SCORES = {
    "seeds": 2, "p": F1, "r": F1, "f": F1, "per_label": {"PER": {"p": F1, "r": F1, "f": F1}}, "interval": [0.4, 0.6],
    "difference": None, "difference_interval": None, "p_value": None, "p_holm": None, "gap_closed": None,
}  # fmt: skip
STRATEGY = {
    "type": "train", "selected_by": "source gold (en)", "needs": [], "runs": 2, "runs_wanted": 2, "seconds": 60.0,
    "train_words_per_second": 400.0, "words_per_second": 1000.0, "devices": ["cpu"], "sets": {"test": SCORES},
}  # fmt: skip
RESULTS = {
    "build": {
        "signature": "translator-1",
        "seconds": {"xlt_translator": 20.0},
        "sentences_per_second": {"xlt_translator": 50.5},
        "spans_projected": {"PER": 90, "LOC": 7},
        "lost_reasons": {"no_links": 3},
    },
    "compare": {
        "baseline": "zero-shot",
        "ceiling": None,
        "sets": {"test": {}},
        "runs": {"zero-shot/0": {}},
        "strategies": {"zero-shot": STRATEGY},
        "bootstrap": {"method": "some", "correction": "other", "samples": 100},
    },
    "projection": {
        "ents_p": 0.5, "ents_r": 0.25, "ents_f": 1 / 3, "ceiling_f": 0.872, "seconds": 10.0, "pairs_per_second": 100.0,
        "signature": "aligner-1",
    },
    "trial": {"wheel": "pt_xlt-0.1.0.whl", "found": [{"text": "Vem de Lisboa", "ents": [["Lisboa", "LOC"]]}]},
}  # fmt: skip


def run(folder: Path, files: dict[str, str]) -> Result:
    options = []
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text, encoding="utf8")
        options += [f"--{name}", str(folder / f"{name}.json")]
    return CliRunner().invoke(app, ["report", str(folder / "out"), *options])


def test_the_report_shows_what_the_commands_measured(tmp_path: Path) -> None:
    done = run(tmp_path, {name: json.dumps(data) for name, data in RESULTS.items()})
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == RESULTS
    page = (tmp_path / "out" / "report.md").read_text()
    for shown in (
        "| zero-shot | 2 of 2 | 50.0 ± 1.0 |",
        "| 50.0 | 25.0 | 33.3 | 87.2 |",
        "| xlt_translator | 20.0 | 50.5 |",
        "97 entities projected, 3 lost (no_links 3)",
        "'Vem de Lisboa': Lisboa LOC",
        "pt_xlt-0.1.0.whl",
        "aligner-1",
    ):
        assert shown in page, page
    assert "87.2" in done.output


def test_a_report_takes_what_there_is(tmp_path: Path) -> None:
    done = run(tmp_path, {"projection": json.dumps({**RESULTS["projection"], "ents_p": None, "ceiling_f": None})})
    assert done.exit_code == 0, done.output
    assert "| - | 25.0 | 33.3 | - |" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize("content", ["no JSON", "[1]", "{}"])
def test_a_report_names_the_file_that_it_cannot_use(tmp_path: Path, content: str) -> None:
    done = run(tmp_path, {"projection": content})
    assert done.exit_code == 1 and "projection" in done.output
    assert not (tmp_path / "out").exists()


def test_a_report_names_a_file_that_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(tmp_path), "--build", str(tmp_path / "summary.json")])
    assert done.exit_code == 1 and "XLT-E502" in done.output and "summary.json" in done.output


def test_a_report_says_where_the_newest_wheel_is_and_how_to_use_it(tmp_path: Path) -> None:
    wheels = [tmp_path / "packages" / f"pt_mine-{version}-py3-none-any.whl" for version in ("0.2.0", "0.1.0")]
    wheels[0].parent.mkdir()
    for seconds, wheel in enumerate(wheels):
        wheel.write_bytes(b"")
        os.utime(wheel, (seconds, seconds))
    done = CliRunner().invoke(app, ["report", str(tmp_path / "out"), "--packages", str(tmp_path / "packages")])
    page = (tmp_path / "out" / "report.md").read_text()
    assert done.exit_code == 0, done.output
    assert f"pip install {wheels[1]}" in page and "spacy.load('pt_mine')" in page
