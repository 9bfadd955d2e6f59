"""Lexical shortlists: which target pieces can come up in the translation of which source piece."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import error

_MAGIC = 0xF11A48D5013417F5


@dataclass(frozen=True)
class Shortlist:
    """The binary shortlist of a Firefox Translations model (`lex.*.s2t.bin`).

    first (int): So many of the first pieces of the vocabulary are always allowed.
    offsets (uint64, (n_source_pieces + 1,)): Where in `targets` the list of each source piece starts.
    targets (uint32, (n,)): Target pieces.
    """

    first: int
    offsets: NDArray[np.uint64]
    targets: NDArray[np.uint32]

    def allowed(self, source_ids: NDArray[np.int64], *, shared: bool, n_target: int) -> NDArray[np.int64]:
        """The target pieces that a batch may use.

        source_ids (int64, any shape): All source pieces of the batch.
        shared (bool): Whether both sides have one vocabulary, so that pieces can be copied.
        n_target (int): Size of the target vocabulary.
        RETURNS (int64, (n,)): Sorted, each once.
        """
        chosen = np.zeros(n_target, dtype=bool)
        chosen[: self.first] = True
        pieces = np.unique(source_ids)
        for piece in pieces[pieces < len(self.offsets) - 1].tolist():
            chosen[self.targets[self.offsets[piece] : self.offsets[piece + 1]]] = True
        if shared:
            chosen[pieces] = True
        return np.flatnonzero(chosen)


def read_shortlist(path: Path, *, n_source: int, n_target: int) -> Shortlist:
    """Read a binary shortlist.

    n_source, n_target (int): Sizes of the vocabularies.
    RAISES (XltError): E211 for a file that is not one, is truncated, or belongs to another vocabulary.
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
