"""Vectors of word pieces from one layer of an encoder, in length-sorted batches and at any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..device import batches_by_length, disable_cudnn_attention, one_thread_after_fork, run_side_by_side
from ..errors import error
from ..tokens import encodable, has_text
from . import pretrained

if TYPE_CHECKING:
    import torch


class Window(NamedTuple):
    """A stretch of a text that fits the model.

    text (int): Index of the text.
    start, end (int): Its pieces.
    keep_from, keep_to (int): The pieces whose vectors are taken from it and not from a neighbour.
    """

    text: int
    start: int
    end: int
    keep_from: int
    keep_to: int


class Encoder:
    """A pretrained encoder up to one layer.

    model (str): A model folder, a Hugging Face name, or "bundled:NAME".
    layer (int | Sequence[int]): Whose output to give, of several layers the mean; 0 is the embeddings below the first.
    precision (str): What to compute in: "float32", "float16" or "bfloat16"; or "auto", which is float16 on a GPU,
        bfloat16 on a CPU with instructions for it, and float32 elsewhere.
    RAISES (XltError): E302 where there is no such layer, E303 where the model cannot be loaded, E341 where it gives no
        vectors of its layers, 7xx for a bundled one.
    """

    def __init__(self, model: str, layer: int | Sequence[int], *, precision: str = "float32"):
        self.layers = (layer,) if isinstance(layer, int) else tuple(layer)
        self.precision = precision
        self.model, self.tokenizer = pretrained.load(model, self.layers)
        self.prefix, self.suffix = pretrained.special_pieces(self.tokenizer)
        limit = pretrained.position_limit(self.model, self.tokenizer)
        self.window = limit - len(self.prefix) - len(self.suffix)
        self.pad = self.tokenizer.pad_token_id or 0
        self.vocabulary = pretrained.vocabulary_size(self.model)
        # Before there are any texts, so that a model which cannot be used does not fail in the middle of them
        self.name = model
        self.dim = self._probe()

    def pieces(self, words: Iterable[str]) -> dict[str, list[int]]:
        """The piece ids of each distinct word, tokenised by itself as SimAlign does; none where it has no text.

        RAISES (XltError): E342 where the tokenizer knows more pieces than the model.
        """
        distinct = dict.fromkeys(words)
        visible = [word for word in distinct if has_text(word)]
        result: dict[str, list[int]] = {word: [] for word in distinct}
        if self.tokenizer.is_fast:
            backend = self.tokenizer.backend_tokenizer
            # One by one: a batch would start threads, which do not survive a fork for nlp.pipe(n_process=...)
            for word in visible:
                result[word] = backend.encode([encodable(word)], is_pretokenized=True, add_special_tokens=False).ids
        else:
            to_ids = self.tokenizer.convert_tokens_to_ids
            result.update((word, to_ids(self.tokenizer.tokenize(encodable(word)))) for word in visible)
        for word in visible:
            if max(result[word], default=0) >= self.vocabulary:
                raise error("E342", piece=max(result[word]), token=word, known=self.vocabulary)
        return result

    def embed(
        self,
        texts: Sequence[NDArray[np.int64]],
        *,
        batch_tokens: int,
        layers: Sequence[int] | None = None,
        window: int | None = None,
    ) -> list[NDArray[np.float32]]:
        """The vectors of all pieces of texts.

        A text beyond the model's position limit is read in overlapping windows, and each piece taken from the
        window in which it has more context around it.

        texts (Sequence[int64, (n_pieces,)]): Piece ids, without special pieces.
        batch_tokens (int): Pieces a batch, padding included.
        layers (Sequence[int] | None): Give these layers one by one, from one pass. None is above the highest one that
            the encoder was made with.
        window (int | None): The most pieces to read at once, if that is fewer than the model can.
        RETURNS (list[float32]): In order of the texts: (n_pieces, dim), or (n_layers, n_pieces, dim) for `layers`.
        RAISES (XltError): E340 for a layer that is not loaded.
        """
        wanted = self.layers if layers is None else tuple(layers)
        if not wanted or not 0 <= min(wanted) <= max(wanted) <= max(self.layers):
            raise error("E340", layers=list(wanted), known=max(self.layers))
        size = min(self.window, window or self.window)
        rows = self._embed_rows(texts, wanted, mean=layers is None, batch_tokens=batch_tokens, window=size)
        vectors = np.split(rows.cpu().numpy(), np.cumsum([len(text) for text in texts])[:-1], axis=1) if texts else []
        return vectors if layers else [vector[0] for vector in vectors]

    def embed_on_device(self, texts: Sequence[NDArray[np.int64]], *, batch_tokens: int) -> torch.Tensor:
        """The same as `embed`, left where it was computed, one text behind the other: float32, (n_pieces, dim)."""
        return self._embed_rows(texts, self.layers, mean=True, batch_tokens=batch_tokens, window=self.window)[0]

    def _embed_rows(
        self,
        texts: Sequence[NDArray[np.int64]],
        layers: tuple[int, ...],
        *,
        mean: bool,
        batch_tokens: int,
        window: int,
    ) -> torch.Tensor:
        """RETURNS (float32, (n_layers, n_pieces, dim)): All texts, one behind the other; for `mean` of one layer."""
        import torch

        windows = [found for index, text in enumerate(texts) for found in windows_of(index, len(text), window)]
        starts = np.cumsum([0, *(len(text) for text in texts)])
        self._to_device()
        one_thread_after_fork()
        device = self.model.device
        result = torch.zeros((1 if mean else len(layers), int(starts[-1]), self.dim), device=device)

        def run(batch: list[int]) -> None:
            """Fill in the vectors of the windows of these indices."""
            chosen = [windows[i] for i in batch]
            hidden = self._forward([texts[w.text][w.start : w.end] for w in chosen], layers, mean=mean)
            width = hidden.shape[2]
            places, rows = [], []
            for number, w in enumerate(chosen):
                first = number * width + len(self.prefix) + w.keep_from - w.start
                places.append(np.arange(first, first + w.keep_to - w.keep_from))
                rows.append(np.arange(starts[w.text] + w.keep_from, starts[w.text] + w.keep_to))
            place, row = (torch.from_numpy(np.concatenate(indices)).to(device) for indices in (places, rows))
            result.index_copy_(1, row, hidden.flatten(1, 2).index_select(1, place))

        extra = len(self.prefix) + len(self.suffix)
        batches = batches_by_length([w.end - w.start + extra for w in windows], batch_tokens=batch_tokens)
        run_side_by_side(run, batches, device=device)
        return result

    def _forward(self, rows: list[NDArray[np.int64]], layers: tuple[int, ...], *, mean: bool) -> torch.Tensor:
        """Run a batch.

        RETURNS (float32, (n_layers, n_rows, length, dim)): For `mean` the first axis has one entry.
        """
        import torch

        lengths = [len(self.prefix) + len(row) + len(self.suffix) for row in rows]
        # A model that makes one vector of several characters has none for fewer
        least = getattr(self.model.config, "downsampling_rate", 1)
        ids = np.full((len(rows), max(least, *lengths)), self.pad, np.int64)
        for i, row in enumerate(rows):
            ids[i, : lengths[i]] = np.concatenate([self.prefix, row, self.suffix])
        mask = np.arange(ids.shape[1]) < np.asarray(lengths)[:, None]
        device = self.model.device
        with torch.no_grad():
            output = self.model(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=torch.from_numpy(mask.astype(np.int64)).to(device),
                output_hidden_states=True,
                return_dict=True,
            )
            hidden = torch.stack([_at_length(output.hidden_states[layer], ids.shape[1]).float() for layer in layers])
            if mean and len(layers) > 1:
                hidden = hidden.mean(dim=0, keepdim=True)
        return hidden

    def _to_device(self) -> None:
        import torch
        from thinc.api import get_torch_default_device

        device = get_torch_default_device()
        precision = self.precision
        if precision == "auto" and self.model.config.model_type in pretrained.FLOAT32_ONLY:
            precision = "float32"
        dtype = getattr(torch, precision_on(device, precision))
        if self.model.device != device or self.model.dtype != dtype:
            disable_cudnn_attention(device)
            self.model.to(device=device, dtype=dtype)
            self._probe()

    def _probe(self) -> int:
        return pretrained.probe(self.model, [*self.prefix, *self.suffix] or [self.pad], self.layers, name=self.name)


def _at_length(hidden: torch.Tensor, length: int) -> torch.Tensor:
    """One vector for each piece, also from a layer that has one for several neighbours (CANINE)."""
    if hidden.shape[1] == length:
        return hidden
    rate = -(-length // hidden.shape[1])
    return hidden.repeat_interleave(rate, dim=1)[:, :length]


def precision_on(device: torch.device, precision: str) -> str:
    """What "auto" means on a device; any other precision is itself."""
    import torch

    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "float16"
    # Elsewhere bfloat16 is computed by way of float32, which takes longer
    fast = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bfloat16" if any(getattr(torch.cpu, name, bool)() for name in fast) else "float32"


def windows_of(text: int, length: int, size: int) -> Iterator[Window]:
    """Cut a text into windows that overlap by a quarter.

    text (int): Its index.
    length (int): Its pieces.
    size (int): The most pieces of a window.
    """
    if not length:
        return
    starts = list(range(0, max(1, length - size // 4), size - size // 4)) if length > size else [0]
    # The last one is as long as the others, for the sake of its context
    starts[-1] = max(0, length - size)
    ends = [min(start + size, length) for start in starts]
    cuts = [0, *((end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)), length]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        yield Window(text, start, end, cuts[i], cuts[i + 1])
