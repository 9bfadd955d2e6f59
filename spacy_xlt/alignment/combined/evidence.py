"""What projectors weigh: the likeness of words to the model as it was before it learned where people put links."""

from __future__ import annotations

import numpy as np

from ...links import Alignment

# The share of the probability of a link in its weight as evidence; the rest is the likeness of the two words. Gold
# links join an article to the noun of the other side, which gold entities leave out.
SHARE = 0.3
# What probabilities and likenesses below this are worth is lost in a weight.
LEAST = 0.02


def weigh(likely: Alignment, alike: Alignment, *, least: float) -> Alignment:
    """Bring both together.

    likely (Alignment): Pairs of words with the probability that they are linked.
    alike (Alignment): Pairs of words with the likeness of their vectors, from 0 to 1.
    least (float): Pairs with a weight that is not above this are left out.
    RETURNS (Alignment): All pairs of both with their weights.
    """
    weights: dict[tuple[int, int], float] = {}
    for part, share in ((likely, SHARE), (alike, 1 - SHARE)):
        for (i, j), score in zip(part.links.tolist(), part.scores.tolist(), strict=True):
            weights[i, j] = weights.get((i, j), 0.0) + share * score
    kept = {link: weight for link, weight in weights.items() if weight > least}
    return Alignment(np.asarray(list(kept), np.int32).reshape(-1, 2), np.asarray(list(kept.values()), np.float32))
