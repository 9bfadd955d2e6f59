"""Aligning pairs that are longer than the model reads at once: which sentences correspond, and links within them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..links import Alignment
from ..protocols import TokenPair
from ..tokens import has_text

if TYPE_CHECKING:
    import torch

    from .word_vectors import TextVectors

# What ends a sentence, and what may follow before the next one starts
_FINAL = frozenset(".!?…。！？｡؟۔।॥።፧෴။๏᙮")
_CLOSING = "\"'”’»›)]}」』】〉》）"
# The longest sentence that is a unit, and the units that a longer one is cut into, in words
_SENTENCE, _UNIT = 64, 8
# How many units of either side one bead may join
_MOVES = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1))
# What joining one more unit to a bead must gain
_JOIN = 1.0
# Units between two beads that are compared with each other all the same
_GAP = 8
# What makes the diagonal win where everything else is equal, per word and share of the text
_PRIOR = 1e-3
# Pieces of either side that are held in memory at a time
_HELD = 8192
# Of what is held, the part whose beads are taken; those behind it lack what follows
_TAKEN = 0.75
# What is no sentence by its length is read in windows of so many pieces: in wider ones words are less like their
# translations, and those of other sentences are more like them
_READ = 128


# Gives the vectors of texts from their piece ids, one text behind the other: (n_pieces, dim)
Embed = Callable[..., "torch.Tensor"]
# Gives the links of pairs of texts, whose vectors are those of pieces
Link = Callable[["TextVectors", Sequence[tuple[int, int]]], list[Alignment]]


class Unit(NamedTuple):
    """A sentence, or a part of a long one: words `[start, end)`; closed where a sentence ends with it."""

    start: int
    end: int
    closed: bool


class Bead(NamedTuple):
    """Units of the source `[source_start, source_end)` that correspond to units of the target."""

    source_start: int
    source_end: int
    target_start: int
    target_end: int


class Block(NamedTuple):
    """Word ranges to compare with each other; only the links of source words in `keep` count."""

    source: tuple[int, int]
    target: tuple[int, int]
    keep: tuple[int, int]


def align_long(pair: TokenPair, pieces: Mapping[str, Sequence[int]], *, embed: Embed, link: Link) -> Alignment:
    """Find the sentences that correspond, and link words within them. Each sentence is read by itself.

    A stretch of both texts is in memory at a time; where its sentences correspond, the next one starts.

    Args:
        pair: Source and target tokens.
        pieces: The piece ids of each token.
        embed: Gives the vectors of texts.
        link: Gives the links between the words of texts.
    """
    units = [units_of(tokens) for tokens in pair]
    sizes = [[len(pieces[word]) for word in tokens] for tokens in pair]
    parts: list[Alignment] = []
    at = [0, 0]
    while at[0] < len(units[0]) and at[1] < len(units[1]):
        held = [_held(side, counts, start) for side, counts, start in zip(units, sizes, at, strict=True)]
        vectors = _embed(pair, held, pieces, embed)
        beads = _beads(vectors, held)
        at_end = [start + len(part) == len(side) for start, part, side in zip(at, held, units, strict=True)]
        taken = sum(
            (at_end[0] or bead.source_end <= _TAKEN * len(held[0]))
            and (at_end[1] or bead.target_end <= _TAKEN * len(held[1]))
            for bead in beads
        )
        parts.extend(_link_blocks(list(blocks_of(beads, *held))[:taken], held, vectors, link))
        if all(at_end):
            break
        last = beads[taken - 1] if taken else Bead(0, -(-len(held[0]) // 2), 0, -(-len(held[1]) // 2))
        at = [at[0] + last.source_end, at[1] + last.target_end]
    return Alignment.concatenate(parts)


def _held(units: Sequence[Unit], sizes: Sequence[int], start: int) -> Sequence[Unit]:
    """As many units from one on as are held at a time, one at least."""
    end, n_pieces = start, 0
    while end < len(units):
        n_pieces += sum(sizes[units[end].start : units[end].end])
        if end > start and n_pieces > _HELD:
            break
        end += 1
    return units[start:end]


def _embed(
    pair: TokenPair, held: Sequence[Sequence[Unit]], pieces: Mapping[str, Sequence[int]], embed: Embed
) -> TextVectors:
    """The vectors of the pieces of both sides, as two texts; each sentence is read by itself."""
    from .word_vectors import TextVectors

    texts, words = [], []
    for tokens, units in zip(pair, held, strict=True):
        first, end = units[0].start, units[-1].end
        cuts = sorted({first, end, *(unit.end for unit in units if unit.closed)})
        texts += [
            np.asarray([piece for word in tokens[a:b] for piece in pieces[word]], np.int64)
            for a, b in zip(cuts, cuts[1:], strict=False)
        ]
        words.append(np.repeat(np.arange(end - first), [len(pieces[word]) for word in tokens[first:end]]))
    return TextVectors(embed(texts, window=_READ), words)


def _beads(vectors: TextVectors, held: Sequence[Sequence[Unit]]) -> list[Bead]:
    directions = vectors.averaged().centred().normalised()
    sides, starts = [], []
    for side, units in enumerate(held):
        first = directions.starts[side]
        rows = directions.vectors[first : first + directions.lengths[side]].cpu().numpy()
        # Words without pieces have zeros
        matrix = np.zeros((units[-1].end - units[0].start, rows.shape[1]), np.float32)
        matrix[directions.words[side]] = rows
        sides.append(matrix)
        starts.append([unit.start - units[0].start for unit in units])
    beads = find_beads(sides[0], sides[1], starts[0], starts[1])
    return fill_gaps(beads, len(held[0]), len(held[1]))


def _link_blocks(
    blocks: Sequence[Block], held: Sequence[Sequence[Unit]], vectors: TextVectors, link: Link
) -> list[Alignment]:
    """The links of blocks, as tokens of the whole texts."""
    first = [units[0].start for units in held]
    parts = [(0, a - first[0], b - first[0]) for (a, b), _, _ in blocks]
    parts += [(1, a - first[1], b - first[1]) for _, (a, b), _ in blocks]
    alignments = link(vectors.cut(parts), [(i, i + len(blocks)) for i in range(len(blocks))])
    result = []
    for (source, target, keep), alignment in zip(blocks, alignments, strict=True):
        kept = alignment.between((keep[0] - source[0], keep[1] - source[0]), (0, target[1] - target[0]))
        result.append(kept.shift(keep[0], target[0]))
    return result


def units_of(tokens: Sequence[str]) -> list[Unit]:
    """Cut a text behind final punctuation and line breaks, and where a sentence is long also within it."""
    ends = {i + 1 for i, token in enumerate(tokens) if _ends_sentence(token)} | {len(tokens)}
    units: list[Unit] = []
    start = 0
    for end in sorted(ends - {0}):
        parts = 1 if end - start <= _SENTENCE else -(-(end - start) // _UNIT)
        cuts = [start + (end - start) * part // parts for part in range(parts + 1)]
        units.extend(Unit(a, b, b == end) for a, b in zip(cuts, cuts[1:], strict=False))
        start = end
    return units


def _ends_sentence(token: str) -> bool:
    if not has_text(token):
        return "\n" in token
    return token.rstrip(_CLOSING)[-1:] in _FINAL


def find_beads(
    source: NDArray[np.float32], target: NDArray[np.float32], source_starts: Sequence[int], target_starts: Sequence[int]
) -> list[Bead]:
    """Align units in order, one to one, one to several, several to one or to none.

    A bead gains by how much more like the best word of the other unit a word is than like the best words of all other
    units. Dynamic programming finds the path with the greatest gain. The idea of sentence alignment by vectors is that
    of Thompson & Koehn 2019 (Vecalign); the score is not theirs.

    Args:
        source: Unit vectors of words, zeros where a word has none: float32, (n_source, dim).
        target: The same: float32, (n_target, dim).
        source_starts: The first word of each unit; none is empty.
        target_starts: The same.

    Returns:
        In order, and not overlapping. Units in none correspond to nothing.
    """
    forward, backward = _best_of_units(source, target, source_starts, target_starts)
    sizes = len(source_starts), len(target_starts)
    rows = {n: _gain(forward, n, source_starts) for n in (1, 2, 3) if n <= sizes[1]}
    columns = {n: _gain(backward.T, n, target_starts).T for n in (1, 2, 3) if n <= sizes[0]}
    prior = _PRIOR * np.abs(np.linspace(0, 1, sizes[0])[:, None] - np.linspace(0, 1, sizes[1]))
    gains = {
        (k, n): _sum_of(rows[n], k, axis=0)
        + _sum_of(columns[k], n, axis=1)
        - prior[: sizes[0] - k + 1, : sizes[1] - n + 1]
        - _JOIN * (k + n - 2)
        for k, n in _MOVES
        if k <= sizes[0] and n <= sizes[1]
    }
    return _best_path(gains, *sizes)


def _best_of_units(
    source: NDArray[np.float32], target: NDArray[np.float32], source_starts: Sequence[int], target_starts: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How like the most similar word of each unit of the other side a word is.

    float32, (n_source, target units), and float32, (source units, n_target).
    """
    forward = np.empty((len(source), len(target_starts)), np.float32)
    backward = np.empty((len(source_starts), len(target)), np.float32)
    ends = [*source_starts[1:], len(source)]
    for row, (start, end) in enumerate(zip(source_starts, ends, strict=True)):
        block = source[start:end] @ target.T
        forward[start:end] = np.maximum.reduceat(block, target_starts, axis=1)
        backward[row] = block.max(axis=0)
    return forward, backward


def _gain(best: NDArray[np.float32], joined: int, starts: Sequence[int]) -> NDArray[np.float32]:
    """Summed over the words of a unit: likeness to so many neighbouring units, beyond that to any."""
    width = best.shape[1] - joined + 1
    together = np.maximum.reduce([best[:, i : i + width] for i in range(joined)])
    beyond = together - together.mean(axis=1, keepdims=True)
    return np.add.reduceat(beyond, starts, axis=0)


def _sum_of(values: NDArray[np.float32], n: int, *, axis: int) -> NDArray[np.float32]:
    """Sums of n neighbours."""
    length = values.shape[axis] - n + 1
    return np.add.reduce([values.take(range(i, i + length), axis=axis) for i in range(n)])


def _best_path(gains: dict[tuple[int, int], NDArray[np.float64]], n: int, m: int) -> list[Bead]:
    """The monotone path with the greatest gain, of the gains of beads that start at (row, column) by move.

    Leaving units out is free.
    """
    total = np.zeros((n + 1, m + 1))
    # -1: the source unit is left out
    move = np.full((n + 1, m + 1), -1, np.int8)
    # The column from which units of the target are left out up to here
    came_from = np.tile(np.arange(m + 1), (n + 1, 1))
    for row in range(1, n + 1):
        best = total[row - 1].copy()
        for (k, width), gain in gains.items():
            if k > row:
                continue
            reached = total[row - k, : m + 1 - width] + gain[row - k]
            better = reached > best[width:]
            best[width:][better] = reached[better]
            move[row, width:][better] = _MOVES.index((k, width))
        total[row] = np.maximum.accumulate(best)
        came_from[row] = np.maximum.accumulate(np.where(best >= total[row], np.arange(m + 1), 0))
    return _walk_back(move, came_from)


def _walk_back(move: NDArray[np.int8], came_from: NDArray[np.int64]) -> list[Bead]:
    beads = []
    row, column = (size - 1 for size in move.shape)
    while row and column:
        column = int(came_from[row, column])
        number = move[row, column]
        if number < 0:
            row -= 1
            continue
        k, width = _MOVES[number]
        beads.append(Bead(row - k, row, column - width, column))
        row, column = row - k, column - width
    return beads[::-1]


def fill_gaps(beads: Sequence[Bead], n: int, m: int) -> list[Bead]:
    """Add what lies between two beads or behind the last, where there is something, and not much, on both sides.

    Args:
        n: Units of the source.
        m: Units of the target.
    """
    filled: list[Bead] = []
    row = column = 0
    for bead in [*beads, Bead(n, n, m, m)]:
        if 0 < bead.source_start - row <= _GAP and 0 < bead.target_start - column <= _GAP:
            filled.append(Bead(row, bead.source_start, column, bead.target_start))
        if bead.source_start < bead.source_end:
            filled.append(bead)
        row, column = bead.source_end, bead.target_end
    return filled


def blocks_of(beads: Sequence[Bead], source: Sequence[Unit], target: Sequence[Unit]) -> Iterator[Block]:
    """The words of each bead, and where a bead ends within a sentence also those of its neighbour."""
    for i, bead in enumerate(beads):
        first = beads[i - 1] if i and _is_open(beads[i - 1], source, target) else bead
        last = beads[i + 1] if i + 1 < len(beads) and _is_open(bead, source, target) else bead
        yield Block(
            source=(source[first.source_start].start, source[last.source_end - 1].end),
            target=(target[first.target_start].start, target[last.target_end - 1].end),
            keep=(source[bead.source_start].start, source[bead.source_end - 1].end),
        )


def _is_open(bead: Bead, source: Sequence[Unit], target: Sequence[Unit]) -> bool:
    """Whether a sentence of either side goes on behind a bead."""
    return not (source[bead.source_end - 1].closed and target[bead.target_end - 1].closed)
