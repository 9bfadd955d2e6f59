"""Lexical shortlists: which target pieces can come up in the translation of which source piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import error

_MAGIC = 0xF11A48D5013417F5


@dataclass(frozen=True)
class ShortlistMask:
    """The pieces that a batch may write.

    Attributes:
        pieces: Those of all sources together, sorted, int64 of shape (n,).
        mask: 0 where the piece is one of this source's, else minus infinity, float32 of shape (n_batch, n). With it, a
            translation does not depend on what else is in its batch.
    """

    pieces: NDArray[np.int64]
    mask: NDArray[np.float32]


@dataclass(frozen=True)
class Shortlist:
    """The binary shortlist of a Firefox Translations model (`lex.*.s2t.bin`).

    Attributes:
        first: So many of the first pieces of the vocabulary are always allowed.
        offsets: Where in `targets` the list of each source piece starts, uint64 of shape (n_source_pieces + 1,).
        targets: Target pieces, uint32 of shape (n,).
    """

    first: int
    offsets: NDArray[np.uint64]
    targets: NDArray[np.uint32]

    def allowed(
        self, sources: Sequence[NDArray[np.int64]], *, shared: bool, n_target: int, always: int, never: int
    ) -> ShortlistMask:
        """The target pieces that each source of a batch may use.

        Args:
            sources: The source pieces of the batch, with their end marks.
            shared: Whether both sides have one vocabulary, so that pieces can be copied.
            n_target: Size of the target vocabulary.
            always: A target piece that may always be written, the end mark.
            never: One that may not.
        """
        pieces = np.unique(np.concatenate(sources))
        targets_of = {piece: self._targets_of(piece, shared=shared) for piece in pieces.tolist()}
        chosen = np.zeros(n_target, dtype=bool)
        chosen[: self.first] = chosen[always] = True
        chosen[never] = False
        common = np.flatnonzero(chosen)
        for targets in targets_of.values():
            chosen[targets] = True
        chosen[never] = False
        columns = np.cumsum(chosen) - 1
        mask = np.full((len(sources), int(chosen.sum())), -np.inf, np.float32)
        for row, source in zip(mask, sources, strict=True):
            row[columns[common]] = 0
            targets = np.concatenate([targets_of[piece] for piece in source.tolist()])
            row[columns[targets[chosen[targets]]]] = 0
        return ShortlistMask(np.flatnonzero(chosen), mask)

    def _targets_of(self, piece: int, *, shared: bool) -> NDArray[np.int64]:
        copied = np.asarray([piece] if shared else [], np.int64)
        if piece + 1 >= len(self.offsets):
            return copied
        targets = self.targets[int(self.offsets[piece]) : int(self.offsets[piece + 1])]
        return np.append(targets.astype(np.int64), copied)


def read_shortlist(path: Path, *, n_source: int, n_target: int) -> Shortlist:
    """Read a binary shortlist for vocabularies of these sizes.

    Raises:
        XltError: E211 for a file that is not one, is truncated, or belongs to another vocabulary.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise error("E211", path=path, reason=err.strerror or str(err)) from err
    if len(data) < 48:
        raise error("E211", path=path, reason=f"it has only {len(data)} bytes")
    magic, _, first, _, n_offsets, n_targets = np.frombuffer(data, "<u8", 6).tolist()
    if magic != _MAGIC:
        raise error("E211", path=path, reason="it does not start as a binary shortlist does")
    expected = 48 + 8 * n_offsets + 4 * n_targets
    if len(data) < expected:
        raise error("E211", path=path, reason=f"it ends {expected - len(data)} bytes too early")
    offsets = np.frombuffer(data, "<u8", n_offsets, offset=48)
    targets = np.frombuffer(data, "<u4", n_targets, offset=48 + 8 * n_offsets)
    broken = (offsets[1:] < offsets[:-1]).any() or (n_offsets and offsets[-1] > n_targets)
    if broken or n_offsets > n_source + 1 or (n_targets and targets.max() >= n_target):
        raise error("E211", path=path, reason="its pieces are not those of the vocabulary beside it")
    return Shortlist(min(first, n_target), offsets, targets)
