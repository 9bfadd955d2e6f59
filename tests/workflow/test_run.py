"""The steps of a project in this process: what they print, what fails, what is not done again, and how long is left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spacy_xlt.errors import XltError
from spacy_xlt.workflow.run import Bar, duration, printing_to, run_steps

PROJECT = """
title: "Test"
commands:
  - name: write
    script: ["python -m xlt_test_step write"]
    outputs: ["out.txt"]
  - name: fail
    script: ["python -m xlt_test_step fail"]
  - name: stop
    script: ["python -m xlt_test_step stop"]
"""
MODULE = """
import os, sys
print("step", sys.argv[1])
if sys.argv[1] == "write":
    with open("out.txt", "a") as file:
        file.write("x")
    os.system("echo from a child")
sys.exit({"write": 0, "fail": 3, "stop": 130}[sys.argv[1]])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.yml").write_text(PROJECT)
    (tmp_path / "xlt_test_step.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "project"


def test_a_step_is_run_in_the_project_and_once(folder, capfd):
    here, log = os.getcwd(), folder / "log.txt"
    for _ in range(2):
        run_steps(folder, ["write"], log)
    assert (folder / "out.txt").read_text() == "x" and os.getcwd() == here
    assert log.read_text().count("\nstep write\n") == 1 and "from a child" in log.read_text()
    assert "step" not in "".join(capfd.readouterr())


def test_a_failing_step_is_named_with_the_end_of_what_it_printed(folder):
    argv = list(sys.argv)
    with pytest.raises(XltError, match="step fail failed") as caught:
        run_steps(folder, ["fail"], folder / "log.txt")
    assert caught.value.code == "E596" and "goes on" in caught.value.message and "log.txt" in caught.value.message
    assert sys.argv == argv


def test_an_interrupted_step_is_no_failure(folder):
    with pytest.raises(KeyboardInterrupt):
        run_steps(folder, ["stop"], folder / "log.txt")


def test_what_is_printed_goes_to_the_file_and_then_to_the_terminal_again(tmp_path, capfd):
    with printing_to(tmp_path / "log.txt"):
        print("in the file")
        os.system("echo and a child")
    print("on the terminal")
    assert (tmp_path / "log.txt").read_text().split("\n")[:2] == ["in the file", "and a child"]
    assert capfd.readouterr().out == "on the terminal\n"


def test_the_time_that_is_left_follows_what_was_slower_than_expected(monkeypatch):
    with Bar({"build": 10.0, "train": 30.0}, shown=False) as bar:
        assert bar.left("build", 0.0) == 40.0
        # On time, and then twice as long as it should be
        assert bar.left("build", 5.0) == pytest.approx(35.0)
        assert bar.left("build", 20.0) == pytest.approx(60.0)


def test_a_step_that_nothing_is_to_do_for_says_nothing_of_the_time_that_is_left():
    with Bar({"build": 10.0, "train": 30.0}, shown=False) as bar:
        bar.skip("build")
        assert bar.left("train", 0.0) == 30.0 and bar.left("train", 10.0) == pytest.approx(20.0)


def test_durations_are_in_words():
    assert duration(0.4) == "0 s" and duration(99) == "99 s" and duration(600) == "10 min"
