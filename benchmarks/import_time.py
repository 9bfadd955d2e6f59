"""How much longer `spacy.blank("en")` takes with the package installed than with its entry points hidden.

    python benchmarks/import_time.py [--runs 10]

Fresh processes in turn, with and without; prints the median seconds of each and of their differences pair by pair.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

CODE = """
import sys, time, catalogue
if sys.argv[1] == "without":
    every = catalogue.Registry._get_entry_points
    ours = lambda entry: entry.value.startswith("spacy_xlt")
    catalogue.Registry._get_entry_points = lambda self: [entry for entry in every(self) if not ours(entry)]
import spacy
start = time.perf_counter()
spacy.blank("en")
seconds = time.perf_counter() - start
assert ("spacy_xlt" in sys.modules) == (sys.argv[1] == "with"), "the entry points were not where they were expected"
print(seconds)
"""


def run(kind: str) -> float:
    """Seconds that `spacy.blank` takes in a fresh process."""
    done = subprocess.run([sys.executable, "-c", CODE, kind], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    run("with"), run("without")
    pairs = [(run("with"), run("without")) for _ in range(runs)]
    for kind, seconds in zip(("with", "without"), zip(*pairs, strict=True), strict=True):
        print(f"{kind:8} {statistics.median(seconds):.3f} s")
    print(f"median difference {statistics.median(a - b for a, b in pairs):+.3f} s over {runs} pairs")


if __name__ == "__main__":
    main()
