"""In which type an encoder computes while it is trained."""

from __future__ import annotations

from typing import Any

from ...errors import warn


def autocast_dtype(mixed_precision: bool | str, *, device: str) -> Any:
    """The type that matrix products are computed in; weights stay float32.

    mixed_precision (bool | str): True for float16 on a GPU and nothing elsewhere, as in spacy-transformers; "float16"
        and "bfloat16" by name, the latter on a CPU, too, where it has instructions for it.
    device (str): Type of the device, such as "cuda" or "cpu".
    RETURNS (torch.dtype | None): The type; none for float32. Says so (W620) where a named type cannot be had.
    """
    import torch

    if not mixed_precision:
        return None
    if device == "cuda" and mixed_precision in (True, "float16"):
        return torch.float16
    if mixed_precision == "bfloat16" and (torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_has_bfloat16()):
        return torch.bfloat16
    if mixed_precision is not True:
        warn("W620", value=mixed_precision, device="GPU" if device == "cuda" else "CPU")
    return None


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 by itself; without, it is far slower than float32."""
    import torch

    # torch 2.10 and later say what the CPU has.
    known = getattr(torch.cpu, "get_capabilities", None)
    if known is not None:
        return any(has and "bf16" in name for name, has in known().items())
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask is not None and ask() for ask in asked)
