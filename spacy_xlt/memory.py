"""Giving memory back, and how much of it is in use."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from pathlib import Path

# Kernels that oneDNN keeps
_KERNELS = 64
# Of glibc's malloc.h; and how many arenas threads share
_M_ARENA_MAX, _ARENAS = -8, 2


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
