"""One direction of a loaded model: any number of texts in pieces, run in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ...device import OomRetry as OomRetry
from ...device import batches_by_length, run_side_by_side
from ..bergamot.splitting import Window, windows_of
from ..bergamot.vocab import Pieces
from ..terms import Terms, Written
from . import decode, forced
from .decoder import Batch
from .loading import Loaded, Markers

# So many pieces more than the factor allows, because a single word may well become several
FREE_PIECES = 8
# A beam that has terms to write needs room for those that have written none, some and all of them
_TERM_BEAM = 8
# Numbers over the whole vocabulary that a batch may have at once: a CPU runs several batches side by side
_HELD = {"cpu": 1 << 25, "cuda": 1 << 29}
Result = TypeVar("Result")


@dataclass(frozen=True)
class Direction:
    """A model that is told one pair of languages.

    batch_tokens (int): The most source pieces of a batch, padding counted, times the beam.
    """

    loaded: Loaded
    markers: Markers
    batch_tokens: int
    halving: OomRetry

    @property
    def room(self) -> int:
        """The most pieces of a source's own that the model reads at once."""
        return max(1, self.loaded.limit - len(self.markers.before) - len(self.markers.after))

    @property
    def _rows(self) -> int:
        """For how many pieces at once the whole vocabulary may be looked at."""
        held = _HELD.get(self.loaded.model.device.type, _HELD["cuda"])
        return max(1, held // int(self.loaded.model.config.vocab_size))

    def search(
        self,
        parts: Sequence[Pieces],
        *,
        prefixes: Sequence[Sequence[int]],
        terms: Sequence[Sequence[Sequence[int]]],
        spaced: bool,
        beam_size: int,
        max_length_factor: float,
    ) -> list[list[Written]]:
        """Translate texts in pieces, in order.

        prefixes (Sequence[Sequence[int]]): What each translation begins with.
        terms (Sequence[Sequence[Sequence[int]]]): The pieces of the terms of each.
        spaced (bool): Whether the target language puts spaces between words.
        RETURNS (list[list[Written]]): For each text at most `beam_size` hypotheses without its prefix, the best first.
        """
        continues = self.loaded.target.continues if spaced else None

        def run(batch: list[int]) -> list[list[Written]]:
            """Translate the parts of these indices, all with terms or all without."""
            chosen = [parts[i] for i in batch]
            made = self._batch(chosen, [prefixes[i] for i in batch], factor=max_length_factor)
            with torch.inference_mode():
                if terms[batch[0]]:
                    own = [Terms(terms[i], continues=continues) for i in batch]
                    # A mark in the middle, which decoding drops, would glue what stands around it together
                    marks = self.loaded.target.marks(int(self.loaded.model.config.vocab_size))
                    made = replace(made, banned=tuple({*made.banned, *marks} - {*made.ends}))
                    return decode.with_terms(self.loaded.model, made, own, size=max(beam_size, _TERM_BEAM))
                if beam_size == 1:
                    return [[written] for written in decode.greedy(self.loaded.model, made)]
                return decode.beam(self.loaded.model, made, size=beam_size)

        results: dict[int, list[Written]] = {}
        for with_terms in (False, True):
            indices = [i for i, own in enumerate(terms) if bool(own) == with_terms]
            beam = max(beam_size, _TERM_BEAM) if with_terms else beam_size
            budget = max(1, self.batch_tokens // beam)
            # Of many short texts, what each may write next takes more room than their pieces do
            shortest = -(-budget * beam // self._rows)
            lengths = [max(shortest, len(part)) for part in parts]
            results.update(self._run(run, indices, lengths, budget))
        return [results[i] for i in range(len(parts))]

    def log_probs(
        self, sources: Sequence[Pieces], targets: Sequence[Pieces], *, window: int
    ) -> list[NDArray[np.float32]]:
        """Log-probabilities of the pieces of given targets and of their end marks.

        window (int): Pairs with a side of more pieces are read in windows of matching places.
        RETURNS (list[float32, (n_target + 1,)]): Natural logarithms.
        """
        result = [np.zeros(len(target) + 1, np.float32) for target in targets]

        def run(chosen: list[Window]) -> list[NDArray[np.float32]]:
            """Read windows of pairs."""
            batch, pieces = self._given(chosen, sources, targets)
            return forced.log_probs(self.loaded.model, batch, pieces)

        budget = min(self.batch_tokens, self._rows)
        for w, found in self._windows(run, sources, targets, window=window, batch_tokens=budget):
            # The end mark counts where the text ends, not at each window's end
            n = w.target.stop - w.target.start + (w.target.stop == len(targets[w.pair]))
            result[w.pair][w.target.start : w.target.start + n] = found[:n]
        return result

    def attention(
        self, sources: Sequence[Pieces], targets: Sequence[Pieces], which: forced.Heads, *, window: int
    ) -> list[NDArray[np.float32]]:
        """What the pieces of given targets look at in their sources: float32, (n_source, n_target), for each pair."""
        result = [np.zeros((len(s), len(t)), np.float32) for s, t in zip(sources, targets, strict=True)]
        n_before = len(self.markers.before)

        def run(chosen: list[Window]) -> list[NDArray[np.float32]]:
            """Read windows of pairs."""
            batch, pieces = self._given(chosen, sources, targets)
            return forced.attention(self.loaded.model, batch, pieces, which)

        with forced.readable_attention(self.loaded.model):
            found = self._windows(run, sources, targets, window=window, batch_tokens=self.batch_tokens)
        for w, weights in found:
            n_source = w.source.stop - w.source.start
            result[w.pair][w.source, w.target] = weights[:-1, n_before : n_before + n_source].T
        return result

    def _batch(self, sources: Sequence[Pieces], prefixes: Sequence[Sequence[int]], *, factor: float) -> Batch:
        before, after = self.markers.before, self.markers.after
        loaded = self.loaded
        first = [[*self.markers.first, *prefix] for prefix in prefixes]
        lengths = np.asarray([len(source) + len(after) for source in sources])
        wanted = np.ceil(factor * lengths).astype(np.int64) + FREE_PIECES
        possible = loaded.limit - 1 - np.asarray([len(pieces) for pieces in first])
        return Batch(
            [np.concatenate([before, source.ids, after]).astype(np.int64) for source in sources],
            first,
            np.maximum(1, np.minimum(wanted, possible)),
            self.markers.start,
            loaded.pad,
            loaded.ends,
            loaded.banned,
            loaded.length_penalty,
        )

    def _given(
        self, windows: Sequence[Window], sources: Sequence[Pieces], targets: Sequence[Pieces]
    ) -> tuple[Batch, list[NDArray[np.int64]]]:
        batch = self._batch([sources[w.pair][w.source] for w in windows], [[]] * len(windows), factor=1)
        return batch, [np.append(targets[w.pair].ids[w.target], self.loaded.ends[0]) for w in windows]

    def _windows(
        self,
        run: Callable[[list[Window]], list[Result]],
        sources: Sequence[Pieces],
        targets: Sequence[Pieces],
        *,
        window: int,
        batch_tokens: int,
    ) -> list[tuple[Window, Result]]:
        # The target has its start, what is forced and the end mark beside its own pieces
        extra = max(2 + len(self.markers.first), self.loaded.limit - self.room)
        limit = min(window, self.loaded.limit - extra)
        windows = [
            w
            for i, (source, target) in enumerate(zip(sources, targets, strict=True))
            for w in windows_of(i, len(source), len(target), limit=limit)
        ]
        lengths = [w.length + extra for w in windows]
        results = self._run(lambda batch: run([windows[i] for i in batch]), range(len(windows)), lengths, batch_tokens)
        return [(windows[i], result) for i, result in results.items()]

    def _run(
        self,
        run: Callable[[list[int]], list[Result]],
        indices: Sequence[int],
        lengths: Sequence[int],
        batch_tokens: int,
    ) -> dict[int, Result]:
        """Run the items of these indices in batches. RETURNS (dict[int, Result]): The result for each index."""
        extra = len(self.markers.before) + len(self.markers.after)
        batches = batches_by_length([lengths[i] + extra for i in indices], batch_tokens=max(1, batch_tokens))
        batches = [[indices[i] for i in batch] for batch in batches]
        done = run_side_by_side(
            lambda batch: self.halving.run(run, batch, lengths), batches, device=self.loaded.model.device
        )
        return {
            i: result for batch, own in zip(batches, done, strict=True) for i, result in zip(batch, own, strict=True)
        }
