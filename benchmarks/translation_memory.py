"""Memory while a long stream of sentences is translated: it must stay flat.

    python benchmarks/translation_memory.py [--n 200000] [--source SOURCE.txt] [--config CONFIG.json] [--json OUT.json]

Streams sentences through a blank English pipeline with xlt_translator into Portuguese, as nlp.pipe gives them out, and
keeps none. Each sentence is a line of the source file (NTREX-128 where left out) with a number of its own in it and one
word exchanged for another line's, so that no two are the same. Memory is that of the process, sampled after each batch;
what counts is the highest of each quarter of the stream, the last against the first. The pipeline's own vocabulary is
kept from growing by spaCy's `nlp.memory_zone`, as spaCy's documentation says to do in long-running programs; without it
(--no-zones) spaCy keeps every new word for ever.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import spacy

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"
MIB = 1024**2
# Sentences between two memory zones
ZONE = 2000


def memory() -> float:
    """Resident memory of this process in MiB; where the system does not tell, its highest so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)


def sentences(lines: list[str], n: int) -> Iterator[str]:
    """Different sentences made of lines."""
    rng = random.Random(0)
    for i in range(n):
        words = lines[i % len(lines)].split()
        other = rng.choice(lines).split()
        words[rng.randrange(len(words))] = rng.choice(other)
        words.insert(rng.randrange(len(words)), str(i))
        yield " ".join(words)


def stream(nlp: spacy.Language, texts: Iterator[str], batch_size: int, *, zones: bool) -> Iterator[int]:
    """Translate texts. Yields the translated words of each document."""
    while chunk := list(islice(texts, ZONE)):
        if zones:
            with nlp.memory_zone():
                yield from (len(doc._.xlt["pt"].target) for doc in nlp.pipe(chunk, batch_size=batch_size))
        else:
            yield from (len(doc._.xlt["pt"].target) for doc in nlp.pipe(chunk, batch_size=batch_size))


def measure(lines: list[str], n: int, config: dict[str, Any], batch_size: int, *, zones: bool) -> dict[str, Any]:
    """RETURNS (dict): Highest memory of each quarter in MiB, and the rest of the table."""
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt", **config})
    # The model is loaded, and what is made once is made
    for _ in nlp.pipe(sentences(lines, batch_size), batch_size=batch_size):
        pass
    quarters = [0.0] * 4
    words, start = 0, time.perf_counter()
    for i, n_words in enumerate(stream(nlp, sentences(lines, n), batch_size, zones=zones)):
        words += n_words
        if i % batch_size == 0 or i == n - 1:
            quarter = min(3, 4 * i // n)
            quarters[quarter] = max(quarters[quarter], memory())
    seconds = time.perf_counter() - start
    return {
        "sentences": n,
        "translated_words": words,
        "sentences_per_second": round(n / seconds, 1),
        "quarters_mib": [round(quarter, 1) for quarter in quarters],
        "last_to_first": round(quarters[-1] / quarters[0], 4),
        "signature": nlp.get_pipe("xlt_translator").signature,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200_000, help="sentences")
    parser.add_argument("--source", type=Path, default=ASSETS / "newstest2019-src.eng.txt")
    parser.add_argument("--batch-size", type=int, default=256, help="of nlp.pipe")
    parser.add_argument("--config", type=json.loads, default={}, help="settings of xlt_translator as JSON")
    parser.add_argument("--no-zones", action="store_true", help="without nlp.memory_zone")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    lines = [line for line in args.source.read_text(encoding="utf8").splitlines() if line.strip()]
    result = measure(lines, args.n, args.config, args.batch_size, zones=not args.no_zones)
    for key, value in result.items():
        print(f"{key:24} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")
    if result["last_to_first"] > 1.1:
        sys.exit("memory grew by more than a tenth")


if __name__ == "__main__":
    main()
