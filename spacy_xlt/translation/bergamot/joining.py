"""Put together what was translated in parts, and the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...languages import UNSEGMENTED
from ...protocols import SoftAlignment, Tokens, Translation

if TYPE_CHECKING:
    from .decode import Hypothesis
    from .vocab import Pieces


def join_parts(
    parts: Sequence[Pieces],
    hypotheses: Sequence[Hypothesis],
    decoded: Sequence[tuple[str, NDArray[np.int32]]],
    *,
    spaced: bool = True,
) -> Translation:
    """The translation of a text from those of its parts, with its alignment.

    parts (Sequence[Pieces]): What was translated.
    decoded (Sequence[tuple[str, int32, (n, 2)]]): The text of each hypothesis, and the places of its pieces in it.
    spaced (bool): Whether there are spaces between sentences.
    """
    if not parts:
        return Translation("")
    text, score, n_pieces = "", 0.0, 0
    target_spans, flags = [], set()
    for hypothesis, (of_part, spans) in zip(hypotheses, decoded, strict=True):
        text += " " if spaced and text and of_part else ""
        target_spans.append(spans + len(text))
        text += of_part
        score += hypothesis.score
        n_pieces += len(hypothesis.ids)
        if hypothesis.truncated:
            flags.add("truncated")
    weights = np.zeros((sum(len(part) for part in parts), n_pieces), np.float32)
    i = j = 0
    for part, hypothesis in zip(parts, hypotheses, strict=True):
        # The end mark of each part of the source is left out: it has no place in the text
        weights[i : i + len(part), j : j + len(hypothesis.ids)] = hypothesis.weights[:, : len(part)].T
        i, j = i + len(part), j + len(hypothesis.ids)
    source_spans = np.concatenate([part.spans for part in parts])
    alignment = SoftAlignment(weights, source_spans, np.concatenate(target_spans).astype(np.int32))
    return Translation(text, score / max(1, n_pieces), tuple(sorted(flags)), alignment)


def best_combinations(parts: Sequence[Sequence[Hypothesis]], n: int) -> list[list[Hypothesis]]:
    """The most probable ways to choose one hypothesis for each part of a text.

    parts (Sequence[Sequence[Hypothesis]]): The best few hypotheses of each part.
    RETURNS (list[list[Hypothesis]]): At most `n`, by mean log-probability of a piece; those that were cut off last.
    """

    def worse(chosen: list[Hypothesis]) -> tuple[int, float]:
        pieces = sum(len(h.ids) for h in chosen)
        return sum(h.truncated for h in chosen), -sum(h.score for h in chosen) / max(1, pieces)

    combinations: list[list[Hypothesis]] = [[]]
    for hypotheses in parts:
        combinations = sorted(([*chosen, h] for chosen in combinations for h in hypotheses), key=worse)[:n]
    return combinations


def join_tokens(items: Sequence[str | Tokens], language: str) -> tuple[list[str], list[NDArray[np.int32]]]:
    """Texts of token lists, and where in them each token stands."""
    gap = "" if language in UNSEGMENTED else " "
    texts, spans = [], []
    for item in items:
        tokens = item.split() if isinstance(item, str) else list(item)
        texts.append(gap.join(tokens))
        lengths = np.asarray([len(token) for token in tokens], np.int32)
        starts = np.cumsum(lengths + len(gap)) - lengths - len(gap)
        spans.append(np.stack([starts, starts + lengths], axis=1).astype(np.int32))
    return texts, spans
