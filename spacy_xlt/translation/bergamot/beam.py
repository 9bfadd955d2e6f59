"""Beam search: several hypotheses of each translation side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .decode import Hypothesis, Output, Padded, Prefixes, Search
from .model import BergamotModel


@dataclass(frozen=True)
class _Finished:
    """A finished hypothesis of a row: where it ends, and its scores."""

    mean: float
    step: int
    slot: int
    total: float
    truncated: bool


@dataclass(frozen=True)
class _BeamStep:
    """What one step of a beam search chose: rows (n,), the others (n, beam_size), weights of the parents."""

    rows: NDArray[np.int64]
    parents: NDArray[np.int64]
    pieces: NDArray[np.int64]
    weights: NDArray[np.float32]


@torch.inference_mode()
def beam_search(model: BergamotModel, batch: Padded, options: Search) -> list[list[Hypothesis]]:
    """Translate a batch as Marian does: a finished hypothesis leaves the beam and takes its place with it.

    RETURNS (list[list[Hypothesis]]): For each source all that its beam ended with, the best mean log-probability of
        their pieces first; those that were cut off come last.
    """
    k = options.beam_size
    output = Output(model, options)
    prefixes = None if options.prefixes is None else Prefixes(options.prefixes, output, options)
    memory = batch.encode(model)
    n_batch = len(batch.ids)
    states = model.first_states(n_batch * k)
    scores = torch.full((n_batch, k), -torch.inf, device=model.device)
    scores[:, 0] = 0.0
    room = torch.full((n_batch,), k, device=model.device)
    rows, slots = np.arange(n_batch), torch.arange(k, device=model.device)
    x = model.positions(0, 1).expand(n_batch * k, -1)
    finished: list[list[_Finished]] = [[] for _ in range(n_batch)]
    steps: list[_BeamStep] = []
    for t in range(int(options.limits.max())):
        hidden, states, weights = model.decode_step(x, states, memory)
        log_probs = torch.log_softmax(output.logits(hidden), dim=-1)
        if output.unk is not None:
            log_probs[:, output.unk] = -torch.inf
        if prefixes is not None:
            log_probs = prefixes.restrict(t, torch.from_numpy(rows.repeat(k)).to(model.device), log_probs)
        width = log_probs.shape[1]
        scores, index = (scores.view(-1, 1) + log_probs).view(len(rows), k * width).topk(k, dim=1)
        parents, pieces = index // width, output.to_pieces(index % width)
        scores = scores.masked_fill(slots >= room[:, None], -torch.inf)
        looked = weights.view(len(rows), k, -1).cpu().numpy()
        steps.append(_BeamStep(rows, parents.cpu().numpy(), pieces.cpu().numpy(), looked))
        ended = (pieces == options.eos) & torch.isfinite(scores)
        last = torch.from_numpy(options.limits[rows] <= t + 1).to(model.device)
        _note_finished(finished, rows, scores, ended, last, t)
        scores = scores.masked_fill(ended | last[:, None], -torch.inf)
        room = room - ended.sum(dim=1)
        keep = torch.nonzero(torch.isfinite(scores).any(dim=1)).squeeze(1)
        if not len(keep):
            break
        if len(keep) < len(rows):
            output.select(keep)
            memory, scores, room = memory.select(keep), scores[keep], room[keep]
            rows = rows[keep.cpu().numpy()]
        taken = (keep[:, None] * k + parents[keep]).view(-1)
        states = [s.index_select(0, taken) for s in states]
        x = model.embed_target(pieces[keep].view(-1)) + model.positions(t + 1, 1)
    return [
        [_trace(steps, row, end, int(n)) for end in sorted(ends, key=lambda end: (end.truncated, -end.mean))]
        for row, (ends, n) in enumerate(zip(finished, batch.lengths, strict=True))
    ]


def _note_finished(
    finished: list[list[_Finished]],
    rows: NDArray[np.int64],
    scores: torch.Tensor,
    ended: torch.Tensor,
    last: torch.Tensor,
    step: int,
) -> None:
    """Keep those that end at this step; at a row's limit the rest of its beam counts as cut off."""
    stops = ended | (last[:, None] & torch.isfinite(scores))
    for i, slot in torch.nonzero(stops).tolist():
        total = float(scores[i, slot])
        finished[int(rows[i])].append(_Finished(total / (step + 1), step, slot, total, not bool(ended[i, slot])))


def _trace(steps: list[_BeamStep], row: int, end: _Finished, n_source: int) -> Hypothesis:
    """Follow a hypothesis back from its end."""
    slot, ids, weights = end.slot, [], []
    for step in reversed(steps[: end.step + 1]):
        at = int(np.searchsorted(step.rows, row))
        ids.append(step.pieces[at, slot])
        slot = int(step.parents[at, slot])
        weights.append(step.weights[at, slot, :n_source])
    looked = np.stack(weights[::-1]).astype(np.float32)
    return Hypothesis(np.asarray(ids[::-1], np.int64), end.total, looked, end.truncated)
