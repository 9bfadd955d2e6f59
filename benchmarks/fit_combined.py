"""Fit the weights of CombinedAligner on gold links, and say how good they are on a language they have not seen.

    python benchmarks/fit_combined.py DATA CHANGES [--out FOLDER] [--ablate]

DATA is a folder with LANGUAGE/dev.tsv as XL-WA has them, CHANGES what `benchmarks/fit_encoder_changes.py` wrote. The
vectors of each language come from the encoder that was changed without it; a language is scored with weights
from the others, without the sentences whose English it shares with them. `--out` writes weights from all languages.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacy_xlt.alignment.combined.adapter import AdaptedEncoder
from spacy_xlt.alignment.combined.batch import PairBatch, Side
from spacy_xlt.alignment.combined.scoring import Pass, Weights
from spacy_xlt.alignment.combined.sides import sides_of
from spacy_xlt.alignment.combined.signals import LAYERS, MAY_BE_MISSING, SIGNALS
from spacy_xlt.evaluation.alignment import read_pairs
from spacy_xlt.links import Alignment

SECOND = [name for name, function in SIGNALS.items() if function.__module__.endswith("support")]
FIRST = [name for name in SIGNALS if name not in SECOND and name not in MAY_BE_MISSING]
MODELS = ("bundled:encoder", "bundled:encoder-en-pt")
RIDGE = 50.0
FOLDS = 4


class Example(NamedTuple):
    """A sentence pair with its gold links, (n_source, n_target), of 0 and 1."""

    source: Side
    target: Side
    gold: NDArray[np.float32]

    @property
    def english(self) -> tuple[str, ...]:
        return tuple(self.source.tokens)


def read_examples(path: Path, changes: Path) -> list[Example]:
    """The pairs of a file with the vectors of an encoder changed as a file says."""
    with np.load(changes) as arrays:
        encoder = AdaptedEncoder(MODELS[0], max(LAYERS), changes=dict(arrays))
    pairs = read_pairs(path)
    texts = [list(tokens) for pair in pairs for tokens in (pair.source, pair.target)]
    pieces = encoder.pieces(word for text in texts for word in text)
    sides = sides_of(encoder, texts, pieces, batch_tokens=1024)
    examples = []
    for pair in pairs:
        gold = np.zeros((len(pair.source), len(pair.target)), np.float32)
        for i, j in pair.sure:
            gold[i, j] = 1
        examples.append(Example(sides[tuple(pair.source)], sides[tuple(pair.target)], gold))
    return examples


def columns(
    examples: Sequence[Example],
    names: Sequence[str],
    first: Sequence[NDArray[np.float32]] | None = None,
    known: Sequence[Mapping[str, Alignment]] = (),
) -> list[NDArray[np.float32]]:
    """The signals of all cells of each pair: (n_source * n_target, n_signals).

    first: The probabilities of the pass before. known: What else is known of each pair.
    """
    result: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(examples)
    order = sorted(range(len(examples)), key=lambda i: examples[i].gold.size)
    for start in range(0, len(order), 16):
        indices = order[start : start + 16]
        pairs = [(examples[i].source, examples[i].target) for i in indices]
        batch = PairBatch(pairs, [known[i] for i in indices] if known else ())
        for k, i in enumerate(indices):
            n, m = examples[i].gold.shape
            if first is not None:
                batch.first[k, :n, :m] = first[i]
        stacked = np.stack([np.broadcast_to(SIGNALS[name](batch), batch.shape) for name in names], axis=-1)
        for k, i in enumerate(indices):
            n, m = examples[i].gold.shape
            result[i] = stacked[k, :n, :m].reshape(n * m, -1).astype(np.float32)
    return result


def fit(names: Sequence[str], rows: Sequence[NDArray[np.float32]], gold: Sequence[NDArray[np.float32]]) -> Pass:
    """Logistic regression by Newton's method, with a penalty on large weights."""
    x, y = np.concatenate(rows), np.concatenate([g.ravel() for g in gold])
    mean, scale = x.mean(axis=0), x.std(axis=0) + np.float32(1e-6)
    z = np.concatenate([(x - mean) / scale, np.ones((len(x), 1), np.float32)], axis=1)
    weight = np.zeros(z.shape[1])
    penalty = np.full(len(weight), RIDGE)
    penalty[-1] = 0
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.clip(z @ weight.astype(np.float32), -30, 30)))
        curvature = (z * np.maximum(p * (1 - p), 1e-6)[:, None]).T @ z + np.diag(penalty)
        weight -= np.linalg.solve(curvature, z.T @ (p - y) + penalty * weight)
    return Pass(tuple(names), mean, scale, weight[:-1].astype(np.float32), float(weight[-1]))


def predict(part: Pass, rows: Sequence[NDArray[np.float32]], examples: Sequence[Example]) -> list[NDArray[np.float32]]:
    """The probabilities of all cells of each pair."""
    factor = part.weight / part.scale
    odds = [np.clip((x - part.mean) @ factor + part.bias, -30, 30) for x in rows]
    return [(1 / (1 + np.exp(-o))).reshape(e.gold.shape) for o, e in zip(odds, examples, strict=True)]


def fit_both(examples: Sequence[Example], without: Sequence[str] = ()) -> list[Pass]:
    """Both passes; the second one learns from what the first says of pairs that it was not fitted on."""
    names = [name for name in FIRST if name not in without]
    second = [name for name in SECOND if name not in without]
    rows, gold = columns(examples, names), [example.gold for example in examples]
    fold = np.random.default_rng(0).integers(0, FOLDS, len(examples))
    first: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(examples)
    for k in range(FOLDS):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        part = fit(names, [rows[i] for i in inside], [gold[i] for i in inside])
        found = predict(part, [rows[i] for i in outside], [examples[i] for i in outside])
        for i, probabilities in zip(outside, found, strict=True):
            first[i] = probabilities
    more = columns(examples, second, first)
    both = [np.concatenate(pair, axis=1) for pair in zip(rows, more, strict=True)]
    return [fit(names, rows, gold), fit([*names, *second], both, gold)]


def probabilities(passes: Sequence[Pass], examples: Sequence[Example]) -> list[NDArray[np.float32]]:
    """What both passes say of pairs."""
    names = passes[0].signals
    rows = columns(examples, names)
    first = predict(passes[0], rows, examples)
    more = columns(examples, [name for name in passes[1].signals if name not in names], first)
    return predict(passes[1], [np.concatenate(pair, axis=1) for pair in zip(rows, more, strict=True)], examples)


def scores(found: Sequence[NDArray[np.float32]], examples: Sequence[Example], threshold: float, only: float) -> str:
    """Precision, recall and F1 of the links that CombinedAligner would take."""
    links = hits = gold = 0
    for p, example in zip(found, examples, strict=True):
        best = (p >= p.max(axis=1, keepdims=True)) | (p >= p.max(axis=0, keepdims=True))
        chosen = (p > threshold) | (best & (p > only))
        links, hits = links + int(chosen.sum()), hits + int((chosen & (example.gold > 0)).sum())
        gold += int(example.gold.sum())
    return f"{100 * hits / links:.2f} {100 * hits / gold:.2f} {200 * hits / (links + gold):.2f}"


def reliability(found: Sequence[NDArray[np.float32]], examples: Sequence[Example]) -> None:
    """Print how often links of about the same probability are gold, and the expected calibration error."""
    p, y = np.concatenate([f.ravel() for f in found]), np.concatenate([e.gold.ravel() for e in examples])
    at = np.minimum((p * 10).astype(int), 9)
    error = links = 0.0
    for k in range(10):
        chosen = at == k
        print(
            f"  {k / 10:.1f}-{k / 10 + 0.1:.1f}  n {chosen.sum():6}  "
            f"mean {p[chosen].mean():.3f}  gold {y[chosen].mean():.3f}"
        )
        if k:
            error += abs(float(p[chosen].sum() - y[chosen].sum()))
            links += int(chosen.sum())
    print(f"  expected calibration error of what is above 0.1: {error / links:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("changes", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--ablate", action="store_true")
    args = parser.parse_args()
    languages = sorted(path.parent.name for path in args.data.glob("*/dev.tsv"))
    data = {x: read_examples(args.data / x / "dev.tsv", args.changes / f"{x}.npz") for x in languages}

    def left_out(language: str, without: Sequence[str] = ()) -> list[NDArray[np.float32]]:
        seen = {example.english for example in data[language]}
        rest = [e for x in languages if x != language for e in data[x] if e.english not in seen]
        return probabilities(fit_both(rest, without), data[language])

    found = {language: left_out(language) for language in languages}
    for threshold, only in ((0.5, 0.5), (0.5, 0.35), (0.6, 0.4), (0.65, 0.5)):
        table = "   ".join(f"{x} {scores(found[x], data[x], threshold, only)}" for x in languages)
        print(f"left out, threshold {threshold}, only_link {only}: {table}", flush=True)
    reliability([p for x in languages for p in found[x]], [e for x in languages for e in data[x]])
    if args.ablate:
        for name in [*FIRST, *SECOND]:
            table = "   ".join(f"{x} {scores(left_out(x, [name]), data[x], 0.5, 0.35)}" for x in languages)
            print(f"without {name:16} {table}", flush=True)
    if args.out:
        passes = fit_both([e for x in languages for e in data[x]])
        with np.load(args.changes / "all.npz") as arrays:
            changes = dict(arrays)
        count = sum(map(len, data.values()))
        made = f"benchmarks/fit_combined.py, {count} pairs of XL-WA dev ({', '.join(languages)}; CC BY-NC-SA 4.0)"
        Weights(passes, MODELS, max(LAYERS), changes, made).save(args.out)


if __name__ == "__main__":
    main()
