"""Matrix products with the weights of a Marian model, in 32-bit floats or in the 8-bit integers they are stored as."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import torch
import torch.nn.functional as F

from ...device import is_out_of_memory
from .marian import MarianModel

# Marian rounds activations to [-127, 127] and shifts them by 127 to multiply unsigned with signed bytes
_ZERO_POINT = 127


class Linear(Protocol):
    """x·W + b, and a ReLU where it was made with one."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class FloatLinear:
    """In 32-bit floats.

    weight (float32, (n_out, n_in)); bias (float32, (n_out,)).
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, *, relu: bool = False):
        self.weight, self.bias, self.relu = weight.contiguous(), bias, relu

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out = F.linear(x, self.weight, self.bias)
        return F.relu(out) if self.relu else out


class Int8Linear:
    """In 8-bit integers, with the fixed scale of the input that the model was made for.

    The scale is fixed, so that a row's result does not depend on the rest of its batch.

    weight (int8, (n_out, n_in)).
    scales (float32, (n_out,), or float): What the weights of each row are to be multiplied with, or all of them.
    bias (float32, (n_out,)).
    input_scale (float): What an input is multiplied with before it is rounded.
    non_negative (bool): Whether inputs are never below 0. Then the half of the range that Marian leaves to
        negative numbers goes to a finer scale, which brings results nearer to those in floats.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        scales: torch.Tensor | float,
        bias: torch.Tensor,
        *,
        input_scale: float,
        relu: bool = False,
        non_negative: bool = False,
    ):
        if isinstance(scales, float):
            quantised = torch._make_per_tensor_quantized_tensor(weight.contiguous(), scales, 0)
        else:
            zeros = torch.zeros(len(weight), dtype=torch.long)
            quantised = torch._make_per_channel_quantized_tensor(weight.contiguous(), scales.double(), zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(quantised, bias)
        self._step = 0.5 / input_scale if non_negative else 1.0 / input_scale
        self._zero_point = 0 if non_negative else _ZERO_POINT
        name = "relu_" if relu else ""
        self._product = getattr(torch.ops.quantized, f"linear_with_input_q_dq_qweight_dq_{name}output_fp32")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._product(x, self._step, self._zero_point, self._packed)


@lru_cache(maxsize=1)
def int8_works() -> bool:
    """Whether this build of PyTorch can multiply 8-bit integers the way `Int8Linear` does.

    Builds for other processors than x86 cannot, and PyTorch has announced that a later version will not.
    """
    ones, bias = torch.ones(8, 8, dtype=torch.int8), torch.zeros(8)
    try:
        # The announcement comes once, at the first use, which is here
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = [Int8Linear(ones, scales, bias, input_scale=1.0) for scales in (0.5, torch.full((8,), 0.5))]
        return all(torch.allclose(layer(torch.ones(1, 8)), torch.full((1, 8), 4.0)) for layer in layers)
    except (RuntimeError, AttributeError, NotImplementedError) as err:
        if is_out_of_memory(err):
            raise
        return False


def make_linear(
    model: MarianModel,
    weights: Sequence[str],
    biases: Sequence[str],
    *,
    int8: bool,
    device: torch.device,
    relu: bool = False,
    non_negative: bool = False,
    factors: Sequence[float] | None = None,
) -> Linear:
    """One product for several matrices that have the same input.

    weights (Sequence[str]): Their names.
    biases (Sequence[str]): The names of their biases; "" for one that has none.
    int8 (bool): Whether to compute in 8-bit integers.
    relu (bool): Whether a ReLU follows.
    non_negative (bool): Whether a ReLU came before.
    factors (Sequence[float] | None): What to multiply the result of each with.
    RAISES (XltError): E211 where the model has no such matrix.
    """
    tensors = [model[name] for name in weights]
    factors = factors or [1.0] * len(tensors)
    parts = []
    for name, tensor, factor in zip(biases, tensors, factors, strict=True):
        width = tensor.values.shape[1]
        bias = torch.from_numpy(model[name].to_float().reshape(-1)) if name else torch.zeros(width)
        parts.append(bias * factor)
    bias = torch.cat(parts)
    if int8:
        scales = [model.activation_scale(name) for name in weights]
        return Int8Linear(
            torch.cat([torch.from_numpy(t.values.T.copy()) for t in tensors]),
            torch.cat(
                [torch.full((t.values.shape[1],), f / t.multiplier) for t, f in zip(tensors, factors, strict=True)]
            ),
            bias,
            # The smallest one, so that no input is clipped more than the model expects
            input_scale=min(scale for scale in scales if scale),
            relu=relu,
            non_negative=non_negative,
        )
    weight = torch.cat([torch.from_numpy(t.to_float().T.copy()) * f for t, f in zip(tensors, factors, strict=True)])
    return FloatLinear(weight.to(device), bias.to(device), relu=relu)
