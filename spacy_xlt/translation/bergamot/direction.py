"""One direction with everything it needs loaded: any number of texts, run in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ...device import OomRetry as OomRetry
from ...device import batches_by_length, run_side_by_side
from ...languages import UNSEGMENTED
from .beam import beam_search
from .decode import Hypothesis, Padded, Search
from .folders import ModelFolder
from .forced import Tree, force
from .greedy import greedy_search
from .marian import read_model
from .model import BergamotModel
from .shortlist import Shortlist, read_shortlist
from .splitting import Window
from .vocab import Pieces, Vocabulary

# So many pieces more than the factor allows, because a single word may well become several
_FREE_PIECES = 8

Result = TypeVar("Result")


@dataclass(frozen=True)
class Forced:
    """What the model makes of a window of a given pair.

    log_probs (float32, (n_target,) | None): Of each target piece and of the end mark.
    weights (float32, (n_target, n_source) | None): What they looked at, the source's end mark last.
    """

    window: Window
    log_probs: NDArray[np.float32] | None
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class Direction:
    """The model, the vocabularies and the shortlist of one direction.

    halving (OomRetry): Runs what the GPU has no memory for in halves.
    """

    folder: ModelFolder
    model: BergamotModel
    source_vocab: Vocabulary
    target_vocab: Vocabulary
    shortlist: Shortlist | None
    halving: OomRetry = field(default_factory=lambda: OomRetry("BergamotTranslator"))

    @classmethod
    def load(cls, folder: ModelFolder, *, int8: bool, shortlist: bool, device: torch.device) -> Direction:
        """Read the files.

        int8 (bool): Compute in 8-bit integers, if the model's file has what that needs.
        RAISES (XltError): E211 for unusable files, E212 for an architecture that is not implemented.
        """
        file = read_model(folder.model)
        model = BergamotModel(file, int8=int8 and file.is_int8, device=device)
        source_vocab = Vocabulary(folder.source_vocab)
        target_vocab = source_vocab
        if folder.target_vocab != folder.source_vocab:
            target_vocab = Vocabulary(folder.target_vocab)
        model.check_vocabularies(len(source_vocab), len(target_vocab))
        lexicon = None
        if shortlist and folder.shortlist is not None:
            lexicon = read_shortlist(folder.shortlist, n_source=len(source_vocab), n_target=len(target_vocab))
        return cls(folder, model, source_vocab, target_vocab, lexicon)

    @property
    def spaced(self) -> bool:
        """Whether the target language has spaces between words."""
        return self.folder.target not in UNSEGMENTED

    def decode(self, hypothesis: Hypothesis) -> tuple[str, NDArray[np.int32]]:
        """The text of a hypothesis, and start and end of each of its pieces in it (int32, (n, 2))."""
        return self.target_vocab.decode(hypothesis.ids.tolist())

    def options(
        self,
        padded: Padded,
        *,
        beam_size: int,
        max_length_factor: float,
        terms: Sequence[NDArray[np.int64]] | None = None,
        prefixes: Sequence[NDArray[np.int64]] | None = None,
    ) -> Search:
        """What a batch's translations may be.

        terms (Sequence[int64, (n_pieces,)] | None): Pieces that each may have besides those of the shortlist; it may
            become longer by as many.
        prefixes (Sequence[int64, (n_pieces,)] | None): What each has to begin with.
        """
        vocab = self.target_vocab
        allowed = None
        if self.shortlist is not None:
            allowed = self.shortlist.allowed(
                [ids[:n] for ids, n in zip(padded.ids, padded.lengths, strict=True)],
                shared=self.source_vocab is vocab,
                n_target=len(vocab),
                always=vocab.eos,
                never=vocab.unk,
                more=terms,
            )
        limits = np.ceil(max_length_factor * padded.lengths).astype(np.int64) + _FREE_PIECES
        if terms is not None:
            limits += np.asarray([len(pieces) for pieces in terms])
        inside = vocab.inside if prefixes is not None and self.spaced else None
        return Search(vocab.eos, vocab.unk, limits, allowed, beam_size, prefixes, inside)

    def search(
        self,
        parts: Sequence[Pieces],
        *,
        beam_size: int,
        batch_tokens: int,
        max_length_factor: float,
        terms: Sequence[NDArray[np.int64]] | None = None,
        prefixes: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[list[Hypothesis]]:
        """Translate texts in pieces. The settings are those of the engine and of `options`.

        RETURNS (list[list[Hypothesis]]): For each text, in order, what the search ended with, the best first.
        """

        def run(batch: list[int]) -> list[list[Hypothesis]]:
            """Translate the parts of these indices."""
            padded = Padded.pad([parts[i].ids for i in batch], self.source_vocab.eos)
            options = self.options(
                padded,
                beam_size=beam_size,
                max_length_factor=max_length_factor,
                terms=None if terms is None else [terms[i] for i in batch],
                prefixes=None if prefixes is None else [prefixes[i] for i in batch],
            )
            if beam_size == 1:
                return [[hypothesis] for hypothesis in greedy_search(self.model, padded, options)]
            return beam_search(self.model, padded, options)

        return self.batched(run, [len(part) + 1 for part in parts], batch_tokens=batch_tokens)

    def batched(
        self, run: Callable[[list[int]], Sequence[Result]], lengths: Sequence[int], *, batch_tokens: int
    ) -> list[Result]:
        """Run items in batches of similar length.

        run (Callable): Computes the items of the given indices.
        RETURNS (list): The results of all items, in order.
        """

        def run_halved(batch: list[int]) -> list[Result]:
            return self.halving.run(run, batch, lengths)

        batches = batches_by_length(lengths, batch_tokens=batch_tokens)
        results: dict[int, Result] = {}
        for batch, found in zip(batches, run_side_by_side(run_halved, batches, device=self.model.device), strict=True):
            results.update(zip(batch, found, strict=True))
        return [results[i] for i in range(len(lengths))]

    def force(
        self,
        sources: Sequence[Pieces],
        targets: Sequence[Pieces],
        windows: list[Window],
        *,
        batch_tokens: int,
        log_probs: bool = False,
        weights: bool = False,
    ) -> list[Forced]:
        """Run the decoder over windows of given pairs. In no particular order.

        Windows with the same source share its encoding, and the common beginnings of their targets.

        log_probs, weights (bool): What to compute.
        """
        groups = _by_source(sources, windows, limit=batch_tokens)
        trees = [Tree.grow([targets[w.pair].ids[w.target] for w in group]) for group in groups]

        def run(batch: list[int]) -> list[list[Forced]]:
            """Run the groups of these indices."""
            chosen = [groups[i] for i in batch]
            padded = Padded.pad([sources[g[0].pair].ids[g[0].source] for g in chosen], self.source_vocab.eos)
            results = force(
                self.model,
                padded,
                [[targets[w.pair].ids[w.target] for w in group] for group in chosen],
                eos=self.target_vocab.eos,
                log_probs=log_probs,
                weights=weights,
                trees=[trees[i] for i in batch],
            )
            return [
                [Forced(window, *result) for window, result in zip(group, of_group, strict=True)]
                for group, of_group in zip(chosen, results, strict=True)
            ]

        lengths = [max(len(t), g[0].source.stop - g[0].source.start + 1) for t, g in zip(trees, groups, strict=True)]
        return [item for items in self.batched(run, lengths, batch_tokens=batch_tokens) for item in items]


def _by_source(sources: Sequence[Pieces], windows: list[Window], *, limit: int) -> list[list[Window]]:
    """Windows with the same source pieces together, at most `limit` target pieces a group."""
    groups: list[list[Window]] = []
    # for each source its last group, and how much is in it
    last: dict[bytes, tuple[int, int]] = {}
    for window in windows:
        key = sources[window.pair].ids[window.source].tobytes()
        size = window.target.stop - window.target.start + 1
        group, filled = last.get(key, (-1, limit))
        if filled + size > limit:
            group, filled = len(groups), 0
            groups.append([])
        groups[group].append(window)
        last[key] = group, filled + size
    return groups
