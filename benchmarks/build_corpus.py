"""Builds a large corpus with `spacy xlt build` and measures time and memory; then each of its stages alone.

    python benchmarks/build_corpus.py [--sentences 100000] [--threads 1 default] [--alone-sentences N] [--workers 0]
        [--executor local] [--gpu-id -1] [--config configs/build_en_pt.cfg] [--keep DIR] [--json OUT.json] [--seed 0]

The corpus: the English texts of assets/ (EWT and PUD of Universal NER, WikiGold, NTREX), one sentence a document, again
and again with other numbers, and with names in place of others of the same label, all from these texts; no sentence is
there twice, so that no cache helps. Written as .spacy files of 5,000.

Measured, in processes of their own:

build    `python -m spacy xlt build`: wall time from the start of the process to its end, processor time, and the
         resident memory of the process and its children each second. "at a fifth": the mean around a fifth of the time;
         flat memory is not more in the second half.
again    the same command over the finished folder
alone    each component in a process in which nothing else runs, over the same documents (the first N of them with
         --alone-sentences, and then counted up) in the same batches and with the same settings: translating; aligning
         what was translated and stored; projecting what was aligned and stored. Only the component's own time counts,
         neither loading models nor reading and writing.
pack     what a worker does before and after the components: documents from a shard, files of what was projected
driver   what the process does that hands out the work: reading the corpus in shards, writing the files of shards with
         the manifest (and `fsync`), and packing both for other processes

"ratio" is the build's time over that of the slowest stage alone. Threads: OMP_NUM_THREADS is the same for the build and
for the stages alone. With 1, each stage of the build has a thread of its own that computes, so that the stages share
two cores as they would share two machines. With "default", a stage alone computes with all cores, so that stages that
overlap have nothing to win from each other: the ratio then tells what sharing costs, and can be as high as the sum of
all stages over the slowest.

With --gpu-id, translating and aligning run on that GPU, in the build and alone; memory is still that of the process.

With --keep, what was measured is kept in DIR and not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from build_sentences import write_corpus

ROOT = Path(__file__).parent.parent
STAGES = Path(__file__).with_name("build_stages.py")
MIB = 1024 * 1024
COMPONENTS = ("translate", "align", "project")


@dataclass
class Measured:
    """A command: seconds, and MiB. `main_mib` is that of the process without its children, at most."""

    wall: float
    processor: float
    peak_mib: float
    main_mib: float
    fifth_mib: float
    second_half_mib: float
    growth_mib_an_hour: float
    samples: int


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def measure(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Measured:
    """Run a command and look at it each second.

    RAISES (SystemExit): Where it fails, with the end of what it said.
    """
    samples: list[tuple[float, float]] = []
    main = 0.0
    start = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(environ), stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        while True:
            found = [resident_mib(pid) for pid in tree(process.pid)]
            samples.append((time.monotonic() - start, sum(found)))
            main = max(main, found[0])
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            # The end is not to be a second late, at first
            time.sleep(1.0 if samples[-1][0] > 20 else 0.05)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text('utf8')[-3000:]}")
    second = [one for one in samples if one[0] >= wall / 2]
    fifth = [mib for at, mib in samples if 0.15 * wall <= at <= 0.25 * wall] or [samples[0][1]]
    return Measured(
        wall=round(wall, 2),
        processor=round(usage.ru_utime + usage.ru_stime, 2),
        peak_mib=round(max(mib for _, mib in samples), 1),
        main_mib=round(main, 1),
        fifth_mib=round(sum(fifth) / len(fifth), 1),
        second_half_mib=round(max((mib for _, mib in second), default=0.0), 1),
        growth_mib_an_hour=round(slope(second[:-1]) * 3600, 1),
        samples=len(samples),
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line through points that has the least squares."""
    if len(points) < 2:
        return 0.0
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    below = sum((one - x) ** 2 for one, _ in points)
    return sum((one - x) * (other - y) for one, other in points) / below if below else 0.0


class Benchmark:
    """What is measured, each once, kept in a folder."""

    def __init__(self, args: argparse.Namespace, folder: Path):
        self.args = args
        self.folder = folder
        self.config = str(args.config.resolve())
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> dict[str, Any]:
        args = self.args
        corpus = self._once("corpus", lambda: write_corpus(self.folder / "corpus", args.sentences, seed=args.seed))
        result = {"sentences": args.sentences, "corpus": corpus, "machine": machine(args.gpu_id), "runs": []}
        print(f"{corpus['sentences']:,} sentences, {corpus['tokens']:,} tokens, {corpus['spans']:,} spans", flush=True)
        for threads in args.threads:
            run = self._run(threads)
            result["runs"].append(run)
            show(run)
        output = self.folder / f"built-{self._name(args.threads[0])}"
        result["bytes_a_sentence"] = {
            part: round(size(place) / corpus["sentences"], 1)
            for part, place in (
                ("input", self.folder / "corpus"),
                *((part, output / part) for part in ("target", "bitext", "lost", "manifest.jsonl")),
            )
        }
        result["driver"] = self._once("driver", lambda: self._stage("driver", args.threads[0], output))
        print("bytes a sentence:", ", ".join(f"{key} {value}" for key, value in result["bytes_a_sentence"].items()))
        print("driver, docs/s:", ", ".join(f"{key} {value:.0f}" for key, value in result["driver"]["rates"].items()))
        return result

    def _name(self, threads: str) -> str:
        gpu = f"-gpu{self.args.gpu_id}" if self.args.gpu_id >= 0 else ""
        return f"{threads}-{self.args.executor}-{self.args.workers}{gpu}"

    def _run(self, threads: str) -> dict[str, Any]:
        """The build, the build again, and each stage alone."""
        args, name = self.args, self._name(threads)
        output = self.folder / f"built-{name}"
        command = [sys.executable, "-m", "spacy", "xlt", "build", self.config, str(self.folder / "corpus"), str(output)]
        command += ["--silent", "--executor", args.executor, "--workers", str(args.workers)]
        command += ["--docs-per-shard", str(args.shard), "--gpu-id", str(args.gpu_id)]

        def build() -> dict[str, Any]:
            # What an interrupted measurement has left would make it faster
            remove(output)
            return asdict(measure(command, environ(threads), self.folder / f"build-{name}.log"))

        def again() -> dict[str, Any]:
            return asdict(measure(command, environ(threads), self.folder / f"again-{name}.log"))

        run: dict[str, Any] = {"threads": threads, "executor": args.executor, "workers": args.workers}
        run["build"] = self._once(f"build-{name}", build)
        run["running"] = running_seconds(output)
        run["again"] = self._once(f"again-{name}", again)
        run["alone"] = {
            stage: self._once(f"{stage}-{threads}", lambda stage=stage: self._stage(stage, threads, output))
            for stage in COMPONENTS
        }
        run["pack"] = self._once(f"pack-{threads}", lambda: self._stage("pack", threads, output))
        for one in run["alone"].values():
            one["seconds_for_all"] = round(one["seconds"] * args.sentences / one["docs"], 2)
        slowest = max(run["alone"], key=lambda stage: run["alone"][stage]["seconds_for_all"])
        least = run["alone"][slowest]["seconds_for_all"]
        both = {"ratio": run["build"]["wall"] / least, "ratio_running": run["running"] / least}
        return {**run, "slowest": slowest, **{key: round(value, 3) for key, value in both.items()}}

    def _stage(self, stage: str, threads: str, built: Path) -> dict[str, Any]:
        places = {
            "translate": self.folder / "corpus",
            "align": self.folder / f"translate-{threads}",
            "project": self.folder / f"align-{threads}",
            "pack": self.folder / f"project-{threads}",
            "driver": self.folder / "corpus",
        }
        result = self.folder / f"{stage}-{threads}.out.json"
        words = [sys.executable, str(STAGES), stage, self.config, str(places[stage]), str(result)]
        words += ["--output", str(self.folder / f"{stage}-{threads}"), "--shard", str(self.args.shard)]
        if stage in COMPONENTS:
            words += ["--gpu-id", str(self.args.gpu_id)]
        words += ["--built", str(built), "--docs", str(self.args.alone_sentences or self.args.sentences)]
        measured = measure(words, environ(threads), self.folder / f"{stage}-{threads}.log")
        return {**json.loads(result.read_text("utf8")), "process": asdict(measured)}

    def _once(self, name: str, what: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self.folder / f"{name}.measured.json"
        if not path.exists():
            print(f"… {name}", file=sys.stderr, flush=True)
            found = what()
            path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")
        data: dict[str, Any] = json.loads(path.read_text("utf8"))
        return data


def environ(threads: str) -> dict[str, str]:
    found = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    return found if threads == "default" else {**found, "OMP_NUM_THREADS": threads}


def running_seconds(output: Path) -> float:
    """The time of the first run in which shards were built, from its log: models are loaded, the report is not made."""
    for line in (output / "log.jsonl").read_text("utf8").splitlines():
        record = json.loads(line)
        if record["event"] == "finished":
            return float(record["seconds"])
    raise SystemExit(f"{output / 'log.jsonl'} has no build that came to its end")


def remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def size(path: Path) -> int:
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


def machine(gpu_id: int) -> dict[str, Any]:
    """Where it was measured; the load says whether something else was running."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "gpu": gpu_name() if gpu_id >= 0 else None,
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def gpu_name() -> str:
    import torch

    return torch.cuda.get_device_name()


def show(run: Mapping[str, Any]) -> None:
    """The table of one setting of threads."""
    build, again = run["build"], run["again"]
    docs = next(iter(run["alone"].values()))
    total = docs["seconds_for_all"] * docs["docs"] / docs["seconds"] if docs["seconds"] else 0
    print(f"\nOMP_NUM_THREADS {run['threads']}, --executor {run['executor']} --workers {run['workers']}")
    print(f"{'':<16} {'seconds':>10} {'processor':>10} {'sentences/s':>12}")
    for stage, one in run["alone"].items():
        processor = one["processor"] * one["seconds_for_all"] / max(one["seconds"], 1e-9)
        rate = one["docs"] / one["seconds"]
        print(f"{stage + ' alone':<16} {one['seconds_for_all']:>10.1f} {processor:>10.1f} {rate:>12.1f}")
    for name, seconds, processor in (
        ("build", build["wall"], f"{build['processor']:.1f}"),
        ("  running", run["running"], ""),
        ("build again", again["wall"], f"{again['processor']:.1f}"),
    ):
        rate = f"{total / seconds:.1f}" if name != "build again" and seconds else ""
        print(f"{name:<16} {seconds:>10.1f} {processor:>10} {rate:>12}")
    print(
        f"slowest: {run['slowest']}; ratio {run['ratio']:.2f}, while running {run['ratio_running']:.2f} (target 1.15)"
    )
    print(
        f"memory: at most {build['peak_mib']:.0f} MiB (target 3072); {build['fifth_mib']:.0f} at a fifth of the time, "
        f"at most {build['second_half_mib']:.0f} in the second half, {build['growth_mib_an_hour']:+.0f} an hour there"
    )
    print(f"again: {again['wall']:.1f} s (target 5)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--threads", nargs="+", default=["1"], help="values of OMP_NUM_THREADS, or default")
    parser.add_argument("--alone-sentences", type=int, default=0, help="for the stages alone; all if left out")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--gpu-id", type=int, default=-1)
    parser.add_argument("--shard", type=int, default=200, help="--docs-per-shard of the build")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "build_en_pt.cfg")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where to work, and go on")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = Benchmark(args, args.keep or Path(temporary)).run()
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
