"""Whether one long pair of texts is aligned as well as its sentences are.

    python benchmarks/align_long.py [SOURCE.txt TARGET.txt] [--pairs 250] [--json OUT.json] [--method inter]

The files have one sentence a line, the same sentences in the same order; tokens are what spaces separate. The
sentences are put together to one pair of texts and aligned, and the links compared with those of the sentences by
themselves. Three times: as they are; with every tenth sentence of the source and every fifteenth of the target left
out; and without final punctuation, so that nothing in the text says where a sentence ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from align_speed import ASSETS, read

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.protocols import TokenPair

Links = set[tuple[int, int]]


def sentence_links(aligner: EmbeddingAligner, pairs: Sequence[TokenPair]) -> Links:
    """The links of sentences by themselves, counted in tokens of all together."""
    links: Links = set()
    i = j = 0
    for (source, target), found in zip(pairs, aligner.align(pairs), strict=True):
        links |= {(a + i, b + j) for a, b in found.links.tolist()}
        i, j = i + len(source), j + len(target)
    return links


def compare(aligner: EmbeddingAligner, pairs: Sequence[TokenPair]) -> dict[str, Any]:
    """Align the sentences by themselves, and all as one pair."""
    expected = sentence_links(aligner, pairs)
    whole = [word for source, _ in pairs for word in source], [word for _, target in pairs for word in target]
    start = time.perf_counter()
    found = {(a, b) for a, b in aligner.align([whole])[0].links.tolist()}
    common = len(found & expected)
    return {
        "source_tokens": len(whole[0]),
        "target_tokens": len(whole[1]),
        "links_of_sentences": len(expected),
        "links_of_the_whole": len(found),
        "f1_percent": round(200 * common / max(1, len(found) + len(expected)), 2),
        "seconds": round(time.perf_counter() - start, 2),
    }


def left_out(pairs: Sequence[TokenPair]) -> list[TokenPair]:
    """Every tenth source and every fifteenth target emptied."""
    return [([] if n % 10 == 4 else s, [] if n % 15 == 7 else t) for n, (s, t) in enumerate(pairs)]


def without_ends(pairs: Sequence[TokenPair]) -> list[TokenPair]:
    """Final punctuation taken away."""
    return [tuple([word.rstrip('.!?"”’') or "-" for word in side] for side in pair) for pair in pairs]  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, default=ASSETS / "newstest2019-src.eng.txt")
    parser.add_argument("target", nargs="?", type=Path, default=ASSETS / "newstest2019-ref.por-BR.txt")
    parser.add_argument("--pairs", type=int, default=250)
    parser.add_argument("--method", default="softmax")
    parser.add_argument("--model", default="bundled:encoder")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    aligner = EmbeddingAligner(model=args.model, method=args.method)
    pairs = read(args.source, args.target, args.pairs)
    texts = {"as it is": pairs, "sentences left out": left_out(pairs), "without ends": without_ends(pairs)}
    result = {name: compare(aligner, chosen) for name, chosen in texts.items()}
    for name, figures in result.items():
        print(f"{name:20} " + "  ".join(f"{key} {value}" for key, value in figures.items()))
    print(aligner.signature)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
