"""What cuts a language without spaces, and what annotation is worth with it, as Markdown.

    python benchmarks/without_spaces.py SOURCE.spacy TARGET.spacy PIPELINE --lang zh [--limit 300]

The corpora are the same sentences in the same order, both with gold. The target's words, put together without spaces,
are cut into themselves, into characters, and into the pieces of the encoder of all languages (`PieceTokenizer`).
Projected: the source's gold, with `configs/project.cfg`. Found: what the pipeline finds. F1 of spans that are exact by
their characters. Possible: spans of gold that begin and end where a word does.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import registry
from spacy.vocab import Vocab

from spacy_xlt.bitext import Bitext
from spacy_xlt.config import find_component, load_pipeline_config
from spacy_xlt.docs import with_vocab
from spacy_xlt.languages import MULTI, blank, vocab_of
from spacy_xlt.readers.docbin import read_docs

Entities = set[tuple[int, int, str]]
ENCODER = "bundled:encoder"


def entities(doc: Doc) -> Entities:
    return {(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}


def f1(golds: list[Entities], found: list[Entities]) -> str:
    right = sum(len(wanted & of_doc) for wanted, of_doc in zip(golds, found, strict=True))
    return f"{200 * right / (sum(map(len, golds)) + sum(map(len, found))):.1f}"


def possible(golds: list[Entities], docs: list[Doc]) -> str:
    ends = [{token.idx for token in doc} | {token.idx + len(token) for token in doc} for doc in docs]
    fits = [{start, end} <= known for wanted, known in zip(golds, ends, strict=True) for start, end, _ in wanted]
    return f"{100 * sum(fits) / len(fits):.1f}%"


def without_spaces(words: list[str], vocab: Vocab) -> Doc:
    return Doc(vocab, words=words, spaces=[False] * len(words))


def cuts(golds: list[Doc], vocab: Vocab) -> dict[str, list[Doc]]:
    """The documents by what cuts them, without annotation."""
    pieces = registry.tokenizers.get("spacy_xlt.PieceTokenizer.v1")()(blank(MULTI))
    pieces.initialize(encoder=ENCODER)
    return {
        "words of the treebank": [without_spaces([token.text for token in doc], vocab) for doc in golds],
        "characters": [without_spaces(list(doc.text), vocab) for doc in golds],
        "pieces": [with_vocab(pieces(doc.text), vocab) for doc in golds],
    }


def project(sources: list[Doc], targets: list[Doc], config: Language) -> list[Entities]:
    bitexts = [Bitext.of_docs(*pair) for pair in zip(sources, targets, strict=True)]
    find_component(config, "xlt_aligner", "project").align(bitexts)
    find_component(config, "xlt_projector", "project").project(bitexts)
    return [entities(bitext.target) for bitext in bitexts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("pipeline")
    parser.add_argument("--lang", required=True)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    sources = list(islice(read_docs(args.source), args.limit))
    vocab, golds = vocab_of(args.lang), []
    for doc in islice(read_docs(args.target, lang=args.lang), args.limit):
        golds.append(without_spaces([token.text for token in doc], vocab))
        golds[-1].set_ents([Span(golds[-1], ent.start, ent.end, label=ent.label_) for ent in doc.ents])
    nlp = spacy.load(args.pipeline)
    config = load_pipeline_config("project", {"components.xlt_aligner.engine.model": ENCODER})
    wanted = [entities(doc) for doc in golds]
    print("| cut into | possible | projected | found |\n|---|--:|--:|--:|")
    for name, docs in cuts(golds, vocab).items():
        found = [entities(doc) for doc in nlp.pipe([with_vocab(doc.copy(), nlp.vocab) for doc in docs])]
        scores = [possible(wanted, docs), f1(wanted, project(sources, docs, config)), f1(wanted, found)]
        print(f"| {name} | {' | '.join(scores)} |")


if __name__ == "__main__":
    main()
