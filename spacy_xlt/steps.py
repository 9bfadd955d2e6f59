"""Training a model in steps: which items each batch has, the learning rate, the loop, several processes, going on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .device import batches_by_length, without_cudnn_attention
from .errors import missing_package
from .io import replacing

if TYPE_CHECKING:
    import torch

Batch = TypeVar("Batch")

_CLIP = 1.0
_WEIGHT_DECAY = 0.01
# Items of so many batches are sorted by length together
_POOL = 64
# Seconds between two writings of what a training needs to go on
_KEEP_EVERY = 300


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


@dataclass(frozen=True)
class Processes:
    """The processes that train one model together, each with batches of its own.

    Attributes:
        index: Which one this is.
        count: How many there are.
        accelerator: accelerate's, where there are several.
    """

    index: int = 0
    count: int = 1
    accelerator: Any = None

    @classmethod
    def here(cls) -> Processes:
        """Those that `accelerate launch` or `torchrun` has started; without them, this one alone.

        Raises:
            XltError: E106 where there are several, and accelerate is missing.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        try:
            from accelerate import Accelerator
        except ImportError as err:
            raise missing_package("Training with several processes", "accelerate", "adapt") from err
        accelerator = Accelerator()
        return cls(accelerator.process_index, accelerator.num_processes, accelerator)

    @property
    def device(self) -> torch.device:
        """Where the model of this process goes."""
        from thinc.api import get_torch_default_device

        return get_torch_default_device() if self.accelerator is None else self.accelerator.device

    def add_up(self, parameters: list[Any]) -> None:
        """Make the gradients of each process the sum of all of theirs; one that a process has not counts as zero."""
        import torch

        if self.accelerator is None:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = self.accelerator.reduce(torch.cat([parameter.grad.flatten() for parameter in parameters]), "sum")
        parts = flat.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad.copy_(part.view_as(parameter))

    def total(self, value: float) -> float:
        """The sum of what each process gives."""
        import torch

        if self.accelerator is None:
            return value
        return float(self.accelerator.reduce(torch.tensor(value, dtype=torch.float64), "sum"))

    def of_first(self, value: float) -> float:
        """What the first process gives, in all."""
        return self.total(value if self.index == 0 else 0.0)


@dataclass(frozen=True)
class Kept:
    """What a training that was stopped needs to go on, in a file.

    Attributes:
        path: The file. It is there while the training is not finished.
        key: What the training depends on; a file with another key is not used.
    """

    path: Path
    key: str

    def read(self) -> dict[str, Any] | None:
        """What was written last; None where there is nothing that can be used."""
        import pickle

        import torch

        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        # Damaged in one way or the other, or of another program
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            return None
        return state if isinstance(state, dict) and state.get("key") == self.key else None

    def write(self, **state: Any) -> None:
        """Write it, all or nothing."""
        import torch

        with replacing(self.path) as file:
            torch.save({"key": self.key, **state}, file)


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
    processes: Processes | None = None,
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
        processes: Those that train it; this one alone where left out.
        kept: Where to keep what is needed to go on after a stop.

    Returns:
        The loss of each step.
    """
    import torch

    processes = processes or Processes()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=_WEIGHT_DECAY)
    losses: list[float] = []
    elapsed = 0.0
    if kept is not None and (state := kept.read()) is not None:
        with torch.no_grad():
            for parameter, value in zip(trained, state["trained"], strict=True):
                parameter.copy_(value)
        optimizer.load_state_dict(state["optimizer"])
        losses, elapsed = state["losses"], state["elapsed"]
        progress(len(losses), losses[-1])
    batches = islice(batches, len(losses) * accumulate, None)
    began = written = time.monotonic()

    def keep() -> None:
        if kept is not None and processes.index == 0 and losses:
            values = [parameter.detach().cpu() for parameter in trained]
            so_far = elapsed + time.monotonic() - began
            kept.write(trained=values, optimizer=optimizer.state_dict(), losses=losses, elapsed=so_far)

    model.train()
    with without_cudnn_attention(trained[0].device):
        try:
            while True:
                done = len(losses) / steps
                if minutes is not None:
                    done = processes.of_first((elapsed + time.monotonic() - began) / (60 * minutes))
                if done >= 1:
                    break
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * _rate(done, len(losses), None if minutes is not None else steps)
                optimizer.zero_grad(set_to_none=True)
                total = 0.0
                for number, batch in enumerate(islice(batches, accumulate), start=len(losses) * accumulate):
                    if number % processes.count != processes.index:
                        continue
                    torch.manual_seed(seed * 1_000_003 + number)
                    loss = loss_of(batch) / accumulate
                    loss.backward()
                    total += float(loss.detach())
                processes.add_up(trained)
                torch.nn.utils.clip_grad_norm_(trained, _CLIP)
                optimizer.step()
                losses.append(processes.total(total))
                progress(len(losses), losses[-1])
                if time.monotonic() - written > _KEEP_EVERY:
                    keep()
                    written = time.monotonic()
        except KeyboardInterrupt:
            keep()
            raise
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
