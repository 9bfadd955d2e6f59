"""Links and speed of `EmbeddingAligner` beside the `simalign` package, with the same model folder, layer and method.

    python benchmarks/align_speed.py [SOURCE.txt TARGET.txt] [--pairs 400] [--threads 2] [--json OUT.json]
    python benchmarks/align_speed.py --gpu [--pairs 1997]

The files have one sentence a line, the same sentences in the same order; tokens are what spaces separate. The default
is NTREX-128 in assets/ntrex. All align the same pairs in turn, a block at a time, so that whatever else the machine
does falls on each; loading is not counted. Ours runs three times: `exact` with simalign's method in float32, of which
the links are compared; `rounded` with the same method in the precision that "auto" means here; and `default`, the
softmax of cosines, as in configs/project.cfg. For each, the arithmetic of the encoder's matrix products is set beside
the most that a product of matrices of their size reaches in the same run on as many threads.

With `--gpu` there is no simalign: the stages of `default` are timed by themselves, which shows the one that limits it.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.encoder import precision_on
from spacy_xlt.alignment.simalign import SimAlignAligner
from spacy_xlt.bundled import PREFIX, write
from spacy_xlt.device import run_side_by_side
from spacy_xlt.links import Alignment
from spacy_xlt.protocols import TokenPair

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"
BLOCK = 200


def read(source: Path, target: Path, limit: int) -> list[TokenPair]:
    """The first pairs of two files."""
    lines = (path.read_text(encoding="utf8").splitlines() for path in (source, target))
    return [(a.split(), b.split()) for a, b in zip(*lines, strict=True)][:limit]


def precision_here() -> str:
    """What "auto" means on the device at hand."""
    from thinc.api import get_torch_default_device

    return precision_on(get_torch_default_device(), "auto")


def make_ours(folder: str, *, layer: int, method: str) -> dict[str, EmbeddingAligner]:
    """The settings that are measured."""
    same = {"model": folder, "layer": layer, "method": method}
    return {
        "exact": EmbeddingAligner(precision="float32", **same),
        "rounded": EmbeddingAligner(precision=precision_here(), **same),
        "default": EmbeddingAligner(model=folder, layer=layer),
    }


def links_of(alignments: list[Alignment]) -> list[set[tuple[int, int]]]:
    """As sets."""
    return [{(i, j) for i, j in alignment.links.tolist()} for alignment in alignments]


def compare(folder: str, pairs: list[TokenPair], *, layer: int, method: str) -> dict[str, Any]:
    """Align with all, block by block in turn."""
    ours = make_ours(folder, layer=layer, method=method)
    aligners: dict[str, Any] = {
        "simalign": SimAlignAligner(model=folder, layer=layer, method=method),
        **ours,
    }
    seconds = dict.fromkeys(aligners, 0.0)
    links: dict[str, list[set[tuple[int, int]]]] = {name: [] for name in aligners}
    for aligner in aligners.values():
        aligner.align(pairs[:2])
    for first in range(0, len(pairs), BLOCK):
        block = pairs[first : first + BLOCK]
        for name, aligner in aligners.items():
            start = time.perf_counter()
            found = aligner.align(block)
            seconds[name] += time.perf_counter() - start
            links[name].extend(links_of(found))
    result: dict[str, Any] = {"pairs": len(pairs), "simalign_pairs_per_second": per_second(pairs, seconds["simalign"])}
    for name, aligner in ours.items():
        result |= {
            f"{name}_pairs_per_second": per_second(pairs, seconds[name]),
            f"{name}_speed_ratio": round(seconds["simalign"] / seconds[name], 2),
            **share_of_limit(aligner, pairs, seconds[name], prefix=name),
        }
    for name in ("exact", "rounded"):
        same = sum(a == b for a, b in zip(links["simalign"], links[name], strict=True))
        common = sum(len(a & b) for a, b in zip(links["simalign"], links[name], strict=True))
        total = sum(map(len, links["simalign"])) + sum(map(len, links[name]))
        result[f"{name}_identical_pairs_percent"] = round(100 * same / len(pairs), 2)
        result[f"{name}_links_in_common_percent"] = round(200 * common / max(1, total), 2)
    return {**result, "simalign": aligners["simalign"].signature, "ours": ours["default"].signature}


def per_second(pairs: list[TokenPair], seconds: float) -> float:
    """Pairs a second."""
    return round(len(pairs) / seconds, 2)


def share_of_limit(aligner: Any, pairs: list[TokenPair], seconds: float, *, prefix: str) -> dict[str, Any]:
    """How many operations the linear layers took a second, beside the most that is possible with their sizes."""
    encoder = aligner.encoder
    linear = [m for m in encoder.model.modules() if isinstance(m, torch.nn.Linear)]
    used = [m for m in linear if "pooler" not in next(n for n, o in encoder.model.named_modules() if o is m)]
    pieces = encoder.pieces(word for pair in pairs for tokens in pair for word in tokens)
    extra = len(encoder.prefix) + len(encoder.suffix)
    texts = {tuple(tokens) for pair in pairs for tokens in pair}
    n_pieces = sum(extra + sum(len(pieces[word]) for word in tokens) for tokens in texts)
    done = 2 * n_pieces * sum(m.in_features * m.out_features for m in used) / seconds
    most = peak(used[-1], encoder.model.dtype, aligner.batch_tokens)
    return {f"{prefix}_gflop_per_second": round(done / 1e9, 1), f"{prefix}_share_of_limit": round(done / most, 3)}


def peak(layer: torch.nn.Linear, dtype: torch.dtype, rows: int) -> float:
    """Operations a second of the layer by itself, on all threads at once, each with a product of its own."""
    device = layer.weight.device
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    inputs = [torch.randn(rows, layer.in_features, device=device, dtype=dtype) for _ in range(threads)]
    best = float("inf")

    def multiply(index: int) -> None:
        with torch.inference_mode():
            for _ in range(20):
                layer(inputs[index])
            if device.type == "cuda":
                torch.cuda.synchronize()

    for _ in range(5):
        start = time.perf_counter()
        run_side_by_side(multiply, list(range(threads)), device=device)
        best = min(best, time.perf_counter() - start)
    return threads * 20 * 2 * rows * layer.in_features * layer.out_features / best


def measure_gpu(model: str, pairs: list[TokenPair], *, layer: int) -> dict[str, Any]:
    """The default on a GPU, whole and stage by stage."""
    from thinc.api import require_gpu

    require_gpu()
    aligner = EmbeddingAligner(model=model, layer=layer)
    aligner.align(pairs)
    seconds = {}
    for stage, run in (
        ("all", lambda: aligner.align(pairs)),
        ("pieces", lambda: aligner.encoder.pieces(word for pair in pairs for tokens in pair for word in tokens)),
    ):
        start = time.perf_counter()
        made = run()
        torch.cuda.synchronize()
        seconds[stage] = time.perf_counter() - start
    texts = [np.asarray([piece for word in tokens for piece in made[word]]) for pair in pairs for tokens in pair]
    start = time.perf_counter()
    aligner.encoder.embed(texts, batch_tokens=aligner.batch_tokens)
    torch.cuda.synchronize()
    seconds["encoder"] = time.perf_counter() - start
    seconds["links"] = seconds["all"] - seconds["pieces"] - seconds["encoder"]
    return {
        "device": torch.cuda.get_device_name(),
        "pairs": len(pairs),
        "pairs_per_second": per_second(pairs, seconds["all"]),
        **{f"seconds_{stage}": round(value, 4) for stage, value in seconds.items()},
        "limited_by": max((value, stage) for stage, value in seconds.items() if stage != "all")[1],
        **share_of_limit(aligner, pairs, seconds["all"], prefix="default"),
        "ours": aligner.signature,
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
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--gpu", action="store_true", help="measure the default on a GPU, without simalign")
    args = parser.parse_args()
    logging.getLogger("simalign.simalign").setLevel(logging.WARNING)
    torch.set_num_threads(args.threads)
    pairs = read(args.source, args.target, args.pairs)
    with tempfile.TemporaryDirectory() as folder:
        # Both read the same folder, so that the weights are the same to the last bit
        model = str(write(args.model[len(PREFIX) :], folder)) if args.model.startswith(PREFIX) else args.model
        if args.gpu:
            result = measure_gpu(model, pairs, layer=args.layer)
        else:
            result = compare(model, pairs, layer=args.layer, method=args.method)
    result = {"threads": args.threads, "model": args.model, **result}
    for key, value in result.items():
        print(f"{key:34} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
