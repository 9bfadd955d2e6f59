"""Links of `StatisticalAligner` against gold links, trained on parallel text and on the gold's own sentences.

    python benchmarks/statistical_aligner.py SOURCE.txt TARGET.txt GOLD.tsv --languages en pt
        [--models fast_align eflomal] [--prefix 4 none] [--symmetrisation geometric grow-diag-final-and]
        [--threshold 0.4] [--json OUT.json]

SOURCE.txt and TARGET.txt are line-parallel and cut into tokens by spaCy's tokenizers; GOLD.tsv is what
`spacy xlt eval-alignment` reads.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from spacy_xlt.alignment.plain import Tokenizers
from spacy_xlt.alignment.statistical.engine import StatisticalAligner
from spacy_xlt.build.lines import read_line_pairs
from spacy_xlt.evaluation.alignment import evaluate_alignment, read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--languages", nargs=2, default=["xx", "xx"], metavar=("SOURCE", "TARGET"))
    parser.add_argument("--models", nargs="+", default=["fast_align", "eflomal", "hmm", "ibm2", "ibm1"])
    parser.add_argument("--prefix", nargs="+", default=["4", "none"])
    parser.add_argument("--symmetrisation", nargs="+", default=["geometric", "intersection", "grow-diag-final-and"])
    parser.add_argument("--threshold", type=float, default=0.4)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    cut = Tokenizers(*args.languages)
    gold = read_pairs(args.gold)
    pairs = [cut(*pair) for pair in read_line_pairs(args.source, args.target)]
    pairs += [(pair.source, pair.target) for pair in gold]
    rows: list[dict[str, Any]] = []
    for model in args.models:
        for prefix in args.prefix:
            engine = StatisticalAligner(
                model, prefix=None if prefix == "none" else int(prefix), threshold=args.threshold
            )
            start = time.perf_counter()
            engine.fit(pairs)
            seconds = time.perf_counter() - start
            for engine.symmetrisation in args.symmetrisation:
                scores = evaluate_alignment(engine, gold, data=args.gold.name)
                rows.append({"training_seconds": round(seconds, 1), **scores})
                found = " ".join(f"{name} {scores[name]:.1f}" for name in ("precision", "recall", "f1"))
                speed = f"{seconds:.1f} s to train, {scores['pairs_per_second']:.0f} pairs/s"
                print(f"{model:10} prefix {prefix:4} {engine.symmetrisation:20} {found}  {speed}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
