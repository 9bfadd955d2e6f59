"""What belongs to a thread and others do not have: where thinc computes, the GPU, PyTorch's number of threads."""

from __future__ import annotations

import sys

from thinc.api import CupyOps, get_current_ops, set_current_ops


class ThreadSettings:
    """What this thread computes with, to be given to others.

    A new thread computes on the CPU, whatever was chosen before it was started. PyTorch's number of threads is what
    any thread has set last: one that starts while another one cuts its work up would have too few for good.
    """

    def __init__(self) -> None:
        self._ops = get_current_ops()
        self._gpu = _current_gpu() if isinstance(self._ops, CupyOps) else None

    def give(self, *, n_threads: int | None = None) -> None:
        """Let the thread that calls this have them.

        n_threads (int | None): See `torch_threads`.
        """
        set_current_ops(self._ops)
        if self._gpu is not None:
            from thinc.util import set_active_gpu

            set_active_gpu(self._gpu)
        if n_threads is not None:
            sys.modules["torch"].set_num_threads(n_threads)


def torch_threads() -> int | None:
    """How many threads PyTorch computes with; None where it is not in use."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _current_gpu() -> int:
    import cupy

    return int(cupy.cuda.runtime.getDevice())
