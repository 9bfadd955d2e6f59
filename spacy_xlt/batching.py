"""Batches of similar length, and how PyTorch shares the cores of a CPU between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def batches_by_length(lengths: Sequence[int], *, batch_tokens: int) -> list[list[int]]:
    """Indices in batches of similar length, the longest first.

    lengths (Sequence[int]): In tokens.
    batch_tokens (int): The most tokens of a batch, padding counted. A longer item is a batch of its own.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * longest <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = max(1, lengths[index])
    return batches


def run_side_by_side(run: Callable[[Batch], Result], batches: Sequence[Batch], *, device: torch.device) -> list[Result]:
    """Run each of several batches: on a CPU several at a time, each on its own share of PyTorch's threads.

    PyTorch's own way is to cut every operation up and wait for the slowest part of each, which costs much where a
    batch is small or something else runs on the machine.

    run (Callable[[Batch], Result]): Computes one batch; on a CPU called from several threads at once.
    batches (Sequence[Batch]): The batches.
    device (torch.device): Where the model is.
    RETURNS (list[Result]): In the batches' order.
    """
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, len(batches))
    if device.type != "cpu" or workers < 2:
        return [run(batch) for batch in batches]
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            return list(pool.map(run, batches))
    finally:
        # The setting of this thread never changed, but it is what threads to come start with
        torch.set_num_threads(threads)
