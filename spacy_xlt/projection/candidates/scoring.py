"""How probable texts are as translations of each other (NMTScore, Vamvas and Sennrich 2022,
https://arxiv.org/abs/2204.13692): by the piece, so that long and short ones compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...protocols import Forcer, Scorer

Pair = tuple[str, str]


class PairScorer:
    """Mean log-probabilities of pairs of texts, each computed once.

    translator (Scorer): What scores.
    """

    def __init__(self, translator: Scorer):
        self.translator = translator
        self._known: dict[tuple[str, str, str, str], float] = {}

    def means(self, pairs: Sequence[Pair], *, source: str, target: str) -> NDArray[np.float64]:
        """Natural log-probability of the second text of each pair given the first, over its pieces: (n,).

        Of a translator that does not tell pieces apart, over its words and the end mark.
        """
        keys = [(source, target, *pair) for pair in pairs]
        new = sorted({key for key in keys if key not in self._known})
        if new:
            firsts, seconds = [key[2] for key in new], [key[3] for key in new]
            self._known.update(zip(new, self._compute(firsts, seconds, source, target), strict=True))
        return np.asarray([self._known[key] for key in keys], np.float64)

    def _compute(self, firsts: list[str], seconds: list[str], source: str, target: str) -> list[float]:
        if isinstance(self.translator, Forcer):
            found = self.translator.force(firsts, seconds, source=source, target=target)
            return [float(log_probs.mean()) for log_probs, _ in found]
        scores = self.translator.score(firsts, seconds, source=source, target=target)
        return [float(s) / (len(text.split()) + 1) for s, text in zip(scores, seconds, strict=True)]


def both_ways(
    scorer: PairScorer, pairs: Sequence[Pair], *, source: str, target: str, normalize: str
) -> NDArray[np.float64]:
    """How alike the texts of each pair are in meaning, from 0 to 1: (n,).

    The mean of the two directions' log-probabilities, as a probability. A direction counts relative to how probable
    its text is given itself ("self"), at most 1, or as it is ("length").
    """
    turned = [(b, a) for a, b in pairs]
    there = scorer.means(pairs, source=source, target=target)
    back = scorer.means(turned, source=target, target=source)
    if normalize == "self":
        there = np.minimum(0.0, there - scorer.means([(b, b) for _, b in pairs], source=source, target=target))
        back = np.minimum(0.0, back - scorer.means([(a, a) for a, _ in pairs], source=target, target=source))
    return np.exp((there + back) / 2)
