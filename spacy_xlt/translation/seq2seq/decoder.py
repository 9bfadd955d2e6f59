"""A batch of sources, and the decoder of a sequence-to-sequence model with what it remembers of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Batch:
    """Sources to translate.

    sources (Sequence[int64, (n_source,)]): Their pieces, with all that the direction adds.
    forced (Sequence[Sequence[int]]): What each translation begins with.
    limits (int64, (n_batch,)): The most pieces of each translation, without those that are forced.
    start, pad (int): What the decoder starts with, and the padding.
    ends (tuple[int, ...]): The end marks.
    banned (tuple[int, ...]): Pieces that are never written.
    length_penalty (float): Of hypotheses of a beam, the log-probability over length to this power wins.
    """

    sources: Sequence[NDArray[np.int64]]
    forced: Sequence[Sequence[int]]
    limits: NDArray[np.int64]
    start: int
    pad: int
    ends: tuple[int, ...]
    banned: tuple[int, ...] = ()
    length_penalty: float = 1.0

    @property
    def n_forced(self) -> NDArray[np.int64]:
        """How many pieces are forced in each: int64, (n_batch,)."""
        return np.asarray([len(pieces) for pieces in self.forced], np.int64)

    def forced_at(self, step: int) -> NDArray[np.int64]:
        """The piece that each translation must have at a step, -1 for none: int64, (n_batch,)."""
        return np.asarray([pieces[step] if step < len(pieces) else -1 for pieces in self.forced], np.int64)


class Decoder:
    """The model's decoder with what it remembers of a batch.

    model: A transformers model with an encoder and a decoder.
    batch (Batch): The sources.
    copies (int): Rows for each source.
    """

    def __init__(self, model: Any, batch: Batch, *, copies: int = 1):
        self._model = model
        self._banned = torch.tensor(batch.banned, dtype=torch.long, device=model.device)
        ids, mask = pad_rows(batch.sources, batch.pad, model.device)
        hidden = model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state
        self._hidden = hidden.repeat_interleave(copies, dim=0)
        self._mask = mask.repeat_interleave(copies, dim=0)
        self._cache = _empty_cache(model)

    def step(self, pieces: torch.Tensor) -> torch.Tensor:
        """Write a piece to each row.

        pieces (int64, (n_rows,)): The pieces.
        RETURNS (float32, (n_rows, n_pieces)): Logits of what comes next.
        """
        from transformers.modeling_outputs import BaseModelOutput

        output = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self._hidden),
            attention_mask=self._mask,
            decoder_input_ids=pieces[:, None],
            past_key_values=self._cache,
            use_cache=True,
            return_dict=True,
        )
        self._cache = output.past_key_values
        logits = output.logits[:, -1].float()
        return logits.index_fill(1, self._banned, -torch.inf) if len(self._banned) else logits

    def select(self, rows: torch.Tensor) -> None:
        """Go on with some of the rows."""
        self._hidden, self._mask = self._hidden.index_select(0, rows), self._mask.index_select(0, rows)
        self._cache = _pick(self._cache, rows, own=True, crossed=True)

    def reorder(self, rows: torch.Tensor) -> None:
        """Have each row go on from another one of the same source."""
        self._cache = _pick(self._cache, rows, own=True, crossed=False)


def _empty_cache(model: Any) -> Any:
    """Of the kind that the model takes; None where it makes its own."""
    from transformers import DynamicCache, EncoderDecoderCache

    if not getattr(model, "_supports_cache_class", False):
        return None
    return EncoderDecoderCache(DynamicCache(), DynamicCache())


def _pick(cache: Any, rows: torch.Tensor, *, own: bool, crossed: bool) -> Any:
    """Choose rows of what a decoder remembers of its own pieces, and of the source."""
    if isinstance(cache, tuple):
        # As older models give it: for each layer, keys and values of its own and of the source
        wanted = (own, own, crossed, crossed)
        return tuple(
            tuple(t.index_select(0, rows) if w else t for t, w in zip(layer, wanted, strict=False)) for layer in cache
        )
    if own:
        cache.self_attention_cache.reorder_cache(rows)
    if crossed:
        cache.cross_attention_cache.reorder_cache(rows)
    return cache


def pad_rows(rows: Sequence[NDArray[np.int64]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as one tensor and its mask: int64, (n_rows, longest)."""
    lengths = np.asarray([len(row) for row in rows])
    ids = np.full((len(rows), max(1, lengths.max())), pad, np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
