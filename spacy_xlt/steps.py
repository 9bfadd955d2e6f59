"""Training a model in steps: which items each batch has, the learning rate, and the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .device import batches_by_length, without_cudnn_attention

if TYPE_CHECKING:
    import torch

_CLIP = 1.0
# Items of so many batches are sorted by length together
_POOL = 64


def shuffled_batches(lengths: NDArray[np.int64], *, batch_tokens: int, seed: int) -> Iterator[list[int]]:
    """Which items are in which batch, without end: every item once an epoch, in an order that the seed fixes.

    Args:
        lengths: Pieces of each item, special ones counted: int, (n_items,).
        batch_tokens: The most pieces of a batch, padding counted.
        seed: Fixes the order.
    """
    pool = max(1, int(_POOL * batch_tokens / max(1.0, float(lengths.mean()))))
    epoch = 0
    while True:
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(lengths))
        made: list[list[int]] = []
        for start in range(0, len(order), pool):
            indices = order[start : start + pool]
            parts = batches_by_length(lengths[indices].tolist(), batch_tokens=batch_tokens)
            made.extend([int(indices[i]) for i in part] for part in parts)
        yield from (made[i] for i in random.permutation(len(made)))
        epoch += 1


def train_steps(
    model: Any,
    loss_of: Callable[[list[int]], torch.Tensor],
    batches: Iterator[list[int]],
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    progress: Callable[[int, float], None],
) -> list[float]:
    """Train the parameters of a model that ask for gradients with AdamW, on the device where it is.

    Args:
        model: A `torch.nn.Module`. It is in evaluation mode afterwards.
        loss_of: The loss of a batch.
        batches: As `shuffled_batches` gives them.
        steps: Batches to learn from.
        learning_rate: It rises to this in the first tenth of the steps, then falls to 0 in a line.
        seed: Of the model's own dropout.
        progress: Called after each step with the steps done and the loss.

    Returns:
        The loss of each step.
    """
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.01)
    losses = []
    model.train()
    with without_cudnn_attention(trained[0].device):
        for step, batch in enumerate(islice(batches, steps)):
            torch.manual_seed(seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _rate(step, steps)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, _CLIP)
            optimizer.step()
            losses.append(float(loss.detach()))
            progress(step + 1, losses[-1])
    model.eval()
    return losses


def first_and_last(losses: list[float]) -> dict[str, float]:
    """The mean losses of the first and the last tenth of the steps, for a summary."""
    tenth = max(1, len(losses) // 10)
    return {
        "loss_first": round(float(np.mean(losses[:tenth])), 4),
        "loss_last": round(float(np.mean(losses[-tenth:])), 4),
    }


def _rate(step: int, steps: int) -> float:
    """The share of the learning rate at a step: up in the first tenth, then down in a line."""
    warmup = steps // 10
    return (step + 1) / warmup if step < warmup else (steps - step) / (steps - warmup)
