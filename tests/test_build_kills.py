"""Builds that are killed or lose power at any moment and go on: in miniature what `benchmarks/build_kills.py` does."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc/self/fd").exists(), reason="needs Linux")
sys.path.append(str(ROOT / "benchmarks"))


def kills(folder: Path, *arguments: str) -> tuple[int, list[dict]]:
    """Run the script on a few shards. RETURNS: Its exit code and its results."""
    words = [sys.executable, str(ROOT / "benchmarks" / "build_kills.py"), "--folder", str(folder / "work")]
    words += [
        "--no-report",
        "--docs",
        "30",
        "--forked",
        "0",
        "--process",
        "0",
        "--workers",
        "0",
        "--json",
        str(folder / "out.json"),
    ]
    done = subprocess.run([*words, *arguments], capture_output=True, text=True, timeout=900)
    assert (folder / "out.json").exists(), done.stderr[-3000:]
    return done.returncode, json.loads((folder / "out.json").read_text("utf8"))


def test_builds_that_are_killed_or_lose_power_end_as_one_that_did_not(tmp_path):
    from build_power import KINDS

    code, results = kills(tmp_path, "--forked", "10", "--power", "1", "--kinds", *KINDS)
    assert {result["kind"]: result["problems"] for result in results if result["problems"]} == {}
    assert code == 0
    forked, *power = results
    assert forked["kills"] == 10 and forked["runs"] > 10
    assert [result["kind"] for result in power] == [f"power, {kind}" for kind in KINDS]
    assert all(result["states"] and result["operations"] > 40 for result in power)


@pytest.mark.long
@pytest.mark.slow
def test_it_is_found_where_files_are_not_synced(tmp_path):
    code, (result,) = kills(tmp_path, "--power", "4", "--kinds", "zeros", "--without-sync")
    assert code == 1 and any("pt-00000.spacy is another one" in problem for problem in result["problems"])


def test_what_a_loss_of_power_can_leave():
    from build_power import Disk

    disk, rng = Disk("/b"), random.Random(0)
    for operation in [("mkdir", "/b/t", None), ("create", "/b/t/.x", 1), ("write", 1, b"data"), ("sync", 1, None)]:
        disk.do(operation)
    disk.do(("rename", "/b/t/.x", "/b/t/x"))
    assert disk.state("process", rng) == disk.state("names", rng) == {"t": None, "t/x": b"data"}
    disk.do(("syncdir", "/b/t", None))
    # The name in its folder is safe, and the folder's own is not
    assert disk.state("synced", rng) == {}
    disk.do(("syncdir", "/b", None))
    assert disk.state("synced", rng) == {"t": None, "t/x": b"data"}
    disk.do(("write", 1, b"data and more"))
    assert disk.state("synced", rng)["t/x"] == disk.state("names", rng)["t/x"] == b"data"
    assert disk.state("zeros", rng)["t/x"] == b"data" + bytes(9)
    assert disk.state("half", rng)["t/x"] == b"data and"
    disk.do(("remove", "/b/t/x", None))
    assert disk.state("process", rng) == {"t": None}
    assert disk.state("synced", rng) == {"t": None, "t/x": b"data"}


def test_the_driver_becomes_the_limit_of_many_gpus():
    from build_cost import cost, on_gpu

    rates = {"translate": 50.0, "align": 100.0, "read": 1e6, "project": 2000.0, "pack": 1e6, "driver": 10_000.0}
    ten = on_gpu(rates, 10, {})
    one, many = cost(ten, 1, 3_600_000), cost(ten, 64, 3_600_000)
    assert one["sentences_a_second"] == pytest.approx(1 / (1 / 500 + 1 / 1000))
    assert one["hours"] == pytest.approx(3.0) and "translate" in one["limit"]
    assert many["limit"] == "driver" and many["hours"] == pytest.approx(0.1) and many["gpu_hours"] == pytest.approx(6.4)
    assert "project" in cost(on_gpu(rates, 1000, {}), 1, 1)["limit"]
    assert cost(on_gpu(rates, 10, {"translate": 1e5, "align": 1e5}), 1, 1)["limit"] == "the core, most by project"


def test_the_large_corpus_has_no_sentence_twice_and_its_entities_move_with_the_words():
    from itertools import islice

    from build_sentences import Template, sentences

    found = list(islice(sentences(seed=1), 12_000))
    texts = {(one.words, one.spaces) for one in found}
    assert len(texts) == len(found)
    for one in found:
        assert all(0 <= start < end <= len(one.words) for start, end, _ in one.entities)
    template = Template(("In", "1984", "Ann", "Lee", "sang", "."), (True,) * 4 + (False, False), ((2, 4, "PER"),))
    names = {"PER": [(("Rui",), ()), (("Ana", "da", "Silva"), (True, True))]}
    for seed in range(20):
        varied = template.varied(names, random.Random(seed))
        ((start, end, label),) = varied.entities
        assert (varied.words[start:end], varied.spaces[start : end - 1]) in names["PER"] and label == "PER"
        assert varied.words[0] == "In" and varied.words[-2:] == ("sang", ".") and varied.spaces[-2:] == (False, False)
        assert varied.words[1].isdigit() and len(varied.words[1]) == 4 and varied.words[1][0] != "0"
