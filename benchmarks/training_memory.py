"""Peak memory of training and of the trained pipeline on text made to exhaust it.

    python -m spacy xlt bundled encoder-en-pt models/encoder --layers 6
    python benchmarks/training_memory.py models/encoder [--config train.cfg] [--updates 30] [--docs 600]
        [--words 5000] [--only train|updates] [--set SECTION.SETTING=VALUE ...]

The text: short sentences, each third with a word of 500 to 5,000 characters; words of a few bytes that the encoder
reads as many pieces; documents of thousands of words, of thousands of spaces, and of nothing but URLs. Training and
development set are both made of it.

Each step runs in a process of its own: `spacy train` with the config, `spacy evaluate` of what it trained, and
`nlp.pipe`. Prints the most memory that each held, in GiB.

With --only train, the first alone; what it evaluates may be limited by --set reading.dev_limit=5. With --only updates
(Linux, CPU), what the updates hold beyond the imported libraries, without loading, evaluating and saving: the encoder,
its gradients, the optimizer's moments and the activations, which are as large on a GPU. For that, memory that is freed
goes back to the system at once.
"""

from __future__ import annotations

import argparse
import os
import random
import string
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_xlt.config import merge_configs

CONFIGS = Path(__file__).parent.parent / "configs"
# Three bytes, eighteen letters to a tokenizer that normalises.
LIGATURE = "\ufdfa"
PIPE = """
import sys, spacy
from spacy.tokens import DocBin
nlp = spacy.load(sys.argv[1])
docs = DocBin().from_disk(sys.argv[2]).get_docs(nlp.vocab)
print(sum(len(doc) for doc in nlp.pipe(doc.text for doc in docs)), "words")
"""
# The most that an update holds, over the batches from that with the most words down, without what imports take
UPDATES = """
import sys
from pathlib import Path
import torch, spacy, spacy_transformers
from spacy.cli._util import parse_config_overrides
from train_speed import OurLoop

def status_mib(field):
    # Of this process: "VmRSS" is in memory now, "VmHWM" was the most so far
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024

imported = status_mib("VmRSS")
loop = OurLoop([Path(sys.argv[1])], parse_config_overrides(sys.argv[3:], env_var=None), gpu=False)
batches = list(loop.training["batcher"](loop.examples))
batches.sort(key=lambda batch: -sum(len(eg.reference) for eg in batch))
most = 0
for batch in batches[: int(sys.argv[2])]:
    Path("/proc/self/clear_refs").write_text("5")
    loop.update([batch])
    held, after = ((status_mib(field) - imported) / 1024 for field in ("VmHWM", "VmRSS"))
    most = max(most, held)
    print(f"update of {len(batch)} documents: {held:.2f} GiB, {after:.2f} after it", flush=True)
print(f"the most of an update: {most:.2f} GiB")
"""


def url(rng: random.Random, low: int = 500, high: int = 5000) -> str:
    return "http://" + "".join(rng.choices(string.ascii_letters + "/%=", k=rng.randint(low, high)))


def hostile_docs(rng: random.Random, n_docs: int, n_words: int) -> list[Doc]:
    """Mostly short documents with words that are long to the encoder, and some long documents of each kind."""
    vocab = spacy.blank("en").vocab
    texts = []
    for i in range(n_docs):
        words = ["Maria", "Silva", "lives", "in", "Lisbon", "."]
        if i % 3 == 0:
            words.insert(3, url(rng))
        if i % 7 == 0:
            words.insert(3, LIGATURE * rng.randint(1, 8))
        texts.append(words)
    for _ in range(max(1, n_docs // 60)):
        texts.append(["Maria", "Silva", *["lives", "in", "Lisbon", "and"] * (n_words // 4)])
        texts.append(["Maria", "Silva", *[" ", "\u200b"] * (n_words // 2)])
        texts.append(["Maria", "Silva", *(url(rng, 50, 500) for _ in range(n_words // 50))])
    docs = [Doc(vocab, words=words) for words in texts]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 2, label="PER")], default="outside")
    rng.shuffle(docs)
    return docs


def peak(name: str, command: Sequence[str]) -> float:
    """Run a command, and print and return the most memory its process held, in GiB."""
    process = subprocess.Popen([sys.executable, *command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    held = usage.ru_maxrss / (1024**2 if sys.platform != "darwin" else 1024**3)
    print(f"{name}: peak memory {held:.2f} GiB{'' if process.returncode == 0 else ', and it FAILED'}", flush=True)
    return held


def measure_updates(config: str, n_updates: int, overrides: Sequence[str]) -> int:
    """Run updates in a process of their own, which says what they held; returns its exit status."""
    freed_at_once = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environ = os.environ | freed_at_once | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # A GPU's config has an allocator, which a CPU does not
    command = [sys.executable, "-c", UPDATES, config, str(n_updates), *overrides, "--system.gpu_allocator=null"]
    return subprocess.run(command, env=environ, check=False).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="model folder or Hugging Face name")
    parser.add_argument("--config", type=Path, default=CONFIGS / "train.cfg", help="a whole config")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--docs", type=int, default=600, help="short documents; a twentieth as many long ones")
    parser.add_argument("--words", type=int, default=5000, help="words of a long document")
    parser.add_argument("--only", choices=["train", "updates"])
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.SETTING=VALUE", help="changes of the config")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, output, config = f"{folder}/corpus.spacy", f"{folder}/trained", f"{folder}/train.cfg"
        merge_configs([args.config]).to_disk(config, interpolate=False)
        DocBin(docs=hostile_docs(random.Random(0), args.docs, args.words)).to_disk(corpus)
        overrides = ["--nlp.lang", "en", "--paths.source", corpus, "--paths.dev", corpus]
        overrides += ["--corpora.train.use", '["source"]', "--corpora.dev.target_gold", "true"]
        overrides += ["--paths.encoder", args.encoder, *(f"--{change}" for change in args.set)]
        if args.only == "updates":
            raise SystemExit(measure_updates(config, args.updates, overrides))
        train = ["-m", "spacy", "train", config, "--output", output]
        train += ["--training.max_steps", str(args.updates), "--training.eval_frequency", str(args.updates), *overrides]
        steps = {
            "spacy train": train,
            "spacy evaluate": ["-m", "spacy", "evaluate", f"{output}/model-last", corpus],
            "nlp.pipe": ["-c", PIPE, f"{output}/model-last", corpus],
        }
        if args.only:
            steps = {"spacy train": steps["spacy train"]}
        held = [peak(name, command) for name, command in steps.items()]
    print(f"the most: {max(held):.2f} GiB")


if __name__ == "__main__":
    main()
