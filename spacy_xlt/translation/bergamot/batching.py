"""Batches of similar length, run on several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


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


def run_on_threads(function: Callable[[list[int]], T], batches: Iterable[list[int]], *, threads: int) -> list[T]:
    """Run a function on each batch, several at a time, each with a single thread of PyTorch's.

    The operations of a small model are too short to be worth sharing out; whole batches are not.

    threads (int): How many at a time.
    RETURNS (list): The results in the batches' order.
    """
    todo = list(batches)
    if threads <= 1 or len(todo) <= 1:
        return [function(batch) for batch in todo]
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, todo))
    finally:
        torch.set_num_threads(before)
