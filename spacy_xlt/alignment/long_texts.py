"""Linking texts of any length: sentences that correspond are found first, and words linked within them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..links import Alignment
from ..protocols import TokenPair
from .sentences import Bead, Block, Unit, blocks_of, find_beads, units_of

if TYPE_CHECKING:
    import torch

    from .word_vectors import TextVectors

# Pieces of either side of a pair that are held in memory at a time
_HELD = 8192
# Of what is held, the part whose links are taken; what is behind it lacks what follows
_TAKEN = 0.75
# Sentences are looked for in windows of so many pieces: in wider ones words are less like their translations, and
# those of other sentences are more like them
_READ = 128

# Gives the vectors of texts from their piece ids, one text behind the other: (n_pieces, dim)
Embed = Callable[..., "torch.Tensor"]
# Gives the links of pairs of texts, whose vectors are those of pieces
Link = Callable[["TextVectors", Sequence[tuple[int, int]]], list[Alignment]]
# The tokens of what is read at once
Text = tuple[str, ...]


class Side(NamedTuple):
    """As much of a text as is in memory at a time: tokens from `start` on, and units counted from there."""

    tokens: Text
    units: list[Unit]
    start: int
    at_end: bool


class Stretch(NamedTuple):
    """Both sides of a pair, given by its number."""

    pair: int
    source: Side
    target: Side


class Reader:
    """The vectors of the pieces of texts, each text read once.

    Args:
        pieces: The piece ids of each token.
        embed: Gives the vectors of texts.
    """

    def __init__(self, pieces: Mapping[str, Sequence[int]], embed: Embed):
        self._pieces, self._embed = pieces, embed
        self._vectors: list[torch.Tensor] = []
        self._words: list[NDArray[np.int64]] = []
        self._index: dict[Text, int] = {}

    def read(self, texts: Iterable[Text], *, window: int | None = None) -> TextVectors:
        """All that was read so far, after these texts."""
        import torch

        from .word_vectors import TextVectors

        new = [text for text in dict.fromkeys(texts) if text not in self._index]
        ids = [np.asarray([piece for word in text for piece in self._pieces[word]], np.int64) for text in new]
        if new or not self._vectors:
            self._vectors.append(self._embed(ids, window=window))
        for text in new:
            self._index[text] = len(self._index)
            self._words.append(np.repeat(np.arange(len(text)), [len(self._pieces[word]) for word in text]))
        return TextVectors(torch.cat(self._vectors), self._words)

    def __getitem__(self, text: Text) -> int:
        return self._index[text]


def align_texts(
    pairs: Sequence[TokenPair],
    pieces: Mapping[str, Sequence[int]],
    *,
    embed: Embed,
    link: Link,
    whole: Sequence[bool],
    held: int,
) -> list[Alignment]:
    """Find the sentences that correspond, and link words within them, as if each were a pair of its own.

    A stretch of both texts is in memory at a time; where its sentences correspond, the next one starts.

    Args:
        pairs: Source and target tokens.
        pieces: The piece ids of each token.
        embed: Gives the vectors of texts.
        link: Gives the links between the words of texts.
        whole: For each pair, whether it is compared as it is, whatever sentences it has.
        held: How many pieces of several pairs are held in memory at a time.
    """
    parts: list[list[Alignment]] = [[] for _ in pairs]
    waiting = deque((number, (0, 0)) for number, (source, target) in enumerate(pairs) if source and target)
    while waiting:
        chunk: list[Stretch] = []
        n_pieces = 0
        while waiting and n_pieces < held:
            number, at = waiting.popleft()
            if whole[number]:
                sides = [Side(tuple(tokens), [Unit(0, len(tokens), True)], 0, True) for tokens in pairs[number]]
            else:
                sides = [_side(tokens, start, pieces) for tokens, start in zip(pairs[number], at, strict=True)]
            stretch = Stretch(number, *sides)
            n_pieces += sum(len(pieces[word]) for side in stretch[1:] for word in side.tokens)
            chunk.append(stretch)
        for stretch, (alignment, behind) in zip(chunk, _align(chunk, pieces, embed, link), strict=True):
            parts[stretch.pair].append(alignment.shift(stretch.source.start, stretch.target.start))
            if behind is not None:
                waiting.append((stretch.pair, (stretch.source.start + behind[0], stretch.target.start + behind[1])))
    return [Alignment.concatenate(part) for part in parts]


def _side(tokens: Sequence[str], start: int, pieces: Mapping[str, Sequence[int]]) -> Side:
    """As many units from a token on as are held at a time, one at least."""
    sizes = np.cumsum([len(pieces[word]) for word in tokens[start : start + _HELD]])
    units = units_of(tokens[start : start + _HELD])
    fitting = [unit for unit in units if sizes[unit.end - 1] <= _HELD] or units[:1]
    end = start + fitting[-1].end
    return Side(tuple(tokens[start:end]), fitting, start, end == len(tokens))


def _align(
    chunk: Sequence[Stretch], pieces: Mapping[str, Sequence[int]], embed: Embed, link: Link
) -> Iterator[tuple[Alignment, tuple[int, int] | None]]:
    """The links of each stretch, and from which of its tokens to go on, if there are more."""
    reader = Reader(pieces, embed)
    several = [stretch for stretch in chunk if max(len(side.units) for side in stretch[1:]) > 1]
    sentences = [sentence for stretch in several for side in stretch[1:] for sentence in _sentences(side)]
    reader.read(text for _, text, is_unit in sentences if is_unit)
    vectors = reader.read((text for _, text, _ in sentences), window=_READ).averaged()
    taken = []
    for _, source, target in chunk:
        beads = [Bead(0, 1, 0, 1)]
        if len(source.units) > 1 or len(target.units) > 1:
            directions = [_directions(side, vectors, reader) for side in (source, target)]
            starts = [[unit.start for unit in side.units] for side in (source, target)]
            beads = find_beads(directions[0], directions[1], starts[0], starts[1])
        taken.append(_taken(list(blocks_of(beads, source.units, target.units)), source, target))
    texts = [
        (stretch.source.tokens[slice(*block.source)], stretch.target.tokens[slice(*block.target)])
        for stretch, (blocks, _) in zip(chunk, taken, strict=True)
        for block in blocks
    ]
    vectors = reader.read(text for pair in texts for text in pair)
    linked = iter(link(vectors, [(reader[source], reader[target]) for source, target in texts]))
    for blocks, behind in taken:
        yield Alignment.concatenate(_kept(block, next(linked)) for block in blocks), behind


def _kept(block: Block, alignment: Alignment) -> Alignment:
    """The links of a block that count, as tokens of its stretch."""
    (first, _), target, (start, end) = block.source, block.target, block.keep
    kept = alignment.between((start - first, end - first), (0, target[1] - target[0]))
    return kept.shift(start, target[0])


def _sentences(side: Side) -> Iterator[tuple[int, Text, bool]]:
    """Where each sentence starts, its tokens, and whether it is one unit."""
    start = 0
    for unit in side.units:
        if unit.closed or unit is side.units[-1]:
            yield start, side.tokens[start : unit.end], unit.start == start
            start = unit.end


def _directions(side: Side, vectors: TextVectors, reader: Reader) -> NDArray[np.float32]:
    """The vectors of words less their mean, of length one, or zeros for a word without pieces."""
    import torch

    from .word_vectors import TextVectors

    rows, words = [], []
    for start, text, _ in _sentences(side):
        index = reader[text]
        first = vectors.starts[index]
        rows.append(vectors.vectors[first : first + vectors.lengths[index]])
        words.append(vectors.words[index] + start)
    directions = TextVectors(torch.cat(rows), [np.concatenate(words)]).centred().normalised()
    matrix = np.zeros((len(side.tokens), directions.vectors.shape[1]), np.float32)
    matrix[directions.words[0]] = directions.vectors.cpu().numpy()
    return matrix


def _taken(blocks: list[Block], source: Side, target: Side) -> tuple[list[Block], tuple[int, int] | None]:
    """The blocks that count, and the tokens behind them, if there are more."""
    if source.at_end and target.at_end:
        return blocks, None
    limits = [len(side.units) if side.at_end else _TAKEN * len(side.units) for side in (source, target)]
    taken = [b for b in blocks if b.bead.source_end <= limits[0] and b.bead.target_end <= limits[1]]
    if taken:
        ends = max(b.bead.source_end for b in taken), max(b.bead.target_end for b in taken)
    else:
        ends = -(-len(source.units) // 2), -(-len(target.units) // 2)
    tokens = source.units[ends[0] - 1].end, target.units[ends[1] - 1].end
    exhausted = (source.at_end and ends[0] == len(source.units)) or (target.at_end and ends[1] == len(target.units))
    return taken, None if exhausted else tokens
