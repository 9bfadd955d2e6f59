"""A comparison in earnest, in miniature: real trainings, killed, gone on with, changed, and failing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from helpers.compare_plans import BASE, write_plan
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.compare.processes import Process, peak_mib
from spacy_xlt.compare.runner import locked
from spacy_xlt.errors import XltError

STRATEGIES = """
[strategies.first]
type = "train"
configs = ["base.cfg"]

[strategies.second]
type = "train"
configs = ["base.cfg"]

[strategies.second.overrides]
training.dropout = 0.3
"""
SENTENCES = [
    ("Ana lives in Porto", (0, 1, "PER"), (3, 4, "LOC")),
    ("Rui met Eva in Lisbon", (0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC")),
    ("nothing happened there",),
]


@pytest.fixture
def folder(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    for name in ("train", "dev", "test"):
        write_corpus([make_doc(*sentence) for sentence in SENTENCES] + [make_doc(f"only in {name}")], f"{name}.spacy")
    (tmp_path / "base.cfg").write_text(BASE)
    write_plan(tmp_path, STRATEGIES, baseline="first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "spacy", "xlt", "compare", "plan.cfg", "out", *options]


def compare(*options: str) -> Result:
    return CliRunner().invoke(app, ["compare", "plan.cfg", "out", *options])


def stamps(run: str) -> dict[str, tuple[int, int]]:
    """Which files of a run there are: inode and time of the last change."""
    files = (path for path in Path("out/runs", run).rglob("*") if path.is_file())
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def kill_when(process: subprocess.Popen[bytes], there: Path) -> None:
    end = time.monotonic() + 300
    while not there.exists():
        assert process.poll() is None and time.monotonic() < end, "the comparison ended too early"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_a_killed_comparison_goes_on_and_a_changed_one_does_what_changed(folder: Path) -> None:
    process = subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The second training is on its way
    kill_when(process, Path("out/runs/first/1/log.txt"))
    time.sleep(0.5)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(Path("out/runs/first/1/config.cfg")) not in running, "a child outlived the comparison"
    before = stamps("first/0")
    assert {"state.json", "test.json", "test.spacy", "log.txt"} <= set(before)
    assert not Path("out/runs/first/1/state.json").exists()

    dry = compare("--dry-run")
    assert [line.split()[2:4] for line in dry.output.splitlines() if line.startswith(("first", "second"))] == [
        ["done"], ["to", "do"], ["to", "do"], ["to", "do"]
    ]  # fmt: skip
    again = compare("--jobs", "2")
    assert again.exit_code == 0, again.output
    assert stamps("first/0") == before
    report = json.loads(Path("out/report.json").read_text())
    assert report["missing"] == {}
    assert {name: data["runs"] for name, data in report["strategies"].items()} == {"first": 2, "second": 2}
    for run in report["runs"].values():
        assert run["seconds"] > 0 and run["words_per_second"] > 0 and run["peak_mib"] > 50
        assert run["signature"].startswith(f"strategy:{run['strategy']}|type:train|seed:{run['seed']}|config:")
        assert "device:cpu" in run["signature"]
    assert "## F1" in Path("out/report.md").read_text()
    assert Path("out/report.svg").exists() and "<svg" in Path("out/report.html").read_text()

    # Another setting of one strategy, and a strategy that cannot be trained
    broken = '\n[strategies.broken]\ntype = "train"\nconfigs = ["base.cfg"]\n'
    broken += 'overrides = {"training.train_corpus": "corpora.none"}\n'
    broken += '\n[strategies.needy]\ntype = "average"\nmodels = "{broken}"\n'
    write_plan(folder, STRATEGIES.replace("0.3", "0.4") + broken, baseline="first")
    changed = compare("--seeds", "0")
    assert changed.exit_code == 1
    assert "training.dropout was 0.3 and is 0.4" in changed.output
    assert stamps("first/0") == before
    assert "corpora.none" in changed.output or "none" in Path("out/runs/broken/0/log.txt").read_text()
    report = json.loads(Path("out/report.json").read_text())
    assert set(report["missing"]) == {"broken/0", "needy/0"}
    assert "broken/0" in report["missing"]["needy/0"]
    assert report["strategies"]["second"]["sets"]["test"]["seeds"] == 1
    state = json.loads(Path("out/runs/second/0/state.json").read_text())
    assert state["identity"]["config"]["training"]["dropout"] == 0.4


def test_a_folder_in_use_is_refused_and_a_dead_process_keeps_nothing(folder: Path) -> None:
    script = "import sys, time; from pathlib import Path; from spacy_xlt.compare.runner import locked\n"
    script += "with locked(Path('out')): print('locked', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    try:
        with pytest.raises(XltError) as caught, locked(Path("out")):
            pass
        assert caught.value.code == "E667"
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with locked(Path("out")):
        pass


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("mine")
    done = CliRunner().invoke(app, ["compare", "plan.cfg", "out"])
    assert done.exit_code == 1
    assert "XLT-E668" in done.output
    assert Path("out/thesis.txt").read_text() == "mine"
    assert not Path("out/runs").exists()


@pytest.mark.parametrize("options", [["--jobs", "0"], ["--seeds", "a"], ["--seeds", "9"], ["--only", "third"]])
def test_options_that_cannot_be_are_refused_before_anything_is_written(folder: Path, options: list[str]) -> None:
    done = CliRunner().invoke(app, ["compare", "plan.cfg", "out", *options])
    assert done.exit_code == 1
    assert "XLT-E6" in done.output
    assert not Path("out").exists()


def test_a_process_is_measured_and_ended_with_what_it_started(tmp_path: Path) -> None:
    script = "import subprocess, sys; b = bytearray(60_000_000); print('tail', flush=True)\n"
    script += "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = Process([sys.executable, "-c", script], tmp_path / "log.txt", threads=1)
    end = time.monotonic() + 60
    while "\ntail" not in (tmp_path / "log.txt").read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is None
    if peak_mib() is not None:
        assert process.peak_mib is not None and 60 < process.peak_mib < 300
    process.end()
    assert process.poll() not in (None, 0)
    assert process.tail().endswith("tail")
