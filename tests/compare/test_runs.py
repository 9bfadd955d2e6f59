"""A comparison in earnest, in miniature: real trainings, killed, gone on with, changed, and failing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from click.testing import Result
from helpers.children import WITHOUT_TORCH
from helpers.compare_plans import ASSEMBLE, BASE, write_plan
from helpers.in_process import run_python
from helpers.tiny_encoder import make_tiny_encoder
from spacy.tokens import Doc
from thinc.api import Config
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.compare.processes import Children, tail
from spacy_xlt.io import lock_folder
from spacy_xlt.readers.docbin import read_docs

STRATEGIES = """
[strategies.trained]
type = "train"
configs = ["base.cfg"]

[strategies.put-together]
type = "assemble"
configs = ["assemble.cfg"]
overrides = {"paths.trained": "{trained}"}

[strategies.mean]
type = "average"
models = ["{trained}/model-best", "{trained}/model-last"]
"""
# A training that fails, and what needs it
BROKEN = """
[strategies.broken]
extends = "trained"
overrides = {"training.train_corpus": "corpora.none"}

[strategies.needy]
type = "average"
models = "{broken}"
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
    (tmp_path / "assemble.cfg").write_text(ASSEMBLE)
    write_plan(tmp_path, STRATEGIES, baseline="trained", seeds="[0]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*options: str, **streams: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "spacy", "xlt", "compare", "plan.cfg", str(Path("out").absolute()), *options]
    return subprocess.Popen(command, env={**os.environ, **WITHOUT_TORCH}, **streams)


def compare(*options: str) -> Result:
    return CliRunner().invoke(app, ["compare", "plan.cfg", "out", *options])


def stamps(run: str) -> dict[str, tuple[int, int]]:
    """Which files of a run there are: inode and time of the last change."""
    files = (path for path in Path("out/runs", run).rglob("*") if path.is_file())
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def wait_for(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while not there():
        assert process.poll() is None and time.monotonic() < end, "the comparison ended too early"
        time.sleep(0.1)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process at the end of the block, however that comes."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def running(what: str) -> bool:
    return what in subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True).stdout


def gone(what: str) -> bool:
    end = time.monotonic() + 30
    while running(what) and time.monotonic() < end:
        time.sleep(0.1)
    return not running(what)


def config_of(run: str) -> str:
    """What the command line of a training has that is no other test's."""
    return str(Path("out/runs", run, "config.cfg").absolute())


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the commands of jobs in this process: only what they do, not how processes end, is at stake."""

    def run(self: Children, command: Sequence[str], log: Path) -> int:
        with log.open("a") as file, redirect_stdout(file), redirect_stderr(file):
            return run_python(["-m", *command])

    monkeypatch.setattr(Children, "run", run)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_a_killed_comparison_goes_on_and_a_changed_one_does_what_changed(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    process = start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(process):
        wait_for(lambda: running(config_of("put-together/0")), process)
    assert gone(config_of("put-together/0")), "a child outlived the comparison"
    before = stamps("trained/0")
    assert {"state.json", "record.json", "test.spacy", "log.txt"} <= set(before)
    assert not Path("out/runs/put-together/0/state.json").exists()

    request.getfixturevalue("in_process")
    dry = compare("--dry-run")
    states = {words[0]: words[2] for words in map(str.split, dry.output.splitlines()) if words and "/" in words[0]}
    assert states == {"trained/0": "done", "put-together/0": "to", "mean/0": "to"}
    again = compare()
    assert again.exit_code == 0, again.output
    assert stamps("trained/0") == before
    report = json.loads(Path("out/report.json").read_text())
    strategies = report["strategies"]
    assert report["missing"] == {}
    assert {name: (data["type"], data["runs"]) for name, data in strategies.items()} == {
        "trained": ("train", 1), "put-together": ("assemble", 1), "mean": ("average", 1)
    }  # fmt: skip
    # What is put together from one pipeline finds what that one finds
    f1 = {name: data["sets"]["test"]["f"]["values"] for name, data in strategies.items()}
    assert f1["put-together"] == f1["trained"] and strategies["put-together"]["needs"] == ["trained"]
    for run in report["runs"].values():
        assert run["seconds"] > 0 and run["words_per_second"] > 0 and "device:cpu" in run["signature"]
        assert run["signature"].startswith(f"strategy:{run['strategy']}|type:")
    assert "## F1" in Path("out/report.md").read_text()
    assert Path("out/report.svg").exists() and "<svg" in Path("out/report.html").read_text()

    # Another setting of one strategy, and a strategy that cannot be trained
    write_plan(
        folder, STRATEGIES.replace('"{trained}"', '"{trained}/model-last"') + BROKEN, baseline="trained", seeds="[0]"
    )
    changed = compare("--only", "put-together,needy")
    said = " ".join(changed.output.split())
    assert changed.exit_code == 1 and "2 of 4 runs are missing" in said
    assert "put-together/0 assemble stale changed: settings" in said
    assert stamps("trained/0") == before
    # The end of its log is shown, and the others went on
    assert "broken/0: train: it ended with 1" in said and "corpora.none" in said
    report = json.loads(Path("out/report.json").read_text())
    assert set(report["missing"]) == {"broken/0", "needy/0"}
    assert "broken/0" in report["missing"]["needy/0"] and "log.txt" in report["missing"]["broken/0"]
    assert report["strategies"]["put-together"]["sets"]["test"]["seeds"] == 1
    assert "model-last" in Path("out/runs/put-together/0/config.cfg").read_text()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_an_interrupted_comparison_ends_its_children_and_says_that_it_goes_on(folder: Path) -> None:
    process = start("--only", "trained", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with ended(process):
        wait_for(lambda: running(config_of("trained/0")), process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    said = " ".join(output.decode().split())
    assert "the same command goes on from there" in said and "ended by signal" not in said
    assert gone(config_of("trained/0"))


def test_compare_rejects_folder_in_use(folder: Path) -> None:
    with lock_folder("out"):
        done = compare()
    assert done.exit_code == 1 and "XLT-E571" in done.output


def test_compare_rejects_folder_of_something_else(folder: Path) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("mine")
    done = CliRunner().invoke(app, ["compare", "plan.cfg", "out"])
    assert done.exit_code == 1
    assert "XLT-E506" in done.output
    assert Path("out/thesis.txt").read_text() == "mine"
    assert not Path("out/runs").exists()


@pytest.mark.parametrize("dry", ["", "--dry-run"])
@pytest.mark.parametrize("marker", ["", '{"theirs": 1}', "[]", "{"])
def test_a_marker_that_is_not_ours_protects_the_folder(folder: Path, marker: str, dry: str) -> None:
    Path("out/runs/trained/0").mkdir(parents=True)
    for name in ("comparison.json", "report.md", "runs/trained/0/thesis.txt"):
        Path("out", name).write_text(marker)
    done = compare(*dry.split())
    assert done.exit_code == 1 and "XLT-E506" in done.output
    assert {path.read_text() for path in Path("out").rglob("*") if path.is_file()} == {marker}
    assert not Path("out/.lock").exists()


@pytest.mark.parametrize("dry", ["", "--dry-run"])
@pytest.mark.parametrize("name", ["train.spacy", "dev.spacy", "test.spacy"])
def test_a_corpus_that_is_missing_is_named_before_anything_is_done(folder: Path, name: str, dry: str) -> None:
    Path(name).unlink()
    done = compare(*dry.split())
    assert done.exit_code == 1 and "XLT-E502" in done.output and name in done.output
    assert not Path("out").exists()


def test_runs_do_not_follow_a_link_out_of_the_folder(folder: Path) -> None:
    Path("theirs/trained/0").mkdir(parents=True)
    Path("theirs/trained/0/thesis.txt").write_text("mine")
    Path("out").mkdir()
    Path("out/comparison.json").write_text("{}")
    Path("out/runs").symlink_to(Path("theirs").absolute())
    assert "XLT-E557" in compare().output
    assert Path("theirs/trained/0/thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "code"),
    [("--jobs 0", "E510"), ("--seeds a", "E510"), ("--seeds 9", "E664"), ("--only third", "E664")],
)
def test_compare_rejects_invalid_options_before_writing(folder: Path, options: str, code: str) -> None:
    done = CliRunner().invoke(app, ["compare", "plan.cfg", "out", *options.split()])
    assert done.exit_code == 1
    assert f"XLT-{code}" in done.output
    assert not Path("out").exists()


@pytest.mark.parametrize(("asked", "threads"), [(None, "4"), ("1", "1"), ("8", "4")])
def test_a_process_computes_with_no_more_threads_than_asked_for(tmp_path, monkeypatch, asked, threads):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    script = tmp_path / "says.py"
    script.write_text("import os\nprint({k: v for k, v in os.environ.items() if k.endswith('_NUM_THREADS')})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert Children(threads=4).run(["says"], tmp_path / "log.txt") == 0
    said = (tmp_path / "log.txt").read_text()
    assert said.count(f"_NUM_THREADS': '{threads}'") == 3


def test_a_child_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import subprocess, sys; print('begun', flush=True)\n"
    script += f"subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)  # {tmp_path}'])"
    (tmp_path / "sleeper.py").write_text(script)
    monkeypatch.chdir(tmp_path)
    log, children = tmp_path / "log.txt", Children(threads=1)
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(children.run, ["sleeper"], log)
        end = time.monotonic() + 60
        while not (log.exists() and "\nbegun" in log.read_text()) and time.monotonic() < end:
            time.sleep(0.02)
        assert not code.done()
        children.end()
        assert code.result(timeout=30) != 0
    assert tail(log).endswith("begun") and gone(f"# {tmp_path}")
    # None is started any more
    assert children.run(["sleeper"], log) != 0


TAUGHT = """
[strategies.taught]
extends = "trained"
overrides = {"paths.train": "{run}/labelled"}

[strategies.taught.label]
pipelines = "{trained}"
raw = "pool.spacy"
sure = 0.5
agree = true
"""


def test_a_training_labels_text_first_without_the_evaluation_sets(
    folder: Path, in_process: None, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    write_corpus([make_doc(*SENTENCES[0]), make_doc("Eva lives in Faro", (0, 1, "PER"), (3, 4, "LOC"))], "pool.spacy")
    write_plan(folder, STRATEGIES + TAUGHT, baseline="trained", seeds="[0]")
    result = compare("--only", "taught")
    assert result.exit_code == 0, result.output
    assert [doc.text for doc in read_docs("out/runs/taught/0/labelled")] == ["Eva lives in Faro "]
    report = json.loads(Path("out/report.json").read_text())
    assert set(report["strategies"]) == {"trained", "taught"} and not report["missing"]
    assert "taught/0: label took" in result.output


ADAPTED = """
[strategies.adapted]
extends = "trained"
overrides = {"paths.encoder": "{run}/adapted"}

[strategies.adapted.adapt]
config = "self_align.cfg"
overrides = {"adapting.steps": 3, "adapting.model": "12", "paths.targets": {"xx": "target.txt"}}
"""
SELF_ALIGN = """
[paths]
source = "source.txt"
targets = {"pt":"none.txt"}

[adapting]
model = "none"
steps = 9
seed = 5

[objectives]

[objectives.self_align]
@misc = "spacy_xlt.SelfAlign.v1"

[objectives.self_align.pairs]
@misc = "spacy_xlt.ParallelLines.v1"
source = ${paths.source}
targets = ${paths.targets}
"""


def test_a_training_begins_with_what_was_adapted(folder: Path, in_process: None) -> None:
    make_tiny_encoder(Path("12"))
    Path("source.txt").write_text("Maria lives in Lisboa .\n")
    Path("target.txt").write_text("Maria mora em Lisboa .\n")
    Path("self_align.cfg").write_text(SELF_ALIGN)
    write_plan(folder, STRATEGIES + ADAPTED, baseline="trained", seeds="[7]")
    result = compare("--only", "adapted")
    assert result.exit_code == 0, result.output
    adapted = "out/runs/adapted/7/adapted"
    summary = json.loads(Path(adapted, "adapting.json").read_text())
    assert (summary["seed"], summary["steps"]) == (7, 3) and summary["model"] == "12"
    assert Config().from_disk("out/runs/adapted/7/config.cfg")["paths"]["encoder"] == adapted
    seconds = {what: float(took) for what, took in re.findall(r"adapted/7: (\w+) took ([0-9.]+) s", result.output)}
    assert list(seconds)[:2] == ["adapt", "train"]
    state = json.loads(Path("out/runs/adapted/7/state.json").read_text())
    assert state["seconds"] == pytest.approx(seconds["adapt"] + seconds["train"], abs=0.2)
    again = compare("--only", "adapted", "--dry-run")
    assert re.search(r"adapted/7 +train +done", again.output)


@pytest.mark.slow
def test_pipelines_of_each_language_are_one_strategy_in_the_report(folder: Path, in_process: None) -> None:
    (folder / "base.cfg").write_text(f'{BASE}\n[languages]\ntargets = ""\n')
    strategies = (
        '[strategies.all]\ntype = "train"\nconfigs = ["base.cfg"]\n\n[strategies.one-{lang}]\nextends = "all"\n'
    )
    plan = write_plan(folder, strategies, baseline="all", seeds="[0]")
    text = plan.read_text().replace('test = "test.spacy"', '{lang} = "{lang}.spacy"')
    plan.write_text(text.replace("[overrides]\n", '[overrides]\nlanguages.targets = "de,sv,nb"\n'))
    for lang in ("de", "sv"):
        shutil.copy("test.spacy", f"{lang}.spacy")
    done = compare()
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out/report.json").read_text())
    of = report["strategies"]
    assert {name: (data["runs"], list(data["sets"])) for name, data in of.items()} == {
        "all": (1, ["de", "sv"]), "one-{lang}": (3, ["de", "sv"])
    }  # fmt: skip
    values = [report["runs"][f"one-{lang}/0"]["sets"][lang]["f"] for lang in ("de", "sv")]
    assert of["one-{lang}"]["over_sets"]["f"]["mean"] == pytest.approx(sum(values) / 2)
    assert report["no_gold"] == ["nb"] and done.output.count("No gold: nb.") == 1
    found = {path.parent.parent.parent.name: path.name for path in Path("out").rglob("one-*/0/predictions/*.spacy")}
    assert found == {"one-de": "de.spacy", "one-sv": "sv.spacy"}
