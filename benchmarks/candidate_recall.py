"""Whether the gold place of a span is among its candidates, as a Markdown table: n-grams by links, and a generator.

    python benchmarks/candidate_recall.py models/generator [--limit 300] [--beams 15]

MODEL is a folder that `spacy xlt train-generator` wrote, for PER, LOC and ORG. Sentences of PUD (English to Portuguese
and German) and Europarl (English to Spanish); links of the bundled encoder, as in configs/project.cfg. Recall is the
share of the target's gold entities that are among the candidates of a source entity of the same label in the sentence,
of those for which there is one. Seconds are those of the generator, loading included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

from spacy.tokens import Doc

from spacy_xlt import Alignment, Bitext
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.projection.candidates import Places, generate
from spacy_xlt.projection.generator import SpanGenerator
from spacy_xlt.projection.links.evidence import LinkIndex
from spacy_xlt.projection.queries import Range, SpanQuery
from spacy_xlt.readers import read_corpus

ASSETS = Path(__file__).parent.parent / "assets"
LABELS = {"PER", "LOC", "ORG"}
PUD = "uner/{}-PUD/{}_pud-ud-test.iob2"
CORPORA = {
    "PUD pt": (PUD.format("English", "en"), PUD.format("Portuguese", "pt"), "pt"),
    "PUD de": (PUD.format("English", "en"), PUD.format("German", "de"), "de"),
    "Europarl es": ("europarl-ner/en-europarl.test.conll02", "europarl-ner/es-europarl.test.conll02", "es"),
}


def read(name: str, lang: str, limit: int) -> list[Doc]:
    """The first sentences of a corpus with their entities of the three types."""
    kind = "iob2" if name.endswith("iob2") else "conll"
    docs = list(islice(read_corpus(ASSETS / name, lang=lang, format=kind), limit))
    for doc in docs:
        doc.set_ents([ent for ent in doc.ents if ent.label_ in LABELS], default="outside")
    return docs


class Spans:
    """The source entities of a bitext corpus and the gold of its target."""

    def __init__(self, sources: Sequence[Doc], targets: Sequence[Doc], links: Sequence[Alignment]):
        self.owners: list[int] = []
        self.queries: list[SpanQuery] = []
        for n, (source, target, alignment) in enumerate(zip(sources, targets, links, strict=True)):
            index = LinkIndex(Bitext(source, target, alignment))
            for ent in source.ents:
                self.owners.append(n)
                self.queries.append(SpanQuery.of(index, ent.start, ent.end, labels=[ent.label_]))
        self.allowed = [Places.of(query) for query in self.queries]
        asked = {(n, query.labels[0]) for n, query in zip(self.owners, self.queries, strict=True)}
        golds = ((n, ent.start, ent.end, ent.label_) for n, target in enumerate(targets) for ent in target.ents)
        self.gold = {one for one in golds if (one[0], one[3]) in asked}

    def pools(self, pool: int, more: Sequence[Collection[Range]] = ()) -> list[set[Range]]:
        """The best n-grams by links of each span, and others."""
        others = more or [()] * len(self.queries)
        rows = zip(self.queries, self.allowed, others, strict=True)
        return [{place for place, _ in places.best(query, pool=pool, more=extra)} for query, places, extra in rows]

    def show(self, name: str, pools: Sequence[Collection[Range]], note: str = "") -> None:
        """Print a row: recall, and how many candidates a span has."""
        found = {
            (n, *place, query.labels[0])
            for n, query, pool in zip(self.owners, self.queries, pools, strict=True)
            for place in pool
        }
        recall = 100 * len(self.gold & found) / max(1, len(self.gold))
        print(f"| {name} | {recall:.1f} | {sum(map(len, pools)) / max(1, len(pools)):.1f} | {note} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--limit", type=int, default=300, help="sentences of each corpus")
    parser.add_argument("--beams", type=int, default=15)
    args = parser.parse_args()
    aligner = EmbeddingAligner(model="bundled:encoder", layer=6, method="softmax", temperature=0.05, threshold=0.2)
    print("| candidates | recall | a span | |\n|---|---|---|---|")
    for name, (source, target, lang) in CORPORA.items():
        sources, targets = read(source, "en", args.limit), read(target, lang, args.limit)
        pairs = [([t.text for t in a], [t.text for t in b]) for a, b in zip(sources, targets, strict=True)]
        spans = Spans(sources, targets, aligner.align(pairs))
        for pool in (1, 5, 12, 24):
            spans.show(f"{name}: {pool} n-grams by links", spans.pools(pool))
        start = time.perf_counter()
        found = generate(SpanGenerator(model=args.model, beams=args.beams), spans.queries, spans.allowed)
        seconds = time.perf_counter() - start
        places = [
            {(query.low + i, query.low + j) for i, j in of_span}
            for query, of_span in zip(spans.queries, found, strict=True)
        ]
        spans.show(f"{name}: generator", places, f"{seconds:.0f} s, {len(spans.queries)} spans")
        spans.show(f"{name}: 12 n-grams and generator", spans.pools(12, found))
        spans.show(f"{name}: all n-grams", spans.pools(1 << 30))


if __name__ == "__main__":
    main()
