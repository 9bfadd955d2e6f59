"""What adapting brings to the alignment of a language that it has seen nothing of.

    python benchmarks/adapting_left_out.py NTREX XL-WA [--texts ces,dan,deu,…] [--gold] [--steps 200]

Each language of XL-WA (its folders, with dev.tsv) is left out in turn. An encoder learns from NTREX in the other
languages named, by WordContrast from its own links; with --gold also from the gold links of the other languages of
XL-WA. Prints precision, recall and F1 of `EmbeddingAligner` with the plain and with the adapted encoder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from spacy_xlt.adapting.contrast import WordContrast
from spacy_xlt.adapting.objective import Objective
from spacy_xlt.adapting.self_align import SelfAlign
from spacy_xlt.adapting.texts import Pair, ParallelLines
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.evaluation.alignment import GoldPair, evaluate_alignment, read_pairs
from spacy_xlt.languages import to_spacy
from spacy_xlt.links import Alignment

TEXTS = "ces,dan,deu,fra,hrv,nld,ron,rus,slv,swe"


def objectives_without(
    left_out: str, golds: dict[str, list[GoldPair]], args: argparse.Namespace
) -> dict[str, Objective]:
    """The objectives, with nothing in the language left out."""
    names = [name for name in args.texts.split(",") if to_spacy(name) != left_out]
    files = {name: str(args.ntrex / f"newstest2019-ref.{name}.txt") for name in names}
    source = str(args.ntrex / "newstest2019-src.eng.txt")
    found: dict[str, Objective] = {
        "words": WordContrast(pairs=ParallelLines(source=source, targets=files, limit=args.lines))
    }
    if args.gold:
        others = [pair for lang, pairs in golds.items() if lang != left_out for pair in pairs]
        pairs = [Pair(pair.source, pair.target, links=Alignment(sorted(pair.sure))) for pair in others]
        found |= {"links": SelfAlign(pairs=pairs), "linked_words": WordContrast(pairs=pairs)}
    return found


def scores(model: str, layer: int, gold: list[GoldPair]) -> str:
    """Precision, recall and F1."""
    found = evaluate_alignment(EmbeddingAligner(model=model, layer=layer), gold)
    return " ".join(f"{found[name]:5.2f}" for name in ("precision", "recall", "f1"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ntrex", type=Path)
    parser.add_argument("gold_folder", type=Path, metavar="XL-WA")
    parser.add_argument("--texts", default=TEXTS, help="languages of NTREX, as its files call them")
    parser.add_argument("--lines", type=int, default=100, help="lines of each")
    parser.add_argument("--gold", action="store_true", help="learn from the gold links of the other languages, too")
    parser.add_argument("--model", default="bundled:encoder")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    golds = {path.parent.name: list(read_pairs(path)) for path in sorted(args.gold_folder.glob("*/dev.tsv"))}
    settings = AdaptingSettings(
        model=args.model, layers=args.layer, steps=args.steps, learning_rate=args.learning_rate, seed=args.seed
    )
    for left_out, gold in golds.items():
        with tempfile.TemporaryDirectory() as folder:
            model = f"{folder}/adapted"
            summary = adapt(settings, objectives_without(left_out, golds, args), model)
            adapted = scores(model, args.layer, gold)
        plain = scores(args.model, args.layer, gold)
        print(f"{left_out}: plain {plain}, adapted {adapted} ({summary['seconds']:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
