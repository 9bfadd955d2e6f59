"""How fast `spacy xlt build` is, and how much memory it takes, in one process and with workers.

    python benchmarks/build_speed.py [--sentences 400] [--workers 0 2] [--rounds 2] [--docs-per-shard 50]
        [--gpu-id -1] [--config configs/build_en_pt.cfg] [--json OUT.json]

The corpus: the English texts of assets/uner, one sentence a document; sentences that come again get a number in front,
so that no cache helps. For each number of workers, in turns:

seconds    wall time of the command, with the start of its processes and the loading of models
rate       sentences a second between the first shard and the last one that were finished, without start and loading
processor  seconds of all processes together
peak       MiB of all processes together, at most, looked at each half second
again      seconds of the same command over the finished folder

Set OMP_NUM_THREADS=1 to compare one process with as many workers as there are cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, DocBin
from wasabi import msg

from spacy_xlt.readers import read_corpus

ROOT = Path(__file__).parent.parent
ASSETS = ("English-EWT/en_ewt-ud-dev.iob2", "English-EWT/en_ewt-ud-test.iob2", "English-PUD/en_pud-ud-test.iob2")


def write_corpus(path: Path, n_sentences: int) -> None:
    """Write sentences of the assets, again and again with other numbers."""
    files = [ROOT / "assets" / "uner" / name for name in ASSETS]
    docs = [doc for file in files for doc in read_corpus(file, lang="en", labels=frozenset({"PER", "LOC", "ORG"}))]
    corpus = DocBin()
    for i in range(n_sentences):
        doc = docs[i % len(docs)]
        number = Doc(doc.vocab, words=[str(i // len(docs))], spaces=[True], ents=["O"])
        corpus.add(doc if i < len(docs) else Doc.from_docs([number, doc], ensure_whitespace=False))
    corpus.to_disk(path)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    for parent in pids:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
    return pids


def resident_mib(pid: int) -> float:
    """What a process has in memory; 0 of one that has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    return 0.0


def run(command: list[str]) -> dict[str, float]:
    """Run a command: seconds, processor seconds, and peak memory of all its processes in MiB."""
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        peak = max(peak, sum(map(resident_mib, family(process.pid))))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {process.stderr.read()!r}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - start, "processor": spent, "peak": peak}


def measure(args: argparse.Namespace, corpus: Path, output: Path, n_workers: int) -> dict[str, float]:
    """Build the corpus, and again."""
    command = [sys.executable, "-m", "spacy", "xlt", "build", str(args.config), str(corpus), str(output)]
    command += ["--no-report", "--silent", "--docs-per-shard", str(args.docs_per_shard)]
    command += ["--workers", str(n_workers), "--gpu-id", str(args.gpu_id)]
    measured = run(command)
    times = sorted(path.stat().st_mtime for path in (output / "target").iterdir())
    done = (len(times) - 1) * args.docs_per_shard
    return {**measured, "rate": done / max(1e-9, times[-1] - times[0]), "again": run(command)["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--docs-per-shard", type=int, default=50)
    parser.add_argument("--gpu-id", type=int, default=-1)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "build_en_pt.cfg")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    columns = ("seconds", "rate", "processor", "peak", "again")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.spacy")
        write_corpus(corpus, args.sentences)
        for round_ in range(args.rounds):
            for n_workers in args.workers:
                measured = measure(args, corpus, Path(folder, f"{n_workers}-{round_}"), n_workers)
                results.append({"workers": n_workers, "round": round_, **measured, "load": os.getloadavg()[0]})
                msg.text(f"workers {n_workers}: " + ", ".join(f"{name} {measured[name]:.1f}" for name in columns))
    if args.json:
        args.json.write_text(json.dumps({"sentences": args.sentences, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
