"""Answers a second of `EndpointModel`, from a server on loopback that takes its time.

    python benchmarks/llm_throughput.py [--concurrency 32] [--milliseconds 200] [--requests 640]

The server answers each request after so many milliseconds, any number at once, so that concurrency divided by seconds
is the most that can be reached. It runs in a process of its own. Nothing is in the cache before, and each answer is
written to it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.language_server import Fault, echo, serving

from spacy_xlt.llm.api import Request
from spacy_xlt.llm.endpoint import EndpointModel


def serve(seconds: float, pipe: Connection) -> None:
    """Serve until a word comes through the pipe, which is told the address."""
    with serving(lambda body, n: Fault(200, echo(body, n), delay=seconds)) as server:
        pipe.send(server.url)
        pipe.recv()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--milliseconds", type=float, default=200)
    parser.add_argument("--requests", type=int, default=640)
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(args.milliseconds / 1000, theirs))
    process.start()
    requests = [Request(prompt=[{"role": "user", "content": f"question {i}"}]) for i in range(args.requests)]
    with tempfile.TemporaryDirectory() as folder:
        model = EndpointModel(
            base_url=ours.recv(), model="m", concurrency=args.concurrency, cache=str(Path(folder, "a.sqlite"))
        )
        model.complete([Request(prompt="warm up")])
        start, cpu = time.perf_counter(), time.process_time()
        model.complete(requests)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        start = time.perf_counter()
        model.complete(requests)
        again = time.perf_counter() - start
    ours.send("stop")
    process.join()
    result = {
        "answers_per_second": round(args.requests / seconds, 1),
        "most_possible": round(args.concurrency / (args.milliseconds / 1000), 1),
        "cpu_milliseconds_per_answer": round(1000 * cpu / args.requests, 2),
        "from_the_cache_per_second": round(args.requests / again),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
