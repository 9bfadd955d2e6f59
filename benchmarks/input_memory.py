"""What reading a large `.spacy` file takes: peak memory and seconds, beside `DocBin.from_disk` of the same file.

    python benchmarks/input_memory.py --docs 300000

Writes a corpus of short documents, each with a word of its own, and reads it in processes of their own. Prints a line
of JSON: sizes and peaks in MiB above what the process had before, times in seconds. For Linux.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy
import spacy
from spacy.tokens import Doc, DocBin, Span

READ = """
import json, sys, time
from spacy.tokens import DocBin
from spacy_xlt.build.inputs import open_inputs


def peak():
    # getrusage also knows the peak of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


how, path, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
before, start, times = peak(), time.perf_counter(), {}
if how == "docbin":
    n_docs = len(DocBin().from_disk(path))
else:
    (file,) = open_inputs(path)
    file.digest()
    times["digest"] = time.perf_counter()
    n_docs = file.scan().docs
    times["scan"] = time.perf_counter()
    for found in file.slices((at, min(at + 200, n_docs)) for at in range(0, n_docs, step)):
        found.to_bytes()
seconds = {"all": round(time.perf_counter() - start, 2)}
last = start
for name, at in times.items():
    seconds[name], last = round(at - last, 2), at
print(json.dumps({"docs": n_docs, "grown": round(peak() - before, 1), "seconds": seconds}))
"""


def write_corpus(path: Path, n_docs: int) -> float:
    """Write documents of ten words with one entity. RETURNS (float): MiB unpacked."""
    vocab = spacy.blank("xx").vocab
    like = Doc(vocab, words=["word"] * 10)
    like.set_ents([Span(like, 0, 1, label="PER")])
    docs = DocBin(docs=[like])
    tokens = numpy.repeat(docs.tokens[0][None], n_docs, axis=0)
    words = [f"w{number}" for number in range(n_docs)]
    tokens[:, 3, 0] = [vocab.strings.add(word) for word in words]
    docs.strings.update(words)
    docs.tokens, docs.spaces = list(tokens), docs.spaces * n_docs
    docs.cats, docs.flags, docs.span_groups = docs.cats * n_docs, docs.flags * n_docs, docs.span_groups * n_docs
    data = docs.to_bytes()
    path.write_bytes(data)
    return len(zlib.decompress(data)) / 2**20


def measure(path: Path, how: str, step: int) -> dict:
    """What reading takes in a process of its own; only every `step`-th document begins a slice of 200."""
    command = [sys.executable, "-c", READ, how, str(path), str(step)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, default=300_000)
    parser.add_argument("--step", type=int, default=200, help="a slice of 200 documents begins at every such one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.spacy"
        unpacked = write_corpus(path, args.docs)
        found = {how: measure(path, how, args.step) for how in ("inputs", "docbin")}
    print(json.dumps({"unpacked": round(unpacked, 1), **found}))


if __name__ == "__main__":
    main()
