"""Fit what CombinedAligner does with signals that few pairs have, and say what each of them gives.

    python benchmarks/fit_added.py DATA CHANGES [--out FOLDER] [--parallel SOURCE.txt TARGET.txt LANGUAGE]

DATA and CHANGES are those of `benchmarks/fit_combined.py`. The signals see what both passes say of a language that
these have not seen, as in use. Attention is that of the bundled models, English and Portuguese: the pass that
reads it is fitted on sentences of XL-WA and tested on others of them, in five folds. The weight of the similarity in
Latin letters is fitted on words of the same script, without the signals that compare spelling. `--parallel` trains
StatisticalAligner on lines, and shows links with its scores added by several weights. `--out` is a folder that
`benchmarks/fit_combined.py` wrote; what was fitted here is added to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fit_combined import Example, columns, fit, fit_both, predict, probabilities, read_examples, scores
from numpy.typing import NDArray

from spacy_xlt.alignment.attention import AttentionAligner
from spacy_xlt.alignment.combined.added import ALIGNER, Added, add
from spacy_xlt.alignment.combined.batch import PairBatch
from spacy_xlt.alignment.combined.engine import CombinedAligner
from spacy_xlt.alignment.combined.known import NOISE
from spacy_xlt.alignment.combined.romanised import latin, similarities
from spacy_xlt.alignment.combined.scoring import Pass, Weights
from spacy_xlt.alignment.combined.spelling import folded
from spacy_xlt.alignment.plain import Tokenizers
from spacy_xlt.alignment.soft import links_above
from spacy_xlt.alignment.statistical.engine import StatisticalAligner
from spacy_xlt.build.lines import read_line_pairs
from spacy_xlt.evaluation.alignment import read_pairs, score_links
from spacy_xlt.links import Alignment
from spacy_xlt.translation.bergamot.engine import BergamotTranslator

ATTENDED = ("first", "attention", "attention_row_lead", "attention_column_lead")
ATTENTION_FOLDS = 5
THRESHOLDS = (0.6, 0.4)
Known = Sequence[Mapping[str, Alignment]]
Found = list[NDArray[np.float32]]


def attention_of(examples: Sequence[Example]) -> dict[str, Known]:
    """The attention of pairs in both directions, and as it is stored with a translation, in one."""
    pairs = [(list(example.source.tokens), list(example.target.tokens)) for example in examples]
    translator = BergamotTranslator()
    both = AttentionAligner(translator, source="en", target="pt", threshold=NOISE).align(pairs)
    one = translator.attend([s for s, _ in pairs], [t for _, t in pairs], source="en", target="pt")
    return {
        "both directions": [{"attention": found} for found in both],
        "one direction": [{"attention": links_above(weights, NOISE)} for weights in one],
    }


def fit_attended(examples: Sequence[Example], first: Found, known: Mapping[str, Known]) -> Pass:
    """The pass that reads attention, fitted on all kinds of it; print what it gives on sentences it has not seen."""
    rows = {kind: columns(examples, ATTENDED, first, of_kind) for kind, of_kind in known.items()}
    gold = [example.gold for example in examples]

    def fitted(indices: Sequence[int]) -> Pass:
        x = [rows[kind][i] for kind in rows for i in indices]
        return fit(ATTENDED, x, [gold[i] for _ in rows for i in indices])

    fold = np.random.default_rng(0).integers(0, ATTENTION_FOLDS, len(examples))
    print(f"without attention: {scores(first, examples, *THRESHOLDS)}")
    for kind in rows:
        found: Found = [np.zeros(0, np.float32)] * len(examples)
        for k in range(ATTENTION_FOLDS):
            outside = [int(i) for i in np.flatnonzero(fold == k)]
            test = [examples[i] for i in outside]
            part = fitted([int(i) for i in np.flatnonzero(fold != k)])
            for i, p in zip(outside, predict(part, [rows[kind][i] for i in outside], test), strict=True):
                found[i] = p
            before = scores([first[i] for i in outside], test, *THRESHOLDS)
            print(f"  fold {k}, {kind}: {before} -> {scores([found[i] for i in outside], test, *THRESHOLDS)}")
        print(f"attention in {kind}: {scores(found, examples, *THRESHOLDS)}", flush=True)
    return fitted(range(len(examples)))


def fit_romanised(examples: Sequence[Example], first: Found) -> Added:
    """The weight of the similarity of words in Latin letters, for passes that compare no spelling."""
    alike = [
        similarities([latin(w) for w in example.source.tokens], [latin(w) for w in example.target.tokens])
        for example in examples
    ]
    rows = columns(examples, ("first",), first)
    rows = [np.concatenate([x, a.reshape(-1, 1)], axis=1) for x, a in zip(rows, alike, strict=True)]
    part = fit(("first", "romanised"), rows, [example.gold for example in examples])
    steps = part.weight / part.scale
    chance = np.concatenate([a[example.gold == 0] for a, example in zip(alike, examples, strict=True)]).mean()
    # Beside log-odds that count once
    added = Added(round(float(steps[1] / steps[0]), 3), round(float(chance), 3))
    changed = [
        1
        / (
            1
            + np.exp(
                -(
                    np.log(np.clip(p, 1e-6, 1 - 1e-6) / (1 - np.clip(p, 1e-6, 1 - 1e-6)))
                    + added.weight * (a - added.neutral)
                )
            )
        )
        for p, a in zip(first, alike, strict=True)
    ]
    print(f"no spelling: {scores(first, examples, *THRESHOLDS)}; romanised: {scores(changed, examples, *THRESHOLDS)}")
    return added


def show_aligner(data: Path, first: Found, examples: Sequence[Example], source: Path, target: Path) -> None:
    """Print what the scores of StatisticalAligner give with several weights.

    The second time the target is written in letters that the encoder cannot read, as is a language that it does not
    know; there the weights are those that come with the package, which were fitted on the same links.
    """
    gold, cut = read_pairs(data), Tokenizers("en", data.parent.name)
    lines = [cut(*pair) for pair in read_line_pairs(source, target)]
    pairs = [(pair.source, pair.target) for pair in gold]
    aligner = StatisticalAligner().fit([*lines, *pairs])
    links = aligner.align(pairs)
    print(f"StatisticalAligner alone, {data.parent.name}: F1 {score_links(links, gold)['f1']:.2f}")
    name = f"{ALIGNER}statistical"
    for weight in (0.0, 1.0, 2.0, 4.0, 6.0):
        found = []
        for example, p, alignment in zip(examples, first, links, strict=True):
            batch = PairBatch([(example.source, example.target)], [{name: alignment}])
            batch.first = p[None]
            found.append(add(batch, {name: Added(weight)})[0])
        print(f"  added with weight {weight}: {scores(found, examples, *THRESHOLDS)}")
    hidden = [(pair[0], [enciphered(word) for word in pair[1]]) for pair in pairs]
    aligner.fit([*((pair[0], [enciphered(word) for word in pair[1]]) for pair in lines), *hidden])
    print("the same in letters that the encoder cannot read")
    for weight in (0.0, 1.0, 2.0, 4.0, 6.0):
        combined = CombinedAligner(aligners={"statistical": aligner}, aligner_weight=weight)
        # The letters have names, but the words have no sound
        combined.weights = replace(combined.weights, added={name: Added(weight)})
        result = score_links(combined.align(hidden), gold)
        print(f"  added with weight {weight}: F1 {result['f1']:.2f}", flush=True)


def enciphered(word: str) -> str:
    """A word with Cherokee letters in place of Latin ones."""
    return "".join(chr(0x13A0 + ord(char) - ord("a")) if "a" <= char <= "z" else char for char in folded(word))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("changes", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--parallel", nargs=3, metavar=("SOURCE", "TARGET", "LANGUAGE"))
    args = parser.parse_args()
    languages = sorted(path.parent.name for path in args.data.glob("*/dev.tsv"))
    data = {x: read_examples(args.data / x / "dev.tsv", args.changes / f"{x}.npz") for x in languages}

    def left_out(language: str, without: Sequence[str] = ()) -> Found:
        seen = {example.english for example in data[language]}
        rest = [e for x in languages if x != language for e in data[x] if e.english not in seen]
        return probabilities(fit_both(rest, without), data[language])

    attended = fit_attended(data["pt"], left_out("pt"), attention_of(data["pt"]))
    mute = [p for x in languages for p in left_out(x, ("spelling", "same"))]
    romanised = fit_romanised([e for x in languages for e in data[x]], mute)
    print(f"attended: {attended.to_json()}\nromanised: {romanised}", flush=True)
    if args.parallel:
        source, target, language = args.parallel
        gold = args.data / language / "dev.tsv"
        show_aligner(gold, left_out(language), data[language], Path(source), Path(target))
    if args.out:
        weights = Weights.load(args.out)
        replace(weights, attended=attended, added={**weights.added, "romanised": romanised}).save(args.out)


if __name__ == "__main__":
    main()
