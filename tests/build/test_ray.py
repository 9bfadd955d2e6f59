"""A build on a real Ray cluster of two nodes, of which one is killed in the middle."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.builds import CODE, CONFIG, build_in_process, built, n_lines, write_texts
from helpers.ray_cluster import LocalCluster

from spacy_xlt.build.workers import make_workers
from spacy_xlt.errors import XltError


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    if sys.platform != "linux":
        pytest.skip("the loopback interface has several addresses only on Linux")
    with LocalCluster() as cluster:
        yield cluster
    assert not cluster.processes() and not cluster.folder.exists()


# tests/build/test_processes.py shows the same of processes of one machine
@pytest.mark.long
def test_killed_node_changes_nothing_in_the_output(cluster, tmp_path):
    (tmp_path / "config.cfg").write_text(CONFIG)
    corpus = write_texts(tmp_path / "corpus.spacy", [f"Maria saw Rio {i} ." for i in range(30)])
    manifest, log = tmp_path / "built" / "manifest.jsonl", tmp_path / "log.txt"
    command = [sys.executable, "-m", "spacy", "xlt", "build", str(tmp_path / "config.cfg"), str(corpus)]
    command += [str(tmp_path / "built"), "--no-report", "--docs-per-shard", "3", "--code", str(CODE)]
    command += ["--executor", "ray", "--workers", "2", "--components.xlt_translator.engine.seconds", "0.3"]
    env = {**cluster.env, "RAY_ADDRESS": cluster.address}
    with log.open("wb") as file:
        driver = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait_for(lambda: n_lines(manifest) > 2 and _actors_on(cluster.nodes[1].pid) == 1, driver)
        cluster.kill(1)
        assert 11 - n_lines(manifest) > 3, "it was nearly finished"
        driver.wait(300)
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == 0, log.read_text()
    assert built(tmp_path / "built") == build_in_process(corpus, tmp_path / "whole", size=3)
    # Only one node is left
    command[command.index(str(tmp_path / "built"))] = str(tmp_path / "other")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1 and "XLT-E588" in said and "it has 1 CPUs, and --workers is 2" in said


def _actors_on(session: int) -> int:
    """How many actors run in the session of a node."""
    n_actors = 0
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            is_there = int((path / "stat").read_text().rpartition(")")[2].split()[3]) == session
            n_actors += is_there and b"ray::RayWorker" in (path / "cmdline").read_bytes()
    return n_actors


def _wait_for(condition, driver) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end and driver.poll() is None
        time.sleep(0.05)


def test_without_ray_the_extra_is_named(nlp, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(XltError, match=r"E106.*spacy-xlt\[ray\]"):
        make_workers(nlp, executor="ray")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999"])
def test_address_where_nothing_answers_is_an_error_at_once(nlp, monkeypatch, address):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    start = time.monotonic()
    with pytest.raises(XltError, match="E588.*nothing answers"):
        make_workers(nlp, executor="ray")
    assert time.monotonic() - start < 30
