"""BLEU and chrF of every translation direction that this machine has a model or a language pair for.

    python benchmarks/translation_quality.py [--data DIR] [--directions en-pt,en-es] [--json OUT.json]

DIR has NTREX-128 as it is published: newstest2019-src.eng.txt and newstest2019-ref.LANG.txt, a sentence a line; where
left out, assets/ntrex, which has Portuguese and Spanish. English is read as the source and the other file as the
reference, or the other way round; then what is translated was itself translated from the reference, which makes it
easier. For a direction without such a file the way there and back is scored against the text it began with, if there is
a way back, and is called a round trip: it says that both ways keep the meaning, not how good either is. Otherwise the
direction is listed with what is missing. Engines: the bundled Bergamot models and Debian's Apertium, where they are
installed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import sacrebleu
import spacy

from spacy_xlt.errors import XltError
from spacy_xlt.languages import to_spacy

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"
ENGINES = ("BergamotTranslator", "ApertiumTranslator")
HUB = "en"


def read_texts(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """RETURNS (dict): For each language (spaCy's code) its file's name and its lines. The files are parallel."""
    texts = {}
    for path in sorted(folder.glob("newstest2019-*.txt")):
        code = path.name.split(".")[1]
        texts[to_spacy(code)] = path.name, path.read_text(encoding="utf8").splitlines()
    lengths = {name: len(lines) for name, lines in texts.values()}
    if len(set(lengths.values())) > 1:
        raise SystemExit(f"the files must be parallel, but have different numbers of lines: {lengths}")
    if HUB not in texts:
        raise SystemExit(f"no newstest2019-src.eng.txt in {folder}")
    return texts


def score(hypotheses: list[str], references: list[str]) -> dict[str, Any]:
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    return {
        "bleu": round(bleu.corpus_score(hypotheses, [references]).score, 2),
        "chrf": round(chrf.corpus_score(hypotheses, [references]).score, 2),
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }


def run(engine: Any, source: str, target: str, texts: dict[str, tuple[str, list[str]]], limit: int) -> dict[str, Any]:
    """Translate one direction and score it as far as there is something to score it against."""
    row: dict[str, Any] = {"direction": f"{source}-{target}"}
    if source not in texts:
        return {**row, "kind": f"not measured: no newstest2019-ref file in {source}"}
    lines = texts[source][1][:limit]
    # The model is loaded, or the programs are started
    engine.translate(["Warm up."], source=source, target=target)
    start = time.perf_counter()
    found = [t.text for t in engine.translate(lines, source=source, target=target)]
    seconds = time.perf_counter() - start
    row |= {"sentences": len(lines), "sentences_per_second": round(len(lines) / seconds, 1)}
    if target in texts:
        return {**row, "kind": f"reference {texts[target][0]}", **score(found, texts[target][1][:limit])}
    if (target, source) not in engine.directions:
        return {**row, "kind": f"not scored: no newstest2019-ref file in {target}, and no way back"}
    back = [t.text for t in engine.translate(found, source=target, target=source)]
    return {**row, "kind": f"round trip {source}-{target}-{source}", **score(back, lines)}


def engines() -> dict[str, Any]:
    """The engines with at least one direction, by name."""
    found = {}
    for name in ENGINES:
        engine = spacy.registry.misc.get(f"spacy_xlt.{name}.v1")()
        try:
            directions = engine.directions
        except XltError as err:
            print(f"{name}: not here ({err})\n")
            continue
        if directions:
            found[name] = engine
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ASSETS)
    parser.add_argument("--directions", help="only these, with commas between: en-pt,eu-en")
    parser.add_argument("--limit", type=int, default=10**9, help="only so many sentences")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    texts = read_texts(args.data)
    wanted = args.directions.split(",") if args.directions else None
    rows = []
    print(f"{'direction':10} {'engine':20} {'BLEU':>6} {'chrF':>6} {'sent/s':>8}  scored against")
    for name, engine in engines().items():
        for source, target in engine.directions:
            if wanted and f"{source}-{target}" not in wanted:
                continue
            row = {"engine": name, **run(engine, source, target, texts, args.limit), "signature": engine.signature}
            rows.append(row)
            figures = " ".join(
                f"{row.get(key, '-'):>{width}}"
                for key, width in (("bleu", 6), ("chrf", 6), ("sentences_per_second", 8))
            )
            print(f"{row['direction']:10} {name:20} {figures}  {row['kind']}", flush=True)
    for kind in ("signature", "bleu_signature", "chrf_signature"):
        for signature in dict.fromkeys(row[kind] for row in rows if kind in row):
            print(signature)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
