"""How often each quality gate flags good translations, how many planted faults it catches, and what the gates cost.

    python benchmarks/quality_gates.py [SOURCE.txt REFERENCE.txt] [--source en] [--target pt] [--speed]
        [--no-model] [--json OUT.json]

The files have one sentence a line; the default is NTREX-128 in assets/ntrex. "gold" are the references, "model" the
bundled model's translations of the sources (left out with --no-model, for other languages). A fault of each kind is
planted into every reference where it can be; "caught" is the share flagged by the gate that is there for it. Texts in
another language are those of other files in assets. --speed takes the translator component over the sources with and
without gates and placeholders, in turns.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import spacy
from spacy import registry

from spacy_xlt.protocols import Translation
from spacy_xlt.translation.quality import (
    DEFAULT,
    CopiedFilter,
    EmptyFilter,
    LengthRatioFilter,
    LogProbabilityFilter,
    LoopingFilter,
    NumbersFilter,
    QualityFilter,
    SourceLanguageFilter,
    TranslationPair,
    WrongLanguageFilter,
)

ASSETS = Path(__file__).parents[1] / "assets"
FILTERS: tuple[Callable[[], QualityFilter], ...] = (*DEFAULT, WrongLanguageFilter, SourceLanguageFilter)


def other_language() -> list[str]:
    """Sentences in German."""
    lines = (ASSETS / "uner" / "German-PUD" / "de_pud-ud-test.iob2").read_text(encoding="utf8").splitlines()
    return [line.partition("= ")[2] for line in lines if line.startswith("# text =")]


def faults(pairs: list[TranslationPair]) -> dict[str, tuple[type[QualityFilter], list[TranslationPair]]]:
    """Pairs with a fault of each kind planted, and the gate that should catch it."""
    rng = random.Random(0)
    german = other_language()

    def changed(change: Callable[[TranslationPair], str]) -> list[TranslationPair]:
        new = [(pair, change(pair)) for pair in pairs]
        return [replace(pair, target=text) for pair, text in new if text != pair.target]

    def loop(pair: TranslationPair) -> str:
        words = pair.target.split()
        return " ".join(words + words[-3:] * 4)

    def word_loop(pair: TranslationPair) -> str:
        words = pair.target.split()
        return " ".join(words[: len(words) // 2] + words[len(words) // 2 : len(words) // 2 + 1] * 8)

    def without_numbers(pair: TranslationPair) -> str:
        return re.sub(r"\d[\d.,]*\d\d", "", pair.target) if re.search(r"\d\d\d", pair.source) else pair.target

    def another_number(pair: TranslationPair) -> str:
        other = re.sub(r"\d(?=\d\d)", lambda m: str((int(m.group()) + 1) % 10), pair.target)
        return other if re.search(r"\d\d\d", pair.source) else pair.target

    def start(pair: TranslationPair) -> str:
        words = pair.target.split()
        return " ".join(words[: len(words) // 3])

    return {
        "empty": (EmptyFilter, changed(lambda pair: " ")),
        "source copied": (CopiedFilter, changed(lambda pair: pair.source)),
        "end said 5 times": (LoopingFilter, changed(loop)),
        "word said 8 times": (LoopingFilter, changed(word_loop)),
        "first third only": (LengthRatioFilter, changed(start)),
        "two sentences more": (
            LengthRatioFilter,
            changed(lambda p: " ".join([p.target, rng.choice(pairs).target, rng.choice(pairs).target])),
        ),
        "numbers left out": (NumbersFilter, changed(without_numbers)),
        "other numbers": (NumbersFilter, changed(another_number)),
        "target in German": (WrongLanguageFilter, changed(lambda p: rng.choice(german))),
        "source in German": (SourceLanguageFilter, [replace(p, source=rng.choice(german)) for p in pairs]),
    }


def share_flagged(gate: QualityFilter, pairs: list[TranslationPair]) -> float:
    """The share of pairs that a gate does not accept."""
    scores = [gate.score(pair) for pair in pairs]
    return sum(score is not None and not gate.accept(score) for score in scores) / max(1, len(pairs))


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the values is below."""
    return sorted(values)[int(share * (len(values) - 1))]


def speed(texts: list[str], source: str, target: str, rounds: int) -> dict[str, float]:
    """Sentences per second of the translator component, with and without gates and placeholders, in turns."""
    settings: dict[str, dict[str, Any]] = {"default": {}, "without": {"quality": None, "protect": []}}
    pipes, seconds = {}, {name: float("inf") for name in settings}
    for name, config in settings.items():
        pipes[name] = spacy.blank(source)
        pipes[name].add_pipe("xlt_translator", config={"target": target, **config})
        list(pipes[name].pipe(texts[:64]))
    for _ in range(rounds):
        for name, nlp in pipes.items():
            begin = time.process_time()
            for _doc in nlp.pipe(texts):
                pass
            seconds[name] = min(seconds[name], time.process_time() - begin)
    rates = {f"sentences_per_cpu_second_{name}": round(len(texts) / value, 1) for name, value in seconds.items()}
    return {**rates, "cost": round(seconds["default"] / seconds["without"] - 1, 4)}


def measure(source: Path, reference: Path, langs: tuple[str, str], *, model: bool) -> dict[str, Any]:
    """Run all gates."""
    texts = [path.read_text(encoding="utf8").splitlines() for path in (source, reference)]
    gold = [TranslationPair(s, t, *langs) for s, t in zip(*texts, strict=True)]
    made: list[Translation] = []
    if model:
        engine = registry.misc.get("spacy_xlt.BergamotTranslator.v1")()
        made = engine.translate(texts[0], source=langs[0], target=langs[1])
    judged = [TranslationPair(pair.source, t.text, *langs, score=t.score) for pair, t in zip(gold, made, strict=False)]
    gates = {}
    for make in FILTERS:
        gate = make()
        begin = time.process_time()
        flagged_gold = share_flagged(gate, gold)
        gates[gate.flag] = {
            "gold": flagged_gold,
            "model": share_flagged(gate, judged),
            "microseconds": round((time.process_time() - begin) / len(gold) * 1e6, 1),
        }
    planted = {
        name: {"gate": make.flag, "caught": share_flagged(make(), pairs), "pairs": len(pairs)}
        for name, (make, pairs) in faults(gold).items()
    }
    if model:
        gates[LogProbabilityFilter.flag] = {"gold": None, "model": share_flagged(LogProbabilityFilter(), judged)}
        scores = [t.score for t in made if t.score is not None]
        planted["model score, 0.1% and 1% quantile"] = {
            "gate": "low_score", "caught": None, "pairs": [round(quantile(scores, q), 3) for q in (0.001, 0.01)],
        }  # fmt: skip
    return {"sentences": len(gold), "gates": gates, "planted": planted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="sources and references")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="pt")
    parser.add_argument("--no-model", action="store_true", help="references only")
    parser.add_argument("--speed", action="store_true", help="also what the default gates and placeholders cost")
    parser.add_argument("--rounds", type=int, default=3, help="of --speed; the best counts")
    parser.add_argument("--json", type=Path, help="also write the tables to this file")
    args = parser.parse_args()
    ntrex = ASSETS / "ntrex"
    source, reference = args.files or (ntrex / "newstest2019-src.eng.txt", ntrex / "newstest2019-ref.por-BR.txt")
    langs = (args.source, args.target)
    result = measure(source, reference, langs, model=not args.no_model)
    print(f"{'gate':18}{'flagged gold':>14}{'flagged model':>15}{'µs':>8}")
    for name, row in result["gates"].items():
        cells = ["-" if row.get(key) is None else f"{row[key]:.2%}" for key in ("gold", "model")]
        print(f"{name:18}{cells[0]:>14}{cells[1]:>15}{row.get('microseconds', ''):>8}")
    print(f"\n{'planted fault':36}{'gate':18}{'caught':>8}{'pairs':>18}")
    for name, row in result["planted"].items():
        caught = "-" if row["caught"] is None else f"{row['caught']:.1%}"
        print(f"{name:36}{row['gate']:18}{caught:>8}{row['pairs']!s:>18}")
    if args.speed:
        texts = source.read_text(encoding="utf8").splitlines()[:600]
        result["speed"] = speed(texts, *langs, rounds=args.rounds)
        print("\n" + "\n".join(f"{key:40}{value}" for key, value in result["speed"].items()))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
