"""Search for the translations of one batch: greedy search, beam search, search with terms.

The beam search is that of `transformers` (same candidates, same rule to stop), except that a translation that reached
its end goes before one that was cut off, that each row has its own limit, and that finished rows leave the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..terms import TermBeam, Terms, Written
from .decoder import Batch, Decoder

# Rows that are done are computed along until this part of the batch is left; then it is copied together
_DENSE = 0.8
# On a GPU, asking whether rows are done makes it wait
_ASK_EVERY = 4


def greedy(model: Any, batch: Batch) -> list[Written]:
    """The most probable piece at each step.

    RETURNS (list[Written]): For each source what was written, without what was forced.
    """
    decoder = Decoder(model, batch)
    device = model.device
    n_batch = len(batch.sources)
    totals = torch.from_numpy(batch.limits + batch.n_forced).to(device)
    ends = torch.tensor(batch.ends, device=device)
    rows = torch.arange(n_batch, device=device)
    pieces = torch.full((n_batch,), batch.start, dtype=torch.long, device=device)
    done = torch.zeros(n_batch, dtype=torch.bool, device=device)
    steps = []
    n_forced = int(batch.n_forced.max())
    for t in range(int(totals.max())):
        logits = decoder.step(pieces)
        pieces = _best(logits)
        if t < n_forced:
            forced = torch.from_numpy(batch.forced_at(t)).to(device)[rows]
            pieces = torch.where(forced >= 0, forced, pieces)
            done = done | ((forced < 0) & torch.isin(pieces, ends))
        else:
            done = done | torch.isin(pieces, ends)
        log_probs = -F.cross_entropy(logits, pieces, reduction="none")
        steps.append((rows, pieces, log_probs))
        done = done | (totals <= t + 1)
        if device.type == "cuda" and t % _ASK_EVERY:
            continue
        n_left = len(done) - int(done.sum())
        if not n_left:
            break
        if n_left < _DENSE * len(done):
            keep = torch.nonzero(~done).squeeze(1)
            decoder.select(keep)
            rows, pieces, totals, done = rows[keep], pieces[keep], totals[keep], done[keep]
    return _collect(steps, batch)


def _best(logits: torch.Tensor) -> torch.Tensor:
    """The most probable piece of each row: int64, (n_rows,)."""
    if logits.device.type != "cpu":
        return logits.argmax(dim=-1)
    # PyTorch's own is many times slower than NumPy's on a CPU
    return torch.from_numpy(logits.numpy().argmax(axis=1))


def _collect(steps: Sequence[tuple[torch.Tensor, ...]], batch: Batch) -> list[Written]:
    """Sort what each step wrote for its rows by row, up to the end mark or the limit of each."""
    n_batch = len(batch.sources)
    ids = np.full((n_batch, len(steps)), batch.ends[0], np.int64)
    scores = np.zeros((n_batch, len(steps)), np.float32)
    for t, (rows, pieces, log_probs) in enumerate(steps):
        at = rows.cpu().numpy()
        ids[at, t], scores[at, t] = pieces.cpu().numpy(), log_probs.cpu().numpy()
    result = []
    for row, (n_forced, limit) in enumerate(zip(batch.n_forced.tolist(), batch.limits.tolist(), strict=True)):
        own = ids[row, n_forced : n_forced + limit]
        stops = np.flatnonzero(np.isin(own, batch.ends))
        length = int(stops[0]) + 1 if len(stops) else len(own)
        score = float(scores[row, n_forced : n_forced + length].sum(dtype=np.float64))
        result.append(Written(tuple(own[:length].tolist()), score, not len(stops)))
    return result


@dataclass(frozen=True)
class _Finished:
    """A hypothesis that ended, as a place in the history of the search."""

    rank: float
    step: int
    parent: int
    piece: int
    score: float
    truncated: bool


@dataclass(frozen=True)
class _Step:
    """What one step of a beam search chose: rows (n,), the slots gone on from and the pieces (n, beam_size)."""

    rows: NDArray[np.int64]
    parents: NDArray[np.int64]
    pieces: NDArray[np.int64]


def beam(model: Any, batch: Batch, *, size: int) -> list[list[Written]]:
    """Beam search.

    RETURNS (list[list[Written]]): For each source at most `size` hypotheses, the best first.
    """
    decoder = Decoder(model, batch, copies=size)
    n_batch, device = len(batch.sources), model.device
    totals = batch.limits + batch.n_forced
    rows = np.arange(n_batch)
    scores = np.full((n_batch, size), -1e9, np.float32)
    scores[:, 0] = 0
    pieces = np.full((n_batch, size), batch.start, np.int64)
    finished: list[list[_Finished]] = [[] for _ in range(n_batch)]
    steps: list[_Step] = []
    for t in range(int(totals.max())):
        logits = decoder.step(torch.from_numpy(pieces.reshape(-1)).to(device))
        best, parents, found = _candidates(logits, scores, size, len(batch.ends))
        forced = batch.forced_at(t)[rows]
        for i in np.flatnonzero(forced >= 0).tolist():
            best[i, :size], parents[i, :size], found[i, :size] = scores[i], np.arange(size), forced[i]
            best[i, size:] = -np.inf
        ended = np.isin(found, batch.ends) & (forced < 0)[:, None]
        last = totals[rows] <= t + 1
        stops = (ended | last[:, None])[:, :size] & (best[:, :size] > -1e8)
        for i, slot in np.argwhere(stops).tolist():
            score = float(best[i, slot])
            rank = score / (t + 1) ** batch.length_penalty
            end = _Finished(rank, t, int(parents[i, slot]), int(found[i, slot]), score, not ended[i, slot])
            finished[rows[i]] = sorted([*finished[rows[i]], end], key=lambda f: (f.truncated, -f.rank))[:size]
        order = np.argsort(ended, axis=1, kind="stable")[:, :size]
        scores = np.take_along_axis(best, order, axis=1)
        parents, pieces = np.take_along_axis(parents, order, axis=1), np.take_along_axis(found, order, axis=1)
        steps.append(_Step(rows, parents, pieces))
        hopeless = [_settled(finished[row], scores[i, 0], size, t + 1, batch) for i, row in enumerate(rows)]
        keep = np.flatnonzero(~(last | np.asarray(hopeless)))
        if not len(keep):
            break
        taken = torch.from_numpy((np.arange(len(rows))[:, None] * size + parents)[keep].reshape(-1)).to(device)
        if len(keep) < len(rows):
            decoder.select(taken)
            rows, scores, pieces = rows[keep], scores[keep], pieces[keep]
        else:
            decoder.reorder(taken)
    return [[_trace(steps, row, end, int(batch.n_forced[row])) for end in ends] for row, ends in enumerate(finished)]


def _candidates(
    logits: torch.Tensor, scores: NDArray[np.float32], size: int, n_ends: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """The best continuations of each source, enough to go on when all the best ones end.

    RETURNS: Their scores, the slots they go on from and their pieces, (n_rows, n).
    """
    n_rows, width = len(scores), logits.shape[1]
    totals = torch.log_softmax(logits, dim=-1).view(n_rows, size, width)
    totals = (totals + torch.from_numpy(scores).to(logits.device)[:, :, None]).view(n_rows, size * width)
    best, index = totals.topk(min(max(2, 1 + n_ends) * size, size * width), dim=1)
    found = index.cpu().numpy()
    return best.cpu().numpy(), found // width, found % width


def _settled(ends: list[_Finished], best: float, size: int, length: int, batch: Batch) -> bool:
    """Whether no hypothesis that goes on will get among the finished ones, as far as one can tell."""
    if len(ends) < size:
        return False
    return best / length**batch.length_penalty <= min(end.rank for end in ends)


def _trace(steps: list[_Step], row: int, end: _Finished, n_forced: int) -> Written:
    """Follow a hypothesis back from its end."""
    ids, slot = [end.piece], end.parent
    for step in reversed(steps[: end.step]):
        at = int(np.searchsorted(step.rows, row))
        ids.append(int(step.pieces[at, slot]))
        slot = int(step.parents[at, slot])
    return Written(tuple(ids[::-1][n_forced:]), end.score, end.truncated)


def with_terms(model: Any, batch: Batch, terms: Sequence[Terms], *, size: int) -> list[list[Written]]:
    """Beam search in which each translation uses its terms.

    terms (Sequence[Terms]): Those of each source.
    RETURNS (list[list[Written]]): For each source the hypotheses that ended, the best first.
    """
    beams = [
        TermBeam(own, size=size, end=batch.ends[0], limit=int(limit))
        for own, limit in zip(terms, batch.limits, strict=True)
    ]
    decoder = Decoder(model, batch, copies=size)
    device = model.device
    rows = list(range(len(beams)))
    pieces = np.full(len(beams) * size, batch.start, np.int64)
    t = 0
    while rows:
        log_probs = torch.log_softmax(decoder.step(torch.from_numpy(pieces).to(device)), dim=-1)
        best, found = (part.cpu().numpy() for part in log_probs.topk(min(2 * size, log_probs.shape[1]), dim=1))
        forced = batch.forced_at(t)
        parents, written = [], []
        for i, row in enumerate(rows):
            slots = slice(i * size, (i + 1) * size)
            if forced[row] >= 0:
                own, new = np.arange(size), np.full(size, forced[row])
            else:
                cells, wanted = beams[row].cells()
                looked_up = log_probs[torch.from_numpy(cells + i * size), torch.from_numpy(wanted)].cpu().numpy()
                own, new = beams[row].step(
                    np.concatenate([np.repeat(np.arange(size), best.shape[1]), cells]),
                    np.concatenate([found[slots].reshape(-1), wanted]),
                    np.concatenate([best[slots].reshape(-1), looked_up]),
                )
            parents.append(own + i * size)
            written.append(new)
        keep = [i for i, row in enumerate(rows) if not beams[row].done]
        if keep:
            taken = torch.from_numpy(np.concatenate([parents[i] for i in keep])).to(device)
            (decoder.reorder if len(keep) == len(rows) else decoder.select)(taken)
            pieces = np.concatenate([written[i] for i in keep])
        rows = [rows[i] for i in keep]
        t += 1
    return [own.best(size) for own in beams]
