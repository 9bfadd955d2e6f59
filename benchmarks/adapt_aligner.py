"""What adapting the encoder to parallel text does for its links, and if asked for the projected spans.

    python benchmarks/adapt_aligner.py SOURCE.txt TARGET.txt GOLD.tsv [GOLD.tsv …] [--languages en es] [--steps 150]
        [--links LINKS] [--threshold 0.2 0.3] [--projection SOURCE.spacy GOLD.spacy] [--json OUT.json]

SOURCE.txt and TARGET.txt are line-parallel and cut into tokens by spaCy's tokenizers; each GOLD.tsv is what
`spacy xlt eval-alignment` reads, and may be of another pair of languages. Prints the scores of `EmbeddingAligner` with
the encoder before and after, and the most memory that this process ever had.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path

from spacy_xlt.adapting.self_align import SelfAlign
from spacy_xlt.adapting.texts import ParallelLines
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.config import load_pipeline_config
from spacy_xlt.evaluation.alignment import evaluate_alignment, read_pairs
from spacy_xlt.evaluation.projection import evaluate_projection

CONFIG = Path(__file__).parents[1] / "configs" / "project.cfg"


def measure(model: str, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """F1 and its parts for each gold file and threshold, and of projection where asked for."""
    found: dict[str, dict[str, float]] = {}
    for path in args.gold:
        gold = read_pairs(path)
        for threshold in args.threshold:
            scores = evaluate_alignment(EmbeddingAligner(model=model, layer=args.layer, threshold=threshold), gold)
            kept = {key: scores[key] for key in ("precision", "recall", "f1")}
            found[f"{path.parent.name}/{path.name} threshold {threshold:g}"] = kept
    if args.projection:
        engine = "components.xlt_aligner.engine"
        overrides = {f"{engine}.model": model, f"{engine}.layer": args.layer}
        nlp = load_pipeline_config(CONFIG, overrides)
        scores = evaluate_projection(nlp, *args.projection).scores
        found["projection"] = {key: round(100 * scores[f"ents_{key[0]}"], 2) for key in ("precision", "recall", "f1")}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("gold", type=Path, nargs="+")
    parser.add_argument("--languages", nargs=2, default=["xx", "xx"], metavar=("SOURCE", "TARGET"))
    parser.add_argument("--model", default="bundled:encoder")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--links", type=Path, help="Pharaoh links of each pair, instead of the encoder's own")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.2, 0.3])
    parser.add_argument("--projection", nargs=2, type=Path, metavar=("SOURCE.spacy", "GOLD.spacy"))
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    args = parser.parse_args()
    source_lang, lang = args.languages
    pairs = ParallelLines(
        source=str(args.source),
        targets={lang: str(args.target)},
        source_lang=source_lang,
        links={lang: str(args.links)} if args.links else {},
    )
    settings = AdaptingSettings(
        model=args.model,
        layers=args.layer,
        steps=args.steps,
        learning_rate=args.learning_rate,
        seed=args.seed,
    )
    before = measure(args.model, args)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "adapted"
        summary = adapt(settings, {"self_align": SelfAlign(pairs=pairs)}, model)
        after = measure(str(model), args)
    for name, old in before.items():
        scores = "  ".join(f"{key} {old[key]:.2f} -> {after[name][key]:.2f}" for key in old)
        print(f"{name:32} {scores}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{summary['steps']} steps in {summary['seconds']} s, at most {memory:.0f} MiB")
    if args.json:
        result = {"before": before, "after": after, "peak_mib": round(memory), **summary}
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
