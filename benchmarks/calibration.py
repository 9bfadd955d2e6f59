"""Whether the probabilities of a pipeline's entities are right, on gold.

    python benchmarks/calibration.py corpus/test.spacy --pipeline training/runs/zero-shot/0/model-best

Prints for each corpus the expected calibration error of the entities that are found, in ten bins of equal mass (Naeini
et al. 2015), and the precision with and without the least sure tenth. With several pipelines (--pipeline) the mean.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from spacy_xlt.evaluation.spans import match_entities, reliability


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


def measure(nlp: Language, corpus: Path) -> tuple[float, float, float]:
    """Expected calibration error, precision, and precision without the least sure tenth."""
    gold = list(DocBin().from_disk(corpus).get_docs(nlp.vocab))
    found = nlp.pipe(Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc]) for doc in gold)
    result = reliability(match_entities(found, gold)[0])
    return result["calibration_error"], result["precision"], result["precision_of_surest"]


if __name__ == "__main__":
    main()
