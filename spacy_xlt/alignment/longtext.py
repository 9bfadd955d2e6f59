"""Aligning pairs that are longer than the model reads at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..links import Alignment
from ..protocols import TokenPair, Tokens
from .documents import Bead, Unit, blocks_of, fill_gaps, find_beads, units_of

# Pieces of either side that are held in memory at a time.
_WINDOW = 8192
# Of what is held, the part whose beads are taken; those behind it lack what follows.
_TAKEN = 0.75

# What is no sentence by its length is read in windows of so many pieces: in wider ones words are less like their
# translations, and those of other sentences are more like them.
_READ = 128


class Embed(Protocol):
    """Gives the vectors of texts, (n_pieces, dim), from their piece ids."""

    def __call__(self, texts: list[NDArray[np.int64]], *, window: int | None) -> list[NDArray[np.float32]]: ...


class Vectors(NamedTuple):
    """The vectors of some words of a text.

    pieces (float32, (n_pieces, dim)): One for each piece.
    words (int64, (n_pieces,)): Which word it is of, counted from the first of these words; ascending.
    start (int): Where the first of these words is in its text.
    """

    pieces: NDArray[np.float32]
    words: NDArray[np.int64]
    start: int = 0

    def between(self, start: int, end: int) -> Vectors:
        """Those of the words `[start, end)`, counted from `start`."""
        first, last = np.searchsorted(self.words, (start, end))
        return Vectors(self.pieces[first:last], self.words[first:last] - start, self.start + start)


Link = Callable[[Vectors, Vectors], Alignment]


def align_long(pair: TokenPair, pieces: Mapping[str, Sequence[int]], *, embed: Embed, link: Link) -> Alignment:
    """Find the sentences that correspond, and link words within them. Each sentence is read by itself.

    A stretch of both texts is in memory at a time; where its sentences correspond, the next one starts.

    pair (TokenPair): Source and target tokens.
    pieces (Mapping[str, Sequence[int]]): The piece ids of each token.
    embed, link (Callable): Give the vectors of texts, and the links between the words of two.
    RETURNS (Alignment): Links between the tokens of the pair.
    """
    units = [units_of(tokens) for tokens in pair]
    sizes = [
        [sum(len(pieces[word]) for word in t[u.start : u.end]) for u in us] for t, us in zip(pair, units, strict=True)
    ]
    found: list[Alignment] = []
    at = [0, 0]
    while all(position < len(of_side) for position, of_side in zip(at, units, strict=True)):
        held = [_window(us, ns, position) for us, ns, position in zip(units, sizes, at, strict=True)]
        vectors = [_embed(tokens, us, pieces, embed) for tokens, us in zip(pair, held, strict=True)]
        beads = _beads(vectors, held)
        at_end = [position + len(us) == len(of_side) for position, us, of_side in zip(at, held, units, strict=True)]
        taken = sum(
            (at_end[0] or bead.source_end <= _TAKEN * len(held[0]))
            and (at_end[1] or bead.target_end <= _TAKEN * len(held[1]))
            for bead in beads
        )
        found.extend(_link_blocks(beads, taken, held, vectors, link))
        if all(at_end):
            break
        last = beads[taken - 1] if taken else Bead(0, -(-len(held[0]) // 2), 0, -(-len(held[1]) // 2))
        at = [at[0] + last.source_end, at[1] + last.target_end]
    return Alignment.concatenate(found)


def _window(units: Sequence[Unit], sizes: Sequence[int], start: int) -> Sequence[Unit]:
    """As many units as are held at a time, one at least."""
    end, held = start + 1, sizes[start]
    while end < len(units) and held + sizes[end] <= _WINDOW:
        held += sizes[end]
        end += 1
    return units[start:end]


def _embed(tokens: Tokens, units: Sequence[Unit], pieces: Mapping[str, Sequence[int]], embed: Embed) -> Vectors:
    """The vectors of the words of units, each sentence read by itself."""
    first = units[0].start
    cuts = sorted({first, units[-1].end, *(unit.end for unit in units if unit.closed)})
    texts = [
        np.asarray([piece for word in tokens[a:b] for piece in pieces[word]], np.int64)
        for a, b in zip(cuts, cuts[1:], strict=False)
    ]
    words = np.repeat(np.arange(units[-1].end - first), [len(pieces[word]) for word in tokens[first : units[-1].end]])
    return Vectors(np.concatenate(embed(texts, window=_READ)), words, first)


def _beads(vectors: Sequence[Vectors], units: Sequence[Sequence[Unit]]) -> list[Bead]:
    sides = [_word_directions(v, us[-1].end - us[0].start) for v, us in zip(vectors, units, strict=True)]
    starts = [[unit.start - us[0].start for unit in us] for us in units]
    beads = find_beads(sides[0], sides[1], starts[0], starts[1])
    return fill_gaps(beads, len(units[0]), len(units[1]))


def _word_directions(vectors: Vectors, n_words: int) -> NDArray[np.float32]:
    """A unit vector for each word, without what all have in common; zeros for words without pieces."""
    result = np.zeros((n_words, vectors.pieces.shape[1]), np.float32)
    present, first = np.unique(vectors.words, return_index=True)
    if len(present):
        # The mean over a word's pieces has the direction of their sum, after the mean of all is taken from each
        centred = vectors.pieces - vectors.pieces.mean(axis=0)
        result[present] = np.add.reduceat(centred, first, axis=0)
    norms = np.sqrt(np.einsum("kd,kd->k", result, result))
    result /= np.where(norms > 0, norms, np.float32(1))[:, None]
    return result


def _link_blocks(
    beads: Sequence[Bead], taken: int, units: Sequence[Sequence[Unit]], vectors: Sequence[Vectors], link: Link
) -> list[Alignment]:
    """The links of the first beads, as tokens of the whole texts."""
    first = [us[0].start for us in units]
    found = []
    for number, block in enumerate(blocks_of(beads, units[0], units[1])):
        if number == taken:
            break
        (i, j), (k, m) = block.source, block.target
        links = link(vectors[0].between(i - first[0], j - first[0]), vectors[1].between(k - first[1], m - first[1]))
        links = links.between((block.keep[0] - i, block.keep[1] - i), (0, m - k))
        found.append(links.shift(block.keep[0], k))
    return found
