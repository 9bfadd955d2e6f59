"""Signals that are added to the log-odds at the end, so that pairs without them are as if there were none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .batch import Cells, PairBatch
from .signals import SIGNALS

# Names of signals that are the scores of another aligner begin so.
ALIGNER = "aligner:"
_LEAST = 1e-6


@dataclass(frozen=True)
class Added:
    """What a signal adds to the log-odds of a link: `weight * (value - neutral)`, and nothing where it is NaN.

    weight (float): What one unit of the signal adds.
    neutral (float): The value at which it adds nothing.
    """

    weight: float
    neutral: float = 0.0


def add(batch: PairBatch, added: Mapping[str, Added], without: frozenset[str] = frozenset()) -> Cells:
    """The probabilities of a batch with what signals add; where none adds anything, what they were.

    added (Mapping[str, Added]): By the name of the signal; `ALIGNER` and a name for the scores of another aligner.
    without (frozenset[str]): Signals to leave out.
    RETURNS (float32, (pairs, n_source, n_target)): Probabilities.
    """
    more: Cells | None = None
    for name, part in added.items():
        if name in without:
            continue
        values = batch.of_pairs(name) if name.startswith(ALIGNER) else SIGNALS[name](batch)
        addend = np.nan_to_num((values - np.float32(part.neutral)) * np.float32(part.weight))
        if addend.any():
            more = addend if more is None else more + addend
    if more is None:
        return batch.first
    p = np.clip(batch.first, _LEAST, 1 - _LEAST)
    log_odds = np.log(p) - np.log1p(-p) + more
    changed = batch.mask & (more != 0)
    return np.where(changed, 1 / (1 + np.exp(-log_odds)), batch.first).astype(np.float32)
