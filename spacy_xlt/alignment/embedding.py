"""Word links from the vectors of a pretrained encoder, many pairs at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import error
from ..protocols import PairContext, TokenPair
from . import matching
from .links import Alignment

if TYPE_CHECKING:
    from .encoder import Encoder

METHODS = ("softmax", "inter", "itermax", "mwmf")
LEVELS = ("subword", "word")
_SIMALIGN = {"inter": matching.mutual_argmax, "itermax": matching.itermax, "mwmf": matching.max_weight_matching}
# Vectors are held in memory for so many batches at a time.
_BATCHES_HELD = 16


def make_embedding_aligner(
    *,
    model: str = "bundled:encoder",
    layer: int | list[int] = 6,
    method: str = "softmax",
    level: str | None = None,
    center: bool | None = None,
    temperature: float | None = 0.05,
    threshold: float | None = None,
    batch_tokens: int = 1024,
    half_precision: bool = True,
) -> EmbeddingAligner:
    """Make the aligner from a config. The settings are those of `EmbeddingAligner`."""
    return EmbeddingAligner(
        model,
        layer=layer,
        method=method,
        level=level,
        center=center,
        temperature=temperature,
        threshold=threshold,
        batch_tokens=batch_tokens,
        half_precision=half_precision,
    )


class EmbeddingAligner:
    """Links words whose contextual vectors are near each other, seen from both sides.

    "inter" (mutual argmax), "itermax" and "mwmf" (maximum-weight matching) are SimAlign's methods (Jalili Sabet et
    al. 2020). "softmax" is awesome-align's (Dou & Neubig 2021) with its `temperature`, `level` and `center` changed:
    a softmax of cosines in both directions; `temperature` null gives theirs, of dot products. The layers above the
    one used are neither loaded nor run. Tokens without text (white space, zero-width characters) get no link.

    model (str): A model folder, a Hugging Face name, or "bundled:encoder" or "bundled:encoder-en-pt".
    layer (int | list[int]): The layer whose vectors are compared; of several, their mean.
    method (str): "softmax", "inter", "itermax" or "mwmf".
    level (str | None): Compare "subword" pieces, and link words of which any pieces are linked; or "word", averages
        of pieces. Left out: words for softmax with a temperature, else pieces.
    center (bool | None): Subtract the mean of its sentence from each vector, so that what all words of a sentence
        share does not count. Left out: for softmax with a temperature.
    temperature (float | None): What "softmax" divides the cosines by; null for dot products as they are.
    threshold (float | None): What a link's score must exceed; for dot products, both probabilities. Left out: 0.3 for
        cosines, 0.001 for dot products, 0 for the other methods.
    batch_tokens (int): Pieces a batch, padding included: more memory, and on a GPU more speed.
    half_precision (bool): Compute in half precision on a GPU.
    RAISES (XltError): E301 for an unknown method or level, E304 for another setting with an impossible value.
    """

    def __init__(
        self,
        model: str = "bundled:encoder",
        *,
        layer: int | list[int] = 6,
        method: str = "softmax",
        level: str | None = None,
        center: bool | None = None,
        temperature: float | None = 0.05,
        threshold: float | None = None,
        batch_tokens: int = 1024,
        half_precision: bool = True,
    ):
        cosines = method == "softmax" and temperature is not None
        self.model = str(model)
        self.layer = layer
        self.method = method
        self.level = level or ("word" if cosines else "subword")
        self.center = cosines if center is None else center
        self.temperature = temperature
        self.threshold = threshold
        self.batch_tokens = batch_tokens
        self.half_precision = half_precision
        self._check()
        if threshold is None:
            self.threshold = 0.3 if cosines else 0.001 if method == "softmax" else 0.0
        self._encoder: Encoder | None = None

    def _check(self) -> None:
        for setting, known in (("method", METHODS), ("level", LEVELS)):
            if getattr(self, setting) not in known:
                raise error("E301", setting=setting, value=getattr(self, setting), known=", ".join(known))
        if not self.layers or not all(_is_whole(layer, 0) for layer in self.layers):
            raise error("E304", setting="layer", value=self.layer, expected="a whole number from 0, or a list of them")
        if not _is_whole(self.batch_tokens, 1):
            raise error("E304", setting="batch_tokens", value=self.batch_tokens, expected="a whole number from 1")
        if self.temperature is not None and not self.temperature > 0:
            raise error("E304", setting="temperature", value=self.temperature, expected="a number above 0, or null")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise error("E304", setting="threshold", value=self.threshold, expected="a number from 0 to 1, or null")

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers of which the mean is compared."""
        return tuple(self.layer) if isinstance(self.layer, (list, tuple)) else (self.layer,)

    @property
    def signature(self) -> str:
        """Model, settings and version in one line."""
        layer = "+".join(map(str, self.layers))
        settings = f"layer:{layer}|method:{self.method}|level:{self.level}|center:{'yes' if self.center else 'no'}"
        if self.method == "softmax":
            settings += f"|temperature:{self.temperature or 'none'}"
        return f"EmbeddingAligner|model:{self.model}|{settings}|threshold:{self.threshold:g}|version:{__version__}"

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at first use.

        RAISES (XltError): As `Encoder`.
        """
        if self._encoder is None:
            from .encoder import Encoder

            self._encoder = Encoder(self.model, self.layers, half=self.half_precision)
        return self._encoder

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None}

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of many pairs.

        pairs (Sequence[TokenPair]): Source tokens and target tokens, of any length.
        contexts: Not used.
        RETURNS (list[Alignment]): In order. A score is the cosine moved to [0, 1], or for "softmax" the geometric
            mean of both probabilities; where several pieces link two words, the greatest.
        """
        result: list[Alignment] = []
        if any(source and target for source, target in pairs):
            pieces = self.encoder.pieces(word for pair in pairs for tokens in pair for word in tokens)
            for chunk in _chunks(pairs, pieces, self.batch_tokens * _BATCHES_HELD):
                result.extend(self._align_chunk(chunk, pieces))
            return result
        return [Alignment() for _ in pairs]

    def _align_chunk(self, pairs: Sequence[TokenPair], pieces: dict[str, list[int]]) -> list[Alignment]:
        sentences = {tuple(tokens): i for i, tokens in enumerate(dict.fromkeys(tuple(t) for p in pairs for t in p))}
        ids = [_ids(tokens, pieces) for tokens in sentences]
        words = [np.repeat(np.arange(len(tokens)), [len(pieces[w]) for w in tokens]) for tokens in sentences]
        vectors = self.encoder.embed(ids, batch_tokens=self.batch_tokens)
        if self.level == "word":
            vectors, words = _average(vectors, words)
        if self.center:
            vectors = [_centered(vector) for vector in vectors]
        result = []
        for source, target in pairs:
            i, j = sentences[tuple(source)], sentences[tuple(target)]
            links, scores = self._match(vectors[i], vectors[j])
            result.append(_word_links(words[i][links[:, 0]], words[j][links[:, 1]], scores))
        return result

    def _match(self, source: NDArray[np.float32], target: NDArray[np.float32]) -> matching.Matched:
        threshold = float(self.threshold or 0)
        if self.method == "softmax" and self.temperature is not None:
            return matching.softmax_cosines(source, target, temperature=self.temperature, threshold=threshold)
        if self.method == "softmax":
            return matching.softmax_products(source, target, threshold=threshold)
        links, scores = _SIMALIGN[self.method](source, target)
        kept = scores > threshold if threshold else slice(None)
        return links[kept], scores[kept]


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _ids(tokens: Sequence[str], pieces: dict[str, list[int]]) -> NDArray[np.int64]:
    return np.asarray([piece for word in tokens for piece in pieces[word]], np.int64)


def _chunks(pairs: Sequence[TokenPair], pieces: dict[str, list[int]], limit: int) -> Iterator[Sequence[TokenPair]]:
    """Neighbouring pairs that have so many pieces together, or a single one that has more."""
    start, held = 0, 0
    for i, pair in enumerate(pairs):
        size = sum(len(pieces[word]) for tokens in pair for word in tokens)
        if held and held + size > limit:
            yield pairs[start:i]
            start, held = i, 0
        held += size
    yield pairs[start:]


def _average(
    vectors: Sequence[NDArray[np.float32]], words: Sequence[NDArray[np.int64]]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]]:
    """One vector for each word that has pieces, and which word it is."""
    means: list[NDArray[np.float32]] = []
    kept: list[NDArray[np.int64]] = []
    for vector, word in zip(vectors, words, strict=True):
        distinct, first, counts = np.unique(word, return_index=True, return_counts=True)
        sums = np.add.reduceat(vector, first, axis=0) if len(word) else vector
        means.append((sums / counts[:, None]).astype(np.float32))
        kept.append(distinct.astype(np.int64))
    return means, kept


def _centered(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the mean, taken with two zero vectors more, so that the only word of a sentence keeps its direction."""
    return vectors - vectors.sum(axis=0) / np.float32(len(vectors) + 2)


def _word_links(source: NDArray[np.int64], target: NDArray[np.int64], scores: NDArray[np.float32]) -> Alignment:
    """Links between words, each once with its greatest score."""
    best: dict[tuple[int, int], float] = {}
    for i, j, score in zip(source.tolist(), target.tolist(), scores.tolist(), strict=True):
        if score > best.get((i, j), -1.0):
            best[i, j] = score
    return Alignment(np.asarray(list(best), np.int32).reshape(-1, 2), np.asarray(list(best.values()), np.float32))
