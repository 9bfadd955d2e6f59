"""Kills running builds at random moments, goes on with them, and compares what they end with.

    python benchmarks/build_kills.py [--forked 160] [--process 20] [--workers 20] [--power 0]
        [--kinds KIND ...] [--without-sync] [--no-report]
        [--docs 240] [--shard 10] [--seed 0] [--config CONFIG] [--json OUT.json] [--folder DIR]

Builds a small real corpus (sentences of English-PUD in three files) once without being disturbed. Then it is built
again and again, killed each time (SIGKILL) after a random part of the time that a whole build takes, from the start of
the process on, and started again, until a build comes to its end. Three ways:

--forked N   kills of a process that had spaCy imported before it started, so that most moments are in the build itself
--process N  kills of the command `python -m spacy xlt build`
--workers N  the same with `--workers 2`: in turn the whole process group, the command alone (its workers must end by
             themselves) and one worker (the build must come to its end without it)

Each time, also while it runs and after each kill: the manifest can be read, and every file that a shard has under its
final name is whole. At the end: target/, bitext/, lost/ and report.json have the same bytes as those of the build that
was not killed, the manifest and the summary say the same (but for times and the cache), every document is there once,
in order, and nothing is left over.

--power N  also what a loss of power can leave: see `build_power.py`; at most N of the states of each kind.

The engines are quick ones, written to a file for `--code`, so that a build spends its time writing. With --config, the
kills of --process and --workers use that config instead (for example `configs/build_en_pt.cfg`, with real models).
Prints a line for each kind and each problem; exits with 1 where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from build_power import KINDS, lose_power
from build_runs import PATIENCE, Reference, Run, Setting, fork, make_reference, make_setting, readable_manifest, spawn


def session_of(leader: int) -> list[int]:
    """The other processes of a session that are alive, the youngest last."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != leader:
            try:
                state, _, _, session = re.sub(r"^\d+ \(.*\) ", "", (path / "stat").read_text()).split()[:4]
            except OSError:
                continue
            if int(session) == leader and state != "Z":
                found.append(int(path.name))
    return sorted(found)


@dataclass
class Campaign:
    """Kills of one kind.

    start: Starts a build in a folder.
    seconds (float): How long a whole build takes.
    """

    name: str
    reference: Reference
    start: Callable[[Path, Path], Run]
    rng: random.Random
    seconds: float = 0.0
    kills: int = 0
    builds: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)

    def measure(self, folder: Path, times: int) -> None:
        """How long a whole build takes: the middle of several."""
        took = []
        for n in range(times):
            begin = time.monotonic()
            self._finish(folder / f"measured {n}", self.start(folder / f"measured {n}", folder / "log"))
            took.append(time.monotonic() - begin)
        self.seconds = sorted(took)[times // 2]

    def run(self, folder: Path, kills: int, ways: Sequence[Callable[[Campaign, Run], bool]]) -> None:
        """Kill that often, in these ways in turn; each says whether the build has to be started again."""
        way = cycle(ways)
        if kills:
            self.measure(folder, 3 if kills > 20 else 1)
        while self.kills < kills:
            output = folder / f"built {self.builds}"
            run = self._start(output)
            while self.kills < kills and not run.wait(self._delay(), partial(self._look, output)):
                self.kills += 1
                if next(way)(self, run):
                    self.problems += [f"{output.name}: {one}" for one in self.reference.problems_so_far(output)]
                    run = self._start(output)
            self._finish(output, run)

    def _start(self, output: Path) -> Run:
        self.runs += 1
        return self.start(output, output.with_name("log"))

    def _delay(self) -> float:
        return self.rng.uniform(0, self.seconds)

    def _look(self, output: Path) -> None:
        if output.exists() and isinstance(found := readable_manifest(output), str):
            self.problems.append(f"{output.name}, while it ran: {found}")

    def _finish(self, output: Path, run: Run) -> None:
        """Let a build come to its end, see what it ended with, and remove it where all is well."""
        ended = run.wait(PATIENCE, lambda: self._look(output))
        found = []
        if not ended:
            run.kill(group=True)
            found.append(f"it did not end in {PATIENCE:.0f} s")
        elif run.code:
            found.append(f"it ended with {run.code}: {run.said()}")
        else:
            found += self.reference.problems(output)
        self.builds += 1
        self.problems += [f"{output.name}: {one}" for one in found]
        if not found:
            shutil.rmtree(output)

    def result(self) -> dict[str, Any]:
        counts = {key: getattr(self, key) for key in ("kills", "runs", "builds")}
        return {"kind": self.name, **counts, "seconds_a_build": round(self.seconds, 2), "problems": self.problems}


def kill_process(campaign: Campaign, run: Run) -> bool:
    run.kill()
    return True


def kill_group(campaign: Campaign, run: Run) -> bool:
    run.kill(group=True)
    return True


def kill_driver(campaign: Campaign, run: Run) -> bool:
    """The command alone: its workers have nobody to work for and must end."""
    run.kill()
    end = time.monotonic() + PATIENCE
    while (left := session_of(run.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    if left:
        campaign.problems.append(f"{len(left)} workers live on after the command")
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    return True


def kill_worker(campaign: Campaign, run: Run) -> bool:
    """One worker: the build must go on. The oldest of the others is Python's own, which keeps count of semaphores."""
    others = [pid for pid in session_of(run.pid) if b"spawn_main" in _command(pid)]
    if others:
        with suppress(ProcessLookupError):
            os.kill(campaign.rng.choice(others), signal.SIGKILL)
    return False


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forked", type=int, default=160, metavar="KILLS")
    parser.add_argument("--process", type=int, default=20, metavar="KILLS")
    parser.add_argument("--workers", type=int, default=20, metavar="KILLS")
    parser.add_argument("--power", type=int, default=0, metavar="STATES", help="states of each kind, 0 for none")
    parser.add_argument("--docs", type=int, default=240)
    parser.add_argument("--shard", type=int, default=10, help="documents in a shard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="for --process and --workers, instead of quick engines")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of --power")
    parser.add_argument("--without-sync", action="store_true", help="sync no file of a shard: --power must find it")
    parser.add_argument(
        "--no-report", action="store_true", help="builds make no report, which takes much of their time"
    )
    parser.add_argument("--folder", type=Path, help="where to work; kept afterwards")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        results = list(campaigns(args, folder))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
    if any(result["problems"] for result in results):
        raise SystemExit(1)


def campaigns(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """The results of each kind."""
    begin = time.monotonic()
    quick = make_setting(folder / "quick", docs=args.docs, shard=args.shard, report=not args.no_report)
    reference = make_reference(quick)

    def show(result: dict[str, Any]) -> dict[str, Any]:
        numbers = ", ".join(f"{value} {key}" for key, value in result.items() if isinstance(value, int | float))
        print(f"{result['kind']}: {numbers}; {len(result['problems'])} problems", flush=True)
        for problem in result["problems"][:20]:
            print(f"    {problem}")
        return result

    def started(way: Callable[[Sequence[str], Path], Run], setting: Setting, *more: str) -> Callable[[Path, Path], Run]:
        return lambda output, log: way(setting.arguments(output, *more), log)

    rng = random.Random(args.seed)
    if args.forked:
        forked = Campaign("forked", reference, started(fork, quick), rng)
        forked.run(folder / "quick", args.forked, [kill_process])
        yield show(forked.result())
    if args.power:
        options = {"most": args.power, "seed": args.seed, "sync": not args.without_sync, "kinds": args.kinds}
        for result in lose_power(reference, folder / "power", **options):
            yield show(result)
    if args.config and (args.process or args.workers):
        quick = make_setting(folder / "config", docs=args.docs, shard=args.shard, config=args.config)
        reference = make_reference(quick)
    if args.process:
        process = Campaign("process", reference, started(spawn, quick), rng)
        process.run(quick.folder, args.process, [kill_process])
        yield show(process.result())
    if args.workers:
        workers = Campaign("workers", reference, started(spawn, quick, "--workers", "2"), rng)
        workers.run(quick.folder, args.workers, [kill_group, kill_driver, kill_worker])
        yield show(workers.result())
    print(f"{time.monotonic() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
