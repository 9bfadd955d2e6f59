"""Greedy search: the best piece at each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from .buffers import greedy_in_buffers
from .decode import Hypothesis, Output, Padded, Prefixes, Search
from .model import BergamotModel

# Rows that are done are computed along until this part of the batch is left; then it is copied together
_DENSE = 0.8


@torch.inference_mode()
def greedy_search(model: BergamotModel, batch: Padded, options: Search) -> list[Hypothesis]:
    """Translate a batch.

    RETURNS (list[Hypothesis]): One for each source, in order.
    """
    if model.device.type == "cuda" and options.prefixes is None:
        return collect(greedy_in_buffers(model, batch, options, graphs=True), batch, options)
    output = Output(model, options)
    prefixes = None if options.prefixes is None else Prefixes(options.prefixes, output, options)
    memory = batch.encode(model)
    n_batch = len(batch.ids)
    states = model.first_states(n_batch)
    rows = torch.arange(n_batch, device=model.device)
    limits = torch.from_numpy(options.limits).to(model.device)
    x = model.positions(0, 1).expand(n_batch, -1)
    done = torch.zeros(n_batch, dtype=torch.bool, device=model.device)
    steps = []
    for t in range(int(options.limits.max())):
        hidden, states, weights = model.decode_step(x, states, memory)
        logits = output.logits(hidden)
        columns = output.best(logits if prefixes is None else prefixes.restrict(t, rows, logits))
        log_probs = -F.cross_entropy(logits, columns, reduction="none")
        pieces = output.to_pieces(columns)
        steps.append((rows, pieces, log_probs, weights))
        done = done | (pieces == options.eos) | (limits <= t + 1)
        n_left = len(done) - int(done.sum())
        if not n_left:
            break
        if n_left < _DENSE * len(done):
            keep = torch.nonzero(~done).squeeze(1)
            output.select(keep)
            memory, states = memory.select(keep), [s.index_select(0, keep) for s in states]
            rows, pieces, limits, done = rows[keep], pieces[keep], limits[keep], done[keep]
        x = model.embed_target(pieces) + model.positions(t + 1, 1)
    return collect(steps, batch, options)


def collect(steps: Sequence[tuple[torch.Tensor, ...]], batch: Padded, options: Search) -> list[Hypothesis]:
    """Sort what the steps wrote for their rows by row, up to the end mark of each.

    steps (Sequence[tuple]): Which rows a step was for, their pieces, the log-probabilities of these, and what they
        looked at.
    """
    shape = len(batch.ids), len(steps), batch.ids.shape[1]
    ids = np.full(shape[:2], options.eos, np.int64)
    scores = np.zeros(shape[:2], np.float32)
    weights = np.zeros(shape, np.float32)
    for t, (rows, pieces, log_probs, looked) in enumerate(steps):
        at = rows.cpu().numpy()
        ids[at, t] = pieces.cpu().numpy()
        scores[at, t] = log_probs.cpu().numpy()
        weights[at, t] = looked.cpu().numpy()
    hypotheses = []
    for row, limit in enumerate(options.limits.tolist()):
        ends = np.flatnonzero(ids[row, :limit] == options.eos)
        length = int(ends[0]) + 1 if len(ends) else limit
        total = float(scores[row, :length].sum(dtype=np.float64))
        own = weights[row, :length, : int(batch.lengths[row])].copy()
        hypotheses.append(Hypothesis(ids[row, :length], total, own, not len(ends)))
    return hypotheses
