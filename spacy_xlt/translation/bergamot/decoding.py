"""Decoding with a Marian network: greedy search, and the run over given targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..neural import Hypothesis, Ids
from .network import EncodedSource, MarianNetwork
from .shortlist import ShortlistMask

# Rows that are done are computed along until this part of the batch is left; then it is copied together
_DENSE = 0.8
# The whole vocabulary is wide: so many rows of given targets at a time
_ROWS = 128


@dataclass(frozen=True)
class Padded:
    """Sequences of pieces made equally long.

    Attributes:
        ids: Pieces with the end mark, padded with it, int64 of shape (n_batch, n_source).
        lengths: How many of them count, int64 of shape (n_batch,).
    """

    ids: Ids
    lengths: NDArray[np.int64]

    @classmethod
    def pad(cls, sequences: Sequence[Ids], eos: int) -> Padded:
        """Put the end mark to each sequence, and padding."""
        lengths = np.asarray([len(s) + 1 for s in sequences], np.int64)
        ids = np.full((len(sequences), lengths.max()), eos, np.int64)
        for row, sequence in zip(ids, sequences, strict=True):
            row[: len(sequence)] = sequence
        return cls(ids, lengths)

    def encode(self, network: MarianNetwork) -> EncodedSource:
        """Run the encoder over them."""
        ids = torch.from_numpy(self.ids).to(network.device)
        mask = torch.arange(ids.shape[1]) < torch.from_numpy(self.lengths)[:, None]
        return network.encode(ids, mask.to(network.device))


class OutputLayer:
    """The last layer of the decoder, over all pieces or those of a shortlist, which does not have `unk`."""

    def __init__(self, network: MarianNetwork, unk: int, allowed: ShortlistMask | None):
        self.unk = unk if allowed is None else None
        self._pieces = self._mask = None
        if allowed is not None:
            self._pieces = torch.from_numpy(allowed.pieces).to(network.device)
            self._mask = torch.from_numpy(allowed.mask).to(network.device)
        self._layer = network.output_layer(self._pieces)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with some of the batch."""
        if self._mask is not None:
            self._mask = self._mask.index_select(0, rows)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n_batch, n_pieces) of outputs of shape (n_batch, dim)."""
        logits = self._layer(hidden)
        if self._mask is not None:
            logits.add_(self._mask)
        return logits

    def best(self, logits: torch.Tensor) -> torch.Tensor:
        """The column of the best piece of each row that may be written: int64 of shape (n_batch,)."""
        unknown = None
        if self.unk is not None:
            unknown = logits[:, self.unk].clone()
            logits[:, self.unk] = -torch.inf
        if logits.device.type == "cpu":
            # PyTorch's own is ten times slower than NumPy's on a CPU
            best = torch.from_numpy(logits.numpy().argmax(axis=1))
        else:
            best = logits.argmax(dim=-1)
        if unknown is not None:
            # Not to be written, but a part of the probabilities
            logits[:, self.unk] = unknown
        return best

    def to_pieces(self, columns: torch.Tensor) -> torch.Tensor:
        """The pieces that columns stand for."""
        return columns if self._pieces is None else self._pieces[columns]


@torch.inference_mode()
def greedy_search(
    network: MarianNetwork,
    batch: Padded,
    limits: NDArray[np.int64],
    *,
    eos: int,
    unk: int,
    allowed: ShortlistMask | None = None,
) -> list[Hypothesis]:
    """Translate a batch with the best piece at each step.

    Args:
        limits: The most pieces for each source, int64 of shape (n_batch,).
        eos: The end mark.
        unk: The piece for unknown characters, which is never written.
        allowed: The shortlist; None for all pieces.
    """
    output = OutputLayer(network, unk, allowed)
    memory = batch.encode(network)
    n_batch = len(batch.ids)
    states = network.first_states(n_batch)
    rows = torch.arange(n_batch, device=network.device)
    left = torch.from_numpy(limits).to(network.device)
    x = network.positions(0, 1).expand(n_batch, -1)
    done = torch.zeros(n_batch, dtype=torch.bool, device=network.device)
    steps = []
    for t in range(int(limits.max())):
        hidden, states, weights = network.decode_step(x, states, memory)
        logits = output.logits(hidden)
        columns = output.best(logits)
        log_probs = -F.cross_entropy(logits, columns, reduction="none")
        pieces = output.to_pieces(columns)
        steps.append((rows, pieces, log_probs, weights))
        done = done | (pieces == eos) | (left <= t + 1)
        n_left = len(done) - int(done.sum())
        if not n_left:
            break
        if n_left < _DENSE * len(done):
            keep = torch.nonzero(~done).squeeze(1)
            output.select(keep)
            memory, states = memory.select(keep), [s.index_select(0, keep) for s in states]
            rows, pieces, left, done = rows[keep], pieces[keep], left[keep], done[keep]
        x = network.embed_target(pieces) + network.positions(t + 1, 1)
    return _regroup(steps, batch, limits, eos)


def _regroup(
    steps: Sequence[tuple[torch.Tensor, ...]], batch: Padded, limits: NDArray[np.int64], eos: int
) -> list[Hypothesis]:
    """The output of all steps, regrouped by sentence, up to the end mark of each.

    A step is which rows it was for, their pieces, the log-probabilities of these, and what they looked at.
    """
    shape = len(batch.ids), len(steps), batch.ids.shape[1]
    ids = np.full(shape[:2], eos, np.int64)
    scores = np.zeros(shape[:2], np.float32)
    weights = np.zeros(shape, np.float32)
    for t, (rows, pieces, log_probs, looked) in enumerate(steps):
        at = rows.cpu().numpy()
        ids[at, t] = pieces.cpu().numpy()
        scores[at, t] = log_probs.cpu().numpy()
        weights[at, t] = looked.cpu().numpy()
    hypotheses = []
    for row, limit in enumerate(limits.tolist()):
        ends = np.flatnonzero(ids[row, :limit] == eos)
        length = int(ends[0]) + 1 if len(ends) else limit
        total = float(scores[row, :length].sum(dtype=np.float64))
        own_weights = weights[row, :length, : int(batch.lengths[row])].copy()
        hypotheses.append(Hypothesis(ids[row, :length], total, not len(ends), own_weights))
    return hypotheses


@torch.inference_mode()
def forced_log_probs(network: MarianNetwork, sources: Padded, targets: Padded) -> list[NDArray[np.float32]]:
    """The log-probability of each piece of given targets and of their ends, over the whole vocabulary.

    Returns:
        float32 of shape (n_target + 1,) for each pair.
    """
    hidden, _ = _run_forced(network, sources, targets)
    counted = np.arange(targets.ids.shape[1]) < targets.lengths[:, None]
    hidden = hidden[torch.from_numpy(counted).to(network.device)]
    pieces = torch.from_numpy(targets.ids[counted]).to(network.device)
    output = network.output_layer()
    parts = []
    for rows, columns in zip(hidden.split(_ROWS), pieces.split(_ROWS), strict=True):
        logits = output(rows)
        log_probs = logits.gather(1, columns[:, None]).squeeze(1) - logits.logsumexp(dim=-1)
        parts.append(log_probs.cpu().numpy())
    return np.split(np.concatenate(parts), np.cumsum(targets.lengths)[:-1])


@torch.inference_mode()
def forced_attention(network: MarianNetwork, sources: Padded, targets: Padded) -> list[NDArray[np.float32]]:
    """What each piece of given targets looks at, by the guided head: float32 of shape (n_target, n_source) a pair."""
    _, weights = _run_forced(network, sources, targets)
    table = weights.cpu().numpy()
    lengths = zip(sources.lengths.tolist(), targets.lengths.tolist(), strict=True)
    # Without the end marks
    return [table[row, : n_target - 1, : n_source - 1] for row, (n_source, n_target) in enumerate(lengths)]


def _run_forced(network: MarianNetwork, sources: Padded, targets: Padded) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's output at each position of given targets, and what it looks at."""
    n_target = targets.ids.shape[1]
    x = network.positions(0, n_target).repeat(len(targets.ids), 1, 1)
    x[:, 1:] += network.embed_target(torch.from_numpy(targets.ids[:, :-1]).to(network.device))
    return network.decode_forced(x, sources.encode(network))
