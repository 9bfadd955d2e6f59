"""Spans a second of LinkProjector on one core, on real text: Europarl English to Spanish with its gold entities.

    python benchmarks/projection_speed.py [--sentences 10] [--rounds 7] [--limit 799] [--config configs/project.cfg]

The links come from the config's aligner and are made before the clock runs. Sentences are put together to documents of
`--sentences`, as real documents have several. Each round projects onto fresh target documents.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.tokens import Doc

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import SentencePair
from spacy_xlt.config import find_component, load_pipeline_config
from spacy_xlt.projection.links import LinkProjector
from spacy_xlt.readers import read_corpus

ROOT = Path(__file__).parent.parent
DATA = ROOT / "assets" / "europarl-ner"


def read(lang: str) -> list[Doc]:
    """The sentences of one side."""
    return list(read_corpus(DATA / f"{lang}-europarl.test.conll02", lang=lang))


def joined(parts: Sequence[Bitext]) -> Bitext:
    """One bitext of several."""
    links, sentences, i, j = [], [], 0, 0
    for part in parts:
        links.append(part.alignment.shift(i, j))
        sentences.append(SentencePair(i, i + len(part.source), j, j + len(part.target)))
        i, j = sentences[-1].source_end, sentences[-1].target_end
    source, target = (Doc.from_docs([getattr(part, side) for part in parts]) for side in ("source", "target"))
    return Bitext(source, target, Alignment.concatenate(links), sentences=sentences)


def fresh(bitexts: Sequence[Bitext]) -> Iterator[Bitext]:
    """The same bitexts with bare targets."""
    for b in bitexts:
        words, spaces = [token.text for token in b.target], [bool(token.whitespace_) for token in b.target]
        target = Doc(b.target.vocab, words=words, spaces=spaces)
        yield Bitext(b.source, target, b.alignment, sentences=list(b.sentences))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=int, default=10, help="sentences a document")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=int, default=799, help="sentence pairs")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "project.cfg")
    args = parser.parse_args()
    pairs = [Bitext(a, b) for a, b in zip(read("en")[: args.limit], read("es"), strict=False)]
    find_component(load_pipeline_config(args.config), "xlt_aligner", args.config).align(pairs)
    bitexts = [joined(pairs[k : k + args.sentences]) for k in range(0, len(pairs), args.sentences)]
    n_spans = sum(len(bitext.source.ents) for bitext in bitexts)
    projector = LinkProjector()
    speeds = []
    for _ in range(args.rounds):
        todo = list(fresh(bitexts))
        start = time.process_time()
        projector.project(todo)
        speeds.append(n_spans / (time.process_time() - start))
    lost = sum(len(bitext.lost) for bitext in todo)
    print(f"{n_spans} spans, {len(pairs)} sentence pairs in {len(bitexts)} documents, {lost} lost")
    print(f"{statistics.median(speeds):,.0f} spans a second (median of {args.rounds}, {min(speeds):,.0f} at least)")


if __name__ == "__main__":
    main()
