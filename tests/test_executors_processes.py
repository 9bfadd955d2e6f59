"""Worker processes: the same output as without, also when they are killed by a document or from outside."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.worker_builds import CODE, built, executor, in_process, pipeline, write_texts
from helpers.worker_engines import CONFIG
from spacy.tokens import Doc
from spacy.training import Example

from spacy_xlt.build.builder import Builder
from spacy_xlt.build.executors import making, pool
from spacy_xlt.build.executors.processes import ProcessPool
from spacy_xlt.build.executors.recipe import Recipe, share_of_cores
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import read_docs

TEXTS = [f"Maria saw Rio {i} ." for i in range(13)]


def starts(monkeypatch) -> list[int]:
    """The workers that are started from now on."""
    found: list[int] = []
    start = ProcessPool.start

    def counted(self, worker):
        found.append(worker)
        start(self, worker)

    monkeypatch.setattr(ProcessPool, "start", counted)
    return found


def test_workers_build_what_one_process_builds(tmp_path):
    nlp, corpus = pipeline(), write_texts(tmp_path / "corpus.spacy", TEXTS)
    expected = in_process(nlp, corpus, tmp_path / "whole", size=2)
    summary = Builder(nlp, corpus, tmp_path / "built", docs_per_shard=2).run(executor(nlp, workers=3))
    assert summary["docs"] == 13 and built(tmp_path / "built") == expected
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_worker_killed_from_outside_changes_nothing(tmp_path, monkeypatch):
    nlp, corpus = pipeline(seconds=0.05), write_texts(tmp_path / "corpus.spacy", TEXTS)
    expected = in_process(pipeline(), corpus, tmp_path / "whole", size=2)
    started, store = starts(monkeypatch), Builder._store

    def store_and_kill(self, done):
        store(self, done)
        if self.n_built == 2:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    monkeypatch.setattr(Builder, "_store", store_and_kill)
    Builder(nlp, corpus, tmp_path / "built", docs_per_shard=2).run(executor(nlp, workers=2))
    found = built(tmp_path / "built")
    assert found == expected and len(started) == 3


@pytest.mark.slow
def test_documents_that_end_their_worker_are_set_aside_and_nothing_else_is(tmp_path, monkeypatch):
    texts = list(TEXTS)
    texts[1], texts[3], texts[4] = "Bob kill", "Eve exit now", "Ann raise"
    nlp, corpus = pipeline(), write_texts(tmp_path / "corpus.spacy", texts)
    started = starts(monkeypatch)
    # How often for real is tested without processes
    monkeypatch.setattr(pool, "DEATHS_BEFORE_TRIAL", 1)
    monkeypatch.setattr(pool, "DEATHS_OF_A_DOCUMENT", 1)
    summary = Builder(nlp, corpus, tmp_path / "built", docs_per_shard=5).run(executor(nlp, workers=1))
    assert {one["text"].strip(): one["error"] for one in summary["failed"]} == {
        "Bob kill": "the worker ended: signal 9 (SIGKILL)",
        "Eve exit now": "the worker ended: exit code 7",
        "Ann raise": "xlt_translator: RuntimeError: this text cannot be translated",
    }
    # The first one, one after the whole shard and one after each of the two documents
    assert summary["docs"] == 13 and summary["docs_failed"] == 3 and len(started) == 1 + 1 + 2
    whole = write_texts(tmp_path / "others.spacy", [text for i, text in enumerate(texts) if i not in (1, 3, 4)])
    expected = in_process(nlp, whole, tmp_path / "whole", size=2)
    found = built(tmp_path / "built")
    assert found["target/pt-00001.spacy"] == _target(nlp, tmp_path, texts[5:10])
    assert found["target/pt-00000.spacy"] == expected["target/pt-00000.spacy"]


def _target(nlp, tmp_path, texts) -> bytes:
    corpus = write_texts(tmp_path / "some.spacy", texts)
    return in_process(nlp, corpus, tmp_path / "some", size=len(texts))["target/pt-00000.spacy"]


@pytest.mark.slow
def test_an_engine_that_cannot_be_made_in_a_worker_is_its_own_error(tmp_path, capfd):
    nlp, corpus = pipeline(fails="error"), write_texts(tmp_path / "corpus.spacy", TEXTS)
    with pytest.raises(XltError, match="E220.*`fails` is 'error'"):
        Builder(nlp, corpus, tmp_path / "built").run(executor(nlp, workers=2))
    assert not multiprocessing.active_children() and "Traceback" not in capfd.readouterr().err


@pytest.mark.long
@pytest.mark.slow
def test_workers_that_all_end_at_their_start(tmp_path, monkeypatch):
    nlp, corpus = pipeline(fails="exit"), write_texts(tmp_path / "corpus.spacy", TEXTS)
    started = starts(monkeypatch)
    monkeypatch.setattr(pool, "MOST_FAILED_STARTS", 2)
    with pytest.raises(XltError, match="E585.*exit code 3"):
        Builder(nlp, corpus, tmp_path / "built").run(executor(nlp, workers=1))
    assert len(started) == 2 and not multiprocessing.active_children()


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    family = {pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {pid}


def alive(pid: int) -> bool:
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
@pytest.mark.parametrize(("how", "workers"), [(signal.SIGINT, 1), (signal.SIGKILL, 1)])
def test_a_command_that_is_ended_leaves_no_process_and_goes_on_later(tmp_path, how, workers):
    corpus = write_texts(tmp_path / "corpus.spacy", [f"Maria saw Rio {i} ." for i in range(60)])
    config = tmp_path / "config.cfg"
    config.write_text(CONFIG)
    output = tmp_path / "built"
    command = [sys.executable, "-m", "spacy", "xlt", "build", str(config), str(corpus), str(output), "--no-report"]
    command += ["--docs-per-shard", "3", "--code", str(CODE), "--workers", str(workers)]
    command += ["--components.xlt_translator.engine.seconds", "0.2"]
    manifest, log = output / "manifest.jsonl", tmp_path / "log.txt"
    with log.open("wb") as file:
        driver = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_for(lambda: driver.poll() is not None or _lines(manifest) > 3)
        family = descendants(driver.pid)
        assert len(family) >= workers, log.read_text()
        # Ctrl-C of a terminal reaches all processes of the group
        (os.killpg if how == signal.SIGINT else os.kill)(driver.pid, how)
        driver.wait(60)
        wait_for(lambda: not any(map(alive, family)), seconds=10.0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    assert driver.returncode == (130 if how == signal.SIGINT else -how), log.read_text()
    assert "Traceback" not in log.read_text() and 3 < _lines(manifest) < 21
    if how == signal.SIGINT:
        assert not list(output.rglob("*.part"))
    # Another kind of run goes on
    Builder(pipeline(seconds=0.2), corpus, output, docs_per_shard=3).run()
    assert built(output) == in_process(pipeline(), corpus, tmp_path / "whole", size=3)


def _lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def test_components_with_weights_of_their_own_are_the_same_in_a_worker(tmp_path):
    nlp = pipeline()
    ruler = nlp.add_pipe("entity_ruler", first=True, config={"overwrite_ents": True})
    ruler.add_patterns([{"label": "LOC", "pattern": "Rio"}])
    tagger = nlp.add_pipe("tagger", first=True)
    doc = Doc(nlp.vocab, words=["Maria", "saw", "Rio"], tags=["A", "B", "C"])
    tagger.initialize(lambda: [Example(doc.copy(), doc)], nlp=nlp)
    corpus, made = write_texts(tmp_path / "corpus.spacy", TEXTS[:3]), Recipe.of(nlp).make().nlp
    for here, there in zip(read_docs(corpus, vocab=nlp.vocab), read_docs(corpus, vocab=made.vocab), strict=True):
        expected, found = nlp(here), made(there)
        assert [token.tag_ for token in found] == [token.tag_ for token in expected]
        assert [ent.label_ for ent in found.ents] == [ent.label_ for ent in expected.ents] == ["PER", "LOC"]


def test_code_is_a_module_for_what_looks_its_classes_up(tmp_path):
    code = tmp_path / "my code.py"
    code.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom pathlib import Path\n"
        "@dataclass\nclass Mine:\n    x: int = 1\nHERE = Path(__file__).name\n"
    )
    recipe = Recipe.of(pipeline(), code=code)
    recipe.make()
    assert sys.modules["python_code"].HERE == "my code.py" and sys.modules["python_code"].Mine().x == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "slurm"}, "E510.*--executor is 'slurm'"),
        ({"workers": -1}, "E510.*--workers is -1"),
        ({"address": "10.0.0.1:6379"}, "E510.*--address"),
        ({"workers": 1000, "gpu_id": 3}, "E589.*GPUs 3 to 1002"),
        ({"workers": 1000, "gpu_id": 3, "workers_per_gpu": 8}, "E589.*GPUs 3 to 127"),
        ({"workers": 2, "gpu_id": 0, "workers_per_gpu": 0}, "E510.*--workers-per-gpu is 0"),
        ({"workers": 2, "workers_per_gpu": 2}, "E510.*--workers-per-gpu is 2"),
        ({"gpu_id": 0, "workers_per_gpu": 2}, "E510.*--workers-per-gpu is 2"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(XltError, match=message):
        making.make_executor(pipeline(), **settings)


def test_each_worker_has_its_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    found = making.make_executor(pipeline(), workers=2, gpu_id=2)
    assert found.pool.gpu_ids == [2, 3] and found.pool.size == 2


def test_workers_may_share_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    found = making.make_executor(pipeline(), workers=5, gpu_id=1, workers_per_gpu=2)
    assert found.pool.gpu_ids == [1, 1, 2, 2, 3] and found.pool.size == 5


@pytest.mark.parametrize(
    ("threads", "workers", "expected"), [(None, 3, 2), (None, 99, 1), ("4", 1, 4), ("4,2", 1, 4), ("x", 2, 4)]
)
def test_workers_share_the_cores(monkeypatch, threads, workers, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert share_of_cores(workers, range(8)) == expected


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_ctrl_c_does_not_reach_a_worker_even_while_it_starts():
    from spacy_xlt.build.executors.processes import _no_ctrl_c

    def blocked() -> int:
        said = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
        (line,) = [line for line in said.splitlines() if line.startswith("SigBlk")]
        return int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1

    with _no_ctrl_c():
        assert blocked() == 1
    assert blocked() == 0
