"""The links that objectives learn from where sentence pairs have none: an encoder's own, before it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..alignment.word_vectors import TextVectors, link_pairs
from ..links import Alignment
from .link_loss import rows_of
from .model import AdaptedModel, Side

# Sentence pairs whose links are looked for at once
_CHUNK = 512
# Pieces of a batch then, padding counted
_BATCH = 2048


def linked_rows(
    model: AdaptedModel,
    sides: Sequence[tuple[Side, Side]],
    links: Sequence[Alignment | None],
    *,
    temperature: float = 0.05,
    threshold: float = 0.3,
) -> list[NDArray[np.int32]]:
    """Find the rows of linked words, among those of the words that have pieces.

    Args:
        model: Links the words of pairs without links.
        sides: Sentence pairs as pieces.
        links: Of each pair, or None.
        temperature: What the cosines are divided by, as in `EmbeddingAligner`.
        threshold: What a link of the encoder's own must exceed; it must also be the best one of both words.

    Returns:
        Row of the source and row of the translation, for each pair: int32, (n, 2).
    """
    result: list[Any] = list(links)
    for i, (given, (source, target)) in enumerate(zip(links, sides, strict=True)):
        if given is not None:
            result[i] = rows_of(given, np.unique(source[1]), np.unique(target[1])).astype(np.int32)
    unlinked = [i for i, given in enumerate(links) if given is None]
    for start in range(0, len(unlinked), _CHUNK):
        chunk = unlinked[start : start + _CHUNK]
        ids, owners = zip(*(side for i in chunk for side in sides[i]), strict=True)
        vectors = model.encoder.embed(ids, batch_tokens=_BATCH)
        words = TextVectors(vectors, owners).averaged().centred().normalised()
        indices = [(2 * k, 2 * k + 1) for k in range(len(chunk))]
        found = link_pairs(words, indices, method="softmax", temperature=temperature, threshold=threshold)
        for i, (rows, scores) in zip(chunk, found, strict=True):
            result[i] = _mutual(rows, scores)
    return result


def _mutual(links: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The links that are the best one of both rows."""
    best = np.zeros((2, int(links.max(initial=0)) + 1), np.float32)
    for side in (0, 1):
        np.maximum.at(best[side], links[:, side], scores)
    return links[(scores == best[0, links[:, 0]]) & (scores == best[1, links[:, 1]])].astype(np.int32)
