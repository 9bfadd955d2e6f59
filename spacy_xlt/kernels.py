"""Which of PyTorch's kernels compute attention on a GPU."""

from __future__ import annotations

import sys
from typing import Any


def prefer_ready_kernels(device: Any = None) -> None:
    """Have attention computed without cuDNN, from now on and in the whole process.

    cuDNN plans a kernel for each new shape, and batches of text hardly ever have the shape of one before: on an H100
    with PyTorch 2.11 a plan took 37 ms, most of the time of an aligner's batch and half of a training step's. PyTorch's
    own kernels (FlashAttention and the memory-efficient one) take any shape as they are.

    device (torch.device | None): Nothing is changed where this is no CUDA device; None for whatever PyTorch has.
    """
    torch = sys.modules.get("torch")
    if torch is None or (torch.device(device).type if device is not None else _kind(torch)) != "cuda":
        return
    # PyTorch 2.4 has no such kernels
    enable = getattr(torch.backends.cuda, "enable_cudnn_sdp", None)
    if enable is not None:
        enable(False)


def _kind(torch: Any) -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
