"""Peak memory of training on text made to exhaust it: URLs of thousands of characters, documents of thousands of words.

    python -m spacy xlt bundled encoder-en-pt models/encoder --layers 6
    python benchmarks/training_memory.py models/encoder [--updates 30]

Trains with configs/train_cpu.cfg in a process of its own and prints the most memory that it held, in GiB.
"""

from __future__ import annotations

import argparse
import random
import resource
import string
import subprocess
import sys
import tempfile
from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin, Span

CONFIG = Path(__file__).parent.parent / "configs" / "train_cpu.cfg"


def hostile_docs(rng: random.Random) -> list[Doc]:
    """Short sentences, each third with a word of 500 to 5,000 characters, and a few documents of 5,000 words."""
    vocab = spacy.blank("en").vocab
    docs = []
    for i in range(600):
        words = ["Maria", "Silva", "lives", "in", "Lisbon", "."]
        if i % 3 == 0:
            words.insert(3, "http://" + "".join(rng.choices(string.ascii_letters + "/%=", k=rng.randint(500, 5000))))
        docs.append(Doc(vocab, words=words))
    docs += [Doc(vocab, words=["Maria", "Silva", *["lives", "in", "Lisbon", "and"] * 1250]) for _ in range(5)]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 2, label="PER")], default="outside")
    rng.shuffle(docs)
    return docs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="model folder or Hugging Face name")
    parser.add_argument("--updates", type=int, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.spacy")
        DocBin(docs=hostile_docs(random.Random(0))).to_disk(corpus)
        command = [sys.executable, "-m", "spacy", "train", str(CONFIG), "--nlp.lang", "en"]
        command += ["--paths.train", str(corpus), "--paths.dev", str(corpus), "--paths.encoder", args.encoder]
        command += ["--training.max_steps", str(args.updates), "--training.eval_frequency", str(args.updates)]
        subprocess.run(command, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024**2 if sys.platform != "darwin" else 1024**3)
    print(f"peak memory: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
