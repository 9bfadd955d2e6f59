"""What the searches share: batches, what they may write, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .model import BergamotModel, Memory
from .shortlist import Allowed


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
    prefixes (Sequence[int64, (n_pieces,)] | None): What the translation of each source has to begin with.
    inside (bool, (n_vocab,) | None): Which pieces make the word before them longer; none of them follows a prefix.
    """

    eos: int
    unk: int
    limits: NDArray[np.int64]
    allowed: Allowed | None = None
    beam_size: int = 1
    prefixes: Sequence[NDArray[np.int64]] | None = None
    inside: NDArray[np.bool_] | None = None


class Output:
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
        self.n_columns = len(model.output_bias) if self.pieces is None else len(self.pieces)
        self.device = model.device

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

    def to_columns(self, pieces: NDArray[np.int64]) -> NDArray[np.int64]:
        """The columns of pieces, all of which must be allowed."""
        return pieces if self.pieces is None else np.searchsorted(self.pieces.cpu().numpy(), pieces)


class Prefixes:
    """What translations have to begin with, as columns of the output."""

    def __init__(self, prefixes: Sequence[NDArray[np.int64]], output: Output, options: Search):
        lengths = np.asarray([len(prefix) for prefix in prefixes], np.int64)
        columns = np.full((len(prefixes), lengths.max() + 1), -1, np.int64)
        for row, prefix in zip(columns, prefixes, strict=True):
            row[: len(prefix)] = output.to_columns(prefix)
        inside = np.zeros(output.n_columns, bool) if options.inside is None else options.inside
        if output.pieces is not None and options.inside is not None:
            inside = inside[output.pieces.cpu().numpy()]
        device = output.device
        self.columns, self.lengths = torch.from_numpy(columns).to(device), torch.from_numpy(lengths).to(device)
        self.inside = torch.from_numpy(inside).to(device)

    def restrict(self, step: int, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Minus infinity for what must not be written at a step.

        rows (int64, (n_rows,)): Which source each row is of.
        values (float32, (n_rows, n_columns)): Logits or log-probabilities; left as they are.
        """
        if step >= self.columns.shape[1]:
            return values
        only, first = self.columns[rows, step], (self.lengths[rows] == step) & (step > 0)
        forced = (only >= 0)[:, None]
        others = torch.arange(values.shape[1], device=values.device)[None] != only[:, None]
        return values.masked_fill((forced & others) | (first[:, None] & self.inside), -torch.inf)
