"""The processes that train one model together, and what a training that was stopped needs to go on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import missing_package
from .io import replacing

if TYPE_CHECKING:
    import torch

Made = TypeVar("Made")


@dataclass(frozen=True)
class Processes:
    """The processes that train one model together, each with batches of its own.

    Attributes:
        index: Which one this is.
        count: How many there are.
        state: accelerate's, where there are several.
    """

    index: int = 0
    count: int = 1
    state: Any = None

    @classmethod
    def here(cls) -> Processes:
        """Those that `torchrun` or `accelerate launch` has started; without them, this one alone.

        Raises:
            XltError: E106 where there are several, and accelerate is missing.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        try:
            from accelerate import PartialState
        except ImportError as err:
            raise missing_package("Training with several processes", "accelerate", "adapt") from err
        from thinc.api import get_torch_default_device

        state = PartialState(cpu=get_torch_default_device().type == "cpu")
        return cls(state.process_index, state.num_processes, state)

    @property
    def device(self) -> torch.device:
        """Where the model of this process goes."""
        from thinc.api import get_torch_default_device

        return get_torch_default_device() if self.state is None else self.state.device

    def add_up(self, parameters: Sequence[Any], loss: float) -> float:
        """Make the gradients of each process the sum of all of theirs.

        Args:
            parameters: What is trained, in the same order in each. One without a gradient in any process stays so, as
                momentum and decay would move it.
            loss: Of this process.

        Returns:
            The sum of the losses.
        """
        import torch

        if self.state is None:
            return loss
        from accelerate.utils import reduce

        has = [parameter.grad is not None for parameter in parameters]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        last = torch.tensor([*has, loss], dtype=torch.float32, device=parameters[0].device)
        sums = reduce(torch.cat([*(grad.flatten() for grad in grads), last]), "sum")
        *parts, has_any, total = sums.split([*(p.numel() for p in parameters), len(has), 1])
        for parameter, part, known in zip(parameters, parts, has_any.tolist(), strict=True):
            parameter.grad = part.view_as(parameter) if known else None
        return float(total)

    def of_first(self, make: Callable[[], Made]) -> Made:
        """What the first process makes, in all; plain data, and tensors on the CPU."""
        if self.state is None:
            return make()
        from accelerate.utils import broadcast_object_list

        made: list[Any] = broadcast_object_list([make() if self.index == 0 else None])
        return made[0]


class Kept:
    """What a training that was stopped needs to go on, in a file that the first of its processes reads and writes.

    Args:
        path: The file. It is there while the training is not finished. None for a training that begins anew.
        key: What the training depends on; a file with another key is not used.
        processes: Those that train; this one alone where left out.
    """

    def __init__(self, path: Path | None = None, key: str = "", processes: Processes | None = None):
        self.path = path
        self.key = key
        self.processes = processes or Processes()
        self.state = self.processes.of_first(self._read)

    def _read(self) -> dict[str, Any]:
        """What was written last; nothing where that cannot be used."""
        import pickle

        import torch

        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True) if self.path else {}
        # Damaged in one way or the other, or of another program
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            return {}
        return state if isinstance(state, dict) and state.get("key") == self.key else {}

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What was made under a name before the training was stopped, else what the first process makes now."""
        if name not in self.state:
            self.state[name] = self.processes.of_first(make)
        return self.state[name]

    def write(self, make: Callable[[], dict[str, Any]]) -> None:
        """Write what `make` gives beside what was made once, all or nothing.

        Raises:
            OSError: Where it cannot be written; what was written before stays.
        """
        import torch

        if self.path is None or self.processes.index:
            return
        with uninterrupted(), replacing(self.path) as beside, beside.open("wb") as file:
            try:
                torch.save({"key": self.key, **self.state, **make()}, file)
            except RuntimeError as err:
                # PyTorch's own error does not say that the disk is full
                raise (err.__context__ if isinstance(err.__context__, OSError) else err) from None

    def remove(self) -> None:
        """The training is finished."""
        if self.path is not None and not self.processes.index:
            self.path.unlink(missing_ok=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have Ctrl-C wait for the end of the block."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
