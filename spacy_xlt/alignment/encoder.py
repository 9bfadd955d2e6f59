"""Vectors of word pieces from a layer of an encoder, in length-sorted batches and at any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..device import batches_by_length, one_thread_after_fork, run_side_by_side, without_cudnn_attention
from ..errors import error
from ..tokens import encodable, has_text, is_unspaced
from . import pretrained

if TYPE_CHECKING:
    import torch

# SentencePiece's piece for a space
BLANK = "▁"
# On a GPU, a batch has so many times as many pieces
GPU_BATCH = 32


class Window(NamedTuple):
    """Pieces `[start, end)` of a text that fit the model; the vectors of `[keep_from, keep_to)` are taken from it."""

    text: int
    start: int
    end: int
    keep_from: int
    keep_to: int


class Encoder:
    """A pretrained encoder up to one of its layers.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME".
        layer: Whose output to give; 0 is the embeddings below the first.
        precision: What to compute in: "float32", "float16" or "bfloat16"; or "auto", which is float16 on a GPU,
            bfloat16 on a CPU with instructions for it, and float32 elsewhere.

    Raises:
        XltError: E302 where there is no such layer, E303 where the model cannot be loaded, E341 where it gives no
            vectors of its layers, 7xx for a bundled one.
    """

    def __init__(self, model: str, layer: int, *, precision: str = "float32"):
        self.layer = layer
        self.precision = precision
        self.model, self.tokenizer = pretrained.load(model, layer)
        self.prefix, self.suffix = pretrained.special_pieces(self.tokenizer)
        limit = pretrained.position_limit(self.model, self.tokenizer)
        self.window = limit - len(self.prefix) - len(self.suffix)
        self.pad = self.tokenizer.pad_token_id or 0
        # Before there are any texts, so that a model which cannot be used does not fail in the middle of them
        ids = [*self.prefix, *self.suffix] or [self.pad]
        self.dim = pretrained.probe(self.model, ids, layer, name=model)
        self.vocabulary = int(self.model.config.vocab_size)

    def pieces(self, words: Iterable[str]) -> dict[str, list[int]]:
        """The piece ids of each distinct word, tokenised by itself as SimAlign does; none where it has no text.

        Raises:
            XltError: E342 where the tokenizer knows more pieces than the model.
        """
        result: dict[str, list[int]] = {}
        for word in words:
            if word in result:
                continue
            result[word] = self._pieces_of(encodable(word)) if has_text(word) else []
            if max(result[word], default=0) >= self.vocabulary:
                raise error("E342", piece=max(result[word]), token=word, known=self.vocabulary)
        return result

    def _pieces_of(self, word: str) -> list[int]:
        # One by one: a batch would start threads, which do not survive a fork for nlp.pipe(n_process=...)
        if self.tokenizer.is_fast:
            encode = self.tokenizer.backend_tokenizer.encode
            ids = list(encode([word], is_pretokenized=True, add_special_tokens=False).ids)
        else:
            ids = list(self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(word)))
        # Text without spaces has no piece for one before each word
        if len(ids) > 1 and is_unspaced(word[0]) and self.tokenizer.convert_ids_to_tokens(ids[0]) == BLANK:
            return ids[1:]
        return ids

    def embed(
        self, texts: Sequence[NDArray[np.int64]], *, batch_tokens: int, window: int | None = None
    ) -> torch.Tensor:
        """The vectors of all pieces of texts, one text behind the other, on the device where they were computed.

        A text beyond the model's position limit is read in overlapping windows, and each piece taken from the
        window in which it has more context around it.

        Args:
            texts: Piece ids of each, without special pieces: int64, (n_pieces of the text,).
            batch_tokens: Pieces a batch, padding included; on a GPU, 32 times as many.
            window: The most pieces to read at once, if that is fewer than the model can.

        Returns:
            float32, (n_pieces, dim).
        """
        import torch

        size = min(self.window, window or self.window)
        windows = [w for index, text in enumerate(texts) for w in windows_of(index, len(text), size)]
        starts = np.cumsum([0, *(len(text) for text in texts)])
        self._to_device()
        one_thread_after_fork()
        device = self.model.device
        result = torch.zeros((int(starts[-1]), self.dim), device=device)

        def run(batch: list[int]) -> None:
            """Fill in the vectors of the windows of these indices."""
            chosen = [windows[i] for i in batch]
            with torch.no_grad():
                hidden = self.forward([texts[w.text][w.start : w.end] for w in chosen])
            width = hidden.shape[1]
            places, rows = [], []
            for number, w in enumerate(chosen):
                first = number * width + len(self.prefix) + w.keep_from - w.start
                places.append(np.arange(first, first + w.keep_to - w.keep_from))
                rows.append(np.arange(starts[w.text] + w.keep_from, starts[w.text] + w.keep_to))
            place, row = (torch.from_numpy(np.concatenate(indices)).to(device) for indices in (places, rows))
            result.index_copy_(0, row, hidden.flatten(0, 1).index_select(0, place))

        extra = len(self.prefix) + len(self.suffix)
        budget = batch_tokens * (GPU_BATCH if device.type == "cuda" else 1)
        batches = batches_by_length([w.end - w.start + extra for w in windows], batch_tokens=budget)
        with without_cudnn_attention(device):
            run_side_by_side(run, batches, device=device)
        return result

    def forward(self, rows: Sequence[NDArray[np.integer]]) -> torch.Tensor:
        """Run one batch of texts, with special pieces around each.

        Returns:
            The layer's output, float32, (n_rows, length, dim).
        """
        import torch

        lengths = np.asarray([len(self.prefix) + len(row) + len(self.suffix) for row in rows])
        ids = np.full((len(rows), lengths.max()), self.pad, np.int64)
        for i, row in enumerate(rows):
            ids[i, : lengths[i]] = np.concatenate([self.prefix, row, self.suffix])
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        device = self.model.device
        output = self.model(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask.astype(np.int64)).to(device),
            output_hidden_states=True,
            return_dict=True,
        )
        return output.hidden_states[self.layer].float()

    def _to_device(self) -> None:
        import torch
        from thinc.api import get_torch_default_device

        device = get_torch_default_device()
        dtype = getattr(torch, precision_on(device, self.precision))
        if self.model.device != device or self.model.dtype != dtype:
            self.model.to(device=device, dtype=dtype)


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
    """Cut a text (its index and its pieces) into windows of so many pieces at most that overlap by a quarter."""
    if not length:
        return
    starts = list(range(0, max(1, length - size // 4), size - size // 4)) if length > size else [0]
    # The last one is as long as the others, for the sake of its context
    starts[-1] = max(0, length - size)
    ends = [min(start + size, length) for start in starts]
    cuts = [0, *((end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)), length]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        yield Window(text, start, end, cuts[i], cuts[i + 1])
