"""Word links from all evidence there is: vectors, spelling, position, neighbours and, where known, attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...errors import error, warn
from ...protocols import PairContext, TokenPair
from ..links import Alignment
from ..longtext import Vectors, align_long
from .batch import Cells, PairBatch, Side
from .scoring import SHIPPED, Weights
from .sides import embed, side_of, sides_of
from .signals import LAYERS, likeness

if TYPE_CHECKING:
    from .adapter import AdaptedEncoder

# Vectors are held in memory for so many batches at a time.
_BATCHES_HELD = 16
# Cells that are scored together, padding included: their arrays stay in a processor's cache.
_CELLS = 1 << 14
PRECISIONS = ("auto", "float32", "float16", "bfloat16")


def make_combined_aligner(
    *,
    model: str = "bundled:encoder",
    weights: str | None = None,
    threshold: float = 0.6,
    only_link: float = 0.4,
    evidence: float | None = 0.05,
    batch_tokens: int = 1024,
    precision: str = "auto",
) -> CombinedAligner:
    """Make the aligner from a config. The settings are those of `CombinedAligner`."""
    return CombinedAligner(
        model,
        weights=weights,
        threshold=threshold,
        only_link=only_link,
        evidence=evidence,
        batch_tokens=batch_tokens,
        precision=precision,
    )


class CombinedAligner:
    """Links words by the probability that all signals together give them.

    The signals (`signals.SIGNALS`) compare vectors of several layers, spelling, capitals, numbers, punctuation and
    position. A logistic regression makes a probability of them; a second one also sees what the first found around a
    pair of words. A link's score is its probability.

    model (str): A model folder, a Hugging Face name, or "bundled:encoder" or "bundled:encoder-en-pt".
    weights (str | None): A folder with weights; those that come with the package where left out.
    threshold (float): What the probability of a link must exceed.
    only_link (float): What it must exceed where it is the best link of one of its words.
    evidence (float | None): Give projectors besides the links all pairs of words for which the softmax of vectors is
        above this (see `Alignment.evidence`); nothing where null.
    batch_tokens (int): Pieces a batch of the encoder, padding included.
    precision (str): What the encoder computes in: "float32", "float16", "bfloat16" or "auto".
    RAISES (XltError): E304 for a setting with an impossible value, E320 for a folder without weights.
    """

    def __init__(
        self,
        model: str = "bundled:encoder",
        *,
        weights: str | None = None,
        threshold: float = 0.6,
        only_link: float = 0.4,
        evidence: float | None = 0.05,
        batch_tokens: int = 1024,
        precision: str = "auto",
    ):
        for setting, value in (("threshold", threshold), ("only_link", only_link), ("evidence", evidence)):
            if value is not None and (isinstance(value, bool) or not 0 <= value <= 1):
                raise error("E304", setting=setting, value=value, expected="a number from 0 to 1")
        if isinstance(batch_tokens, bool) or not isinstance(batch_tokens, int) or batch_tokens < 1:
            raise error("E304", setting="batch_tokens", value=batch_tokens, expected="a whole number from 1")
        if precision not in PRECISIONS:
            raise error("E301", setting="precision", value=precision, known=", ".join(PRECISIONS))
        self.model = str(model)
        self.weights = Weights.load(SHIPPED if weights is None else Path(weights))
        self.threshold = float(threshold)
        self.only_link = float(only_link)
        self.evidence = None if evidence is None else float(evidence)
        self.batch_tokens = batch_tokens
        self.precision = precision
        self._encoder: AdaptedEncoder | None = None
        if self.model not in self.weights.models:
            warn("W320", model=self.model, models=", ".join(self.weights.models))

    @property
    def signature(self) -> str:
        """Model, weights, settings and version in one line."""
        chosen = f"threshold:{self.threshold:g}|only_link:{self.only_link:g}"
        if self.evidence is not None:
            chosen += f"|evidence:{self.evidence:g}"
        settings = f"weights:{self.weights.digest}|{chosen}|precision:{self.precision}"
        return f"CombinedAligner|model:{self.model}|{settings}|version:{__version__}"

    @property
    def encoder(self) -> AdaptedEncoder:
        """The encoder, loaded at first use.

        RAISES (XltError): As `AdaptedEncoder`.
        """
        if self._encoder is None:
            from .adapter import AdaptedEncoder

            # Changes are of use to the matrices only that they were learned for
            changes = self.weights.changes if self.model in self.weights.models else {}
            self._encoder = AdaptedEncoder(self.model, max(LAYERS), changes=changes, precision=self.precision)
        return self._encoder

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None}

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of many pairs.

        pairs (Sequence[TokenPair]): Source tokens and target tokens, of any length.
        contexts (Sequence[PairContext] | None): One for each pair; stored attention is one more signal.
        RETURNS (list[Alignment]): In order; a link's score is its probability.
        RAISES (XltError): E307 where there is not one context for each pair.
        """
        if contexts is not None and len(contexts) != len(pairs):
            raise error("E307", n_contexts=len(contexts), n_pairs=len(pairs))
        result = [Alignment()] * len(pairs)
        chunk: list[int] = []
        held = 0
        for i, (source, target) in enumerate(pairs):
            if not source or not target:
                continue
            if chunk and held + len(source) + len(target) > self.batch_tokens * _BATCHES_HELD:
                self._align_chunk(chunk, pairs, contexts, result)
                chunk, held = [], 0
            chunk.append(i)
            held += len(source) + len(target)
        if chunk:
            self._align_chunk(chunk, pairs, contexts, result)
        return result

    def _align_chunk(
        self,
        chunk: Sequence[int],
        pairs: Sequence[TokenPair],
        contexts: Sequence[PairContext] | None,
        result: list[Alignment],
    ) -> None:
        pieces = self.encoder.pieces(word for i in chunk for tokens in pairs[i] for word in tokens)
        window = self.encoder.window
        short = [i for i in chunk if all(sum(len(pieces[w]) for w in tokens) <= window for tokens in pairs[i])]
        for i in set(chunk).difference(short):
            link = partial(self._link_parts, pairs[i], pieces)
            result[i] = align_long(pairs[i], pieces, embed=self._embed, link=link)
        sides = sides_of(self.encoder, [t for i in short for t in pairs[i]], pieces, batch_tokens=self.batch_tokens)
        short.sort(key=lambda i: (len(pairs[i][0]), len(pairs[i][1])))
        for batch in _batches(short, pairs):
            found = self._score(
                [(sides[tuple(pairs[i][0])], sides[tuple(pairs[i][1])]) for i in batch],
                [None if contexts is None else contexts[i].attention for i in batch],
            )
            for i, alignment in zip(batch, found, strict=True):
                result[i] = alignment

    def _embed(self, texts: list[NDArray[np.int64]], *, window: int | None = None) -> list[NDArray[np.float32]]:
        return embed(self.encoder, texts, batch_tokens=self.batch_tokens, window=window)

    def _link_parts(
        self, pair: TokenPair, pieces: Mapping[str, Sequence[int]], source: Vectors, target: Vectors
    ) -> Alignment:
        """The links between parts of a long pair."""
        sides = []
        for tokens, vectors in zip(pair, (source, target), strict=True):
            n_words = int(vectors.words[-1]) + 1 if len(vectors.words) else 0
            words = tokens[vectors.start : vectors.start + n_words]
            sides.append(side_of(self.encoder, words, pieces, vectors.pieces))
        if not all(len(side.tokens) for side in sides):
            return Alignment()
        (found,) = self._score([(sides[0], sides[1])], [None])
        return found

    def _score(self, pairs: Sequence[tuple[Side, Side]], attention: Sequence[Alignment | None]) -> list[Alignment]:
        soft = [None if a is None else _dense(a, *pair) for a, pair in zip(attention, pairs, strict=True)]
        batch = PairBatch(pairs, soft)
        probabilities = self.weights.probabilities(batch)
        found = _alignments(self._chosen(probabilities), probabilities)
        if self.evidence is None:
            return found
        weights = likeness(batch)
        evidence = _alignments(weights > self.evidence, weights)
        return [replace(links, evidence=weak) for links, weak in zip(found, evidence, strict=True)]

    def _chosen(self, probabilities: Cells) -> NDArray[np.bool_]:
        best = probabilities >= probabilities.max(axis=2, keepdims=True)
        best |= probabilities >= probabilities.max(axis=1, keepdims=True)
        return (probabilities > self.threshold) | (best & (probabilities > self.only_link))


def _batches(indices: Sequence[int], pairs: Sequence[TokenPair]) -> list[list[int]]:
    """Neighbours that have so many cells together, or a single one that has more."""
    batches: list[list[int]] = []
    n = m = 0
    for i in indices:
        wider = max(n, len(pairs[i][0])), max(m, len(pairs[i][1]))
        if batches and (len(batches[-1]) + 1) * wider[0] * wider[1] <= _CELLS:
            batches[-1].append(i)
            n, m = wider
        else:
            batches.append([i])
            n, m = len(pairs[i][0]), len(pairs[i][1])
    return batches


def _alignments(chosen: NDArray[np.bool_], scores: Cells) -> list[Alignment]:
    """The chosen cells of each pair as links."""
    which, i, j = np.nonzero(chosen)
    cuts = np.searchsorted(which, np.arange(1, len(chosen)))
    links = np.split(np.stack([i, j], axis=1).astype(np.int32), cuts)
    return [Alignment(*found) for found in zip(links, np.split(scores[which, i, j], cuts), strict=True)]


def _dense(attention: Alignment, source: Side, target: Side) -> NDArray[np.float32]:
    weights = np.zeros((len(source.tokens), len(target.tokens)), np.float32)
    weights[attention.links[:, 0], attention.links[:, 1]] = attention.scores
    return weights
