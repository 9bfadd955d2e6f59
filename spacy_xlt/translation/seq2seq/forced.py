"""Run a sequence-to-sequence model over given targets: how probable their pieces are, and what they look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .decoder import Batch, pad_rows


@dataclass(frozen=True)
class Heads:
    """Which attention of the decoder to read.

    layer (int): Counted from 0 at the bottom, or from -1 at the top.
    heads (tuple[int, ...] | None): Whose mean counts; None for all.
    """

    layer: int
    heads: tuple[int, ...] | None = None


def log_probs(model: Any, batch: Batch, targets: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
    """Log-probabilities of given targets.

    batch (Batch): The sources, and what is forced before each target.
    targets (Sequence[int64, (n_target,)]): Their pieces, with the end mark if that shall count.
    RETURNS (list[float32, (n_target,)]): Natural log-probability of each piece, over the whole vocabulary.
    """
    with torch.inference_mode():
        logits, inputs = _run(model, batch, targets, attentions=False)
        scores = torch.log_softmax(logits.logits[:, :-1].float(), dim=-1)
        found = scores.gather(2, inputs[:, 1:, None]).squeeze(2).cpu().numpy()
    return [found[i, n : n + len(target)] for i, (n, target) in enumerate(zip(batch.n_forced, targets, strict=True))]


def attention(
    model: Any, batch: Batch, targets: Sequence[NDArray[np.int64]], which: Heads
) -> list[NDArray[np.float32]]:
    """What given targets look at, where they are written.

    batch, targets: As in `log_probs`.
    RETURNS (list[float32, (n_target, n_source)]): Weights over all source pieces, those of marks too.
    """
    with torch.inference_mode():
        output, _ = _run(model, batch, targets, attentions=True)
        weights = output.cross_attentions[which.layer]
        if which.heads is not None:
            weights = weights[:, list(which.heads)]
        mean = weights.float().mean(dim=1).cpu().numpy()
    return [
        mean[i, n : n + len(target), : len(source)]
        for i, (n, source, target) in enumerate(zip(batch.n_forced, batch.sources, targets, strict=True))
    ]


def _run(
    model: Any, batch: Batch, targets: Sequence[NDArray[np.int64]], *, attentions: bool
) -> tuple[Any, torch.Tensor]:
    """RETURNS: The model's output, and what was written: the start, what is forced, and the target."""
    ids, mask = pad_rows(batch.sources, batch.pad, model.device)
    rows = [
        np.concatenate([[batch.start], forced, target]).astype(np.int64)
        for forced, target in zip(batch.forced, targets, strict=True)
    ]
    # Padding stands behind all that counts, so that a piece never sees it; M2M100 would count it among its places
    inputs, _ = pad_rows(rows, batch.ends[0], model.device)
    output = model(
        input_ids=ids,
        attention_mask=mask,
        decoder_input_ids=inputs,
        output_attentions=attentions,
        use_cache=False,
        return_dict=True,
    )
    return output, inputs


@contextmanager
def readable_attention(model: Any) -> Iterator[None]:
    """Have a model compute attention in the way that shows its weights."""
    configs = {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}.values()
    before = [getattr(config, "_attn_implementation", None) for config in configs]
    try:
        for config in configs:
            config._attn_implementation = "eager"
        yield
    finally:
        for config, value in zip(configs, before, strict=True):
            config._attn_implementation = value
