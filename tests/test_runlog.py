"""The numbers of a build while it runs, by a clock that the test sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spacy_xlt.build.progress import Numbers, short_name
from spacy_xlt.build.runlog import RunLog
from spacy_xlt.errors import XltWarning
from spacy_xlt.memory import children_mib, status_mib


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def record(docs: int = 100, *, translator: float = 20.0, failed: int = 0, hits: int = 0) -> dict[str, Any]:
    return {
        "docs": docs,
        "sentences": 2 * docs,
        "spans_projected": {"PER": docs, "LOC": 1},
        "failed": [{"text": "", "error": ""}] * failed,
        "cache": {"hits": hits, "misses": 2 * docs - hits},
        "seconds": {"read": 0.0, "xlt_translator": translator, "xlt_aligner": 5.0},
        "figures": {},
    }


def numbers_of(folder: Path | None, clock: Clock, *, docs: int = 1000, shards: int = 10, **settings: Any) -> Numbers:
    return Numbers(docs, shards, folder=folder, clock=clock, with_thread=False, **{"disable": True, **settings})


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf8").splitlines()]


def test_a_line_a_minute_and_one_at_both_ends(tmp_path: Path, clock: Clock) -> None:
    executor = SimpleNamespace(name="processes", workers=2)
    with numbers_of(tmp_path, clock, executor=executor) as numbers:
        for _ in range(10):
            clock.now += 25
            numbers.finished(record(failed=1))
        executor.workers = 1
    found = lines(tmp_path)
    assert [one["event"] for one in found] == ["started", "running", "running", "running", "finished"]
    assert [one["seconds"] for one in found] == [0.0, 75.0, 150.0, 225.0, 250.0]
    last = found[-1]
    assert last["docs"] == {"this_run": 1000, "all": 1000, "total": 1000}
    assert last["shards"] == {"this_run": 10, "all": 10, "total": 10}
    assert last["sentences"]["all"] == 2000 and last["spans"]["all"] == 1010 and last["failed"]["all"] == 10
    assert last["docs_per_second"]["xlt_translator"] == {"last_minute": 5.0, "this_run": 5.0}
    assert "read" not in last["docs_per_second"]
    assert last["seconds_left"] == 0.0
    assert (found[0]["workers"], last["workers"], last["executor"]) == (2, 1, "processes")
    assert datetime.fromisoformat(last["time"].replace("Z", "+00:00")).tzinfo is not None


def test_a_run_that_goes_on_counts_what_was_there_apart(tmp_path: Path, clock: Clock) -> None:
    for _ in range(2):
        with numbers_of(tmp_path, clock) as numbers:
            numbers.finished_before(record(failed=1))
            clock.now += 10
            numbers.finished(record())
    found = lines(tmp_path)
    assert [one["event"] for one in found] == ["started", "finished"] * 2
    assert found[-1]["docs"] == {"this_run": 100, "all": 200, "total": 1000}
    assert found[-1]["failed"] == {"this_run": 0, "all": 1}
    # 800 are left, at 100 in 10 seconds: what was there before is no speed of this run
    assert found[-1]["seconds_left"] == 80.0


def test_the_time_left_is_that_of_the_last_minutes(clock: Clock) -> None:
    numbers = numbers_of(None, clock, docs=10_000, shards=100)
    assert numbers.seconds_left is None
    for _ in range(40):
        clock.now += 10
        numbers.finished(record())
    assert numbers.seconds_left == pytest.approx(600)
    for _ in range(10):
        clock.now += 100
        numbers.finished(record())
    assert numbers.seconds_left == pytest.approx(5000)
    # And while nothing comes, it grows
    clock.now += 600
    assert numbers.seconds_left > 8000


def test_the_rates_of_the_last_minute_are_told_from_those_of_the_run(tmp_path: Path, clock: Clock) -> None:
    with numbers_of(tmp_path, clock) as numbers:
        for seconds in (10.0, 10.0, 40.0):
            clock.now += 100
            numbers.finished(record(translator=seconds, hits=50))
    rates = lines(tmp_path)[-1]["docs_per_second"]
    assert rates["xlt_translator"] == {"last_minute": 2.5, "this_run": 5.0}
    assert lines(tmp_path)[-1]["cache_hit_share"] == 0.25


@pytest.mark.parametrize(
    ("err", "event", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (OSError(28, "No space"), "failed", "OSError: [Errno 28] No space"),
    ],
)
def test_how_a_run_ended_is_noted(tmp_path: Path, clock: Clock, err: BaseException, event: str, reason: str) -> None:
    with pytest.raises(type(err)), numbers_of(tmp_path, clock):
        raise err
    assert (lines(tmp_path)[-1]["event"], lines(tmp_path)[-1]["reason"]) == (event, reason)


@pytest.mark.parametrize("torn", [b'{"event": "runn', b"\0" * 5000, b'{"text": "\xc3'])
def test_half_a_line_is_cut_off_and_whole_ones_are_kept(tmp_path: Path, clock: Clock, torn: bytes) -> None:
    with numbers_of(tmp_path, clock):
        pass
    whole = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl").write_bytes(whole + torn)
    with numbers_of(tmp_path, clock):
        pass
    assert (tmp_path / "log.jsonl").read_bytes().startswith(whole + b'{"event": "started"')
    assert len(lines(tmp_path)) == 4


def test_a_clock_that_jumps_changes_only_the_time_of_day(tmp_path: Path, clock: Clock) -> None:
    days = iter((20, 5, 25))
    log = RunLog(tmp_path / "log.jsonl", clock=clock, now=lambda: datetime(2026, 1, next(days), tzinfo=timezone.utc))
    log.start({})
    clock.now += 61
    log.update(lambda: {"a": 1})
    log.end("finished", {})
    assert [(one["time"], one["seconds"]) for one in lines(tmp_path)] == [
        ("2026-01-20T00:00:00Z", 0.0),
        ("2026-01-05T00:00:00Z", 61.0),
        ("2026-01-25T00:00:00Z", 61.0),
    ]


FULL = """
import resource, signal, sys, warnings
from pathlib import Path
from spacy_xlt.build.progress import Numbers
said = []
warnings.showwarning = lambda message, *rest: said.append(str(message))
warnings.simplefilter("always")
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
with Numbers(10, 10, folder=Path(sys.argv[1]), disable=True, every=0.0, with_thread=False) as numbers:
    for _ in range(10):
        numbers.finished({"docs": 1, "sentences": 1})
assert len(said) == 1 and "W573" in said[0] and "log.jsonl" in said[0], said
print(numbers.now.docs)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
def test_a_full_disk_stops_no_build_and_leaves_whole_lines(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "10\n", done.stderr
    assert [one["event"] for one in lines(tmp_path)][0] == "started"
    assert (tmp_path / "log.jsonl").read_bytes().endswith(b"}\n")


def test_the_log_goes_on_while_a_shard_takes_long(tmp_path: Path) -> None:
    with Numbers(10, 10, folder=tmp_path, disable=True, every=0.5):
        end = time.monotonic() + 60
        while len(lines(tmp_path)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
    assert [one["event"] for one in lines(tmp_path)][:2] == ["started", "running"]


def test_the_bar_shows_the_slowest_stage_first_and_this_runs_speed(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with numbers_of(None, clock, disable=False) as numbers:
        numbers.finished_before(record(docs=500))
        assert (numbers._bar.n, numbers._bar.initial) == (500, 500)
        clock.now += 10
        numbers.finished(record(hits=20, failed=2))
        shown = numbers._bar.postfix
        assert numbers._bar.n == 600
    assert shown == "left=00:40, translator=10/s, aligner=40/s, cached=10%, failed=2"
    assert "600/1000" in capsys.readouterr().err


def test_names_are_short_in_the_bar() -> None:
    assert [short_name(name) for name in ("xlt_translator", "my_ner")] == ["translator", "my_ner"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    script = "import time; b = bytearray(80_000_000); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not tell")
def test_the_memory_of_children_is_counted_apart(child: subprocess.Popen[bytes]) -> None:
    before, of_child = status_mib("VmRSS"), status_mib("VmRSS", pid=child.pid)
    assert of_child is not None and of_child > 76
    # Other tests may have left programs running, for example those of Apertium
    with_child = children_mib()
    child.kill()
    child.wait()
    without = children_mib()
    assert with_child is not None and without is not None
    assert with_child - without == pytest.approx(of_child, abs=40)
    assert before is not None and before > 20


def test_a_log_that_cannot_be_written_is_said_once(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with numbers_of(tmp_path, clock) as numbers:
            clock.now += 100
            numbers.finished(record())
    assert len(said) == 1 and issubclass(said[0].category, XltWarning)
