"""`spacy xlt transfer`: the whole way from annotated text to a wheel, stopped and gone on with."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from helpers.in_process import run_python
from helpers.mine import write_data
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.compare.processes import Children
from spacy_xlt.workflow import transfer as module


@pytest.fixture
def command(tmp_path, monkeypatch) -> list[str]:
    """The command for a few sentences, whose trainings run in this process."""
    monkeypatch.setattr(Children, "run", lambda self, command, log: run_python(["-m", *command]))
    # Wheels are made without what pip would fetch
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    data = write_data(tmp_path / "data", n=30)
    options = ["--source", "en", "--target", "pt", "--max-steps", "2", "--output", tmp_path / "made"]
    return ["transfer", *map(str, [data / "mine.jsonl", *options])]


# The steps one by one: tests/project/test_workflow.py; their running and stopping: test_run.py
@pytest.mark.long
def test_one_command_goes_from_annotated_text_to_a_wheel_and_goes_on_where_it_was_stopped(
    command, tmp_path, monkeypatch
):
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "estimate", stopped)
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 130 and "the same command goes on" in done.output
    converted = tmp_path / "made/project/corpus/source/data.spacy"
    before = converted.stat().st_mtime_ns
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "It will take about" in done.output and "The bundled model" in done.output
    (wheel,) = (tmp_path / "made").glob("*.whl")
    assert f"pip install {wheel}" in done.output and "source-dev F1" in done.output
    assert any(name.endswith("xlt_ner.py") for name in zipfile.ZipFile(wheel).namelist())
    assert converted.stat().st_mtime_ns == before
    expected = json.loads((tmp_path / "made/expected.json").read_text())
    assert set(expected) == {"build", "train", "package"} and all(seconds > 0 for seconds in expected.values())
    # Other options are another job
    done = CliRunner().invoke(app, [*command, "--max-steps", "3"])
    assert done.exit_code == 1 and "XLT-E505" in done.output and "max_steps was '2' and is '3'" in done.output


def test_a_folder_of_something_else_is_left_alone(command, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "notes.txt").write_text("mine")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1 and "XLT-E506" in done.output
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["notes.txt"]


def test_changed_data_are_not_gone_on_with(command, tmp_path, monkeypatch):
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_steps", stopped)
    assert CliRunner().invoke(app, command).exit_code == 130
    data = Path(command[1])
    data.write_text(data.read_text() * 2)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1 and "XLT-E505" in done.output and "assets/source/mine.jsonl" in done.output


def test_a_gpu_that_is_not_there_is_said_before_anything_is_written(command, tmp_path):
    done = CliRunner().invoke(app, [*command, "--gpu-id", "99"])
    assert done.exit_code == 1 and "XLT-E510" in done.output and "--gpu-id is 99" in done.output
    assert not (tmp_path / "made").exists()
