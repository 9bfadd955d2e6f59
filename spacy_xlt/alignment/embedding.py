"""Word links from the vectors of a pretrained encoder, many pairs at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import error
from ..links import Alignment
from ..protocols import PairContext, TokenPair, Tokens
from . import matching, on_device
from .longtext import Vectors, align_long

if TYPE_CHECKING:
    from .encoder import Encoder

METHODS = ("softmax", "inter", "itermax", "mwmf")
LEVELS = ("subword", "word")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
_SIMALIGN = {"inter": matching.mutual_argmax, "itermax": matching.itermax, "mwmf": matching.max_weight_matching}
# Vectors are held in memory for so many batches at a time.
_BATCHES_HELD = 16
# On a GPU, a batch has so many times as many pieces.
_GPU_BATCH = 32
# The words of so many tokens are cut into pieces at a time.
_WORDS_HELD = 1 << 18


def make_embedding_aligner(
    *,
    model: str = "bundled:encoder",
    layer: int | list[int] = 6,
    method: str = "softmax",
    level: str | None = None,
    center: bool | None = None,
    temperature: float | None = 0.05,
    threshold: float | None = None,
    evidence: float | None = 0.05,
    batch_tokens: int = 1024,
    precision: str = "auto",
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
        evidence=evidence,
        batch_tokens=batch_tokens,
        precision=precision,
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
    evidence (float | None): Of the softmax of cosines, give projectors besides the links all pairs of words with a
        score above this (see `Alignment.weak_links`); nothing where null.
    batch_tokens (int): Pieces a batch, padding included; on a GPU, 32 times as many.
    precision (str): What the encoder computes in: "float32", "float16", "bfloat16" or "auto". The methods of SimAlign
        are float32 then, so that their links are SimAlign's; softmax is float16 on a GPU and bfloat16 on a CPU that
        has instructions for it, which is about twice as fast and changes one link in a thousand.
    RAISES (XltError): E301 for an unknown method, level or precision, E304 for an impossible value of another setting.
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
        evidence: float | None = 0.05,
        batch_tokens: int = 1024,
        precision: str = "auto",
    ):
        cosines = method == "softmax" and temperature is not None
        self.model = str(model)
        self.layer = layer
        self.method = method
        self.level = level or ("word" if cosines else "subword")
        self.center = cosines if center is None else center
        self.temperature = temperature
        self.threshold = threshold
        self.evidence = evidence if cosines else None
        self.batch_tokens = batch_tokens
        self.precision = precision
        self._check()
        if threshold is None:
            self.threshold = 0.3 if cosines else 0.001 if method == "softmax" else 0.0
        self._encoder: Encoder | None = None

    def _check(self) -> None:
        for setting, known in (("method", METHODS), ("level", LEVELS), ("precision", PRECISIONS)):
            if getattr(self, setting) not in known:
                raise error("E301", setting=setting, value=getattr(self, setting), known=", ".join(known))
        if not self.layers or not all(_is_whole(layer, 0) for layer in self.layers):
            raise error("E304", setting="layer", value=self.layer, expected="a whole number from 0, or a list of them")
        if not _is_whole(self.batch_tokens, 1):
            raise error("E304", setting="batch_tokens", value=self.batch_tokens, expected="a whole number from 1")
        if self.temperature is not None and not self.temperature > 0:
            raise error("E304", setting="temperature", value=self.temperature, expected="a number above 0, or null")
        for setting in ("threshold", "evidence"):
            value = getattr(self, setting)
            if value is not None and not 0 <= value <= 1:
                raise error("E304", setting=setting, value=value, expected="a number from 0 to 1, or null")

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
        settings += f"|threshold:{self.threshold:g}"
        if self.evidence is not None:
            settings += f"|evidence:{self.evidence:g}"
        settings += f"|precision:{self._precision}"
        return f"EmbeddingAligner|model:{self.model}|{settings}|version:{__version__}"

    @property
    def _precision(self) -> str:
        return "float32" if self.precision == "auto" and self.method in _SIMALIGN else self.precision

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at first use.

        RAISES (XltError): As `Encoder`.
        """
        if self._encoder is None:
            from .encoder import Encoder

            self._encoder = Encoder(self.model, self.layers, precision=self._precision)
        return self._encoder

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None}

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of many pairs.

        What the model can read at once is compared word by word. Of longer texts, sentences that correspond are found
        first, in order, and words compared within them.

        pairs (Sequence[TokenPair]): Source tokens and target tokens, of any length.
        contexts: Not used.
        RETURNS (list[Alignment]): In order. A score is the cosine moved to [0, 1], or for "softmax" the geometric
            mean of both probabilities; where several pieces link two words, the greatest.
        """
        result = [Alignment()] * len(pairs)
        filled = [i for i, (source, target) in enumerate(pairs) if source and target]
        for group in _groups(filled, pairs):
            pieces = self.encoder.pieces(word for i in group for tokens in pairs[i] for word in tokens)
            sizes = [[sum(len(pieces[word]) for word in tokens) for tokens in pairs[i]] for i in group]
            short = [(i, sum(size)) for i, size in zip(group, sizes, strict=True) if max(size) <= self.encoder.window]
            on_gpu = self._links_on_device()
            align = self._align_on_device if on_gpu else self._align_chunk
            for chunk in _chunks(short, self.batch_tokens * (4 * _GPU_BATCH if on_gpu else _BATCHES_HELD)):
                found = align([pairs[i] for i in chunk], pieces)
                for i, alignment in zip(chunk, found, strict=True):
                    result[i] = alignment
            for i in set(group) - {i for i, _ in short}:
                result[i] = align_long(pairs[i], pieces, embed=self._embed, link=self._link)
        return result

    def _embed(self, texts: list[NDArray[np.int64]], *, window: int | None = None) -> list[NDArray[np.float32]]:
        return self.encoder.embed(texts, batch_tokens=self.batch_tokens, window=window)

    def _align_chunk(self, pairs: Sequence[TokenPair], pieces: dict[str, list[int]]) -> list[Alignment]:
        sentences = {tuple(tokens): i for i, tokens in enumerate(dict.fromkeys(tuple(t) for p in pairs for t in p))}
        ids, words = _pieces_of(sentences, pieces)
        sides = [self._prepare(Vectors(*of_text)) for of_text in zip(self._embed(ids), words, strict=True)]
        return [self._match(sides[sentences[tuple(s)]], sides[sentences[tuple(t)]]) for s, t in pairs]

    def _align_on_device(self, pairs: Sequence[TokenPair], pieces: dict[str, list[int]]) -> list[Alignment]:
        """As `_align_chunk`, but vectors, similarities and the choice of links stay where the encoder is."""
        sentences = {tuple(tokens): i for i, tokens in enumerate(dict.fromkeys(tuple(t) for p in pairs for t in p))}
        ids, words = _pieces_of(sentences, pieces)
        vectors = self.encoder.embed_on_device(ids, batch_tokens=self.batch_tokens * _GPU_BATCH)
        texts = on_device.Texts(vectors, np.asarray([len(of_text) for of_text in ids], np.int64))
        if self.level == "word":
            texts, words = texts.averaged(words)
        indices = [(sentences[tuple(source)], sentences[tuple(target)]) for source, target in pairs]
        matched = on_device.link_pairs(
            texts.centered() if self.center else texts,
            indices,
            method=self.method,
            temperature=self.temperature or 1.0,
            threshold=self._least,
        )
        return [
            self._links(words[i][links[:, 0]], words[j][links[:, 1]], scores)
            for (i, j), (links, scores) in zip(indices, matched, strict=True)
        ]

    def _links_on_device(self) -> bool:
        from thinc.api import get_torch_default_device

        known = self.method in on_device.METHODS and (self.method != "softmax" or self.temperature is not None)
        return known and get_torch_default_device().type == "cuda"

    def _prepare(self, vectors: Vectors) -> Vectors:
        if self.level == "word":
            vectors = _average(vectors)
        return Vectors(_centered(vectors.pieces), vectors.words) if self.center else vectors

    def _link(self, source: Vectors, target: Vectors) -> Alignment:
        return self._match(self._prepare(source), self._prepare(target))

    def _match(self, source: Vectors, target: Vectors) -> Alignment:
        threshold = self._least
        if self.method in _SIMALIGN:
            links, scores = _SIMALIGN[self.method](source.pieces, target.pieces)
            if threshold:
                links, scores = links[scores > threshold], scores[scores > threshold]
        elif self.temperature is None:
            links, scores = matching.softmax_products(source.pieces, target.pieces, threshold=threshold)
        else:
            links, scores = matching.softmax_cosines(
                source.pieces, target.pieces, temperature=self.temperature, threshold=threshold
            )
        return self._links(source.words[links[:, 0]], target.words[links[:, 1]], scores)

    @property
    def _least(self) -> float:
        """The lowest score of interest."""
        threshold = float(self.threshold or 0)
        return threshold if self.evidence is None else min(threshold, self.evidence)

    def _links(self, source: NDArray[np.int64], target: NDArray[np.int64], scores: NDArray[np.float32]) -> Alignment:
        if self.level == "word":
            # Each pair of words is there once
            found = Alignment(np.stack([source, target], axis=1).astype(np.int32), scores)
        else:
            found = _word_links(source, target, scores)
        if self.evidence is None:
            return found
        sure = found.scores > float(self.threshold or 0)
        return Alignment(found.links[sure], found.scores[sure], found)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _groups(indices: Sequence[int], pairs: Sequence[TokenPair]) -> Iterator[Sequence[int]]:
    """Pairs with so many words together that the dictionary of their pieces stays small, or one that has more."""
    yield from _chunks([(i, len(pairs[i][0]) + len(pairs[i][1])) for i in indices], _WORDS_HELD)


def _chunks(sizes: Sequence[tuple[int, int]], limit: int) -> Iterator[list[int]]:
    """Neighbouring items, given as (item, size), that reach a limit together, or a single one that has more."""
    chunk: list[int] = []
    held = 0
    for item, size in sizes:
        if chunk and held + size > limit:
            yield chunk
            chunk, held = [], 0
        chunk.append(item)
        held += size
    if chunk:
        yield chunk


def _pieces_of(
    texts: Iterable[Tokens], pieces: dict[str, list[int]]
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """The piece ids of each text, and for each piece which word it is of."""
    ids = [np.asarray([piece for word in tokens for piece in pieces[word]], np.int64) for tokens in texts]
    words = [np.repeat(np.arange(len(tokens)), [len(pieces[word]) for word in tokens]) for tokens in texts]
    return ids, words


def _average(vectors: Vectors) -> Vectors:
    """One vector for each word that has pieces, and which word it is."""
    distinct, first, counts = np.unique(vectors.words, return_index=True, return_counts=True)
    sums = np.add.reduceat(vectors.pieces, first, axis=0) if len(distinct) else vectors.pieces
    return Vectors((sums / counts[:, None]).astype(np.float32), distinct.astype(np.int64))


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
