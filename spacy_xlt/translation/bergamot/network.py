"""The network of a Marian transformer with an SSRU decoder, in PyTorch, for inference.

The architecture is that of Kim et al. 2019, "From Research to Production and Back: Ludicrously Fast Neural Machine
Translation" (https://aclanthology.org/D19-5632/); its parameters are described by Marian's configuration. Products run
in 32-bit floats, or on a CPU in the 8-bit integers that the weights are stored as.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F

from ...device import is_out_of_memory
from ...errors import error
from .files import MarianModel

# What this file implements; every other value in a model's configuration is refused by name
_SUPPORTED: dict[str, tuple[object, ...]] = {
    "type": ("transformer",),
    "transformer-decoder-autoreg": ("rnn",),
    "dec-cell": ("ssru",),
    "transformer-preprocess": ("", None),
    "transformer-postprocess": ("dan",),
    "transformer-postprocess-emb": ("d", "", None),
    "transformer-postprocess-top": ("", None),
    "transformer-ffn-activation": ("relu",),
    "transformer-ffn-depth": (2,),
    "transformer-decoder-ffn-depth": (2, 0),
    "transformer-train-position-embeddings": (False,),
    "transformer-no-projection": (False,),
    "transformer-rnn-projection": (False,),
    "transformer-tied-layers": ([], None),
    "transformer-pool": (False,),
    "ulr": (False,),
    "factors-combine": ("sum", None),
    "lemma-dim-emb": (0,),
    "right-left": (False,),
}
_LAYER_NORM_EPS = 1e-9
# Marian rounds activations to [-127, 127] and shifts them by 127 to multiply unsigned with signed bytes
_ZERO_POINT = 127


# x·W + b, and a ReLU where it was made with one
Linear = Callable[[torch.Tensor], torch.Tensor]


class FloatLinear:
    """In 32-bit floats: `weight` of shape (n_out, n_in), `bias` of shape (n_out,)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, *, relu: bool = False):
        self.weight, self.bias, self.relu = weight.contiguous(), bias, relu

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out = F.linear(x, self.weight, self.bias)
        return F.relu(out) if self.relu else out


class Int8Linear:
    """In 8-bit integers, with the fixed scale of the input that the model was made for.

    The scale is fixed, so that a row's result does not depend on the rest of its batch.

    Args:
        weight: int8 of shape (n_out, n_in).
        scales: What the weights of each row are to be multiplied with, float32 of shape (n_out,), or all of them.
        bias: float32 of shape (n_out,).
        input_scale: What an input is multiplied with before it is rounded.
        relu: Whether a ReLU follows.
        non_negative: Whether inputs are never below 0. Then the half of the range that Marian leaves to negative
            numbers goes to a finer scale, which brings results nearer to those in floats.
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

    Args:
        model: Has the matrices.
        weights: Their names.
        biases: The names of their biases; "" for one that has none.
        int8: Whether to compute in 8-bit integers.
        relu: Whether a ReLU follows.
        non_negative: Whether a ReLU came before.
        factors: What to multiply the result of each with.

    Raises:
        XltError: E211 where the model has no such matrix.
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


class LayerNorm:
    """LayerNorm(x + y), as after each part of a layer."""

    def __init__(self, model: MarianModel, name: str, device: torch.device):
        self.weight = torch.from_numpy(model[f"{name}_ln_scale"].to_float().reshape(-1)).to(device)
        self.bias = torch.from_numpy(model[f"{name}_ln_bias"].to_float().reshape(-1)).to(device)

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x + y, self.weight.shape, self.weight, self.bias, _LAYER_NORM_EPS)


@dataclass(frozen=True)
class FeedForward:
    """LayerNorm(x + W2·ReLU(W1·x))."""

    first: Linear
    second: Linear
    norm: LayerNorm

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x, self.second(self.first(x)))


@dataclass(frozen=True)
class EncoderLayer:
    queries_keys_values: Linear
    output: Linear
    norm: LayerNorm
    feed_forward: FeedForward


@dataclass(frozen=True)
class DecoderLayer:
    candidate_and_forget: Linear
    cell_norm: LayerNorm
    query: Linear
    output: Linear
    context_norm: LayerNorm
    feed_forward: FeedForward


@dataclass
class EncodedSource:
    """What the decoder needs of a batch of encoded sources.

    Attributes:
        keys: For each layer a tensor of shape (n_batch, n_heads, head_size, n_source).
        values: For each layer a tensor of shape (n_batch, n_heads, n_source, head_size).
        mask: 0 for a piece and minus infinity for padding, of shape (n_batch, 1, 1, n_source).
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    mask: torch.Tensor

    def select(self, rows: torch.Tensor) -> EncodedSource:
        """Some of the batch."""
        return EncodedSource(
            tuple(k.index_select(0, rows) for k in self.keys),
            tuple(v.index_select(0, rows) for v in self.values),
            self.mask.index_select(0, rows),
        )


class MarianNetwork:
    """A model ready to run.

    Args:
        int8: Compute in 8-bit integers, on a CPU, as Marian does; otherwise in 32-bit floats.

    Raises:
        XltError: E211 for missing tensors, E212 for an architecture that is not implemented.
    """

    def __init__(self, model: MarianModel, *, int8: bool, device: torch.device):
        _check_supported(model)
        config = model.config
        self.path = model.path
        self.device, self.int8 = device, int8
        self.heads = int(config["transformer-heads"])
        tied_all = "Wemb" in model
        source_name, target_name = ("Wemb", "Wemb") if tied_all else ("encoder_Wemb", "decoder_Wemb")
        self.source_embedding = torch.from_numpy(model[source_name].to_float()).to(device)
        self.target_embedding = self.source_embedding
        if not tied_all:
            self.target_embedding = torch.from_numpy(model[target_name].to_float()).to(device)
        self.dim = self.source_embedding.shape[1]
        self._read_output(model, target_name)
        self._positions = torch.zeros(0, self.dim, device=device)

        def linear(weights: list[str], biases: list[str], **options) -> Linear:
            return make_linear(model, weights, biases, int8=int8, device=device, **options)

        def feed_forward(layer: str) -> FeedForward:
            return FeedForward(
                linear([f"{layer}_ffn_W1"], [f"{layer}_ffn_b1"], relu=True),
                linear([f"{layer}_ffn_W2"], [f"{layer}_ffn_b2"], non_negative=True),
                LayerNorm(model, f"{layer}_ffn_ffn", device),
            )

        encoder = [f"encoder_l{i}" for i in range(1, int(config["enc-depth"]) + 1)]
        decoder = [f"decoder_l{i}" for i in range(1, int(config["dec-depth"]) + 1)]
        self.encoder_layers = [
            EncoderLayer(
                linear([f"{name}_self_W{x}" for x in "qkv"], [f"{name}_self_b{x}" for x in "qkv"]),
                linear([f"{name}_self_Wo"], [f"{name}_self_bo"]),
                LayerNorm(model, f"{name}_self_Wo", device),
                feed_forward(name),
            )
            for name in encoder
        ]
        head_size = self.dim // self.heads
        self.decoder_layers = [
            DecoderLayer(
                linear([f"{name}_rnn_W", f"{name}_rnn_Wf"], ["", f"{name}_rnn_bf"]),
                LayerNorm(model, f"{name}_rnn_ffn", device),
                linear([f"{name}_context_Wq"], [f"{name}_context_bq"], factors=[head_size**-0.5]),
                linear([f"{name}_context_Wo"], [f"{name}_context_bo"]),
                LayerNorm(model, f"{name}_context_Wo", device),
                feed_forward(name),
            )
            for name in decoder
        ]
        # All keys and values of the decoder read the same encoder output: one product for them all
        context = [f"{name}_context_{{}}{x}" for name in decoder for x in "kv"]
        self.context = linear([c.format("W") for c in context], [c.format("b") for c in context])

    def _read_output(self, model: MarianModel, target_name: str) -> None:
        """The matrix before the softmax, (n_vocab, dim): the target embeddings, or one of its own."""
        name = target_name
        for separate in ("decoder_ff_logit_out_Wt", "decoder_ff_logit_out_W"):
            if separate in model:
                name = separate
        tensor = model[name]
        values = tensor.values.T if name.endswith("_W") else tensor.values
        bias = model.tensors.get("decoder_ff_logit_out_b")
        n_vocab = len(values)
        self.output_bias = torch.zeros(n_vocab) if bias is None else torch.from_numpy(bias.to_float().reshape(-1))
        self.output_bias = self.output_bias.to(self.device)
        if name == target_name:
            self.output_weight = self.target_embedding
        else:
            self.output_weight = torch.from_numpy(values / tensor.multiplier).float().contiguous().to(self.device)
        scale = model.activation_scale(name) or model.activation_scale("none")
        self._int8_output = None
        if self.int8 and scale and values.dtype.name == "int8":
            self._int8_output = (torch.from_numpy(values.copy()), 1.0 / tensor.multiplier, scale)

    def check_vocabularies(self, n_source: int, n_target: int) -> None:
        """Check that the vocabularies are those of the model.

        Raises:
            XltError: E211 where they have other sizes than the model's matrices.
        """
        expected = len(self.source_embedding), len(self.output_weight)
        if (n_source, n_target) != expected:
            reason = f"it is for vocabularies of {expected} pieces, and those beside it have {(n_source, n_target)}"
            raise error("E211", path=self.path, reason=reason)

    def output_layer(self, allowed: torch.Tensor | None = None) -> Linear:
        """The product with the output matrix, for all pieces or for those of a shortlist, int64 of shape (n,)."""
        if self._int8_output is not None and allowed is not None:
            values, step, scale = self._int8_output
            return Int8Linear(values[allowed], step, self.output_bias[allowed], input_scale=scale)
        if allowed is None:
            return FloatLinear(self.output_weight, self.output_bias)
        return FloatLinear(self.output_weight[allowed], self.output_bias[allowed])

    def positions(self, start: int, count: int) -> torch.Tensor:
        """Sinusoidal signals of positions from `start`: (count, dim)."""
        if len(self._positions) < start + count:
            half = self.dim // 2
            steps = math.log(10000.0) / max(1, half - 1)
            rates = torch.exp(torch.arange(half, dtype=torch.float32) * -steps)
            angles = torch.arange(max(512, 2 * (start + count)), dtype=torch.float32)[:, None] * rates
            self._positions = torch.cat([angles.sin(), angles.cos()], dim=1).to(self.device)
        return self._positions[start : start + count]

    def encode(self, ids: torch.Tensor, mask: torch.Tensor) -> EncodedSource:
        """Run the encoder.

        Args:
            ids: Pieces with the end mark, padded with anything, int64 of shape (n_batch, n_source).
            mask: True for pieces, bool of the same shape.
        """
        batch, length = ids.shape
        bias = torch.zeros(batch, 1, 1, length, device=self.device).masked_fill_(~mask[:, None, None], -torch.inf)
        x = F.embedding(ids, self.source_embedding) * math.sqrt(self.dim) + self.positions(0, length)
        for layer in self.encoder_layers:
            q, k, v = layer.queries_keys_values(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            x = layer.norm(x, layer.output(attended.transpose(1, 2).reshape(batch, length, self.dim)))
            x = layer.feed_forward(x)
        parts = self.context(x).view(batch, length, 2 * len(self.decoder_layers), self.heads, -1)
        keys = tuple(parts[:, :, i].permute(0, 2, 3, 1).contiguous() for i in range(0, parts.shape[2], 2))
        values = tuple(parts[:, :, i].permute(0, 2, 1, 3).contiguous() for i in range(1, parts.shape[2], 2))
        return EncodedSource(keys, values, bias)

    def embed_target(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings of target pieces, scaled: ids' shape plus (dim,)."""
        return F.embedding(ids, self.target_embedding) * math.sqrt(self.dim)

    def first_states(self, batch: int) -> list[torch.Tensor]:
        """The cells before the first piece, one (n_batch, dim) a decoder layer."""
        return [torch.zeros(batch, self.dim, device=self.device) for _ in self.decoder_layers]

    def decode_step(
        self, x: torch.Tensor, states: list[torch.Tensor], memory: EncodedSource
    ) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Run the decoder for one position.

        Args:
            x: The embedded last piece with its position, float32 of shape (n_batch, dim).
            states: The cells, for each layer a tensor of shape (n_batch, dim).

        Returns:
            Output of shape (n_batch, dim), new cells, and the guided head's weights of shape (n_batch, n_source).
        """
        new_states = []
        weights = x
        for i, layer in enumerate(self.decoder_layers):
            candidate, forget = layer.candidate_and_forget(x).chunk(2, dim=-1)
            cell = torch.lerp(candidate, states[i], torch.sigmoid(forget))
            new_states.append(cell)
            x = layer.cell_norm(x, F.relu(cell))
            x, weights = self._attend(layer, i, x, memory)
            x = layer.feed_forward(x)
        return x, new_states, weights

    def decode_forced(self, x: torch.Tensor, memory: EncodedSource) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the decoder over given targets, all positions at once.

        Args:
            x: The embedded piece before each position, with the position, float32 of shape (n_batch, n_target, dim).
            memory: The sources.

        Returns:
            Outputs of shape (n_batch, n_target, dim), and the guided head's weights of shape
            (n_batch, n_target, n_source).
        """
        n_batch, n_target, _ = x.shape
        x = x.reshape(n_batch * n_target, self.dim)
        weights = x
        for i, layer in enumerate(self.decoder_layers):
            candidate, forget = layer.candidate_and_forget(x).view(n_batch, n_target, -1).chunk(2, dim=-1)
            forget = torch.sigmoid(forget)
            cells = torch.empty_like(candidate)
            cell = torch.zeros(n_batch, self.dim, device=self.device)
            for t in range(n_target):
                cell = cells[:, t] = torch.lerp(candidate[:, t], cell, forget[:, t])
            x = layer.cell_norm(x, F.relu(cells.view(n_batch * n_target, self.dim)))
            x, weights = self._attend(layer, i, x, memory)
            x = layer.feed_forward(x)
        return x.view(n_batch, n_target, self.dim), weights.view(n_batch, n_target, -1)

    def _attend(
        self, layer: DecoderLayer, index: int, x: torch.Tensor, memory: EncodedSource
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at the source: x (n_rows, dim). Returns the new x and head 0's weights, (n_rows, n_source)."""
        batch = memory.mask.shape[0]
        # The rows of a source are positions that look at it
        query = layer.query(x).view(batch, len(x) // batch, self.heads, -1).transpose(1, 2)
        weights = torch.softmax(query @ memory.keys[index] + memory.mask, dim=-1)
        attended = (weights @ memory.values[index]).transpose(1, 2).reshape(-1, self.dim)
        return layer.context_norm(x, layer.output(attended)), weights[:, 0].reshape(len(x), -1)


def _check_supported(model: MarianModel) -> None:
    for key, allowed in _SUPPORTED.items():
        value = model.config.get(key, allowed[0])
        if value not in allowed:
            raise error("E212", path=model.path, key=key, value=value, expected=" or ".join(map(repr, allowed)))
    for key in ("enc-depth", "dec-depth", "transformer-heads"):
        value = model.config.get(key)
        if not isinstance(value, int) or value < 1:
            raise error("E212", path=model.path, key=key, value=value, expected="a positive whole number")
