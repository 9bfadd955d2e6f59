"""Links and speed of `EmbeddingAligner` beside the `simalign` package, with the same model folder, layer and method.

    python benchmarks/align_speed.py [SOURCE.txt TARGET.txt] [--pairs 400] [--threads 2] [--json OUT.json]

The files have one sentence a line, the same sentences in the same order; tokens are what spaces separate. The default
is NTREX-128 in assets/ntrex. Both align the same pairs in turn, a block at a time, so that whatever else the machine
does falls on both; loading is not counted.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.simalign import SimAlignAligner
from spacy_xlt.bundled import PREFIX, write
from spacy_xlt.protocols import TokenPair

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"
TOKEN_TYPES = {"subword": "bpe", "word": "word"}
BLOCK = 200


def read(source: Path, target: Path, limit: int) -> list[TokenPair]:
    """The first pairs of two files."""
    lines = (path.read_text(encoding="utf8").splitlines() for path in (source, target))
    return [(a.split(), b.split()) for a, b in zip(*lines, strict=True)][:limit]


def compare(folder: str, pairs: list[TokenPair], *, layer: int, method: str, level: str) -> dict[str, Any]:
    """Align with both, block by block in turn."""
    peer = SimAlignAligner(folder, layer=layer, method=method, token_type=TOKEN_TYPES[level])
    ours = EmbeddingAligner(folder, layer=layer, method=method, level=level, center=False)
    seconds = {"simalign": 0.0, "spacy_xlt": 0.0}
    identical = common = theirs = own = 0
    for aligner in (peer, ours):
        aligner.align(pairs[:2])
    for first in range(0, len(pairs), BLOCK):
        block = pairs[first : first + BLOCK]
        links = {}
        for name, aligner in (("simalign", peer), ("spacy_xlt", ours)):
            start = time.perf_counter()
            found = aligner.align(block)
            seconds[name] += time.perf_counter() - start
            links[name] = [{(i, j) for i, j in alignment.links.tolist()} for alignment in found]
        for expected, got in zip(links["simalign"], links["spacy_xlt"], strict=True):
            identical += expected == got
            common += len(expected & got)
            theirs += len(expected)
            own += len(got)
    return {
        "pairs": len(pairs),
        "identical_pairs_percent": round(100 * identical / len(pairs), 2),
        "links_simalign": theirs,
        "links_spacy_xlt": own,
        "links_common": common,
        "simalign_pairs_per_second": round(len(pairs) / seconds["simalign"], 2),
        "spacy_xlt_pairs_per_second": round(len(pairs) / seconds["spacy_xlt"], 2),
        "speed_ratio": round(seconds["simalign"] / seconds["spacy_xlt"], 2),
        "simalign": peer.signature,
        "spacy_xlt": ours.signature,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, default=ASSETS / "newstest2019-src.eng.txt")
    parser.add_argument("target", nargs="?", type=Path, default=ASSETS / "newstest2019-ref.por-BR.txt")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="bundled:encoder")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--method", choices=("inter", "itermax", "mwmf"), default="inter")
    parser.add_argument("--level", choices=tuple(TOKEN_TYPES), default="subword")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    logging.getLogger("simalign.simalign").setLevel(logging.WARNING)
    torch.set_num_threads(args.threads)
    pairs = read(args.source, args.target, args.pairs)
    with tempfile.TemporaryDirectory() as folder:
        # Both read the same folder, so that the weights are the same to the last bit
        model = str(write(args.model[len(PREFIX) :], folder)) if args.model.startswith(PREFIX) else args.model
        result = compare(model, pairs, layer=args.layer, method=args.method, level=args.level)
    result = {"threads": args.threads, "model": args.model, **result}
    for key, value in result.items():
        print(f"{key:28} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
