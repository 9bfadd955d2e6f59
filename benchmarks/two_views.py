"""What projected and found annotation of parallel text are worth, each by itself and together, as Markdown.

    python benchmarks/two_views.py SOURCE.spacy TARGET.spacy --lang pt --annotate PIPELINE [--find PIPELINE]

The corpora are the same sentences in the same order, both with gold. A pipeline annotates the source without its gold,
which is projected onto the target's tokens with `configs/project.cfg`; it, or another, finds entities there. Both are
put together as by `spacy xlt label`. Known: gold without missing words; false O: words of gold said to be outside.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc

from spacy_xlt.bitext import Bitext
from spacy_xlt.config import find_component, load_pipeline_config
from spacy_xlt.docs import missing_ranges, with_vocab
from spacy_xlt.languages import vocab_of
from spacy_xlt.probabilities import SpanKey
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.teaching.label import LabelSettings, decide
from spacy_xlt.teaching.teachers import Found, load_teacher

VIEWS = {
    "projected": None,
    "found": LabelSettings.of(sure=0.5, doubtful=0.5),
    "`--agree`": LabelSettings.of(sure=None, doubtful=None, agree=True),
    "`--either`": LabelSettings.of(sure=None, doubtful=None, either=True),
}


def project(sources: list[Doc], targets: list[Doc], annotate: str) -> list[Doc]:
    """The targets with the annotation that a pipeline gives to the sources."""
    nlp, config = spacy.load(annotate), load_pipeline_config("project")
    annotated = nlp.pipe([with_vocab(doc, nlp.vocab) for doc in sources])
    bitexts = [Bitext.of_docs(*pair) for pair in zip(annotated, targets, strict=True)]
    find_component(config, "xlt_aligner", "project").align(bitexts)
    find_component(config, "xlt_projector", "project").project(bitexts)
    return [bitext.target for bitext in bitexts]


def entities(doc: Doc) -> set[SpanKey]:
    return {SpanKey(ent.start, ent.end, ent.label_) for ent in doc.ents}


def words(ranges: Iterable[tuple[Any, ...]]) -> set[int]:
    return {i for start, end, *_ in ranges for i in range(start, end)}


def row(golds: list[Doc], projected: list[Doc], found: list[Found], settings: LabelSettings | None) -> list[str]:
    right = kept = gold = known = lost = outside = false = 0
    for doc, carried, of_doc in zip(golds, projected, found, strict=True):
        spans, missing = entities(carried), words(missing_ranges(carried))
        if settings is not None:
            decided, missing, *_ = decide(carried, of_doc, settings)
            spans = set(dict(decided))
        wanted = entities(doc)
        right, kept, gold = right + len(spans & wanted), kept + len(spans), gold + len(wanted)
        known += sum(span in spans or missing.isdisjoint(words([span])) for span in wanted)
        lost, outside = lost + len(missing), outside + len(doc) - len(words(spans) | missing)
        false += len(words(wanted) - words(spans) - missing)
    shares = [right / kept, right / gold, 2 * right / (kept + gold), 2 * right / (kept + known)]
    rates = [f"{100 * lost / sum(map(len, golds)):.1f}%", f"{100 * false / outside:.2f}%"]
    return [str(kept), *(f"{100 * share:.1f}" for share in shares), *rates]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "target"):
        parser.add_argument(name, type=Path)
    for name in ("--lang", "--annotate", "--find"):
        parser.add_argument(name, required=name != "--find")
    args = parser.parse_args()
    sources, golds = list(read_docs(args.source)), list(read_docs(args.target, lang=args.lang))
    raw = [with_vocab(doc, vocab_of(args.lang)) for doc in golds]
    found = load_teacher([args.find or args.annotate]).find(raw)
    print(
        "| view | entities | P | R | F1 | F1 where known | missing words | false O |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    projected = project(sources, raw, args.annotate)
    for name, settings in VIEWS.items():
        print(f"| {name} | {' | '.join(row(golds, projected, found, settings))} |")


if __name__ == "__main__":
    main()
