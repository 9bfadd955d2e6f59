"""Giving memory back."""

from __future__ import annotations

import gc
import os
from contextlib import suppress

# Kernels that oneDNN keeps
_KERNELS = 64
# Of glibc's malloc.h; and how many arenas threads share
_M_ARENA_MAX, _ARENAS = -8, 2


def release_memory() -> None:
    """Give memory that is not in use back to the system.

    Loading a model takes and frees much more than it keeps, and the C library holds on to what was freed. That is a
    quarter of a process with the bundled models. Does nothing if the library is not glibc.
    """
    import ctypes

    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def limit_allocator_caches() -> None:
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
