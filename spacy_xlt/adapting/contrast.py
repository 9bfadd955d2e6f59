"""Contrast: what says the same comes nearer, and is told from all else that is in the batch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..alignment.word_vectors import TextVectors
from ..engine import setting
from .model import AdaptedModel, Side
from .objective import Objective
from .own_links import linked_rows
from .pieces import ParallelPieces, word_keys
from .texts import Range

if TYPE_CHECKING:
    import torch

# Words by which a rival may be longer than the longest span of its sentence
_LONGER = 3


def info_nce(
    first: torch.Tensor,
    second: torch.Tensor,
    partners: NDArray[np.int64],
    alike: NDArray[np.bool_],
    temperature: float,
) -> torch.Tensor:
    """How far each row is from being told, by its cosines, from the rivals of its partner; in both directions.

    van den Oord et al. 2018 (InfoNCE).

    Args:
        first: Unit vectors: float, (n, dim).
        second: Unit vectors: float, (m, dim).
        partners: Rows of `first` and of `second` that belong together: int64, (k, 2).
        alike: Where a row of `second` is no rival of what belongs to a row of `first`, such as the partners: bool,
            (n, m).
        temperature: What the cosines are divided by.

    Returns:
        The mean over partners and both directions: float, ().
    """
    import torch

    rows, columns = (torch.from_numpy(side).to(first.device) for side in np.ascontiguousarray(partners.T))
    scaled = first @ second.T / temperature
    # Not infinite, which would have no gradient where there is no rival
    rivals = scaled.masked_fill(torch.from_numpy(alike).to(first.device), torch.finfo(scaled.dtype).min)
    own = scaled[rows, columns]
    misses = [rivals.logsumexp(1)[rows] - own, rivals.logsumexp(0)[columns] - own]
    return torch.nn.functional.softplus(torch.cat(misses)).mean()


def alike(partners: NDArray[np.int64], first: Sequence[Hashable], second: Sequence[Hashable]) -> NDArray[np.bool_]:
    """Where rows say the same as some partners: bool, (n, m).

    Args:
        partners: Rows of `first` and of `second` that belong together: int64, (k, 2).
        first: What each row stands for, such as its text; (n,).
        second: The same, (m,).
    """
    rows, columns = _numbered(first), _numbered(second)
    known = np.zeros((len(first), len(second)), np.bool_)
    known[rows[partners[:, 0]], columns[partners[:, 1]]] = True
    return known[rows[:, None], columns]


def _numbered(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """A number for each, the same where they are the same."""
    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


@dataclass(kw_only=True, eq=False)
class WordContrast(Objective):
    """Registered objective `spacy_xlt.WordContrast.v1`: linked words in context come nearer, as an aligner sees them.

    Rivals of a word's translation are all other words of the batch's translations. A word that stands for the same in
    another sentence is none.

    Args:
        pairs: Sentence pairs, with links or without. Those without any link are left out.
        own_links: Learn from the encoder's own links also where the pairs have some.
        temperature: What the cosines are divided by, as in `EmbeddingAligner`.
        threshold: What a link of the encoder's own, as it was before the training, must exceed.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without links.
    """

    pairs: Any
    own_links: bool = False
    temperature: float = setting(0.05, gt=0)
    threshold: float = setting(0.3, ge=0, lt=1)

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the pairs into pieces, and link those that have no links."""
        self._data = ParallelPieces(self.pairs, model)
        self.n_read = self._data.n_read
        given = [None if self.own_links else links for links in self._data.links]
        settings = {"temperature": self.temperature, "threshold": self.threshold}
        links = linked_rows(model, self._data.sides, given, **settings)
        kept = [i for i, found in enumerate(links) if len(found)]
        self._data.keep(kept, "links")
        self._partners = [links[i] for i in kept]
        return self._data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `info_nce`."""
        sides = [[self._data.sides[i][side] for i in batch] for side in (0, 1)]
        source, target = (model.words(side) for side in sides)
        starts = np.stack([source.starts, target.starts], axis=1)
        partners = np.concatenate([self._partners[i] + start for i, start in zip(batch, starts, strict=True)])
        same = alike(partners, *([key for side in texts for key in word_keys(side)] for texts in sides))
        # In its own sentence, a word is told from itself at another place
        rows, columns = (np.repeat(np.arange(len(batch)), side.lengths) for side in (source, target))
        same &= rows[:, None] != columns
        same[partners[:, 0], partners[:, 1]] = True
        return info_nce(source.vectors, target.vectors, partners, same, self.temperature)


@dataclass(kw_only=True, eq=False)
class SpanContrast(Objective):
    """Registered objective `spacy_xlt.SpanContrast.v1`: spans come nearer to the spans of their translation.

    SALT and Le et al., both 2026, contrast spans so. Rivals are the other spans of the batch, and all other runs of
    words in the translation that are at most a few words longer.

    Args:
        pairs: Sentence pairs, some with spans, such as `spacy_xlt.StoredBitexts.v1` gives. Others are left out.
        temperature: What the cosines are divided by.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without spans.
    """

    pairs: Any
    temperature: float = setting(0.05, gt=0)

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the pairs into pieces."""
        self._data = ParallelPieces(self.pairs, model)
        self.n_read = self._data.n_read
        spans = [
            _rows_of_spans(found, *(np.unique(owners) for _, owners in sides))
            for found, sides in zip(self._data.spans, self._data.sides, strict=True)
        ]
        kept = [i for i, found in enumerate(spans) if len(found)]
        self._data.keep(kept, "spans")
        self._spans = [spans[i] for i in kept]
        return self._data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `info_nce`."""
        sides = [[self._data.sides[i][side] for i in batch] for side in (0, 1)]
        source, target = (model.words(side) for side in sides)
        spans = [self._spans[i] for i in batch]
        starts = np.stack([source.starts, source.starts, target.starts, target.starts], axis=1)
        known = np.concatenate([found + start for found, start in zip(spans, starts, strict=True)])
        longest = [int((found[:, 3] - found[:, 2]).max()) + _LONGER for found in spans]
        runs = np.concatenate([_runs(*run) for run in zip(target.starts, target.lengths, longest, strict=True)])
        places = {tuple(run): place for place, run in enumerate(runs.tolist())}
        partners = np.asarray([(row, places[tuple(run)]) for row, run in enumerate(known[:, 2:].tolist())], np.int64)
        same = alike(partners, _texts(sides[0], known[:, :2]), _texts(sides[1], runs))
        # Of other sentences, only what is the translation of a span is a rival
        rows = np.searchsorted(source.starts, known[:, 0], side="right")
        columns = np.searchsorted(target.starts, runs[:, 0], side="right")
        same |= (rows[:, None] != columns) & ~np.isin(np.arange(len(runs)), partners[:, 1])
        first, second = _means(source.vectors, known[:, :2]), _means(target.vectors, runs)
        return info_nce(first, second, partners, same, self.temperature)


def _rows_of_spans(
    spans: Sequence[tuple[Range, Range]], source: NDArray[np.integer], target: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Ranges of rows of spans and of their translations, of the words that have pieces: (n, 4)."""
    found = np.asarray(spans, np.int64).reshape(-1, 2, 2)
    rows = np.concatenate([np.searchsorted(source, found[:, 0]), np.searchsorted(target, found[:, 1])], axis=1)
    return rows[(rows[:, 0] < rows[:, 1]) & (rows[:, 2] < rows[:, 3])].astype(np.int32)


def _runs(first: int, n: int, longest: int) -> NDArray[np.int64]:
    """All ranges of so many rows at most among `n` rows from the first on: (n_runs, 2)."""
    starts, sizes = np.repeat(np.arange(n), longest), np.tile(np.arange(1, longest + 1), n)
    runs = np.stack([starts, starts + sizes], axis=1)
    return first + runs[runs[:, 1] <= n]


def _texts(sides: Sequence[Side], ranges: NDArray[np.int64]) -> list[tuple[bytes, ...]]:
    """The pieces of the words of each range."""
    keys = [key for side in sides for key in word_keys(side)]
    return [tuple(keys[start:end]) for start, end in ranges.tolist()]


def _means(vectors: torch.Tensor, ranges: NDArray[np.int64]) -> torch.Tensor:
    """Unit vectors of ranges of rows: (n_ranges, dim)."""
    import torch

    sizes = ranges[:, 1] - ranges[:, 0]
    rows = np.arange(sizes.sum()) + np.repeat(ranges[:, 0] - np.cumsum(sizes) + sizes, sizes)
    chosen = vectors.index_select(0, torch.from_numpy(rows).to(vectors.device))
    return TextVectors(chosen, [np.repeat(np.arange(len(ranges)), sizes)]).averaged().normalised().vectors
