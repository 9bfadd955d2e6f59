"""What projected and found annotation of parallel text are worth, each by itself and together, as Markdown.

    python benchmarks/two_views.py SOURCE.spacy TARGET.spacy --lang pt --annotate PIPELINE [--find PIPELINE]

The corpora are the same sentences in the same order, both with gold (`spacy xlt convert --labels PER,LOC,ORG`). A
pipeline annotates the source without its gold, which is projected onto the target's tokens with `configs/project.cfg`;
another one, or the same, finds entities there. Both are put together as `spacy xlt label` does with its defaults.
Known are entities of gold whose words are not missing; false O are words that are said to be outside of entities and
are inside, of all that are said to be outside.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

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

BATCH = 200
VIEWS = {
    "found": LabelSettings.of(sure=0.5, doubtful=0.5),
    "`--agree`": LabelSettings.of(sure=None, doubtful=None, agree=True),
    "`--either`": LabelSettings.of(sure=None, doubtful=None, either=True),
}


def project(sources: list[Doc], targets: list[Doc], annotate: str) -> list[Doc]:
    """The targets with the annotation that a pipeline gives to the sources."""
    nlp, config = spacy.load(annotate), load_pipeline_config("project")
    annotated = nlp.pipe([with_vocab(doc, nlp.vocab) for doc in sources])
    bitexts = [Bitext.of_docs(*pair) for pair in zip(annotated, targets, strict=True)]
    for first in range(0, len(bitexts), BATCH):
        find_component(config, "xlt_aligner", "project").align(bitexts[first : first + BATCH])
        find_component(config, "xlt_projector", "project").project(bitexts[first : first + BATCH])
    return [bitext.target for bitext in bitexts]


def entities(doc: Doc) -> set[SpanKey]:
    return {SpanKey(ent.start, ent.end, ent.label_) for ent in doc.ents}


def words(spans: Iterable[SpanKey]) -> set[int]:
    return {i for span in spans for i in range(span.start, span.end)}


def decisions(projected: list[Doc], found: list[Found]) -> Iterator[tuple[str, list[tuple[set[SpanKey], set[int]]]]]:
    """For each view and document, the entities and the words whose annotation is missing."""
    missing = [{i for start, end in missing_ranges(doc) for i in range(start, end)} for doc in projected]
    yield "projected", list(zip(map(entities, projected), missing, strict=True))
    for name, settings in VIEWS.items():
        made = [decide(doc, of_doc, settings) for doc, of_doc in zip(projected, found, strict=True)]
        yield name, [({span for span, _ in made_of.kept}, made_of.missing) for made_of in made]


def row(golds: list[Doc], view: list[tuple[set[SpanKey], set[int]]]) -> list[str]:
    right = kept = gold = known = lost = outside = false = 0
    for doc, (spans, missing) in zip(golds, view, strict=True):
        wanted = entities(doc)
        right, kept, gold = right + len(spans & wanted), kept + len(spans), gold + len(wanted)
        known += sum(span in spans or missing.isdisjoint(words([span])) for span in wanted)
        lost, outside = lost + len(missing), outside + len(doc) - len(words(spans) | missing)
        false += len(words(wanted) - words(spans) - missing)
    shares = [right / kept, right / gold, 2 * right / (kept + gold), 2 * right / (kept + known)]
    missing_words, false_o = lost / sum(map(len, golds)), false / outside
    rates = [f"{100 * missing_words:.1f}%", f"{100 * false_o:.2f}%"]
    return [str(kept), *(f"{100 * share:.1f}" for share in shares), *rates]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--lang", required=True)
    parser.add_argument("--annotate", required=True)
    parser.add_argument("--find")
    args = parser.parse_args()
    sources, golds = list(read_docs(args.source)), list(read_docs(args.target, lang=args.lang))
    raw = [with_vocab(doc, vocab_of(args.lang)) for doc in golds]
    found = load_teacher([args.find or args.annotate]).find(raw)
    print(
        "| view | entities | P | R | F1 | F1 where known | missing words | false O |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for name, view in decisions(project(sources, raw, args.annotate), found):
        print(f"| {name} | {' | '.join(row(golds, view))} |")


if __name__ == "__main__":
    main()
