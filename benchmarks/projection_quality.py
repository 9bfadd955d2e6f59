"""Exact span F1 of projection with one config on gold data in several languages, as Markdown.

    python benchmarks/projection_quality.py [CONFIG ...] [--data FOLDER] [--only NAME ...] [--json OUT.json]

Europarl and PUD are in `assets/`. `--data` names a folder that has the ABSA and AbstRCT data besides, in the folders
`absa` and `abstrct`. The ceiling is what the two sides' own annotations allow (see `label_count_f1`). With several
configs, each has a column.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from spacy_xlt.config import load_pipeline_config
from spacy_xlt.evaluation.projection import evaluate_projection
from spacy_xlt.io import write_docs
from spacy_xlt.readers import read_corpus

ROOT = Path(__file__).parent.parent
NAMES = ("PER", "LOC", "ORG")


class Corpus(NamedTuple):
    """A bitext with gold on both sides: files, their format, languages, labels to score."""

    source: str
    gold: str
    format: str
    lang: str
    labels: tuple[str, ...] | None


def _pud(language: str, lang: str) -> Corpus:
    gold = f"uner/{language}-PUD/{lang}_pud-ud-test.iob2"
    return Corpus("uner/English-PUD/en_pud-ud-test.iob2", gold, "iob2", lang, NAMES)


def _europarl(lang: str) -> Corpus:
    source, gold = (f"europarl-ner/{code}-europarl.test.conll02" for code in ("en", lang))
    return Corpus(source, gold, "conll", lang, NAMES)


CORPORA = {
    "Europarl en-es": _europarl("es"),
    "Europarl en-de": _europarl("de"),
    "PUD en-pt": _pud("Portuguese", "pt"),
    "PUD en-de": _pud("German", "de"),
    "ABSA en-es": Corpus("absa/en.absa.test.tsv", "absa/es.absa.test.tsv", "tsv", "es", None),
    "ABSA en-fr": Corpus("absa/en.absa.test.tsv", "absa/fr.absa.test.tsv", "tsv", "fr", None),
    "AbstRCT en-es": Corpus("abstrct/en.neoplasm.test.tsv", "abstrct/es.neoplasm.test.tsv", "tsv", "es", None),
}


def convert(path: Path, corpus: Corpus, lang: str, output: Path) -> Path:
    """Write a file of columns as a corpus."""
    columns = {"token_col": 1, "tag_col": 2} if corpus.format == "tsv" else {}
    write_docs(output, read_corpus(path, format=corpus.format, lang=lang, **columns))
    return output


def measure(config: Path, corpora: dict[str, tuple[Corpus, Path]], folder: Path) -> dict[str, dict[str, Any]]:
    """The scores of a config on each corpus."""
    nlp = load_pipeline_config(config)
    result = {}
    for name, (corpus, data) in corpora.items():
        source = convert(data / corpus.source, corpus, "en", folder / "source.spacy")
        gold = convert(data / corpus.gold, corpus, corpus.lang, folder / "gold.spacy")
        result[name] = evaluate_projection(
            nlp, source, gold, labels=corpus.labels, target_lang=corpus.lang, config=config
        ).scores
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", nargs="*", type=Path, default=[ROOT / "configs" / "project.cfg"])
    parser.add_argument("--data", type=Path, default=ROOT / "assets")
    parser.add_argument("--only", nargs="*", help="names of corpora")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    corpora = {}
    for name, corpus in CORPORA.items():
        data = next((place for place in (args.data, ROOT / "assets") if (place / corpus.gold).is_file()), None)
        if data is None:
            print(f"{name}: not in {args.data.name}, left out")
        elif not args.only or name in args.only:
            corpora[name] = (corpus, data)
    with tempfile.TemporaryDirectory() as folder:
        results = {config.stem: measure(config, corpora, Path(folder)) for config in args.configs}
    print("| data | ceiling | config | P | R | F1 | lost | P without the least sure tenth | sentences/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in corpora:
        for config, scores in results.items():
            of_corpus = scores[name]
            figures = [100 * of_corpus[key] for key in ("ents_p", "ents_r", "ents_f")]
            lost = 100 * of_corpus["spans_lost"] / of_corpus["spans_in"]
            sure = 100 * of_corpus["reliability"]["precision_of_surest"]
            print(
                f"| {name} | {100 * of_corpus['ceiling_f']:.1f} | {config} | "
                + " | ".join(f"{figure:.1f}" for figure in figures)
                + f" | {lost:.1f}% | {sure:.1f} | {of_corpus['pairs_per_second']} |"
            )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
