"""From soft alignments between word pieces to weights and links between tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..links import Alignment
from ..protocols import SoftAlignment

SYMMETRISATIONS = ("mean", "geometric", "intersection", "union", "grow-diag-final-and")
# Straight ones first
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


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
    """The links of all cells above a threshold; their scores are the weights.

    Args:
        weights: Weights between tokens: float, (n_source, n_target).
        threshold: Cells that are not greater than this give no link.
    """
    links = np.argwhere(weights > threshold)
    scores = weights[links[:, 0], links[:, 1]]
    return Alignment(links.astype(np.int32), scores.astype(np.float32))


def symmetrise(
    forward: NDArray[np.floating], backward: NDArray[np.floating], *, method: str, threshold: float
) -> Alignment:
    """Links from how both directions see a pair of texts.

    "mean" and "geometric" average the weights of both. The others take from each direction its best links, at most
    one for each target token of `forward` and one for each source token of `backward`, and keep those of both
    ("intersection") or of either ("union"), or begin with the former and add neighbours of links, and at last links
    between tokens that both have none, from the latter ("grow-diag-final-and"; Koehn, Och & Marcu 2003).

    Args:
        forward: For each target token (column) weights over the source tokens: float, (n_source, n_target).
        backward: For each source token (row) weights over the target tokens: float, (n_source, n_target).
        method: One of `SYMMETRISATIONS`.
        threshold: What the average, or the weight of each best link, must exceed.

    Returns:
        A score is the average: the geometric one for "geometric" and "intersection", else the mean.
    """
    if method == "geometric":
        return links_above(np.sqrt(forward * backward), threshold)
    mean = (forward + backward) / 2
    if method == "mean":
        return links_above(mean, threshold)
    there, back = _best(forward, threshold), _best(backward.T, threshold).T
    if method == "intersection":
        return _masked(np.sqrt(forward * backward), there & back)
    either = there | back
    return _masked(mean, either if method == "union" else _grow(there & back, either))


def _best(weights: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """The greatest cell of each column, where it exceeds the threshold."""
    best = np.zeros(weights.shape, bool)
    if weights.size:
        rows, columns = weights.argmax(axis=0), np.arange(weights.shape[1])
        best[rows, columns] = weights[rows, columns] > threshold
    return best


def _grow(links: NDArray[np.bool_], either: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add neighbours with a token that has no link yet, as long as there are any; then links of two such tokens."""
    links = links.copy()
    rows, columns = (np.asarray(links.any(axis=axis)) for axis in (1, 0))
    queue = [(int(i), int(j)) for i, j in np.argwhere(links)]
    m, n = links.shape
    for i, j in queue:
        for x, y in ((i + dx, j + dy) for dx, dy in _NEIGHBOURS):
            near = 0 <= x < m and 0 <= y < n and either[x, y] and not links[x, y]
            if near and not (rows[x] and columns[y]):
                links[x, y] = rows[x] = columns[y] = True
                # The list grows while it is gone through
                queue.append((x, y))
    for i, j in np.argwhere(either & ~links):
        if not (rows[i] or columns[j]):
            links[i, j] = rows[i] = columns[j] = True
    return links


def _masked(weights: NDArray[np.floating], mask: NDArray[np.bool_]) -> Alignment:
    return Alignment(np.argwhere(mask).astype(np.int32), weights[mask].astype(np.float32))


def _spans(spans: ArrayLike) -> NDArray[np.int64]:
    return np.asarray(spans, dtype=np.int64).reshape(-1, 2)


def _gather(
    weights: NDArray[np.floating], pieces: NDArray[np.int64], tokens: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add up the rows of pieces that lie in a token.

    Returns:
        The sums, float32, (n_tokens, n_columns), and how many pieces are in each, float32, (n_tokens,).
    """
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
    """Which piece has characters of which token, and which part of its characters that is.

    Returns:
        Piece, token and share: int64, int64 and float32, each (n,); the shares of a piece sum to 1.
    """
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
