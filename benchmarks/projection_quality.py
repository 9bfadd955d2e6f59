"""Exact span F1 of projection with one config on gold data in several languages, as Markdown.

    python benchmarks/projection_quality.py [CONFIG ...] [--data FOLDER] [--only NAME ...] [--json OUT.json]

Europarl and PUD are in `assets/`. `--data` names a folder that has the other data besides, in the folders `pud-zh`,
`absa`, `abstrct`, `xsid` and `xquad`. The ceiling is what the two sides' own annotations allow (see `label_count_f1`).
With several configs, each has a row. The last column is the precision of tenths of the spans, the least sure first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import spacy
from spacy.tokens import Doc

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
    labels: tuple[str, ...] | None = None


def _pud(language: str, lang: str) -> Corpus:
    gold = f"uner/{language}-PUD/{lang}_pud-ud-test.iob2"
    return Corpus("uner/English-PUD/en_pud-ud-test.iob2", gold, "iob2", lang, NAMES)


def _europarl(lang: str) -> Corpus:
    source, gold = (f"europarl-ner/{code}-europarl.test.conll02" for code in ("en", lang))
    return Corpus(source, gold, "conll", lang, NAMES)


def _xsid(lang: str) -> Corpus:
    return Corpus("xsid/en.test.conll", f"xsid/{lang}.test.conll", "xsid", lang)


CORPORA = {
    "Europarl en-es": _europarl("es"),
    "Europarl en-de": _europarl("de"),
    "PUD en-pt": _pud("Portuguese", "pt"),
    "PUD en-de": _pud("German", "de"),
    "PUD en-zh": Corpus("pud-zh/en.conll", "pud-zh/zh.conll", "tsv", "zh", NAMES),
    "ABSA en-es": Corpus("absa/en.absa.test.tsv", "absa/es.absa.test.tsv", "tsv", "es"),
    "ABSA en-fr": Corpus("absa/en.absa.test.tsv", "absa/fr.absa.test.tsv", "tsv", "fr"),
    "ABSA en-ru": Corpus("absa/en-ru/en.conll", "absa/en-ru/ru.conll", "tsv", "ru"),
    "AbstRCT en-es": Corpus("abstrct/en.neoplasm.test.tsv", "abstrct/es.neoplasm.test.tsv", "tsv", "es"),
    "xSID en-ar": _xsid("ar"),
    "xSID en-tr": _xsid("tr"),
    "xSID en-da": _xsid("da"),
    "XQuAD en-es": Corpus("xquad/xquad.en.json", "xquad/xquad.es.json", "squad", "es"),
}


def find(data: Path) -> dict[str, tuple[Corpus, Path]]:
    """The corpora that are there, and the folder that each is in."""
    found = {}
    for name, corpus in CORPORA.items():
        folder = next((place for place in (data, ROOT / "assets") if (place / corpus.gold).is_file()), None)
        if folder is None:
            print(f"{name}: not in {data.name}, left out")
        else:
            found[name] = (corpus, folder)
    return found


def read_pairs(corpus: Corpus, folder: Path) -> list[tuple[Doc, Doc]]:
    """Both sides of a corpus. Of xSID, the sentences whose labels agree."""
    files = ((folder / corpus.source, "en"), (folder / corpus.gold, corpus.lang))
    if corpus.format == "squad":
        return list(zip(*(_read_squad(*file) for file in files), strict=True))
    columns = {"tsv": {"token_col": 1, "tag_col": 2}, "xsid": {"token_col": 2, "tag_col": 4}}.get(corpus.format, {})
    form = "tsv" if corpus.format == "xsid" else corpus.format
    pairs = list(
        zip(*(list(read_corpus(path, format=form, lang=lang, **columns)) for path, lang in files), strict=True)
    )
    if corpus.format == "xsid":
        pairs = [pair for pair in pairs if len({tuple(sorted(ent.label_ for ent in doc.ents)) for doc in pair}) == 1]
    return pairs


def _read_squad(path: Path, lang: str) -> list[Doc]:
    """The paragraphs of a file of SQuAD's form, with the answer to the first question of each."""
    nlp, docs = spacy.blank(lang), []
    for article in json.loads(path.read_text("utf8"))["data"]:
        for paragraph in article["paragraphs"]:
            doc, answer = nlp(paragraph["context"]), paragraph["qas"][0]["answers"][0]
            start = answer["answer_start"]
            span = doc.char_span(start, start + len(answer["text"]), label="ANSWER", alignment_mode="expand")
            doc.set_ents([span], default="outside")
            docs.append(doc)
    return docs


def measure(config: Path, corpora: dict[str, tuple[Corpus, Path]], folder: Path) -> dict[str, dict[str, Any]]:
    """The scores of a config on each corpus."""
    nlp = load_pipeline_config(config)
    result = {}
    for name, (corpus, data) in corpora.items():
        files = folder / "source.spacy", folder / "gold.spacy"
        for path, docs in zip(files, zip(*read_pairs(corpus, data), strict=True), strict=True):
            write_docs(path, docs)
        result[name] = evaluate_projection(
            nlp, *files, labels=corpus.labels, target_lang=corpus.lang, config=config
        ).scores
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", nargs="*", type=Path, default=[ROOT / "configs" / "project.cfg"])
    parser.add_argument("--data", type=Path, default=ROOT / "assets")
    parser.add_argument("--only", nargs="*", help="names of corpora")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    corpora = {name: found for name, found in find(args.data).items() if not args.only or name in args.only}
    with tempfile.TemporaryDirectory() as folder:
        results = {config.stem: measure(config, corpora, Path(folder)) for config in args.configs}
    print("| data | ceiling | config | P | R | F1 | lost | P without the least sure tenth | sentences/s | P by score |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in corpora:
        for config, scores in results.items():
            of_corpus = scores[name]
            figures = [100 * of_corpus[key] for key in ("ents_p", "ents_r", "ents_f")]
            lost = 100 * of_corpus["spans_lost"] / of_corpus["spans_in"]
            sure = 100 * of_corpus["reliability"]["precision_of_surest"]
            curve = " ".join(f"{100 * point['precision']:.0f}" for point in of_corpus["reliability"]["curve"])
            print(
                f"| {name} | {100 * of_corpus['ceiling_f']:.1f} | {config} | "
                + " | ".join(f"{figure:.1f}" for figure in figures)
                + f" | {lost:.1f}% | {sure:.1f} | {of_corpus['pairs_per_second']} | {curve} |"
            )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
