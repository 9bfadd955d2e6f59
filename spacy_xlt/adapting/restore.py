"""Restoring sentences of which some words were swapped for those of their translation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..alignment.word_vectors import TextVectors
from ..engine import setting
from .model import AdaptedModel
from .objective import Objective
from .own_links import linked_rows
from .pieces import ParallelPieces, word_keys

if TYPE_CHECKING:
    import torch

    from .heads import MaskedHead

# Its text, or its pieces
Word = TypeVar("Word", str, bytes)


def possible_swaps(links: NDArray[np.int32], source: Sequence[Word], target: Sequence[Word]) -> dict[int, list[Word]]:
    """What can stand in the place of words: those linked to them and to no other, where they are not the same.

    Args:
        links: Source word and target word: (n, 2).
        source: Words of a sentence.
        target: Words of its translation.
    """
    sources = Counter(links[:, 1].tolist())
    linked: dict[int, list[int]] = defaultdict(list)
    for i, j in links.tolist():
        linked[i].append(j)
    found = {i: [target[j] for j in there] for i, there in linked.items() if all(sources[j] == 1 for j in there)}
    return {i: words for i, words in found.items() if words != [source[i]]}


def swap_words(
    source: Sequence[Word], swaps: Mapping[int, list[Word]], share: float, random: np.random.Generator
) -> tuple[list[list[Word]], NDArray[np.int64]]:
    """Put what can stand there in the places of some words, at least one.

    Returns:
        What stands in the place of each word; and which places were chosen, ascending, (n,).
    """
    n = min(len(swaps), max(1, round(share * len(source))))
    chosen = np.sort(random.choice(list(swaps), n, replace=False))
    slots = [[word] for word in source]
    for i in chosen.tolist():
        slots[i] = swaps[i]
    return slots, chosen


@dataclass(kw_only=True, eq=False)
class RestoreCodeSwitched(Objective):
    """Registered objective `spacy_xlt.RestoreCodeSwitched.v1`: an encoder guesses which word was swapped for another.

    Some words of a sentence are swapped for those of its translation that they are linked to (Zan et al. 2022,
    CSR4mBART, who restore the whole sentence). From the mean vector of the pieces in the place of a word its first
    piece is guessed, by what `heads.MaskedHead` is.

    Args:
        pairs: Sentence pairs. Those without links get the encoder's own, as they were before the training.
        share: Of the words, how many are swapped, where so many can be.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without words that can be swapped.
    """

    pairs: Any
    share: float = setting(0.3, gt=0, le=1)

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the pairs into pieces, and link those that have no links."""
        from .heads import masked_head

        self._data = ParallelPieces(self.pairs, model)
        self.n_read = self._data.n_read
        self._links = linked_rows(model, self._data.sides, self._data.links)
        longest = np.asarray([self._longest(i) for i in range(len(self._links))], np.int64)
        kept = np.flatnonzero((longest > 0) & (longest <= model.encoder.window)).tolist()
        self._data.keep(kept, "words that can be swapped")
        self._links = [self._links[i] for i in kept]
        self._head: MaskedHead = masked_head(model, (source[0] for source, _ in self._data.sides))
        return longest[kept] + model.special

    def _swaps(self, item: int) -> tuple[list[bytes], dict[int, list[bytes]]]:
        source, target = map(word_keys, self._data.sides[item])
        return source, possible_swaps(self._links[item], source, target)

    def _longest(self, item: int) -> int:
        """The most pieces that a sentence can have after swaps; 0 where there are none."""
        source, swaps = self._swaps(item)
        return (
            sum(max(len(word), len(b"".join(swaps.get(i, [])))) for i, word in enumerate(source)) // 4 if swaps else 0
        )

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """The mean cross-entropy of the first pieces of the words that were swapped."""
        import torch

        ids, owners, rows, right, n_rows = [], [], [], [], 0
        for source, swaps in map(self._swaps, batch):
            slots, chosen = swap_words(source, swaps, self.share, random)
            pieces = [np.frombuffer(b"".join(slot), np.int32) for slot in slots]
            ids.append(np.concatenate(pieces))
            owners.append(np.repeat(np.arange(len(slots)), [len(slot) for slot in pieces]))
            rows.append(n_rows + chosen)
            right += [np.frombuffer(source[i], np.int32)[0] for i in chosen.tolist()]
            n_rows += len(slots)
        vectors = TextVectors(model.pieces(ids), owners).averaged().vectors
        places = torch.from_numpy(np.concatenate(rows)).to(vectors.device)
        return self._head.loss(vectors[places], np.asarray(right))
