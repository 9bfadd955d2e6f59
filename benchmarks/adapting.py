"""What objectives of `spacy xlt adapt` bring, in one table: alignment, projection, and zero-shot NER.

    python -m spacy xlt compare configs/compare_adapting.cfg training/adapting
    python benchmarks/adapting.py training/adapting MODEL --layer 6 --alignment XL-WA/es/dev.tsv …
        --projection SOURCE.spacy GOLD.spacy [--projection …]

MODEL is what was adapted. Each row is a strategy of the comparison. Alignment and projection are F1 with the adapted
encoders in `EmbeddingAligner`, the mean over seeds with a 95% interval (Student's t; the plain encoder has one value);
NER is that of the comparison, with the 95% interval of its difference to the plain encoder.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from scipy.stats import t

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.config import load_pipeline_config
from spacy_xlt.evaluation.alignment import evaluate_alignment, read_pairs
from spacy_xlt.evaluation.projection import evaluate_projection

CONFIG = Path(__file__).parents[1] / "configs" / "project.cfg"


def measure(model: str, args: argparse.Namespace) -> dict[str, float]:
    """F1 of alignment on each gold file, and of projection on each pair of corpora, in points."""
    found = {}
    for path in args.alignment:
        aligner = EmbeddingAligner(model=model, layer=args.layer)
        found[f"align {path.parent.name}"] = evaluate_alignment(aligner, read_pairs(path))["f1"]
    for source, gold in args.projection:
        engine = "components.xlt_aligner.engine"
        nlp = load_pipeline_config(CONFIG, {f"{engine}.model": model, f"{engine}.layer": args.layer})
        scores = evaluate_projection(nlp, Path(source), Path(gold), labels=["PER", "LOC", "ORG"]).scores
        found[f"project {Path(gold).stem}"] = 100 * scores["ents_f"]
    return found


def mean_and_interval(values: Sequence[float]) -> str:
    """The mean, and half of the 95% interval of the mean where there are several values."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.1f}"
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.1f} ±{half:.1f}"


def ner_cells(strategy: dict) -> dict[str, str]:
    """F1 on each set of the comparison, with the interval of the difference to the plain encoder."""
    cells = {}
    for name, one in strategy["sets"].items():
        cells[f"NER {name}"] = f"{100 * one['f']['mean']:.1f}"
        if one["difference_interval"] is not None:
            low, high = (100 * end for end in one["difference_interval"])
            cells[f"NER {name}"] += f" [{low:+.1f}, {high:+.1f}]"
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("model")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--alignment", type=Path, nargs="*", default=[])
    parser.add_argument("--projection", nargs=2, action="append", default=[], metavar=("SOURCE.spacy", "GOLD.spacy"))
    args = parser.parse_args()
    report = json.loads((args.comparison / "report.json").read_text(encoding="utf8"))
    # What was measured is not measured again when more strategies are finished
    cache = args.comparison / "adapting.json"
    known = json.loads(cache.read_text(encoding="utf8")) if cache.exists() else {}
    rows = {}
    for name, strategy in report["strategies"].items():
        folders = sorted((args.comparison / "runs" / name).glob("*/adapted")) or [args.model]
        for folder in map(str, folders):
            if folder not in known:
                known[folder] = measure(folder, args)
                cache.write_text(json.dumps(known, indent=2) + "\n", encoding="utf8")
        measured = [known[str(folder)] for folder in folders]
        means = {column: mean_and_interval([one[column] for one in measured]) for column in measured[0]}
        rows[name] = {**means, **ner_cells(strategy)}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print("| strategy |", " | ".join(columns), "|")
    print("|" + "---|" * (1 + len(columns)))
    for name, row in rows.items():
        print(f"| {name} |", " | ".join(row.get(column, "") for column in columns), "|")


if __name__ == "__main__":
    main()
