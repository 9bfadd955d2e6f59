"""From soft alignments between word pieces to weights and links between tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..links import Alignment
from ..protocols import SoftAlignment

# Cells of the largest matrix of a pair, and of one with more the tokens of the longer side that are compared at once
_CELLS, _WINDOW = 1 << 22, 512


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
    pieces = _spans(soft.source_spans), _spans(soft.target_spans)
    return _weights(soft.weights, *pieces, source, target, _shares(pieces[1], target))


def token_links(
    soft: SoftAlignment,
    source_spans: NDArray[np.int64],
    target_spans: NDArray[np.int64],
    threshold: float,
    *,
    at: tuple[int, int] = (0, 0),
) -> Alignment:
    """The links of all cells of `token_weights` that are greater than a threshold.

    Takes the time and the memory of what looks at each other: those of a long text's parts, not of the whole.

    Args:
        soft: As for `token_weights`.
        source_spans: As for `token_weights`; there may be tokens before and behind what the pieces are of.
        target_spans: The same for the target.
        threshold: What a weight must exceed.
        at: Where the text of the pieces starts in the text of the tokens, on either side.
    """
    pieces = _spans(soft.source_spans) + at[0], _spans(soft.target_spans) + at[1]
    first, end = _touched(pieces[1], target_spans)
    shares = _shares(pieces[1], target_spans[first:end])
    links, scores = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    i = j = 0
    for block in soft.blocks:
        of_block = pieces[0][i : i + block.shape[0]], pieces[1][j : j + block.shape[1]]
        i, j = i + block.shape[0], j + block.shape[1]
        (a, b), (c, d) = _touched(of_block[0], source_spans), _touched(of_block[1], target_spans)
        if a == b or c == d:
            continue
        weights = _weights(block, *of_block, source_spans[a:b], target_spans[c:d], shares[c - first : d - first])
        kept = weights > threshold
        # Where a token of each side was cut in two, the next part has more of the same cell
        kept[0, 0] = kept[-1, -1] = True
        links.append(np.argwhere(kept) + (a, c))
        scores.append(weights[kept])
    cells, of_cell = np.unique(np.concatenate(links), axis=0, return_inverse=True)
    totals = np.zeros(len(cells), np.float32)
    np.add.at(totals, of_cell.reshape(-1), np.concatenate(scores))
    return Alignment(cells[totals > threshold].astype(np.int32), totals[totals > threshold])


def links_above(weights: NDArray[np.floating], threshold: float) -> Alignment:
    """The links of all cells of weights between tokens, (n_source, n_target), that are greater than a threshold."""
    links = np.argwhere(weights > threshold)
    scores = weights[links[:, 0], links[:, 1]]
    return Alignment(links.astype(np.int32), scores.astype(np.float32))


def _spans(spans: ArrayLike) -> NDArray[np.int64]:
    return np.asarray(spans, dtype=np.int64).reshape(-1, 2)


def _touched(pieces: NDArray[np.int64], tokens: NDArray[np.int64]) -> tuple[int, int]:
    """The tokens `[first, end)` from the first to the last that has characters in a piece."""
    real = pieces[pieces[:, 0] < pieces[:, 1]]
    if not len(real):
        return 0, 0
    first = int(np.searchsorted(tokens[:, 1], real[:, 0].min(), side="right"))
    return first, max(first, int(np.searchsorted(tokens[:, 0], real[:, 1].max(), side="left")))


def _shares(pieces: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """How many pieces lie in each token; one that reaches over several counts in part."""
    return _gather(np.zeros((len(pieces), 0), np.float32), pieces, tokens)[1]


def _weights(
    weights: NDArray[np.floating],
    source_pieces: NDArray[np.int64],
    target_pieces: NDArray[np.int64],
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    shares: NDArray[np.float32],
) -> NDArray[np.float32]:
    """As `token_weights`, with the shares of the target tokens given."""
    rows, _ = _gather(weights, source_pieces, source)
    columns, _ = _gather(rows.T, target_pieces, target)
    # Pieces that carry more than one token's text count for less in the average of each
    return np.ascontiguousarray((columns / np.maximum(shares, 1e-9)[:, None]).T, dtype=np.float32)


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


@dataclass(frozen=True)
class Window:
    """A part of a given pair that is run at once: which pair, and ranges of its pieces."""

    pair: int
    source: slice
    target: slice

    @property
    def length(self) -> int:
        """Pieces of its longer side."""
        return max(self.source.stop - self.source.start, self.target.stop - self.target.start)


def windows_of(pair: int, n_source: int, n_target: int, *, limit: int) -> list[Window]:
    """Cut a given pair that is longer than `limit` pieces on one side.

    Each part of the target goes with the part of the source at the same relative place and half as much again on
    either side of it. Together the windows cover every target piece once.
    """
    longer = max(n_source, n_target)
    if longer <= limit:
        return [Window(pair, slice(0, n_source), slice(0, n_target))]
    n_parts = -(-2 * longer // limit)
    windows = []
    for k in range(n_parts):
        target = slice(k * n_target // n_parts, (k + 1) * n_target // n_parts)
        start = max(0, (2 * k - 1) * n_source // (2 * n_parts))
        stop = min(n_source, -(-(2 * k + 3) * n_source // (2 * n_parts)))
        # An empty target has its end mark
        if target.start < target.stop or k == n_parts - 1:
            windows.append(Window(pair, slice(start, stop), target))
    return windows


def windows_of_large(n_source: int, n_target: int) -> list[Window]:
    """The parts of a pair that are compared at once: all of it, or windows where its matrix would be large."""
    longer = max(n_source, n_target)
    return windows_of(0, n_source, n_target, limit=longer if n_source * n_target <= _CELLS else _WINDOW)
