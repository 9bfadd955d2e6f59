"""From soft alignments between word pieces to weights and links between tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..links import Alignment
from ..protocols import SoftAlignment


def token_weights(soft: SoftAlignment, source_spans: ArrayLike, target_spans: ArrayLike) -> NDArray[np.float32]:
    """How strongly each target token looks at each source token.

    A source token gets the sum of its pieces' weights, a target token the average over its pieces. A piece
    that reaches over several tokens is shared among them by characters; characters of no token (spaces)
    don't count.

    Args:
        soft: The weights between pieces.
        source_spans: Start and end of each source token in characters of the same text that the pieces are counted
            in; in order, not overlapping: int, (n_source, 2).
        target_spans: The same for the target: int, (n_target, 2).

    Returns:
        float32, (n_source, n_target). A column sums to 1 at most: what looks at the end mark belongs to no token.
        Tokens without pieces (white space, characters that the translator drops) have zeros.
    """
    source, target = _spans(source_spans), _spans(target_spans)
    rows, _ = _gather(soft.weights, _spans(soft.source_spans), source)
    columns, shares = _gather(rows.T, _spans(soft.target_spans), target)
    # Pieces that carry more than one token's text count for less in the average of each
    return np.ascontiguousarray((columns / np.maximum(shares, 1e-9)[:, None]).T, dtype=np.float32)


def links_above(weights: NDArray[np.floating], threshold: float) -> Alignment:
    """The links of all cells of weights between tokens, (n_source, n_target), that are greater than a threshold."""
    links = np.argwhere(weights > threshold)
    scores = weights[links[:, 0], links[:, 1]]
    return Alignment(links.astype(np.int32), scores.astype(np.float32))


def _spans(spans: ArrayLike) -> NDArray[np.int64]:
    return np.asarray(spans, dtype=np.int64).reshape(-1, 2)


def _gather(
    weights: NDArray[np.floating], pieces: NDArray[np.int64], tokens: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The sum of the rows of pieces that lie in each token, and how many those are."""
    sums = np.zeros((len(tokens), weights.shape[1]), np.float32)
    counts = np.zeros(len(tokens), np.float32)
    piece, token, share = _overlaps(pieces, tokens)
    if not len(piece):
        return sums, counts
    order = np.argsort(token, kind="stable")
    piece, token, share = piece[order], token[order], share[order]
    present, first = np.unique(token, return_index=True)
    sums[present] = np.add.reduceat(weights[piece] * share[:, None], first, axis=0)
    counts[present] = np.add.reduceat(share, first)
    return sums, counts


def _overlaps(
    pieces: NDArray[np.int64], tokens: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Which piece has characters of which token, and which part of its characters that is: piece, token, share."""
    first = np.searchsorted(tokens[:, 1], pieces[:, 0], side="right")
    last = np.searchsorted(tokens[:, 0], pieces[:, 1], side="left")
    counts = np.maximum(last - first, 0)
    piece = np.repeat(np.arange(len(pieces)), counts)
    within = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
    token = first[piece] + within
    ends = np.minimum(pieces[piece, 1], tokens[token, 1])
    shared = ends - np.maximum(pieces[piece, 0], tokens[token, 0])
    # Empty pieces and empty tokens share nothing
    real = shared > 0
    piece, token, shared = piece[real], token[real], shared[real]
    total = np.bincount(piece, weights=shared, minlength=len(pieces))
    return piece, token, (shared / total[piece]).astype(np.float32)
