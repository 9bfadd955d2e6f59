"""Whether lines that are joined into one pair are aligned as they are one by one.

    python benchmarks/long_input.py PAIRS.tsv… [--lines 10 20 50] [--change CHANGE…]
    python benchmarks/long_input.py SOURCE.txt TARGET.txt [--languages en pt] [--limit 400]

A file whose name ends with .tsv has gold links, as `eval-alignment` reads it; then `f1` is that of the links against
the gold. Two other files have one sentence a line, the same sentences in the same order; tokens are those of
spaCy's tokenizers for the languages. `same` is the F1 of the links of joined lines against those of
the lines one by one, and `time` how many times as long as these they take, measured in turn.

Of every ten lines, "swapped" exchanges two neighbours in the target, "missing" takes one away in the target and
another in the source, and "unpunctuated" takes away all tokens that have no letter or digit, and punctuation at words.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import spacy
import torch

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.evaluation.alignment import read_pairs
from spacy_xlt.tokens import is_symbol

CHANGES = ("none", "swapped", "missing", "unpunctuated")
_PUNCTUATION = ".,:;!?…()[]«»“”„‘’\"'。，、：；！？؟،।"
Links = set[tuple[int, int]]


class Line(NamedTuple):
    """A sentence pair, and its gold links where they are known."""

    source: list[str]
    target: list[str]
    gold: Links | None = None


def read(files: Sequence[Path], languages: Sequence[str], limit: int) -> dict[str, list[Line]]:
    """The lines of each data set, by name."""
    if all(path.suffix == ".tsv" for path in files):
        return {
            "/".join(path.parts[-2:]): [Line([*p.source], [*p.target], {*p.sure}) for p in read_pairs(path)[:limit]]
            for path in files
        }
    sides = [
        [[token.text for token in doc if not token.is_space] for doc in spacy.blank(lang).pipe(lines)]
        for lang, lines in zip(languages, (path.read_text("utf8").splitlines()[:limit] for path in files), strict=True)
    ]
    return {files[-1].stem: [Line(source, target) for source, target in zip(*sides, strict=True)]}


def without_punctuation(line: Line) -> Line:
    """The tokens that have letters or digits, without what is before and behind these, and the links of such tokens."""
    sides = [[i for i, token in enumerate(side) if not is_symbol(token)] for side in line[:2]]
    places = [{i: new for new, i in enumerate(kept)} for kept in sides]
    source, target = ([side[i].strip(_PUNCTUATION) for i in kept] for side, kept in zip(line[:2], sides, strict=True))
    if line.gold is None:
        return Line(source, target)
    return Line(
        source, target, {(places[0][i], places[1][j]) for i, j in line.gold if i in places[0] and j in places[1]}
    )


class Joined(NamedTuple):
    """Several lines as one pair, and where those that both sides have start in it."""

    source: list[str]
    target: list[str]
    starts: dict[int, tuple[int, int]]


def join(lines: Sequence[Line], numbers: Sequence[int], change: str) -> Joined:
    """Join lines, changed as the module says."""
    orders = [list(numbers), list(numbers)]
    if change == "swapped":
        for k in range(4, len(numbers) - 1, 10):
            orders[1][k], orders[1][k + 1] = orders[1][k + 1], orders[1][k]
    elif change == "missing":
        for side, first in ((0, 2), (1, 6)):
            gone = {numbers[k] for k in range(first, len(numbers), 10)}
            orders[side] = [n for n in orders[side] if n not in gone]
    tokens: list[list[str]] = [[], []]
    starts: list[dict[int, int]] = [{}, {}]
    for side in (0, 1):
        for n in orders[side]:
            starts[side][n] = len(tokens[side])
            tokens[side] += lines[n][side]
    return Joined(*tokens, {n: (starts[0][n], starts[1][n]) for n in numbers if n in starts[0] and n in starts[1]})


def links(aligner: Any, pairs: Sequence[tuple[list[str], list[str]]]) -> list[Links]:
    """As sets."""
    return [{(i, j) for i, j in alignment.links.tolist()} for alignment in aligner.align(pairs)]


def moved(of_lines: Sequence[Links], starts: dict[int, tuple[int, int]]) -> Links:
    """Links of lines as those of the pair that they are joined in."""
    return {(i + a, j + b) for n, (a, b) in starts.items() for i, j in of_lines[n]}


def f1(found: Sequence[Links], expected: Sequence[Links]) -> float:
    """Of all pairs together, in percent; the rest to 100 is the alignment error rate where all links are sure."""
    common = sum(len(a & b) for a, b in zip(found, expected, strict=True))
    return 200 * common / max(1, sum(map(len, found)) + sum(map(len, expected)))


def measure(aligner: Any, lines: Sequence[Line], sizes: Sequence[int], change: str) -> list[dict[str, Any]]:
    """Align the lines one by one, and joined."""
    if change == "unpunctuated":
        lines = [without_punctuation(line) for line in lines]
    start = time.perf_counter()
    alone = links(aligner, [line[:2] for line in lines])
    seconds = time.perf_counter() - start
    gold = [line.gold for line in lines if line.gold is not None]
    rows: list[dict[str, Any]] = [{"lines": 1, "f1": f1(alone, gold) if gold else None, "same": 100.0, "time": 1.0}]
    for size in sizes:
        numbers = [range(first, first + size) for first in range(0, len(lines) - size + 1, size)]
        pairs = [join(lines, chosen, change) for chosen in numbers]
        start = time.perf_counter()
        found = links(aligner, [pair[:2] for pair in pairs])
        spent = time.perf_counter() - start
        row = {
            "lines": size,
            "f1": f1(found, [moved(gold, pair.starts) for pair in pairs]) if gold else None,
            "same": f1(found, [moved(alone, pair.starts) for pair in pairs]),
            "time": spent / seconds * len(lines) / (len(numbers) * size),
        }
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--lines", nargs="+", type=int, default=[10, 20, 50])
    parser.add_argument("--change", nargs="+", choices=CHANGES, default=["none"])
    parser.add_argument("--languages", nargs=2, default=["en", "xx"], help="of spaCy's tokenizers")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    aligner = EmbeddingAligner()
    aligner.align([(["warm"], ["up"])])
    result = []
    for name, lines in read(args.files, args.languages, args.limit).items():
        for change in args.change:
            for row in measure(aligner, lines, args.lines, change):
                result.append({"data": name, "change": change, **row})
                shown = "     " if row["f1"] is None else f"{row['f1']:5.2f}"
                print(f"{name:28} {change:12} {row['lines']:3} lines  f1 {shown}  ", end="")
                print(f"same {row['same']:6.2f}  time {row['time']:.2f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
