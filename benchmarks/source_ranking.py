"""Whether `spacy xlt rank-sources` finds the source to learn from, as Markdown.

    python benchmarks/source_ranking.py ENCODER --data FOLDER [--updates 200] [--seeds 1] [--scores SCORES.json]

ENCODER is the folder of the one that is trained: `python -m spacy xlt bundled encoder ENCODER --layers 6`. `--data` has
the folders `uner`, `europarl-ner`, `pud-zh` and `masakhaner2`. A pipeline is trained on each source by
`configs/train.cfg`, and finds PER, LOC and ORG in each target that is not in the source's language. Sources have as
many words as the least of them. No target is a translation of a source: of the sentences of Europarl, which are the
same in all languages, sources have the first half and targets the second; Croatian has no document that Serbian has.
Each target's text, without its annotation, is ranked for with the defaults of the command.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_xlt.alignment.encoder import Encoder
from spacy_xlt.config import merge_configs
from spacy_xlt.evaluation.spans import keep_entities
from spacy_xlt.io import write_docs
from spacy_xlt.readers import read_corpus
from spacy_xlt.teaching.ranking import Corpus, Ranked, rank_sources

CONFIGS = [
    Path(__file__).parent.parent / "configs" / name
    for name in ("train.cfg", "strategies/zero_shot.cfg", "parts/half_precision.cfg")
]
LABELS = ("PER", "LOC", "ORG")
# Sentences of each target, drawn by chance
N_SENTENCES = 400
ENGLISH = "English EWT"
CROATIAN, SERBIAN = "uner/Croatian-SET/hr_set-ud-test.iob2", "uner/Serbian-SET/sr_set-ud-test.iob2"
SWAHILI = "masakhaner2/swa/dev.txt"


class Part(NamedTuple):
    """A file of annotated text, its language, and which half of it: 0 for all, 1 or 2."""

    lang: str
    path: str
    half: int = 0


SOURCES = {
    ENGLISH: Part("en", "uner/English-EWT/en_ewt-ud-dev.iob2"),
    "Portuguese Bosque": Part("pt", "uner/Portuguese-Bosque/pt_bosque-ud-train.iob2"),
    "German Europarl": Part("de", "europarl-ner/de-europarl.test.conll02", 1),
    "Spanish Europarl": Part("es", "europarl-ner/es-europarl.test.conll02", 1),
    "Croatian SET": Part("hr", CROATIAN),
    "Serbian SET": Part("sr", SERBIAN),
    "Swahili": Part("sw", SWAHILI),
}
TARGETS = {
    "English PUD": Part("en", "uner/English-PUD/en_pud-ud-test.iob2"),
    "Portuguese PUD": Part("pt", "uner/Portuguese-PUD/pt_pud-ud-test.iob2"),
    "Portuguese Bosque": Part("pt", "uner/Portuguese-Bosque/pt_bosque-ud-test.iob2"),
    "German PUD": Part("de", "uner/German-PUD/de_pud-ud-test.iob2"),
    "German Europarl": Part("de", "europarl-ner/de-europarl.test.conll02", 2),
    "Spanish Europarl": Part("es", "europarl-ner/es-europarl.test.conll02", 2),
    "Croatian SET": Part("hr", CROATIAN),
    "Serbian SET": Part("sr", SERBIAN),
    "Chinese PUD": Part("zh", "pud-zh/zh.conll"),
    "Swahili": Part("sw", SWAHILI),
}
# What a ranking goes by, higher is better. langcodes' distance is the same for most pairs of these languages
RANKINGS: dict[str, Callable[[Ranked], float]] = {
    "neighbours": lambda one: one.neighbours,
    "vocabulary": lambda one: one.vocabulary,
    "entities": lambda one: one.entities,
}
Scores = dict[str, dict[str, float]]


class KeepingEncoder(Encoder):
    """Computes the vectors of a corpus once: the same sources are ranked for every target."""

    def __init__(self, model: str, layer: int):
        super().__init__(model, layer)
        self.kept: dict[bytes, Any] = {}

    def embed(self, texts: Sequence[NDArray[np.int64]], *, batch_tokens: int, window: int | None = None) -> Any:
        """See Encoder."""
        key = np.concatenate(texts).tobytes()
        if key not in self.kept:
            self.kept[key] = super().embed(texts, batch_tokens=batch_tokens, window=window)
        return self.kept[key]


def read(part: Part, data: Path, folder: Path) -> list[Doc]:
    """The documents of a part."""
    path = data / part.path
    if part.path == CROATIAN:
        path = without_serbian(data, folder)
    docs = list(read_corpus(path, lang=part.lang, format="iob2" if path.suffix == ".iob2" else "conll"))
    for doc in docs:
        keep_entities(doc, LABELS)
    sentences = [sentence.as_doc() for doc in docs for sentence in doc.sents]
    middle = len(sentences) // 2
    return {0: sentences, 1: sentences[:middle], 2: sentences[middle:]}[part.half]


def without_serbian(data: Path, folder: Path) -> Path:
    """The Croatian documents that are not in the Serbian file, too."""
    croatian, serbian = (
        {re.match(r" id ?=\D*(\d+)", text)[1]: text for text in (data / path).read_text("utf8").split("# newdoc")[1:]}  # type: ignore[index]
        for path in (CROATIAN, SERBIAN)
    )
    path = folder / "croatian.iob2"
    path.write_text("".join(f"# newdoc{text}" for number, text in croatian.items() if number not in serbian), "utf8")
    return path


def sample(docs: Sequence[Doc]) -> list[Doc]:
    """`N_SENTENCES` of them, the same ones each time."""
    return random.Random(0).sample(docs, min(N_SENTENCES, len(docs)))


def first_words(docs: Sequence[Doc], n_words: int) -> list[Doc]:
    """Documents from the beginning that have no more words together."""
    totals = itertools.accumulate(len(doc) for doc in docs)
    return [doc for doc, total in zip(docs, totals, strict=False) if total <= n_words]


def train_on(source: Corpus, encoder: str, *, updates: int, seed: int) -> Language:
    """A pipeline after so many updates on a source."""
    settings: dict[str, Any] = {"paths.source": source.path, "paths.dev": source.path, "paths.encoder": encoder}
    settings |= {"languages.source": source.lang, "system.seed": seed, "training.max_steps": updates}
    # The last one is taken
    settings |= {"training.eval_frequency": updates, "reading.dev_limit": 1}
    nlp = init_nlp(merge_configs(CONFIGS, settings))
    return train(nlp, None, stdout=io.StringIO(), stderr=io.StringIO())[0]


def f_score(nlp: Language, docs: Iterable[Doc]) -> float:
    """Exact F1 of entities, in per cent."""
    pairs = ((Doc(nlp.vocab, words=[t.text for t in d], spaces=[bool(t.whitespace_) for t in d]), d) for d in docs)
    return 100 * float(nlp.evaluate([Example(*pair) for pair in pairs])["ents_f"])


def rank(corpora: Sequence[Corpus], tests: dict[str, list[Doc]]) -> dict[str, list[Ranked]]:
    """The sources that are not in the target's language, ranked for each target."""
    encoder = KeepingEncoder("bundled:encoder", 6)
    targets = {}
    for name, docs in tests.items():
        raw = Corpus(name, TARGETS[name].lang, name).add(docs)
        sources = [corpus for corpus in corpora if corpus.lang != raw.lang]
        targets[name] = rank_sources(raw, sources, encoder, n_sentences=100, n_words=5000)[0]
    return targets


def show(targets: dict[str, list[Ranked]], scores: Scores) -> None:
    """Print each target's scores by source, and what each ranking chooses; then how good the choices are."""
    print(f"\n| target | {' | '.join(SOURCES)} | {' | '.join(RANKINGS)} |")
    print("|---|" + "--:|" * len(SOURCES) + "---|" * len(RANKINGS))
    for target, ranked in targets.items():
        cells = [f"{scores[source][target]:.1f}" if target in scores[source] else "" for source in SOURCES]
        cells += [max(ranked, key=value).corpus.name for value in RANKINGS.values()]
        print(f"| {target} | {' | '.join(cells)} |")
    compared = {target: ranked for target, ranked in targets.items() if TARGETS[target].lang != "en"}
    print(f"\n| source | as good as English, of {len(compared)} targets | mean F1 |\n|---|--:|--:|")
    for name, value in RANKINGS.items():
        show_choice(f"first by {name}", {t: [max(ranked, key=value)] for t, ranked in compared.items()}, scores)
    show_choice("drawn by chance", compared, scores)
    best = {t: [max(ranked, key=lambda one: scores[one.corpus.name][t])] for t, ranked in compared.items()}
    show_choice("the best", best, scores)
    english = {t: [one for one in ranked if one.corpus.name == ENGLISH] for t, ranked in compared.items()}
    show_choice("English", english, scores)


def show_choice(name: str, chosen: dict[str, list[Ranked]], scores: Scores) -> None:
    """Print a row, the mean over what may be chosen for each target."""
    found = {target: [scores[one.corpus.name][target] for one in ranked] for target, ranked in chosen.items()}
    wins = sum(fmean(score >= scores[ENGLISH][target] for score in some) for target, some in found.items())
    print(f"| {name} | {wins:.1f} | {fmean(map(fmean, found.values())):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("encoder", help="model folder or Hugging Face name, to train")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--scores", type=Path, help="keeps F1 of each run: what is in the file is not trained again")
    args = parser.parse_args()
    runs: dict[str, dict[str, float]] = {}
    if args.scores and args.scores.exists():
        runs = json.loads(args.scores.read_text())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tests = {name: sample(read(part, args.data, folder)) for name, part in TARGETS.items()}
        texts = {name: read(part, args.data, folder) for name, part in SOURCES.items()}
        n_words = min(sum(map(len, docs)) for docs in texts.values())
        corpora = []
        for name, docs in texts.items():
            drawn = first_words(docs, n_words)
            corpus = Corpus(name, SOURCES[name].lang, str(folder / f"{name}.spacy")).add(drawn)
            write_docs(corpus.path, drawn)
            corpora.append(corpus)
            print(f"{name}: {len(drawn)} sentences, {corpus.n_words} words, {corpus.entities.total()} entities")
        for seed, corpus in itertools.product(range(args.seeds), corpora):
            key = f"{corpus.name}, seed {seed}"
            if key not in runs:
                nlp = train_on(corpus, args.encoder, updates=args.updates, seed=seed)
                others = {target: docs for target, docs in tests.items() if TARGETS[target].lang != corpus.lang}
                runs[key] = {target: round(f_score(nlp, docs), 2) for target, docs in others.items()}
                if args.scores:
                    args.scores.write_text(json.dumps(runs, indent=1))
    by_source = {name: [runs[f"{name}, seed {seed}"] for seed in range(args.seeds)] for name in SOURCES}
    show(
        rank(corpora, tests),
        {name: {t: fmean(run[t] for run in found) for t in found[0]} for name, found in by_source.items()},
    )


if __name__ == "__main__":
    main()
