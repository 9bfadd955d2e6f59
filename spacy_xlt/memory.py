"""How many documents fit into memory at once, and how much of it is in use."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import error, warn

# Pieces that work before a larger one is tried, at first and at most
_PATIENCE, _MOST_PATIENCE = 16, 4096
# Kernels that oneDNN keeps
_KERNELS = 64
# Of glibc's malloc.h; and how many arenas threads share
_M_ARENA_MAX, _ARENAS = -8, 2
# Documents in a row, each alone, without the memory for one of them: then it is no document's fault
_ALONE_IN_A_ROW = 8


@dataclass
class FittingSize:
    """How many documents a component takes at once: as many as there is the memory for.

    What has failed is tried again in halves, and the size that worked is kept. After some pieces of that size the
    double is tried: the lack may have been a few long documents, or another process that has ended. A try that fails
    costs the time of a piece, so each failure doubles the number of pieces until the next try.

    name (str): The component's name.
    most (int | None): The most documents at once; None where all of a batch fit.
    """

    name: str
    most: int | None = None
    _failed_at: int | None = None
    _is_said: bool = False
    _is_sinking: bool = False
    _in_a_row: int = 0
    _patience: int = _PATIENCE
    _alone: int = 0

    def failed(self, size: int) -> None:
        """There was not the memory for so many documents, at least two."""
        if self._is_said and not self._is_sinking:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self._is_sinking = True
        self._failed_at = max(size, self._failed_at or 0)
        self._in_a_row = 0
        self.most = (size + 1) // 2

    def failed_alone(self, before: int | None, err: Exception) -> Exception:
        """There was not the memory for a single document, so batches with it say nothing about the size.

        before (int | None): `most`, as it was before the batch with the document.
        RETURNS (Exception): What to tell of it: E572 where many documents in a row have failed alone.
        """
        self.most = before
        self._failed_at = None
        self._is_sinking = False
        self._alone += 1
        if self._alone < _ALONE_IN_A_ROW:
            return err
        stopped = error("E572", name=self.name, n=self._alone, reason=" ".join(str(err).split()) or type(err).__name__)
        stopped.__cause__ = err
        return stopped

    def worked(self, size: int) -> None:
        """So many documents were processed at once."""
        self._alone = 0
        self._is_sinking = False
        if self.most is None or size < self.most:
            return
        self._in_a_row += 1
        if self._in_a_row >= self._patience:
            self._in_a_row = 0
            self.most *= 2

    def batch_done(self) -> None:
        """All of a batch was tried: say, once, where there was not the memory and no single document is to blame."""
        if self._failed_at is not None and not self._is_said:
            warn("W571", stacklevel=4, name=self.name, size=self._failed_at, smaller=self.most)
            self._is_said = True
        self._failed_at = None


def give_back() -> None:
    """Give memory that is not in use back to the system.

    Loading a model takes and frees much more than it keeps, and the C library holds on to what was freed. That is a
    quarter of a process with the bundled models. Does nothing where the library is not glibc.
    """
    gc.collect()
    trim()


def trim() -> None:
    """Give back what the C library keeps for later: some 40 ms. Does nothing where the library is not glibc."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_little() -> None:
    """Have libraries keep little for later, in a process for many batches; before it begins with them.

    PyTorch's oneDNN keeps 1,024 of the kernels that it makes for each new shape, and batches of text hardly ever have
    the same one: some 200 MiB. The layers of a model have the same few shapes in a batch. A value that is set
    (https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html) stays.

    glibc gives each thread an arena of its own, up to eight a core. What one thread makes and another one frees leaves
    holes in them, which nothing fills: some 50 MiB each. Python lets one thread allocate at a time, so that two do. A
    value that is set (MALLOC_ARENA_MAX) stays.
    """
    import ctypes

    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS))
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, _ARENAS)


def status_mib(field: str, *, pid: int | str = "self") -> float | None:
    """What Linux says of a process's memory, in MiB; None where the system does not tell.

    field (str): "VmRSS" for what it has in memory now, "VmHWM" for the most so far. Memory that processes share is
        counted for each. (Not `ru_maxrss`: it begins with what the parent had at the fork.)
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith(f"{field}:")), None)
    return None if line is None else round(int(line.split()[1]) / 1024, 1)


def children_mib() -> float | None:
    """What all processes that this one has started, and those that they have, have in memory now, in MiB.

    RETURNS (float | None): None where the system does not tell.
    """
    parents: dict[int, int] = {}
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    for pid in pids:
        try:
            # The name before the parent is in brackets and may hold anything
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    found = (status_mib("VmRSS", pid=pid) for pid in family - {os.getpid()})
    return round(sum((mib for mib in found if mib is not None), 0.0), 1)
