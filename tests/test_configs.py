"""The configs that ship are ordinary spaCy configs."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from spacy.cli._util import app
from typer.testing import CliRunner

CONFIGS = Path(__file__).parent.parent / "configs"
# Pipelines that hold another one, which has to be trained first: tests of their own assemble them
HOLDERS = ("translate_test_", "ensemble_")
# compare.cfg is a plan of `spacy xlt compare`, and no pipeline
SPACY = sorted(p.name for p in CONFIGS.glob("*.cfg") if p.name != "compare.cfg")
PIPELINES = [name for name in SPACY if not name.startswith(("train_", *HOLDERS))]


def spacy_cli(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", SPACY)
def test_spacy_fills_and_checks_the_config(name, tmp_path):
    spacy_cli("init", "fill-config", CONFIGS / name, tmp_path / "filled.cfg")
    output = spacy_cli("debug", "config", tmp_path / "filled.cfg", "--paths.train", "a.spacy", "--paths.dev", "b.spacy")
    assert "Config is valid" in output


@pytest.mark.parametrize("name", PIPELINES)
def test_spacy_assembles_the_pipeline(name, tmp_path):
    spacy_cli("assemble", CONFIGS / name, tmp_path / "pipeline")
    nlp = spacy.load(tmp_path / "pipeline")
    assert nlp.pipe_names and all(name.startswith("xlt_") for name in nlp.pipe_names)
