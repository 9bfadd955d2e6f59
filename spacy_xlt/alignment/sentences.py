"""Which sentences of two texts correspond, and which of their words to compare with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..tokens import has_text, is_symbol

# What ends a sentence, and what may follow before the next one starts: by itself, or at the end of a word
_FINAL = frozenset(".!?…。！？｡؟۔।॥።፧෴။๏᙮")
_CLOSING = "”’»›)]}」』】〉》）"
_CLOSING_AT_WORDS = _CLOSING + "\"'“‘«‹"
# The longest sentence that is a unit, and the units that a longer one is cut into, in words
_SENTENCE, _UNIT = 128, 8
# What has no more words is no sentence: "Mr."
_SHORT = 2
# How many units of either side one bead may join
_MOVES = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1))
# What joining one more unit to a bead must gain
_JOIN = 1.0
# How much more like a unit than like the rest of a bead the words of its other side must be for each word of the unit
_EXTEND = 0.08
# Units between two beads that are compared with each other all the same
_GAP = 8
# What makes the diagonal win where everything else is equal, per word and share of the text
_PRIOR = 1e-3
# What any bead gains, so that sentences which are all alike correspond, in spite of the above and of rounding
_MATCH = 0.01
# Parts of long sentences that are read together, in words
_TOGETHER = 32


class Unit(NamedTuple):
    """A sentence, or a part of a long one: words `[start, end)`; closed where a sentence ends with it."""

    start: int
    end: int
    closed: bool


class Bead(NamedTuple):
    """Units of the source `[source_start, source_end)` that correspond to units of the target.

    Where crossed, two units of either side, the first of one to the second of the other.
    """

    source_start: int
    source_end: int
    target_start: int
    target_end: int
    crossed: bool = False


class Block(NamedTuple):
    """Word ranges to compare with each other; only the links of source words in `keep` count."""

    bead: Bead
    source: tuple[int, int]
    target: tuple[int, int]
    keep: tuple[int, int]


def units_of(tokens: Sequence[str]) -> list[Unit]:
    """Cut a text behind final punctuation and line breaks, and where a sentence is long also within it."""
    units: list[Unit] = []
    start = 0
    for end in _sentence_ends(tokens):
        parts = 1 if end - start <= _SENTENCE else -(-(end - start) // _UNIT)
        cuts = [start + (end - start) * part // parts for part in range(parts + 1)]
        units.extend(Unit(a, b, b == end) for a, b in zip(cuts, cuts[1:], strict=False))
        start = end
    return units


def _sentence_ends(tokens: Sequence[str]) -> Iterator[int]:
    """Behind which tokens sentences end; what is too short to be one goes with the next."""
    # Where full stops are tokens of their own, those at words are of abbreviations
    apart = "." in tokens
    start = 0
    for i in range(1, len(tokens)):
        if i - start <= _SHORT or tokens[i][:1].islower() or _is_closing(tokens, i, start):
            continue
        last = i - 2 if _is_closing(tokens, i - 1, start) else i - 1
        if _ends_sentence(tokens[last], apart):
            yield i
            start = i
    if tokens:
        yield len(tokens)


def _is_closing(tokens: Sequence[str], i: int, start: int) -> bool:
    """Whether a token is nothing but what closes a quotation or a bracket of its sentence, which has that start."""
    token = tokens[i]
    if token == '"':
        return tokens[start:i].count(token) % 2 == 1
    return has_text(token) and not token.strip(_CLOSING)


def _ends_sentence(token: str, apart: bool) -> bool:
    if not has_text(token):
        return "\n" in token
    return token.rstrip(_CLOSING_AT_WORDS)[-1:] in _FINAL and (is_symbol(token) or not apart)


def find_beads(
    source: NDArray[np.float32], target: NDArray[np.float32], source_starts: Sequence[int], target_starts: Sequence[int]
) -> list[Bead]:
    """Align units in order, one to one, one to several, several to one or to none; two neighbours may be exchanged.

    A bead gains by how much more like the best word of the other unit a word is than like the best words of all other
    units. Dynamic programming finds the path with the greatest gain. The idea of sentence alignment by vectors is that
    of Thompson & Koehn 2019 (Vecalign); the score is not theirs.

    Args:
        source: Unit vectors of words, zeros where a word has none: float32, (n_source, dim).
        target: The same: float32, (n_target, dim).
        source_starts: The first word of each unit; none is empty.
        target_starts: The same.

    Returns:
        In order, and not overlapping. What is left out between two beads is one, where there is something on both
        sides and not much, and goes with a neighbour where words of the other side are more like it. Units in none
        correspond to nothing.
    """
    forward, backward = _best_of_units(source, target, source_starts, target_starts)
    sizes = len(source_starts), len(target_starts)
    rows = {n: _gain(forward, n, source_starts) for n in (1, 2, 3) if n <= sizes[1]}
    columns = {n: _gain(backward.T, n, target_starts).T for n in (1, 2, 3) if n <= sizes[0]}
    prior = _PRIOR * np.abs(np.linspace(0, 1, sizes[0])[:, None] - np.linspace(0, 1, sizes[1]))
    gains = {
        (k, n, False): _sum_of(rows[n], k, axis=0)
        + _sum_of(columns[k], n, axis=1)
        - prior[: sizes[0] - k + 1, : sizes[1] - n + 1]
        - _JOIN * (k + n - 2)
        + _MATCH
        for k, n in _MOVES
        if k <= sizes[0] and n <= sizes[1]
    }
    if min(sizes) > 1:
        single = gains[1, 1, False]
        gains[2, 2, True] = single[:-1, 1:] + single[1:, :-1] - _JOIN
    beads = fill_gaps(_best_path(gains, *sizes), *sizes)
    starts = [*source_starts, len(source)], [*target_starts, len(target)]
    beads = _extended(beads, backward, *starts)
    return _transposed(_extended(_transposed(beads), forward.T, *starts[::-1]))


def _transposed(beads: Sequence[Bead]) -> list[Bead]:
    return [Bead(c, d, a, b, crossed) for a, b, c, d, crossed in beads]


def _extended(
    beads: Sequence[Bead], best: NDArray[np.float32], source_starts: Sequence[int], target_starts: Sequence[int]
) -> list[Bead]:
    """Add to each bead the units of the source before and behind it that words of its target are more like.

    Args:
        best: How like the most similar word of each unit of the source a word is: float32, (source units, n_target).
        source_starts: The first word of each unit of the source, and the end of the last one.
        target_starts: The same.
    """
    result = list(beads)
    for i, bead in enumerate(beads):
        if bead.crossed:
            continue
        start, end = bead.source_start, bead.source_end
        words = slice(target_starts[bead.target_start], target_starts[bead.target_end])
        own = best[start:end, words].max(axis=0)

        def gains(unit: int, words: slice = words, own: NDArray[np.float32] = own) -> bool:
            gained = np.maximum(best[unit, words] - own, 0).sum()
            return bool(gained > _EXTEND * (source_starts[unit + 1] - source_starts[unit]))

        first = result[i - 1].source_end if i else 0
        last = beads[i + 1].source_start if i + 1 < len(beads) else len(source_starts) - 1
        while start > first and gains(start - 1):
            start -= 1
        while end < last and gains(end):
            end += 1
        result[i] = bead._replace(source_start=start, source_end=end)
    return result


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


def _best_path(gains: dict[tuple[int, int, bool], NDArray[np.float64]], n: int, m: int) -> list[Bead]:
    """The monotone path with the greatest gain, of the gains of beads that start at (row, column) by move.

    Leaving units out is free.
    """
    total = np.zeros((n + 1, m + 1))
    moves = list(gains)
    # -1: the source unit is left out
    move = np.full((n + 1, m + 1), -1, np.int8)
    # The column from which units of the target are left out up to here
    came_from = np.tile(np.arange(m + 1), (n + 1, 1))
    for row in range(1, n + 1):
        best = total[row - 1].copy()
        for number, ((k, width, _), gain) in enumerate(gains.items()):
            if k > row:
                continue
            reached = total[row - k, : m + 1 - width] + gain[row - k]
            better = reached > best[width:]
            best[width:][better] = reached[better]
            move[row, width:][better] = number
        total[row] = np.maximum.accumulate(best)
        came_from[row] = np.maximum.accumulate(np.where(best >= total[row], np.arange(m + 1), 0))
    return _walk_back(moves, move, came_from)


def _walk_back(
    moves: Sequence[tuple[int, int, bool]], move: NDArray[np.int8], came_from: NDArray[np.int64]
) -> list[Bead]:
    beads = []
    row, column = (size - 1 for size in move.shape)
    while row and column:
        column = int(came_from[row, column])
        number = move[row, column]
        if number < 0:
            row -= 1
            continue
        k, width, crossed = moves[number]
        beads.append(Bead(row - k, row, column - width, column, crossed))
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
    """The words of each bead, those within a long sentence several at once and with a neighbour on either side."""
    beads = [single for bead in beads for single in _uncrossed(bead)]
    first = 0
    while first < len(beads):
        last = first
        while (
            last + 1 < len(beads)
            and _is_open(beads[last], source, target)
            and source[beads[last + 1].source_end - 1].end - source[beads[first].source_start].start <= _TOGETHER
        ):
            last += 1
        before = beads[first - 1] if first and _is_open(beads[first - 1], source, target) else beads[first]
        behind = beads[last + 1] if last + 1 < len(beads) and _is_open(beads[last], source, target) else beads[last]
        bead = Bead(
            beads[first].source_start, beads[last].source_end, beads[first].target_start, beads[last].target_end
        )
        yield Block(
            bead,
            source=(source[before.source_start].start, source[behind.source_end - 1].end),
            target=(target[before.target_start].start, target[behind.target_end - 1].end),
            keep=(source[bead.source_start].start, source[bead.source_end - 1].end),
        )
        first = last + 1


def _uncrossed(bead: Bead) -> list[Bead]:
    """The two beads of a crossed one."""
    if not bead.crossed:
        return [bead]
    i, _, j, _, _ = bead
    return [Bead(i, i + 1, j + 1, j + 2), Bead(i + 1, i + 2, j, j + 1)]


def _is_open(bead: Bead, source: Sequence[Unit], target: Sequence[Unit]) -> bool:
    """Whether a sentence of either side goes on behind a bead."""
    return not (source[bead.source_end - 1].closed and target[bead.target_end - 1].closed)
