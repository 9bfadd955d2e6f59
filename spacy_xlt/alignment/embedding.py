"""Word links from the vectors of a pretrained encoder, many pairs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine, setting
from ..links import Alignment
from ..protocols import PairContext, TokenPair
from .long_texts import align_texts
from .sentences import units_of

if TYPE_CHECKING:
    import torch

    from .encoder import Encoder
    from .word_vectors import TextVectors

METHODS = ("softmax", "inter", "itermax", "mwmf")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
# Vectors are held in memory for so many batches at a time; on a GPU, whose batches are larger, for fewer
_BATCHES_HELD, _BATCHES_HELD_ON_GPU = 16, 4


@dataclass(kw_only=True, eq=False)
class EmbeddingAligner(Engine):
    """Links words whose contextual vectors are near each other, seen from both sides.

    "inter" (mutual argmax), "itermax" and "mwmf" (maximum-weight matching) are SimAlign's methods (Jalili Sabet et
    al. 2020): they compare word pieces, and words are linked of which any pieces are linked. "softmax" is
    awesome-align's (Dou & Neubig 2021) with means of a word's pieces instead of pieces, less the mean of the sentence,
    and cosines over a temperature instead of dot products. The layers above the one used are neither loaded nor run.
    Tokens without text (white space, zero-width characters) get no link.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:encoder" or "bundled:encoder-en-pt".
        layer: The layer whose vectors are compared.
        method: "softmax", "inter", "itermax" or "mwmf".
        temperature: What "softmax" divides the cosines by: the smaller, the nearer to mutual argmax.
        threshold: What a link's score must exceed. Left out: 0.3 for "softmax", else 0.
        weak_links: For "softmax", give projectors besides the links all pairs of words with a score above this (see
            `Alignment.weak_links`); none where null.
        batch_tokens: Pieces a batch, padding included; on a GPU, 32 times as many.
        precision: What the encoder computes in: "float32", "float16", "bfloat16" or "auto". The methods of SimAlign
            are float32 then, so that their links are SimAlign's; "softmax" is float16 on a GPU and bfloat16 on a CPU
            that has instructions for it, which is about twice as fast and changes one link in a thousand.

    Raises:
        XltError: E150 for an invalid setting.
    """

    output_version: ClassVar[int] = 3
    model: str = "bundled:encoder"
    layer: int = setting(6, ge=0)
    method: str = setting("softmax", choices=METHODS)
    temperature: float = setting(0.05, gt=0)
    threshold: float | None = setting(None, ge=0, le=1)
    weak_links: float | None = setting(0.05, ge=0, le=1)
    batch_tokens: int = setting(1024, ge=1, decides=False)
    precision: str = setting("auto", choices=PRECISIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        by_words = self.method == "softmax"
        if self.threshold is None:
            self.threshold = 0.3 if by_words else 0.0
        if not by_words:
            self.weak_links = None
            self.precision = "float32" if self.precision == "auto" else self.precision
        self._encoder: Encoder | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at first use.

        Raises:
            XltError: As `Encoder`.
        """
        if self._encoder is None:
            from .encoder import Encoder

            self._encoder = Encoder(self.model, self.layer, precision=self.precision)
        return self._encoder

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of many pairs.

        For "softmax", sentences that correspond are found first, where both sides have several, and words are
        compared within them, as if each were a pair of its own: read together, words are less like their translations
        and more like other words. The other methods do so with what is longer than the model reads at once.

        Args:
            pairs: Tokens of both sides, of any length.
            contexts: Not used.

        Returns:
            In order. A score is the geometric mean of both probabilities for "softmax", else the cosine moved from
            [-1, 1] to [0, 1]; where several pieces link two words, the greatest.
        """
        filled = [pair for pair in pairs if pair[0] and pair[1]]
        if not filled:
            return [Alignment()] * len(pairs)
        pieces = self.encoder.pieces(word for pair in filled for tokens in pair for word in tokens)
        whole = [self._is_whole(pair, pieces) for pair in pairs]
        return align_texts(pairs, pieces, embed=self._embed, link=self._link, whole=whole, held=self._pieces_held())

    def _is_whole(self, pair: TokenPair, pieces: Mapping[str, Sequence[int]]) -> bool:
        """Whether the model reads a pair at once, which is one sentence, or which SimAlign compares as it is."""
        if not all(sum(len(pieces.get(word, ())) for word in tokens) <= self.encoder.window for tokens in pair):
            return False
        return self.method != "softmax" or min(len(units_of(tokens)) for tokens in pair) <= 1

    def _pieces_held(self) -> int:
        from thinc.api import get_torch_default_device

        from .encoder import GPU_BATCH

        on_gpu = get_torch_default_device().type == "cuda"
        return self.batch_tokens * (_BATCHES_HELD_ON_GPU * GPU_BATCH if on_gpu else _BATCHES_HELD)

    def _embed(self, texts: Sequence[NDArray[np.int64]], *, window: int | None = None) -> torch.Tensor:
        return self.encoder.embed(texts, batch_tokens=self.batch_tokens, window=window)

    def _link(self, texts: TextVectors, pairs: Sequence[tuple[int, int]]) -> list[Alignment]:
        """Link the words of pairs of texts, given as vectors of their pieces."""
        from .word_vectors import link_pairs

        threshold = float(self.threshold or 0)
        if self.method == "softmax":
            texts = texts.averaged().centred()
        matches = link_pairs(
            texts,
            pairs,
            method=self.method,
            temperature=self.temperature,
            threshold=threshold if self.weak_links is None else min(threshold, self.weak_links),
        )
        result = []
        for (i, j), (rows, scores) in zip(pairs, matches, strict=True):
            links = np.stack([texts.words[i][rows[:, 0]], texts.words[j][rows[:, 1]]], axis=1).astype(np.int32)
            alignment = Alignment(links, scores) if self.method == "softmax" else _word_links(links, scores)
            if self.weak_links is not None:
                alignment = Alignment(alignment.links, alignment.scores, alignment).above(threshold)
            result.append(alignment)
        return result


def _word_links(links: NDArray[np.int32], scores: NDArray[np.float32]) -> Alignment:
    """Links between words, each once with its greatest score."""
    order = np.argsort(-scores, kind="stable")
    distinct, first = np.unique(links[order], axis=0, return_index=True)
    return Alignment(distinct, scores[order][first])
