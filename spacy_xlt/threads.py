"""How PyTorch shares the cores of a CPU: between batches, and between processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")

_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


# Windows has no fork
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def one_thread_after_fork() -> None:
    """Let PyTorch compute in one thread, where this process was forked from another.

    The OpenMP threads of the parent do not exist in a forked process, and its next parallel operation waits for them
    for ever. To be called before a model runs; does nothing in a process that was not forked, or a second time.
    """
    global _forked
    if _forked:
        import torch

        torch.set_num_threads(1)
        _forked = False


def run_side_by_side(run: Callable[[Batch], None], batches: Sequence[Batch]) -> None:
    """Run each of several batches on its own share of PyTorch's threads.

    PyTorch's own way is to cut every operation up and wait for the slowest part of each, which costs much where a
    batch is small or something else runs on the machine.

    run (Callable[[Batch], None]): Computes one batch; called from several threads at once.
    batches (Sequence[Batch]): The batches.
    """
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, len(batches))
    if workers < 2:
        for batch in batches:
            run(batch)
        return
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            # Asks for the results, so that errors are raised here
            list(pool.map(run, batches))
    finally:
        # The setting of this thread never changed, but it is what threads to come start with
        torch.set_num_threads(threads)
