"""Which of several translations of a text is the most like the others: minimum Bayes risk (Kumar & Byrne 2004)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

# Characters of the longest sequences that are compared
ORDER = 6


def closest(texts: Sequence[str], scores: Sequence[float | None]) -> int:
    """The index of the text with the greatest mean similarity to the others (Freitag et al. 2022).

    Args:
        texts: At least one. One that comes several times counts as often.
        scores: Decide between texts that are as similar, the greater the better.
    """
    parts = [_sequences(text) for text in texts]
    totals = [sum(_similarity(one, other) for other in parts) for one in parts]
    return max(range(len(texts)), key=lambda n: (round(totals[n], 9), scores[n] or 0.0, -n))


def chrf(first: str, second: str) -> float:
    """The similarity of two texts, from 0 to 1: the F-score of their sequences of 1 to 6 characters but spaces.

    That is chrF (Popović 2015, https://aclanthology.org/W15-3049/) with precision and recall as weighty as each other,
    as neither text is the reference.
    """
    return _similarity(_sequences(first), _sequences(second))


def _sequences(text: str) -> list[Counter[str]]:
    """How often each sequence of characters is in a text, by its length."""
    chars = "".join(text.split())
    return [Counter(chars[i : i + n] for i in range(len(chars) - n + 1)) for n in range(1, ORDER + 1)]


def _similarity(first: Sequence[Counter[str]], second: Sequence[Counter[str]]) -> float:
    shares = [
        (common / a.total(), common / b.total())
        for a, b in zip(first, second, strict=True)
        if a and b
        for common in [(a & b).total()]
    ]
    if not shares:
        return float(first == second)
    precision, recall = (sum(column) / len(shares) for column in zip(*shares, strict=True))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
