"""Signals from the attention of a translation model, for the pairs that have one."""

from __future__ import annotations

import numpy as np

from .batch import Cells, PairBatch
from .signals import best_other, signal

# What is added before the logarithm: attention below it is noise.
_FLOOR = np.float32(0.01)


@signal("attention", may_be_missing=True)
def attention(batch: PairBatch) -> Cells:
    """The logarithm of how much a translation model looks from one word at the other."""
    return np.log(batch.of_pairs("attention") + _FLOOR)


@signal("attention_row_lead", may_be_missing=True)
def attention_row_lead(batch: PairBatch) -> Cells:
    """How much more attention than the best other target word gets."""
    return batch.of_pairs("attention") - best_other(_padded(batch), axis=2, least=0)


@signal("attention_column_lead", may_be_missing=True)
def attention_column_lead(batch: PairBatch) -> Cells:
    """How much more attention than the best other source word gets."""
    return batch.of_pairs("attention") - best_other(_padded(batch), axis=1, least=0)


def _padded(batch: PairBatch) -> Cells:
    return batch.keep("attention or 0", lambda: np.nan_to_num(batch.of_pairs("attention")))
