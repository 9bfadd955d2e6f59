"""The gate for translations that don't come back: in the source language again, they say something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...errors import UnknownDirection
from ...protocols import Translator
from .base import Judged, QualityFilter, check_number


class RoundTripFilter(QualityFilter):
    """Flags a translation that, translated back, is too far from the source. Score: F of character n-grams, 0 to 1.

    Costs as much as translating. Nothing is judged where the translator does not know the way back.

    translator (Translator | None): What translates back; the translator itself where left out.
    min_score (float): The smallest score that is accepted.
    """

    flag = "round_trip"

    def __init__(self, *, translator: Translator | None = None, min_score: float = 0.3):
        self.translator = translator
        self.min_score = check_number("RoundTripFilter", "min_score", min_score, 0, 1)

    @property
    def settings(self) -> str:
        """The smallest score, and what translates back if another."""
        other = "" if self.translator is None else f",translator={self.translator.signature}"
        return f"min_score={self.min_score:g}{other}"

    def score(self, pair: Judged) -> float | None:
        """The score of one pair; None without a translator of its own."""
        return None if self.translator is None else self.scores([pair], engine=self.translator)[0]

    def scores(self, pairs: Sequence[Judged], *, engine: Any) -> list[float | None]:
        """Translate back in one call. All pairs must have the same languages."""
        if not pairs:
            return []
        back = self.translator or engine
        try:
            returned = back.translate(
                [pair.target for pair in pairs], source=pairs[0].target_lang, target=pairs[0].source_lang
            )
        except UnknownDirection:
            return [None] * len(pairs)
        return [
            character_f(text.text, pair.source) if pair.source.strip() else None
            for text, pair in zip(returned, pairs, strict=True)
        ]

    def accept(self, score: float) -> bool:
        """Whether enough came back."""
        return score >= self.min_score


def character_f(text: str, reference: str, *, longest: int = 6, beta: float = 2.0) -> float:
    """How much of a reference is in a text: F of the character n-grams without spaces, averaged over n (Popović 2015,
    "chrF: character n-gram F-score for automatic MT evaluation").

    longest (int): The longest n-grams.
    beta (float): How many times recall weighs precision.
    RETURNS (float): From 0 to 1; 1 for two empty texts.
    """
    first, second = "".join(text.split()), "".join(reference.split())
    scores = []
    for n in range(1, min(longest, max(len(first), len(second))) + 1):
        a, b = (Counter(side[i : i + n] for i in range(len(side) - n + 1)) for side in (first, second))
        shared = sum((a & b).values())
        precision, recall = shared / max(1, sum(a.values())), shared / max(1, sum(b.values()))
        total = beta**2 * precision + recall
        # n-grams longer than both texts say nothing
        if a or b:
            scores.append((1 + beta**2) * precision * recall / total if total else 0.0)
    return sum(scores) / len(scores) if scores else 1.0
