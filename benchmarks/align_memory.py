"""Memory of `EmbeddingAligner` on a long stream of pairs: it should stay where it was.

    python benchmarks/align_memory.py [--n 200000] [--batch 200] [--json OUT.json]

The sentences are those of NTREX-128 in assets/ntrex, again and again, each time with a word of its own in it, so that
no sentence and no word list comes twice. Prints the resident memory after each tenth of the stream, and how much more
it is at the end than after three tenths.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from align_speed import ASSETS, read

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.protocols import TokenPair


def stream(n: int, words: int) -> Iterator[TokenPair]:
    """So many pairs, none like another, cut to so many words a side."""
    pairs = read(ASSETS / "newstest2019-src.eng.txt", ASSETS / "newstest2019-ref.por-BR.txt", 1997)
    for i in range(n):
        source, target = pairs[i % len(pairs)]
        yield [f"Q{i}", *source[:words]], [f"Q{i}", *target[:words]]


def resident_mib() -> float:
    """Memory that this process holds now. Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--words", type=int, default=100, help="the most words a side; fewer take less time")
    parser.add_argument("--model", default="bundled:encoder")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    aligner = EmbeddingAligner(args.model, layer=args.layer)
    used: list[float] = []
    batch: list[TokenPair] = []
    start = time.perf_counter()
    for i, pair in enumerate(stream(args.n, args.words), start=1):
        batch.append(pair)
        if len(batch) == args.batch or i == args.n:
            aligner.align(batch)
            batch = []
        if i * 10 // args.n > len(used):
            used.append(resident_mib())
            print(f"{i:9} pairs  {used[-1]:8} MiB  {time.perf_counter() - start:8.0f} s", flush=True)
    result = {"n": args.n, "mib": used, "growth_mib": round(used[-1] - used[2], 1), "ours": aligner.signature}
    print(f"growth after three tenths: {result['growth_mib']} MiB")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
