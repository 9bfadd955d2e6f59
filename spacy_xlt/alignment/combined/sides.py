"""What signals need to know of sentences, from an encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...protocols import Tokens
from ..encoder import Encoder
from .batch import Side
from .signals import LAYERS

Pieces = Mapping[str, Sequence[int]]


def embed(
    encoder: Encoder, texts: list[NDArray[np.int64]], *, batch_tokens: int, window: int | None = None
) -> list[NDArray[np.float32]]:
    """The vectors of pieces, those of all layers side by side: (n_pieces, n_layers * dim)."""
    stacked = encoder.embed(texts, batch_tokens=batch_tokens, layers=LAYERS, window=window)
    return [np.concatenate(list(vectors), axis=1) for vectors in stacked]


def sides_of(
    encoder: Encoder, texts: Sequence[Tokens], pieces: Pieces, *, batch_tokens: int
) -> dict[tuple[str, ...], Side]:
    """Read sentences, none longer than the model reads at once.

    pieces (Pieces): The piece ids of each of their words.
    RETURNS (dict[tuple[str], Side]): For each distinct sentence.
    """
    distinct = dict.fromkeys(tuple(tokens) for tokens in texts)
    ids = [np.asarray([piece for word in tokens for piece in pieces[word]], np.int64) for tokens in distinct]
    vectors = embed(encoder, ids, batch_tokens=batch_tokens)
    return {tokens: side_of(encoder, tokens, pieces, v) for tokens, v in zip(distinct, vectors, strict=True)}


def side_of(encoder: Encoder, tokens: Tokens, pieces: Pieces, vectors: NDArray[np.float32]) -> Side:
    """One sentence, from the vectors of its pieces.

    vectors (float32, (n_pieces, n_layers * dim)): As `embed` gives them.
    """
    counts = np.asarray([len(pieces[token]) for token in tokens], np.int64)
    words = np.flatnonzero(counts)
    means = np.zeros((len(tokens), vectors.shape[1]), np.float32)
    if len(words):
        starts = np.cumsum(counts[words]) - counts[words]
        means[words] = np.add.reduceat(vectors, starts, axis=0) / counts[words, None]
        # As if there were two zero vectors more, so that the only word of a sentence keeps its direction
        means[words] -= means.sum(axis=0) / np.float32(len(words) + 2)
    layers = means.reshape(len(tokens), len(LAYERS), -1)
    norms = np.sqrt(np.einsum("wld,wld->wl", layers, layers))
    directions = layers / np.where(norms > 0, norms, np.float32(1))[:, :, None]
    top = np.log(encoder.model.config.vocab_size)
    rarity = [np.log1p(pieces[w][0]) / top if len(pieces[w]) == 1 else 1.0 for w in tokens]
    by_layer = {layer: np.ascontiguousarray(directions[:, k], np.float32) for k, layer in enumerate(LAYERS)}
    return Side(tokens, by_layer, counts, np.asarray(rarity, np.float32))
