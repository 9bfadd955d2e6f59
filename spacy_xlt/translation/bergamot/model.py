"""The network of a Marian transformer with an SSRU decoder, in PyTorch, for inference.

The architecture is that of Kim et al. 2019, "From Research to Production and Back: Ludicrously Fast Neural Machine
Translation" (https://aclanthology.org/D19-5632/); its parameters are described by Marian's configuration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ...errors import error
from .layers import FloatLinear, Int8Linear, Linear, make_linear
from .marian import MarianModel

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
class Memory:
    """What the decoder needs of a batch of encoded sources.

    keys (tuple[Tensor], one a layer): (n_batch, n_heads, head_size, n_source)
    values (tuple[Tensor], one a layer): (n_batch, n_heads, n_source, head_size)
    mask (Tensor): (n_batch, 1, 1, n_source), 0 for a piece and minus infinity for padding.
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    mask: torch.Tensor

    def select(self, rows: torch.Tensor) -> Memory:
        """Some of the batch."""
        return Memory(
            tuple(k.index_select(0, rows) for k in self.keys),
            tuple(v.index_select(0, rows) for v in self.values),
            self.mask.index_select(0, rows),
        )


@dataclass(frozen=True)
class Levels:
    """How the beginnings of given targets hang together. Those of a length stand together, the shorter ones first.

    levels (list[tuple[int, int, Tensor]]): Start and end of each length's rows, and the row of the beginning that is
        one piece shorter than each (int64); empty for the first, which are those of no pieces.
    places (int64, (n_nodes,)): Where each stands in a table of a row a source.
    width (int): Of that table.
    """

    levels: list[tuple[int, int, torch.Tensor]]
    places: torch.Tensor
    width: int


class BergamotModel:
    """A model ready to run.

    model (MarianModel): What the file holds.
    int8 (bool): Compute in 8-bit integers, on a CPU, as Marian does; otherwise in 32-bit floats.
    device (torch.device): Where to run.
    RAISES (XltError): E211 for missing tensors, E212 for an architecture that is not implemented.
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
        for own in ("decoder_ff_logit_out_Wt", "decoder_ff_logit_out_W"):
            if own in model:
                name = own
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
        """RAISES (XltError): E211 where the vocabularies have other sizes than the model's matrices."""
        expected = len(self.source_embedding), len(self.output_weight)
        if (n_source, n_target) != expected:
            reason = f"it is for vocabularies of {expected} pieces, and those beside it have {(n_source, n_target)}"
            raise error("E211", path=self.path, reason=reason)

    def output_layer(self, allowed: torch.Tensor | None = None) -> Linear:
        """The product with the output matrix, for all pieces or for a shortlist.

        allowed (int64, (n,)): Which pieces of the target vocabulary; None for all.
        """
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

    def encode(self, ids: torch.Tensor, mask: torch.Tensor) -> Memory:
        """Run the encoder.

        ids (int64, (n_batch, n_source)): Pieces with the end mark, padded with anything.
        mask (bool, (n_batch, n_source)): True for pieces.
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
        return Memory(keys, values, bias)

    def embed_target(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings of target pieces, scaled: ids' shape plus (dim,)."""
        return F.embedding(ids, self.target_embedding) * math.sqrt(self.dim)

    def first_states(self, batch: int) -> list[torch.Tensor]:
        """The cells before the first piece, one (n_batch, dim) a decoder layer."""
        return [torch.zeros(batch, self.dim, device=self.device) for _ in self.decoder_layers]

    def decode_step(
        self, x: torch.Tensor, states: list[torch.Tensor], memory: Memory
    ) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Run the decoder for one position.

        x (float32, (n_rows, dim)): The embedded last piece with its position; `n_rows` is a multiple of the
            memory's batch, and the rows of one source stand together.
        states (list[Tensor]): The cells, one (n_rows, dim) a layer.
        RETURNS: Output (n_rows, dim), new cells, and the guided head's weights (n_rows, n_source).
        """
        new_states = []
        weights = x
        for i, layer in enumerate(self.decoder_layers):
            candidate, forget = layer.candidate_and_forget(x).chunk(2, dim=-1)
            cell = torch.lerp(candidate, states[i], torch.sigmoid(forget))
            new_states.append(cell)
            x = layer.cell_norm(x, F.relu(cell))
            x, weights = self._context(layer, i, x, memory)
            x = layer.feed_forward(x)
        return x, new_states, weights

    def decode_forced(self, x: torch.Tensor, levels: Levels, memory: Memory) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the decoder over given targets, all positions at once.

        x (float32, (n_nodes, dim)): The embedded last piece of each beginning of a target, with its position.
        RETURNS: Outputs (n_nodes, dim) and the guided head's weights (n_nodes, n_source).
        """
        weights = x
        for i, layer in enumerate(self.decoder_layers):
            candidate, forget = layer.candidate_and_forget(x).chunk(2, dim=-1)
            forget = torch.sigmoid(forget)
            cells = torch.empty_like(x)
            for start, stop, parents in levels.levels:
                before = cells.index_select(0, parents) if start else torch.zeros_like(cells[:stop])
                cells[start:stop] = torch.lerp(candidate[start:stop], before, forget[start:stop])
            x = layer.cell_norm(x, F.relu(cells))
            x, weights = self._context(layer, i, x, memory, levels)
            x = layer.feed_forward(x)
        return x, weights

    def _context(
        self, layer: DecoderLayer, index: int, x: torch.Tensor, memory: Memory, levels: Levels | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at the source: x (n_rows, dim). Returns the new x and head 0's weights, (n_rows, n_source).

        levels (Levels | None): Which row belongs to which source; the same number to each where left out.
        """
        batch = memory.mask.shape[0]
        query = layer.query(x)
        if levels is not None:
            padded = query.new_zeros(batch * levels.width, self.dim)
            query = padded.index_copy_(0, levels.places, query)
        # The rows of a source are positions that look at it
        query = query.view(batch, len(query) // batch, self.heads, -1).transpose(1, 2)
        weights = torch.softmax(query @ memory.keys[index] + memory.mask, dim=-1)
        attended = (weights @ memory.values[index]).transpose(1, 2).reshape(-1, self.dim)
        looked = weights[:, 0].reshape(len(attended), -1)
        if levels is not None:
            attended, looked = attended.index_select(0, levels.places), looked.index_select(0, levels.places)
        return layer.context_norm(x, layer.output(attended)), looked


def _check_supported(model: MarianModel) -> None:
    for key, allowed in _SUPPORTED.items():
        value = model.config.get(key, allowed[0])
        if value not in allowed:
            raise error("E212", path=model.path, key=key, value=value, expected=" or ".join(map(repr, allowed)))
    for key in ("enc-depth", "dec-depth", "transformer-heads"):
        value = model.config.get(key)
        if not isinstance(value, int) or value < 1:
            raise error("E212", path=model.path, key=key, value=value, expected="a positive whole number")
