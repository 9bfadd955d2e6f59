"""Translate batches with a model: greedy search and beam search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .model import BergamotModel, Memory
from .shortlist import Allowed

# Rows that are done are computed along until this part of the batch is left; then it is copied together
_DENSE = 0.8


@dataclass(frozen=True)
class Hypothesis:
    """The translation of one source.

    ids (int64, (n_target,)): Its pieces, with the end mark unless it was cut off.
    score (float): Sum of their log-probabilities.
    weights (float32, (n_target, n_source)): What each piece looked at.
    truncated (bool): Whether it reached its limit before the end mark.
    """

    ids: NDArray[np.int64]
    score: float
    weights: NDArray[np.float32]
    truncated: bool


@dataclass(frozen=True)
class Padded:
    """Sequences of pieces made equally long.

    ids (int64, (n_batch, n_source)): Pieces with the end mark, padded with it.
    lengths (int64, (n_batch,)): How many of them count.
    """

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def pad(cls, sequences: list[NDArray[np.int64]], eos: int) -> Padded:
        """Put the end mark to each sequence, and padding."""
        lengths = np.asarray([len(s) + 1 for s in sequences], np.int64)
        ids = np.full((len(sequences), lengths.max()), eos, np.int64)
        for row, sequence in zip(ids, sequences, strict=True):
            row[: len(sequence)] = sequence
        return cls(ids, lengths)

    def encode(self, model: BergamotModel) -> Memory:
        ids = torch.from_numpy(self.ids).to(model.device)
        mask = torch.arange(ids.shape[1]) < torch.from_numpy(self.lengths)[:, None]
        return model.encode(ids, mask.to(model.device))


@dataclass(frozen=True)
class Search:
    """What a search may write.

    eos, unk (int): The end mark, and the piece for unknown characters, which is never written.
    limits (int64, (n_batch,)): The most pieces for each source.
    allowed (Allowed | None): The shortlist, which holds the end mark and not `unk`; None for all pieces.
    beam_size (int): 1 for greedy search.
    """

    eos: int
    unk: int
    limits: NDArray[np.int64]
    allowed: Allowed | None = None
    beam_size: int = 1


class _Output:
    """The last layer of the decoder, over all pieces or those of a shortlist."""

    def __init__(self, model: BergamotModel, options: Search):
        self.unk: int | None = None
        self.pieces = self.mask = None
        if options.allowed is None:
            self.unk = options.unk
        else:
            self.pieces = torch.from_numpy(options.allowed.pieces).to(model.device)
            self.mask = torch.from_numpy(options.allowed.mask).to(model.device)
        self.layer = model.output_layer(self.pieces)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with some of the batch."""
        if self.mask is not None:
            self.mask = self.mask.index_select(0, rows)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (n_rows, dim), the rows of one source together. RETURNS (Tensor): (n_rows, n_pieces)."""
        logits = self.layer(hidden)
        if self.mask is not None:
            logits.view(len(self.mask), -1, logits.shape[1]).add_(self.mask[:, None])
        return logits

    def best(self, logits: torch.Tensor) -> torch.Tensor:
        """The column of the best piece of each row that may be written: int64, (n_rows,)."""
        kept = None
        if self.unk is not None:
            kept = logits[:, self.unk].clone()
            logits[:, self.unk] = -torch.inf
        if logits.device.type == "cpu":
            # PyTorch's own is ten times slower than NumPy's on a CPU
            best = torch.from_numpy(logits.numpy().argmax(axis=1))
        else:
            best = logits.argmax(dim=-1)
        if kept is not None:
            # Not to be written, but a part of the probabilities
            logits[:, self.unk] = kept
        return best

    def to_pieces(self, columns: torch.Tensor) -> torch.Tensor:
        """The pieces that columns stand for."""
        return columns if self.pieces is None else self.pieces[columns]


def search(model: BergamotModel, batch: Padded, options: Search) -> list[Hypothesis]:
    """Translate a batch.

    RETURNS (list[Hypothesis]): One for each source, in order.
    """
    with torch.inference_mode():
        if options.beam_size == 1:
            return _greedy(model, batch, options)
        return _beam(model, batch, options)


def _greedy(model: BergamotModel, batch: Padded, options: Search) -> list[Hypothesis]:
    output = _Output(model, options)
    memory = batch.encode(model)
    n_batch, n_source = batch.ids.shape
    states = model.first_states(n_batch)
    rows = torch.arange(n_batch, device=model.device)
    limits = torch.from_numpy(options.limits).to(model.device)
    x = model.positions(0, 1).expand(n_batch, -1)
    done = torch.zeros(n_batch, dtype=torch.bool, device=model.device)
    steps = []
    for t in range(int(options.limits.max())):
        hidden, states, weights = model.decode_step(x, states, memory)
        logits = output.logits(hidden)
        columns = output.best(logits)
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
    return _collect(steps, batch, options, (n_batch, len(steps), n_source))


def _collect(
    steps: Sequence[tuple[torch.Tensor, ...]], batch: Padded, options: Search, shape: tuple[int, int, int]
) -> list[Hypothesis]:
    """Sort what each step wrote for its rows by row, up to the end mark of each."""
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


@dataclass
class _Finished:
    """The best finished hypothesis of a row: where it ends, and its scores."""

    mean: float = -np.inf
    step: int = -1
    slot: int = 0
    total: float = 0.0
    truncated: bool = True


@dataclass(frozen=True)
class _BeamStep:
    """What one step of a beam search chose: rows (n,), the others (n, beam_size), weights of the parents."""

    rows: NDArray[np.int64]
    parents: NDArray[np.int64]
    pieces: NDArray[np.int64]
    weights: NDArray[np.float32]


def _beam(model: BergamotModel, batch: Padded, options: Search) -> list[Hypothesis]:
    """Beam search as Marian does it: a finished hypothesis leaves the beam and takes its place with it; the best
    mean log-probability wins."""
    k = options.beam_size
    output = _Output(model, options)
    memory = batch.encode(model)
    n_batch = len(batch.ids)
    states = model.first_states(n_batch * k)
    scores = torch.full((n_batch, k), -torch.inf, device=model.device)
    scores[:, 0] = 0.0
    room = torch.full((n_batch,), k, device=model.device)
    rows, slots = np.arange(n_batch), torch.arange(k, device=model.device)
    x = model.positions(0, 1).expand(n_batch * k, -1)
    finished = [_Finished() for _ in range(n_batch)]
    steps: list[_BeamStep] = []
    for t in range(int(options.limits.max())):
        hidden, states, weights = model.decode_step(x, states, memory)
        log_probs = torch.log_softmax(output.logits(hidden), dim=-1)
        if output.unk is not None:
            log_probs[:, output.unk] = -torch.inf
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
    return [_trace(steps, row, end, int(n)) for row, (end, n) in enumerate(zip(finished, batch.lengths, strict=True))]


def _note_finished(
    finished: list[_Finished],
    rows: NDArray[np.int64],
    scores: torch.Tensor,
    ended: torch.Tensor,
    last: torch.Tensor,
    step: int,
) -> None:
    """Keep the best of those that end at this step; at a row's limit the rest of its beam counts as cut off."""
    stops = ended | (last[:, None] & torch.isfinite(scores))
    for i, slot in torch.nonzero(stops).tolist():
        row, total, whole = int(rows[i]), float(scores[i, slot]), bool(ended[i, slot])
        best = finished[row]
        mean = total / (step + 1)
        if (whole, mean) > (not best.truncated, best.mean):
            finished[row] = _Finished(mean, step, slot, total, not whole)


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
