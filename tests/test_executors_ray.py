"""A build on a real Ray cluster of two nodes, of which one is killed in the middle."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.ray_cluster import LocalCluster
from helpers.worker_builds import CODE, built, in_process, pipeline, write_texts
from helpers.worker_engines import CONFIG

from spacy_xlt.build.executors.making import make_executor
from spacy_xlt.errors import XltError


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    if sys.platform != "linux":
        pytest.skip("the loopback interface has several addresses only on Linux")
    with LocalCluster() as cluster:
        yield cluster
    assert not cluster.processes() and not cluster.folder.exists()


@pytest.fixture
def command(tmp_path, cluster) -> list[str]:
    config = tmp_path / "config.cfg"
    config.write_text(CONFIG)
    corpus = write_texts(tmp_path / "corpus.spacy", [f"Maria saw Rio {i} ." for i in range(60)])
    command = [sys.executable, "-m", "spacy", "xlt", "build", str(config), str(corpus), str(tmp_path / "built")]
    command += ["--no-report", "--docs-per-shard", "3", "--code", str(CODE), "--executor", "ray"]
    return [*command, "--address", cluster.address, "--components.xlt_translator.engine.seconds", "0.3"]


@pytest.mark.long
@pytest.mark.slow
def test_more_workers_than_the_cluster_has_room_for(cluster, command):
    done = subprocess.run([*command, "--workers", "3"], env=cluster.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "XLT-E588" in done.stdout and "has 2 CPUs, and 3" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_a_killed_node_changes_nothing_in_the_output(cluster, command, tmp_path):
    manifest = tmp_path / "built" / "manifest.jsonl"
    log = tmp_path / "log.txt"
    with log.open("wb") as file:
        driver = subprocess.Popen([*command, "--workers", "2"], env=cluster.env, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait_for(lambda: _lines(manifest) > 4, driver)
        assert _actors_on(cluster.nodes[1].pid) == 1
        cluster.kill(1)
        left = 21 - _lines(manifest)
        assert left > 6, "it was nearly finished"
        driver.wait(300)
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == 0, log.read_text()
    corpus = tmp_path / "corpus.spacy"
    assert built(tmp_path / "built") == in_process(pipeline(), corpus, tmp_path / "whole", size=3)


def _lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def _actors_on(group: int) -> int:
    """How many actors run in the session of a node."""
    n = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            session = int((path / "stat").read_text().rpartition(")")[2].split()[3])
            n += session == group and b"ray::RayWorker" in (path / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
    return n


def _wait_for(condition, driver) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end and driver.poll() is None
        time.sleep(0.05)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(XltError, match=r"E587.*spacy-xlt\[ray\]"):
        make_executor(pipeline(), kind="ray")


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no-such-host.invalid:6379", "127.0.0.1:99999"]
)
def test_an_address_where_nothing_answers_is_an_error_at_once(address):
    pytest.importorskip("ray")
    start = time.monotonic()
    with pytest.raises(XltError, match="E588.*nothing answers"):
        make_executor(pipeline(), kind="ray", address=address)
    assert time.monotonic() - start < 30
