"""What it costs to build with worker processes or on a Ray cluster instead of in one process, on the same cores.

    python benchmarks/executors.py --sentences 4000 --threads 2 --repeat 3

The bundled translator and aligner project NTREX's English sentences, with made entities, repeated with a number at
their end so that no sentence comes twice. All ways have the same number of threads in total: one process with all of
them, worker processes with one each, and Ray actors with one each on as many nodes of one CPU on this machine (see
tests/ray_cluster.py). The time until the first shard is finished, in which packages are imported and models loaded, is
given apart: a long build pays it once. What follows is compared, by the sentences of the shards that came after.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
WAYS = ("one process", "worker processes", "ray")


def write_corpus(path: Path, n: int) -> None:
    """Sentences of NTREX whose second word is an entity."""
    import spacy
    from spacy.tokens import DocBin, Span

    texts = [
        line for file in sorted((ROOT / "assets" / "ntrex").glob("*src.eng*")) for line in file.open(encoding="utf8")
    ]
    assert texts, "no English file in assets/ntrex"
    nlp, docs = spacy.blank("en"), DocBin()
    for i in range(n):
        doc = nlp.make_doc(f"{texts[i % len(texts)].strip()} {i}")
        doc.set_ents([Span(doc, 1, 2, "PER")] if len(doc) > 2 else [], default="outside")
        docs.add(doc)
    docs.to_disk(path)


def run(way: str, *, corpus: Path, output: Path, threads: int, size: int, address: str | None) -> dict[str, Any]:
    """One build, in this process. RETURNS (dict[str, Any]): Seconds until the first shard, and what came after it."""
    import spacy
    import torch
    from spacy_xlt.build.executors.making import make_executor

    from spacy_xlt.build.builder import Builder

    torch.set_num_threads(threads)
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt"})
    nlp.add_pipe("xlt_aligner")
    nlp.add_pipe("xlt_projector")
    start = time.perf_counter()
    workers = 0 if way == WAYS[0] else threads
    settings: dict[str, Any] = {"kind": "ray", "address": address} if way == "ray" else {}
    builder = Builder(nlp, corpus, output, docs_per_shard=size)
    stamps: list[tuple[float, int]] = []

    class Watched:
        def finished(self, record: dict[str, Any]) -> None:
            stamps.append((time.perf_counter(), record["sentences"]))

        def finished_before(self, record: dict[str, Any]) -> None: ...

    builder.run(make_executor(nlp, workers=workers, **settings), numbers=Watched())  # type: ignore[arg-type]
    # Workers have several shards each at the start: what they finish first is begun while others still load
    first = max(1, 2 * threads)
    at, _ = stamps[first - 1]
    after = sum(sentences for _, sentences in stamps[first:])
    return {"start": at - start, "rate": after / (stamps[-1][0] - at), "total": stamps[-1][0] - start}


def measured(way: str, folder: Path, arguments: argparse.Namespace, repeat: int, address: str | None) -> dict[str, Any]:
    """`run` in a process of its own."""
    command = [sys.executable, __file__, "--one", way, "--folder", str(folder), "--sentences", str(arguments.sentences)]
    command += ["--threads", str(arguments.threads), "--docs-per-shard", str(arguments.docs_per_shard)]
    command += ["--repeat", str(repeat), *(["--address", address] if address else [])]
    done = subprocess.run(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def ways_with_cluster(threads: int) -> Iterator[tuple[str, str | None]]:
    """The ways to measure, in turn; Ray's only where it is installed."""
    yield WAYS[0], None
    yield WAYS[1], None
    try:
        import ray  # noqa: F401
    except ImportError:
        print("Ray is not installed: left out")
        return
    from helpers.ray_cluster import LocalCluster

    with LocalCluster(nodes=threads) as cluster:
        os.environ.update({key: value for key, value in cluster.env.items() if key.startswith("RAY_")})
        yield WAYS[2], cluster.address


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--docs-per-shard", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        output = arguments.folder / f"{arguments.one}-{arguments.repeat}".replace(" ", "-")
        print(
            json.dumps(
                run(
                    arguments.one,
                    corpus=arguments.folder / "corpus.spacy",
                    output=output,
                    threads=arguments.threads,
                    size=arguments.docs_per_shard,
                    address=arguments.address,
                )
            )
        )
        return
    with tempfile.TemporaryDirectory() as name:
        compare(Path(name), arguments)


def compare(folder: Path, arguments: argparse.Namespace) -> None:
    from helpers.worker_builds import built

    write_corpus(folder / "corpus.spacy", arguments.sentences)
    expected: dict[str, Any] = {}
    reference = 0.0
    print(
        f"{arguments.sentences} sentences, {arguments.threads} threads, medians of {arguments.repeat} (lowest-highest)"
    )
    for way, address in ways_with_cluster(arguments.threads):
        found = [measured(way, folder, arguments, i, address) for i in range(arguments.repeat)]
        rates = [one["rate"] for one in found]
        rate = statistics.median(rates)
        reference = reference or rate
        outputs = [built(folder / f"{way}-{i}".replace(" ", "-")) for i in range(arguments.repeat)]
        expected = expected or outputs[0]
        same = "yes" if all(output == expected for output in outputs) else "NO"
        start, total = (statistics.median(one[key] for one in found) for key in ("start", "total"))
        print(
            f"{way:<17} {rate:8.1f} sentences/s ({min(rates):.1f}-{max(rates):.1f})  time a sentence "
            f"{reference / rate:.3f} times  whole {total:.1f} s  until warm {start:.1f} s  identical {same}",
            flush=True,
        )


if __name__ == "__main__":
    main()
