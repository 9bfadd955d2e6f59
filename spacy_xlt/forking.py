"""What PyTorch needs in the worker processes of `nlp.pipe(n_process=...)`."""

from __future__ import annotations

import os

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
