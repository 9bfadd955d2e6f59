"""Worker processes: the same output as without, also when they are killed by a document or from outside."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.builds import CODE, CONFIG, build_in_process, built, make_pipeline, n_lines, write_texts
from helpers.children import WITHOUT_TORCH, without
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_xlt.build import builder
from spacy_xlt.build.builder import build
from spacy_xlt.build.processes import WorkerProcesses, _no_ctrl_c
from spacy_xlt.build.worker_spec import WorkerSpec
from spacy_xlt.build.workers import make_workers
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import read_docs

TEXTS = [f"Maria saw Rio {i} ." for i in range(9)]


@pytest.fixture
def pools(monkeypatch) -> list[WorkerProcesses]:
    """Grows with each pool of processes that is made."""
    made: list[WorkerProcesses] = []
    make = WorkerProcesses._make_pool
    monkeypatch.setattr(WorkerProcesses, "_make_pool", lambda self: made.append(self) or make(self))
    return made


@pytest.fixture
def start_workers(monkeypatch) -> Callable[[Language, int], WorkerProcesses]:
    """Workers for a pipeline that needs no PyTorch."""

    def start(nlp: Language, n: int) -> WorkerProcesses:
        workers = make_workers(nlp, workers=n, code=CODE)
        # There is no PyTorch to be told how many threads it has
        workers.spec = replace(workers.spec, threads=0)
        return workers

    for name, value in WITHOUT_TORCH.items():
        monkeypatch.setenv(name, value)
    return start


def test_workers_build_what_one_process_builds_also_if_one_is_killed(tmp_path, monkeypatch, pools, start_workers):
    nlp, corpus = make_pipeline(seconds=0.05), write_texts(tmp_path / "corpus.spacy", TEXTS)
    expected = build_in_process(corpus, tmp_path / "whole", size=2)
    store, stored = builder._store, []

    def store_and_kill(result, manifest):
        store(result, manifest)
        stored.append(result.shard)
        if len(stored) == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    monkeypatch.setattr(builder, "_store", store_and_kill)
    build(nlp, corpus, tmp_path / "built", docs_per_shard=2, workers=start_workers(nlp, 2))
    assert built(tmp_path / "built") == expected and len(pools) == 2
    assert not multiprocessing.active_children() and not pools[0]._folder.exists()


@pytest.mark.slow
def test_documents_that_end_their_worker_are_set_aside_and_nothing_else_is(tmp_path, pools, start_workers):
    texts = ["Maria sleeps", "Bob kill", "Ann crash", "Rui sleeps"]
    nlp, corpus = make_pipeline(), write_texts(tmp_path / "corpus.spacy", texts)
    summary = build(nlp, corpus, tmp_path / "built", docs_per_shard=3, workers=start_workers(nlp, 1))
    assert {one["text"].strip(): one["error"] for one in summary["failed"]} == {
        "Bob kill": "the worker that processed it ended",
        "Ann crash": "xlt_translator: RuntimeError: this text cannot be translated",
    }
    assert [doc.text for doc in read_docs(tmp_path / "built" / "target")] == ["MARIA SLEEPS ", "RUI SLEEPS "]
    # The whole shard twice, the half with two documents, the document twice
    assert len(pools) == 1 + 5


@pytest.mark.slow
def test_engine_that_cannot_be_made_in_a_worker_is_its_own_error(tmp_path, capfd, start_workers):
    nlp, corpus = make_pipeline(fails="error"), write_texts(tmp_path / "corpus.spacy", TEXTS)
    with pytest.raises(XltError, match="E150.*`fails` of Upper is 'error'"):
        build(nlp, corpus, tmp_path / "built", workers=start_workers(nlp, 2))
    assert not multiprocessing.active_children() and "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_workers_that_all_end_at_their_start_stop_the_build(tmp_path, pools, start_workers):
    nlp, corpus = make_pipeline(fails="exit"), write_texts(tmp_path / "corpus.spacy", TEXTS)
    with pytest.raises(XltError, match="E585"):
        build(nlp, corpus, tmp_path / "built", workers=start_workers(nlp, 1))
    assert len(pools) == 3 and not multiprocessing.active_children()


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError, IndexError):
            parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, *, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
def test_command_that_is_ended_leaves_nothing_behind_and_goes_on_later(tmp_path, monkeypatch, how):
    corpus = write_texts(tmp_path / "corpus.spacy", [f"Maria saw Rio {i} ." for i in range(30)])
    (tmp_path / "config.cfg").write_text(CONFIG)
    (tmp_path / "temp").mkdir()
    output, log = tmp_path / "built", tmp_path / "log.txt"
    command = [sys.executable, "-m", "spacy", "xlt", "build", str(tmp_path / "config.cfg"), str(corpus), str(output)]
    command += ["--no-report", "--docs-per-shard", "3", "--code", str(CODE), "--workers", "1"]
    command += ["--components.xlt_translator.engine.seconds", "0.2"]
    env = {**os.environ, **without("spacy_transformers"), "TMPDIR": str(tmp_path / "temp")}
    with log.open("wb") as file:
        driver = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, env=env)
    try:
        wait_for(lambda: driver.poll() is not None or n_lines(output / "manifest.jsonl") > 2)
        family = descendants(driver.pid)
        assert family, log.read_text()
        # Ctrl-C of a terminal reaches all processes of the group
        (os.killpg if how == signal.SIGINT else os.kill)(driver.pid, how)
        driver.wait(60)
        wait_for(lambda: not any(map(is_alive, family)), seconds=20.0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    said = " ".join(log.read_text().split())
    assert driver.returncode == (130 if how == signal.SIGINT else -how), said
    assert "Traceback" not in said and 2 < n_lines(output / "manifest.jsonl") < 11
    assert ("the same command goes on from there" in said) == (how == signal.SIGINT)
    assert not list((tmp_path / "temp").glob("spacy-xlt-*"))
    # Another kind of run goes on
    build(make_pipeline(seconds=0.2), corpus, output, docs_per_shard=3)
    assert built(output) == build_in_process(corpus, tmp_path / "whole", size=3)


def test_components_with_weights_of_their_own_are_the_same_in_a_worker(tmp_path):
    nlp = make_pipeline()
    ruler = nlp.add_pipe("entity_ruler", first=True, config={"overwrite_ents": True})
    ruler.add_patterns([{"label": "LOC", "pattern": "Rio"}])
    tagger = nlp.add_pipe("tagger", first=True)
    doc = Doc(nlp.vocab, words=["Maria", "saw", "Rio"], tags=["A", "B", "C"])
    tagger.initialize(lambda: [Example(doc.copy(), doc)], nlp=nlp)
    corpus, there = write_texts(tmp_path / "corpus.spacy", TEXTS[:3]), WorkerSpec.of(nlp).start().nlp
    for ours, theirs in zip(read_docs(corpus, vocab=nlp.vocab), read_docs(corpus, vocab=there.vocab), strict=True):
        expected, result = nlp(ours), there(theirs)
        assert [token.tag_ for token in result] == [token.tag_ for token in expected]
        assert [ent.label_ for ent in result.ents] == [ent.label_ for ent in expected.ents] == ["PER", "LOC"]


def test_code_is_a_module_for_what_looks_its_classes_up(tmp_path):
    code = tmp_path / "my code.py"
    code.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom pathlib import Path\n"
        "@dataclass\nclass Mine:\n    x: int = 1\nHERE = Path(__file__).name\n"
    )
    WorkerSpec.of(make_pipeline(), code=code).start()
    assert sys.modules["python_code"].HERE == "my code.py" and sys.modules["python_code"].Mine().x == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_ctrl_c_does_not_reach_a_worker_even_while_it_starts():
    def is_blocked() -> int:
        said = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
        (line,) = [line for line in said.splitlines() if line.startswith("SigBlk")]
        return int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1

    with _no_ctrl_c():
        assert is_blocked() == 1
    assert is_blocked() == 0
