"""Training a model in steps: which items each batch has, the learning rate, and the loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .device import batches_by_length, without_cudnn_attention
from .errors import XltError, error
from .processes import Kept, uninterrupted

if TYPE_CHECKING:
    import torch

Batch = TypeVar("Batch")

_CLIP = 1.0
_WEIGHT_DECAY = 0.01
# Items of so many batches are sorted by length together
_POOL = 64
# Seconds between two writings of what a training needs to go on
_KEEP_EVERY = 300
# What the steps change of it
_OF_STEPS = {"trained", "optimizer", "losses", "seconds"}


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


class _Training:
    """How far a training has come: the steps made, and what the next one needs."""

    def __init__(self, trained: Sequence[Any], learning_rate: float, kept: Kept):
        import torch

        self.trained = trained
        self.learning_rate = learning_rate
        self.optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=_WEIGHT_DECAY)
        self.kept = kept
        before = {name: kept.state.pop(name) for name in _OF_STEPS & kept.state.keys()}
        self.losses: list[float] = before.get("losses", [])
        if before:
            with torch.no_grad():
                for parameter, value in zip(trained, before["trained"], strict=True):
                    parameter.copy_(value)
            self.optimizer.load_state_dict(before["optimizer"])
        self._began = time.monotonic() - before.get("seconds", 0.0)
        self._kept_at, self._n_kept, self._is_whole = time.monotonic(), len(self.losses), True

    @property
    def seconds(self) -> float:
        """How long it has trained, before a stop, too."""
        return time.monotonic() - self._began

    def step(self, loss: float, rate: float) -> None:
        """Change the parameters by their gradients.

        Raises:
            XltError: E360 where that would make them no numbers.
        """
        import torch

        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, _CLIP))
        for what, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value):
                raise error("E360", step=len(self.losses) + 1, what=what, value=value, rate=self.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with uninterrupted():
            self._is_whole = False
            self.optimizer.step()
            self.losses.append(loss)
            self._is_whole = True
        self.optimizer.zero_grad(set_to_none=True)

    def keep(self) -> None:
        """Write what is needed to go on."""
        self._kept_at, self._n_kept = time.monotonic(), len(self.losses)
        self.kept.write(
            lambda: {
                "trained": [parameter.detach().cpu() for parameter in self.trained],
                "optimizer": self.optimizer.state_dict(),
                "losses": self.losses,
                "seconds": self.seconds,
            }
        )

    def keep_now_and_then(self) -> None:
        """The same where the last time is long ago."""
        if time.monotonic() - self._kept_at > _KEEP_EVERY:
            self.keep()

    @contextmanager
    def kept_when_stopped(self) -> Iterator[None]:
        """Keep the steps made where the block does not end: Ctrl-C, or an error, as of another process that is gone."""
        try:
            yield
        except XltError:
            # It would come again
            self.kept.remove()
            raise
        except BaseException:
            if self._is_whole and len(self.losses) > self._n_kept:
                self.keep()
            raise


def train_steps(
    model: Any,
    loss_of: Callable[[Batch], torch.Tensor],
    batches: Iterator[Batch],
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    progress: Callable[[int, float], None],
    minutes: float | None = None,
    accumulate: int = 1,
    kept: Kept | None = None,
) -> list[float]:
    """Train the parameters of a model that ask for gradients with AdamW, on the device where it is.

    Args:
        model: A `torch.nn.Module`. It is in evaluation mode afterwards.
        loss_of: The loss of a batch.
        batches: As `shuffled_batches` gives them, the same in each process.
        steps: Steps to make.
        learning_rate: It rises to this in the first tenth of the training, then falls to 0 in a line.
        seed: Of the model's own dropout.
        progress: Called after each step with the steps done and the loss.
        minutes: Train for so long instead, whatever number of steps that is.
        accumulate: Batches of a step. Several processes share them out, so that the model is the one of one process.
        kept: What to go on from, where to keep it, and the processes that train.

    Returns:
        The loss of each step.

    Raises:
        XltError: E360 where the loss or the gradient is no number any more.
    """
    import torch

    kept = kept or Kept()
    processes = kept.processes
    training = _Training([p for p in model.parameters() if p.requires_grad], learning_rate, kept)
    losses = training.losses
    batches = islice(batches, len(losses) * accumulate, None)

    def share_done() -> float:
        if minutes is None:
            return len(losses) / steps
        return processes.of_first(lambda: training.seconds / (60 * minutes))

    def add_gradients() -> float:
        total = 0.0
        for number, batch in enumerate(islice(batches, accumulate), start=len(losses) * accumulate):
            if number % processes.count == processes.index:
                torch.manual_seed(seed * 1_000_003 + number)
                loss = loss_of(batch) / accumulate
                loss.backward()
                total += float(loss.detach())
        return processes.add_up(training.trained, total)

    if losses:
        progress(len(losses), losses[-1])
    model.train()
    with without_cudnn_attention(training.trained[0].device), training.kept_when_stopped():
        while (done := share_done()) < 1:
            rate = learning_rate * _rate(done, len(losses), steps if minutes is None else None)
            training.step(add_gradients(), rate)
            progress(len(losses), losses[-1])
            training.keep_now_and_then()
    model.eval()
    return losses


def first_and_last(losses: list[float]) -> dict[str, float]:
    """The mean losses of the first and the last tenth of the steps, for a summary."""
    tenth = max(1, len(losses) // 10)
    return {
        "loss_first": round(float(np.mean(losses[:tenth])), 4),
        "loss_last": round(float(np.mean(losses[-tenth:])), 4),
    }


def _rate(done: float, step: int, steps: int | None) -> float:
    """The share of the learning rate at a step: up in the first tenth, then down in a line.

    Args:
        done: How much of the training is done, from 0 to 1.
        steps: How many there are, where they and not the time say when it ends.
    """
    if steps is None:
        return min(1.0, 10 * done + 0.01) if done < 0.1 else (1 - done) / 0.9
    warmup = steps // 10
    return (step + 1) / warmup if step < warmup else (steps - step) / (steps - warmup)
