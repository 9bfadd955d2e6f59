"""What trimming the vocabulary of the bundled encoder saves, and if asked for what it costs a pipeline.

    python benchmarks/vocabulary.py TEXTS … [--layers 6] [--train SOURCE TEST] [--updates 150] [--seeds 1]

TEXTS are what `spacy xlt vocabulary trim` reads: .txt files and corpora. `--train` trains a pipeline on the annotated
corpus SOURCE by `configs/train.cfg` on the encoder before and after, and prints the size of its wheel and its F1 on the
corpus TEST, of PER, LOC and ORG. SOURCE is English, TEST Portuguese, and neither need be among TEXTS.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from transformers import AutoTokenizer

from spacy_xlt.bundled import write
from spacy_xlt.config import merge_configs
from spacy_xlt.io import write_docs
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.files import raw_format
from spacy_xlt.vocabulary import trim

ROOT = Path(__file__).parents[1]
CONFIGS = [ROOT / "configs" / name for name in ("train.cfg", "strategies/zero_shot.cfg")]
LABELS = frozenset(("PER", "LOC", "ORG"))


def read(paths: list[Path]) -> Iterator[Doc]:
    """The documents of all texts."""
    for path in paths:
        yield from read_corpus(path, format=raw_format(path))


def differing(docs: Iterator[Doc], before: Path, after: Path) -> tuple[int, int]:
    """How many texts are not cut as before, and how many there are."""
    old, new = (AutoTokenizer.from_pretrained(place) for place in (before, after))
    texts = [doc.text for doc in docs]
    return sum(old.tokenize(text) != new.tokenize(text) for text in texts), len(texts)


def train_on(source: Path, encoder: Path, *, updates: int, seed: int) -> Language:
    """A pipeline after so many updates."""
    settings: dict[str, Any] = {"paths.source": str(source), "paths.dev": str(source), "paths.encoder": str(encoder)}
    settings |= {"system.seed": seed, "training.max_steps": updates}
    # The last one is taken
    settings |= {"training.eval_frequency": updates, "reading.dev_limit": 1}
    nlp = init_nlp(merge_configs(CONFIGS, settings))
    return train(nlp, None, stdout=io.StringIO(), stderr=io.StringIO())[0]


def f_score(nlp: Language, docs: list[Doc]) -> float:
    """Exact F1 of entities, in per cent."""
    pairs = ((Doc(nlp.vocab, words=[t.text for t in d], spaces=[bool(t.whitespace_) for t in d]), d) for d in docs)
    return 100 * float(nlp.evaluate([Example(*pair) for pair in pairs])["ents_f"])


def wheel_size(nlp: Language, folder: Path) -> int:
    """The bytes of the wheel that a pipeline becomes."""
    folder.mkdir()
    nlp.to_disk(folder / "pipeline")
    options = ["--name", "trial", "--build", "wheel", "--code", str(ROOT / "spacy_xlt/ner/xlt_ner.py")]
    command = [sys.executable, "-m", "spacy", "package", str(folder / "pipeline"), str(folder), *options]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.rglob("*.whl")
    return wheel.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--train", type=Path, nargs=2, metavar=("SOURCE", "TEST"))
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        encoders = {"before": write("encoder", work / "before", layers=args.layers), "after": work / "after"}
        summary = trim(str(encoders["before"]), read(args.texts), encoders["after"])
        changed, n_texts = differing(read(args.texts), *encoders.values())
        print(f"{changed} of {n_texts} texts are cut otherwise than before")
        for when in encoders:
            print(f"{when}: {summary[f'pieces_{when}']} pieces, {summary[f'mb_{when}']:.1f} MB of weights")
        if not args.train:
            return
        source, test = (list(read_corpus(path, labels=LABELS)) for path in args.train)
        write_docs(work / "source.spacy", source)
        for when, encoder in encoders.items():
            scores = []
            for seed in range(args.seeds):
                nlp = train_on(work / "source.spacy", encoder, updates=args.updates, seed=seed)
                scores.append(f_score(nlp, test))
            size = wheel_size(nlp, work / f"wheel-{when}") / 1e6
            print(f"{when}: wheel {size:.1f} MB, F1 {fmean(scores):.1f}")


if __name__ == "__main__":
    main()
