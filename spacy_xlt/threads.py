"""How PyTorch shares the cores of a CPU between batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")


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
