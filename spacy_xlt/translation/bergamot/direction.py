"""One direction with everything it needs loaded: any number of texts, run in batches of similar length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...batching import batches_by_length, run_side_by_side
from .decode import Hypothesis, Padded, Search, force, search
from .folders import ModelFolder
from .marian import read_model
from .model import BergamotModel
from .shortlist import Shortlist, read_shortlist
from .splitting import Window
from .vocab import Pieces, Vocabulary

# So many pieces more than the factor allows, because a single word may well become several
_FREE_PIECES = 8


@dataclass(frozen=True)
class Forced:
    """What the model makes of a window of a given pair.

    log_probs (float32, (n_target,) | None): Of each target piece and of the end mark.
    weights (float32, (n_target, n_source)): What they looked at, the source's end mark last.
    """

    window: Window
    log_probs: NDArray[np.float32] | None
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Direction:
    """The model, the vocabularies and the shortlist of one direction."""

    folder: ModelFolder
    model: BergamotModel
    source_vocab: Vocabulary
    target_vocab: Vocabulary
    shortlist: Shortlist | None

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

    def search(
        self, parts: list[Pieces], *, beam_size: int, batch_tokens: int, max_length_factor: float
    ) -> list[Hypothesis]:
        """Translate texts in pieces, in order. The settings are those of the engine."""
        vocab = self.target_vocab

        def run(batch: list[int]) -> list[Hypothesis]:
            """Translate the parts of these indices."""
            padded = Padded.pad([parts[i].ids for i in batch], self.source_vocab.eos)
            allowed = None
            if self.shortlist is not None:
                allowed = self.shortlist.allowed(
                    [ids[:n] for ids, n in zip(padded.ids, padded.lengths, strict=True)],
                    shared=self.source_vocab is vocab,
                    n_target=len(vocab),
                    always=vocab.eos,
                    never=vocab.unk,
                )
            limits = np.ceil(max_length_factor * padded.lengths).astype(np.int64) + _FREE_PIECES
            return search(self.model, padded, Search(vocab.eos, vocab.unk, limits, allowed, beam_size))

        batches = batches_by_length([len(p) + 1 for p in parts], batch_tokens=batch_tokens)
        results: dict[int, Hypothesis] = {}
        done = run_side_by_side(run, batches, device=self.model.device)
        for batch, hypotheses in zip(batches, done, strict=True):
            results.update(zip(batch, hypotheses, strict=True))
        return [results[i] for i in range(len(parts))]

    def force(
        self,
        sources: list[Pieces],
        targets: list[Pieces],
        windows: list[Window],
        *,
        batch_tokens: int,
        log_probs: bool,
    ) -> list[Forced]:
        """Run the decoder over windows of given pairs. In no particular order."""

        def run(batch: list[int]) -> list[Forced]:
            """Run the windows of these indices."""
            chosen = [windows[i] for i in batch]
            source = Padded.pad([sources[w.pair].ids[w.source] for w in chosen], self.source_vocab.eos)
            target = Padded.pad([targets[w.pair].ids[w.target] for w in chosen], self.target_vocab.eos)
            scores, weights = force(self.model, source, target, log_probs=log_probs)
            forced = []
            for row, window in enumerate(chosen):
                n_source, n_target = int(source.lengths[row]), int(target.lengths[row])
                own = None if scores is None else scores[row, :n_target]
                forced.append(Forced(window, own, weights[row, :n_target, :n_source]))
            return forced

        batches = batches_by_length([window.length + 1 for window in windows], batch_tokens=batch_tokens)
        return [item for items in run_side_by_side(run, batches, device=self.model.device) for item in items]
