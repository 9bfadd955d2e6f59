"""Scoring an aligner: its links against gold links, sure and possible ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import XltError, error
from ..languages import to_spacy
from ..links import Alignment
from ..protocols import Aligner, PairContext, Tokens
from ..textfiles import text_lines

Link = tuple[int, int]


@dataclass(frozen=True)
class GoldPair:
    """A sentence pair with gold links `(i, j)`; the sure ones are among the possible ones."""

    source: Tokens
    target: Tokens
    sure: frozenset[Link]
    possible: frozenset[Link]


def evaluate_alignment(
    aligner: Aligner, pairs: Sequence[GoldPair], *, data: str = "", source_lang: str = "", target_lang: str = ""
) -> dict[str, Any]:
    """Align sentence pairs and score the links.

    Args:
        aligner: Its model is loaded before the time is taken.
        pairs: As `read_pairs` gives them.
        data: What to call the data in the signature.
        source_lang: Language of the source, for aligners that ask for it; "" for unknown.
        target_lang: Language of the target.

    Returns:
        What `score_links` gives, and `pairs`, `seconds`, `pairs_per_second`, `signature`.

    Raises:
        XltError: E010 for a language that does not exist.
    """
    tokens = [(pair.source, pair.target) for pair in pairs]
    source, target = (to_spacy(code) if code else "" for code in (source_lang, target_lang))
    context = PairContext(source, target)
    warm_up = next((both for both in tokens if both[0] and both[1]), None)
    if warm_up is not None:
        aligner.align([warm_up], contexts=[context])
    start = time.perf_counter()
    alignments = aligner.align(tokens, contexts=[context] * len(tokens))
    seconds = time.perf_counter() - start
    languages = f"|languages:{source or '?'}-{target or '?'}" if source or target else ""
    return {
        **score_links(alignments, pairs),
        "pairs": len(pairs),
        "seconds": round(seconds, 3),
        "pairs_per_second": round(len(pairs) / seconds, 2) if seconds else None,
        "signature": f"alignment F1 and AER|data:{data or 'unnamed'}{languages}|{aligner.signature}"
        f"|spacy_xlt:{__version__}",
    }


def score_links(alignments: Sequence[Alignment], pairs: Sequence[GoldPair]) -> dict[str, float]:
    """Precision against the possible links, recall against the sure ones, F1 of both, and the alignment error rate.

    Och & Ney 2003, A Systematic Comparison of Various Statistical Alignment Models; counted over all pairs together.

    Returns:
        `precision`, `recall`, `f1` and `aer`, from 0 to 100.
    """
    n_links = in_sure = in_possible = n_sure = 0
    for alignment, pair in zip(alignments, pairs, strict=True):
        links = {(i, j) for i, j in alignment.links.tolist()}
        n_links += len(links)
        n_sure += len(pair.sure)
        in_sure += len(links & pair.sure)
        in_possible += len(links & pair.possible)
    precision = in_possible / n_links if n_links else 0.0
    recall = in_sure / n_sure if n_sure else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    aer = 1 - (in_sure + in_possible) / (n_links + n_sure) if n_links + n_sure else 0.0
    scores = {"precision": precision, "recall": recall, "f1": f1, "aer": aer}
    return {key: round(100 * value, 4) for key, value in scores.items()}


def read_pairs(path: str | Path) -> list[GoldPair]:
    """Read gold links: a line has source tokens, target tokens and links, with tabs between.

    Tokens have spaces between, links are Pharaoh's: `0-0 1-2`, and `3p2` for one that is possible but not sure.
    Empty lines are passed over.

    Args:
        path: A UTF-8 file, plain or compressed.

    Raises:
        XltError: E502, E513 and E521, E530 and E531, with the number of the line.
    """
    path = Path(path)
    if not path.is_file():
        raise error("E502", what="file of sentence pairs", path=path)
    pairs = [_read_pair(path, number, line) for number, line in text_lines(path, "utf-8") if line.strip()]
    if not pairs:
        raise error("E521", path=path, what="sentence pairs")
    if not any(pair.sure for pair in pairs):
        raise error("E521", path=path, what="sure gold links, such as 0-0")
    return pairs


def _read_pair(path: Path, number: int, line: str) -> GoldPair:
    columns = line.split("\t")
    if len(columns) != 3:
        raise error("E530", path=path, line=number, found=len(columns))
    source, target = ([token for token in column.split(" ") if token] for column in columns[:2])
    try:
        gold = Alignment.from_pharaoh(columns[2]).check(len(source), len(target))
    except XltError as err:
        raise error("E531", path=path, line=number, reason=err.message) from err
    # A possible link is read with half the score of a sure one
    sure = frozenset(map(tuple, gold.links[np.equal(gold.scores, 1)].tolist()))
    return GoldPair(source, target, sure, frozenset(map(tuple, gold.links.tolist())))
