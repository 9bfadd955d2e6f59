"""Whether the probabilities of a pipeline's entities are right, on gold.

    python benchmarks/calibration.py corpus/test.spacy --pipeline training/runs/zero-shot/0/model-best

Prints for each corpus the expected calibration error of the entities that are found, in ten bins of equal width (Naeini
et al. 2015), and the precision with and without the least sure tenth. With several pipelines (--pipeline) the mean.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import spacy
from spacy.tokens import DocBin

N_BINS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--pipeline", action="append", required=True, type=Path)
    args = parser.parse_args()
    pipelines = [spacy.load(path) for path in args.pipeline]
    for corpus in args.corpora:
        rows = [measure(nlp, corpus) for nlp in pipelines]
        error, all_of_them, sure = (statistics.mean(column) for column in zip(*rows, strict=True))
        print(f"{corpus}: error {error:.3f}, precision {all_of_them:.1%}, without the least sure tenth {sure:.1%}")


def measure(nlp: spacy.Language, corpus: Path) -> tuple[float, float, float]:
    """Expected calibration error, precision, and precision without the least sure tenth."""
    gold = list(DocBin().from_disk(corpus).get_docs(nlp.vocab))
    found = nlp.pipe(
        spacy.tokens.Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc]) for doc in gold
    )
    scores, right = [], []
    for doc, reference in zip(found, gold, strict=True):
        known = {(ent.start, ent.end, ent.label_) for ent in reference.ents}
        group = doc.spans["xlt_ents"]
        scores.extend(group.attrs["scores"])
        right.extend((span.start, span.end, span.label_) in known for span in group)
    p, y = np.array(scores), np.array(right, dtype=float)
    bins = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    error = sum(abs(p[bins == i].mean() - y[bins == i].mean()) * (bins == i).mean() for i in set(bins.tolist()))
    surest = np.argsort(-p, kind="stable")[: len(p) - len(p) // 10]
    return float(error), float(y.mean()), float(y[surest].mean())


if __name__ == "__main__":
    main()
