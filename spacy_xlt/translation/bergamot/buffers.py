"""Greedy search in buffers that stay where they are: for a GPU, which runs a step as one CUDA graph.

A step launches some fifty small operations, and a GPU waits longer for each than it computes. Recorded once as a graph
(https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs), the step is launched in one go, and nothing in it
asks the GPU for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from .decode import Output, Padded, Search
from .model import BergamotModel, Memory

# Whether all is done is asked after so many steps, because the answer has to be waited for
_ASK = 8
# Rows that are done are computed along until this part of the batch is left
_DENSE = 0.5
# Operations prepare themselves when they run first, which a graph must not record
_WARM_UP = 2


@torch.inference_mode()
def greedy_in_buffers(
    model: BergamotModel, batch: Padded, options: Search, *, graphs: bool
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The steps of a greedy search.

    graphs (bool): Whether to record the step as a CUDA graph. Otherwise it is run as it is, on any device.
    RETURNS: For each step, on the CPU, which rows of the batch it was for, the pieces they got, the log-probabilities
        of these, and what they looked at.
    """
    memory, output = batch.encode(model), Output(model, options)
    limits = torch.from_numpy(options.limits).to(model.device)
    n_steps = int(options.limits.max())
    buffers = _Buffers(model, memory, output, limits, options.eos, n_steps)
    steps: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]] = []
    while True:
        left = buffers.run(graphs=graphs)
        steps += buffers.written()
        if not len(left):
            return steps
        buffers = buffers.select(left)


class _Buffers:
    """Everything that changes from step to step, for some rows of a batch.

    limits (int64, (n_rows,)): The most pieces of each row.
    n_steps (int): The most steps there can be.
    """

    def __init__(
        self, model: BergamotModel, memory: Memory, output: Output, limits: torch.Tensor, eos: int, n_steps: int
    ):
        self.model, self.memory, self.output, self.limits, self.eos = model, memory, output, limits, eos
        device, n_rows, n_source = model.device, len(limits), memory.mask.shape[-1]
        self.n_steps = n_steps
        self.first = 0
        self.taken = 0
        self.rows = torch.arange(n_rows, device=device)
        self.step_number = torch.zeros(1, dtype=torch.long, device=device)
        self.positions = model.positions(0, n_steps + 1)
        self.x = self.positions[:1].repeat(n_rows, 1)
        self.states = model.first_states(n_rows)
        self.done = torch.zeros(n_rows, dtype=torch.bool, device=device)
        self._make_room(n_rows, n_source)

    def _make_room(self, n_rows: int, n_source: int) -> None:
        device = self.model.device
        self.pieces = torch.zeros(self.n_steps, n_rows, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(self.n_steps, n_rows, device=device)
        self.weights = torch.zeros(self.n_steps, n_rows, n_source, device=device)

    def step(self) -> None:
        """Write the next piece of each row."""
        hidden, states, weights = self.model.decode_step(self.x, self.states, self.memory)
        logits = self.output.logits(hidden)
        columns = self.output.best(logits)
        pieces = self.output.to_pieces(columns)
        at = self.step_number
        self.pieces.index_copy_(0, at, pieces[None])
        self.log_probs.index_copy_(0, at, -F.cross_entropy(logits, columns, reduction="none")[None])
        self.weights.index_copy_(0, at, weights[None])
        for kept, new in zip(self.states, states, strict=True):
            kept.copy_(new)
        at += 1
        self.done |= (pieces == self.eos) | (self.limits <= at)
        self.x.copy_(self.model.embed_target(pieces) + self.positions.index_select(0, at))

    def run(self, *, graphs: bool) -> torch.Tensor:
        """Take steps until few rows are left. RETURNS (int64, (n_left,)): Which of the rows; none at the end."""
        launch: Callable[[], None] = self.step
        for n in range(1, self.n_steps - self.first + 1):
            if graphs and n == _WARM_UP + 1:
                launch = _recorded(self.step)
            launch()
            self.taken = n
            if n % _ASK == 0:
                left = torch.nonzero(~self.done).squeeze(1)
                if len(left) < _DENSE * len(self.done):
                    return left
        return self.rows[:0]

    def written(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """What the steps wrote, fetched at once."""
        here = slice(self.first, self.first + self.taken)
        parts = [part[here].cpu() for part in (self.pieces, self.log_probs, self.weights)]
        rows = self.rows.cpu()
        for pieces, log_probs, weights in zip(*parts, strict=True):
            yield rows, pieces, log_probs, weights

    def select(self, left: torch.Tensor) -> _Buffers:
        """Go on with some of the rows, in buffers of their own."""
        rest = object.__new__(_Buffers)
        rest.__dict__.update(self.__dict__)
        rest.first, rest.taken = self.first + self.taken, 0
        rest.step_number = self.step_number.clone()
        rest.output.select(left)
        rest.memory = self.memory.select(left)
        rest.states = [state.index_select(0, left) for state in self.states]
        for name in ("rows", "limits", "x", "done"):
            setattr(rest, name, getattr(self, name).index_select(0, left))
        rest._make_room(len(left), self.weights.shape[-1])
        return rest


def _recorded(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a CUDA graph; as it is where it cannot be recorded. Recording runs nothing."""
    # Not `torch.cuda.graph`, which collects garbage and empties PyTorch's cache of GPU memory each time
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                step()
            finally:
                graph.capture_end()
    except RuntimeError:
        return step
    torch.cuda.current_stream().wait_stream(stream)
    return graph.replay
