"""Word links from all evidence there is: vectors, spelling, position, neighbours and, where known, attention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...errors import error, warn
from ...links import Alignment
from ...protocols import Aligner, Attender, PairContext, TokenPair
from ..embedding import EmbeddingAligner
from ..longtext import Vectors, align_long
from .added import ALIGNER, Added
from .batch import Cells, PairBatch, Side
from .evidence import LEAST, weigh
from .known import Knowledge, Known, parts_of
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
    plain_evidence: bool = True,
    batch_tokens: int = 1024,
    precision: str = "auto",
    translator: Attender | None = None,
    source: str = "",
    target: str = "",
    aligners: dict[str, Any] | None = None,
    aligner_weight: float = 2.0,
) -> CombinedAligner:
    """Make the aligner from a config. The settings are those of `CombinedAligner`."""
    return CombinedAligner(
        model,
        weights=weights,
        threshold=threshold,
        only_link=only_link,
        evidence=evidence,
        plain_evidence=plain_evidence,
        batch_tokens=batch_tokens,
        precision=precision,
        translator=translator,
        source=source,
        target=target,
        aligners=aligners,
        aligner_weight=aligner_weight,
    )


class CombinedAligner:
    """Links words by the probability that all signals together give them.

    The signals (`signals.SIGNALS`) compare vectors of several layers, spelling, capitals, numbers, punctuation and
    position. A logistic regression makes a probability of them; a second one also sees what the first found around a
    pair of words; a third one changes it where there is attention. What words of different scripts have in common in
    Latin letters (with the package uroman: pip install 'spacy-xlt[romanise]'), and what other aligners say, is added at
    the end. So pairs without one of these are linked as if it did not exist. A link's score is its probability.

    model (str): A model folder, a Hugging Face name, or "bundled:encoder" or "bundled:encoder-en-pt".
    weights (str | None): A folder with weights; those that come with the package where left out.
    threshold (float): What the probability of a link must exceed.
    only_link (float): What it must exceed where it is the best link of one of its words.
    evidence (float | None): Give projectors besides the links all pairs of words with a weight above this (see
        `Alignment.weak_links`); nothing where null.
    plain_evidence (bool): Take the weights mostly from the model as it is without the changes that come with the
        weights, which knows nothing of how people link articles and prepositions. Texts are read twice for that.
        If not, from the changed model.
    batch_tokens (int): Pieces a batch of the encoder, padding included.
    precision (str): What the encoder computes in: "float32", "float16", "bfloat16" or "auto".
    translator (Attender | None): A translator with `attend`, such as BergamotTranslator: its attention is a signal for
        pairs of languages that it knows. What is stored with a translation counts without it.
    source, target (str): The languages for `translator`, where nothing is known of a pair; "" for unknown.
    aligners (Mapping[str, Aligner] | None): Other aligners by name, such as StatisticalAligner: the scores of each are
        a signal.
    aligner_weight (float): What a link of score 1 of one of them adds to the log-odds of a link. Nothing can be known
        of an aligner beforehand; where `weights` has one for "aligner:NAME", that one counts. The encoder's own
        languages gain nothing from StatisticalAligner; for a language that it does not know, set it higher, to 6.
    RAISES (XltError): E304 for a setting with an impossible value, E306 for a translator without `attend`, E320 for a
        folder without weights, E323 for an aligner without `align`.
    """

    def __init__(
        self,
        model: str = "bundled:encoder",
        *,
        weights: str | None = None,
        threshold: float = 0.6,
        only_link: float = 0.4,
        evidence: float | None = 0.05,
        plain_evidence: bool = True,
        batch_tokens: int = 1024,
        precision: str = "auto",
        translator: Attender | None = None,
        source: str = "",
        target: str = "",
        aligners: Mapping[str, Aligner] | None = None,
        aligner_weight: float = 2.0,
    ):
        for setting, value in (("threshold", threshold), ("only_link", only_link), ("evidence", evidence)):
            if value is not None and (isinstance(value, bool) or not 0 <= value <= 1):
                raise error("E304", setting=setting, value=value, expected="a number from 0 to 1")
        if isinstance(batch_tokens, bool) or not isinstance(batch_tokens, int) or batch_tokens < 1:
            raise error("E304", setting="batch_tokens", value=batch_tokens, expected="a whole number from 1")
        number = isinstance(aligner_weight, (int, float)) and not isinstance(aligner_weight, bool)
        if not number or not math.isfinite(aligner_weight):
            raise error("E304", setting="aligner_weight", value=aligner_weight, expected="a number")
        if precision not in PRECISIONS:
            raise error("E301", setting="precision", value=precision, known=", ".join(PRECISIONS))
        self.model = str(model)
        self.weights = Weights.load(SHIPPED if weights is None else Path(weights))
        self.threshold = float(threshold)
        self.only_link = float(only_link)
        self.evidence = None if evidence is None else float(evidence)
        self.plain_evidence = plain_evidence
        self.batch_tokens = batch_tokens
        self.precision = precision
        self._knowledge = Knowledge(translator, aligners or {}, source=source, target=target)
        unfitted = {ALIGNER + name: Added(float(aligner_weight)) for name in aligners or ()}
        self.weights = replace(self.weights, added={**unfitted, **self.weights.added})
        self._encoder: AdaptedEncoder | None = None
        self._plain: EmbeddingAligner | None = None
        if evidence is not None and plain_evidence and self._changes:
            self._plain = EmbeddingAligner(
                self.model,
                layer=max(LAYERS),
                threshold=LEAST,
                evidence=None,
                batch_tokens=batch_tokens,
                precision=precision,
            )
        if self.model not in self.weights.models:
            warn("W320", model=self.model, models=", ".join(self.weights.models))

    @property
    def signature(self) -> str:
        """Model, weights, settings and version in one line."""
        chosen = f"threshold:{self.threshold:g}|only_link:{self.only_link:g}"
        if self.evidence is not None:
            chosen += f"|evidence:{self.evidence:g}{'+plain' if self._plain else ''}"
        settings = f"weights:{self.weights.digest}|{chosen}|precision:{self.precision}"
        return f"CombinedAligner|model:{self.model}|{settings}|version:{__version__}{self._knowledge.signature}"

    @property
    def encoder(self) -> AdaptedEncoder:
        """The encoder, loaded at first use.

        RAISES (XltError): As `AdaptedEncoder`.
        """
        if self._encoder is None:
            from .adapter import AdaptedEncoder

            self._encoder = AdaptedEncoder(self.model, max(LAYERS), changes=self._changes, precision=self.precision)
        return self._encoder

    @property
    def _changes(self) -> Mapping[str, NDArray[np.floating]]:
        # They are of use to the matrices only that they were learned for
        return self.weights.changes if self.model in self.weights.models else {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None}

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of many pairs.

        pairs (Sequence[TokenPair]): Source tokens and target tokens, of any length.
        contexts (Sequence[PairContext] | None): One for each pair. Stored attention is one more signal; the
            languages say whether `translator` is asked for it.
        RETURNS (list[Alignment]): In order; a link's score is its probability.
        RAISES (XltError): E307 where there is not one context for each pair; E324 and E002 for what one of `aligners`
            gives and cannot be.
        """
        if contexts is not None and len(contexts) != len(pairs):
            raise error("E307", n_contexts=len(contexts), n_pairs=len(pairs))
        result = [Alignment()] * len(pairs)
        known = self._knowledge.of(pairs, contexts)
        chunk: list[int] = []
        held = 0
        for i, (source, target) in enumerate(pairs):
            if not source or not target:
                continue
            if chunk and held + len(source) + len(target) > self.batch_tokens * _BATCHES_HELD:
                self._align_chunk(chunk, pairs, contexts, known, result)
                chunk, held = [], 0
            chunk.append(i)
            held += len(source) + len(target)
        if chunk:
            self._align_chunk(chunk, pairs, contexts, known, result)
        if self._plain is not None and self.evidence is not None:
            for i, alike in enumerate(self._plain.align(pairs)):
                likely = result[i].weak_links or Alignment()
                result[i] = replace(result[i], evidence=weigh(likely, alike, least=self.evidence))
        return result

    def _align_chunk(
        self,
        chunk: Sequence[int],
        pairs: Sequence[TokenPair],
        contexts: Sequence[PairContext] | None,
        known: Sequence[Known],
        result: list[Alignment],
    ) -> None:
        pieces = self.encoder.pieces(word for i in chunk for tokens in pairs[i] for word in tokens)
        window = self.encoder.window
        short = [i for i in chunk if all(sum(len(pieces[w]) for w in tokens) <= window for tokens in pairs[i])]
        for i in set(chunk).difference(short):
            link = partial(self._link_parts, pairs[i], known[i], pieces)
            result[i] = align_long(pairs[i], pieces, embed=self._embed, link=link)
        sides = sides_of(self.encoder, [t for i in short for t in pairs[i]], pieces, batch_tokens=self.batch_tokens)
        now = self._knowledge.attended(short, pairs, contexts, known)
        short.sort(key=lambda i: (len(pairs[i][0]), len(pairs[i][1])))
        for batch in _batches(short, pairs):
            found = self._score(
                [(sides[tuple(pairs[i][0])], sides[tuple(pairs[i][1])]) for i in batch],
                [now[i] for i in batch],
            )
            for i, alignment in zip(batch, found, strict=True):
                result[i] = alignment

    def _embed(self, texts: list[NDArray[np.int64]], *, window: int | None = None) -> list[NDArray[np.float32]]:
        return embed(self.encoder, texts, batch_tokens=self.batch_tokens, window=window)

    def _link_parts(
        self, pair: TokenPair, known: Known, pieces: Mapping[str, Sequence[int]], source: Vectors, target: Vectors
    ) -> Alignment:
        """The links between parts of a long pair."""
        sides = []
        for tokens, vectors in zip(pair, (source, target), strict=True):
            n_words = int(vectors.words[-1]) + 1 if len(vectors.words) else 0
            words = tokens[vectors.start : vectors.start + n_words]
            sides.append(side_of(self.encoder, words, pieces, vectors.pieces))
        if not all(len(side.tokens) for side in sides):
            return Alignment()
        ranges = [(v.start, v.start + len(side.tokens)) for v, side in zip((source, target), sides, strict=True)]
        (found,) = self._score([(sides[0], sides[1])], [parts_of(known, ranges[0], ranges[1])])
        return found

    def _score(self, pairs: Sequence[tuple[Side, Side]], known: Sequence[Known]) -> list[Alignment]:
        batch = PairBatch(pairs, known)
        probabilities = self.weights.probabilities(batch)
        found = _alignments(self._chosen(probabilities), probabilities)
        if self.evidence is None:
            return found
        weights, least = (likeness(batch), self.evidence) if self._plain is None else (probabilities, LEAST)
        evidence = _alignments(weights > least, weights)
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
