"""Guessing words that are hidden: in sentences, and in sentences beside their translation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from ..errors import error
from .model import AdaptedModel, Side
from .objective import Objective

if TYPE_CHECKING:
    import torch

# Of the words to be guessed, so many become the mask and so many other pieces; the rest stays (Devlin et al. 2019)
_MASKED, _OTHERS = 0.8, 0.1


def hide_words(
    side: Side, share: float, random: np.random.Generator, *, mask: int, vocabulary: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Hide all pieces of some of the words of a text, at least one word.

    Args:
        side: The text. Pieces of word -1 are never hidden.
        share: Of its words.
        mask: What 80 of 100 of them become.
        vocabulary: Number of pieces; 10 of 100 of them become any of these.

    Returns:
        The text with them hidden: int32, (n_pieces,). And the places of the pieces to be guessed, ascending: (n,).
    """
    ids, owners = side
    words = np.unique(owners[owners >= 0])
    chosen = random.choice(words, max(1, round(share * len(words))), replace=False)
    places = np.flatnonzero(np.isin(owners, chosen))
    draws = random.random(int(words[-1]) + 1)[owners[places]]
    instead = np.where(draws < _MASKED, mask, random.integers(0, vocabulary, len(places)))
    hidden = ids.copy()
    hidden[places] = np.where(draws < _MASKED + _OTHERS, instead, ids[places])
    return hidden, places


@dataclass(kw_only=True, eq=False)
class MaskedObjective(Objective):
    """Base class of objectives by which hidden words are guessed.

    All pieces of a word are hidden together. They are guessed by the head that the model was pretrained with, which is
    trained and written, too.

    Args:
        share: Of the words, how many are guessed.
    """

    share: float = setting(0.15, gt=0, lt=1)

    # What it learns from, for the error where there is none
    what: ClassVar[str]

    def texts(self, model: AdaptedModel) -> Iterable[Side | None]:
        """The texts as pieces; None for one that cannot be used."""
        raise NotImplementedError

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the texts into pieces."""
        self._head = model.masked_head()
        read = list(self.texts(model))
        self.n_read = len(read)
        self._texts = [text for text in read if text is not None]
        if not self._texts:
            raise error("E354", path=self.what, reason=f"{self.n_read} read, none of at most {model.max_pieces} pieces")
        return np.asarray([len(ids) + model.special for ids, _ in self._texts], np.int64)

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """The mean cross-entropy of the pieces that are hidden."""
        import torch

        texts = [self._texts[i] for i in batch]
        pieces = {"mask": model.encoder.tokenizer.mask_token_id, "vocabulary": model.encoder.vocabulary}
        hidden, places = zip(*(hide_words(text, self.share, random, **pieces) for text in texts), strict=True)
        vectors = model.pieces(hidden)
        starts = np.cumsum([0, *(len(ids) for ids, _ in texts)])
        rows = [start + place for start, place in zip(starts, places, strict=False)]
        right = [ids[place] for (ids, _), place in zip(texts, places, strict=True)]
        row, piece = (torch.from_numpy(np.concatenate(part)).to(vectors.device, torch.int64) for part in (rows, right))
        return torch.nn.functional.cross_entropy(self._head(vectors[row]), piece)


@dataclass(kw_only=True, eq=False)
class MaskedLanguage(MaskedObjective):
    """Registered objective `spacy_xlt.MaskedLanguage.v1`: hidden words of sentences are guessed (Devlin et al. 2019).

    Args:
        sentences: Tokens and language of each, as `Sentences` gives them.
        share: Of the words, how many are guessed.

    Raises:
        XltError: E150 for an invalid setting; when prepared E353 for a model without a masked-language head or with
            some of its layers, E354 without sentences.
    """

    sentences: Any

    what: ClassVar[str] = "The text"

    def texts(self, model: AdaptedModel) -> Iterable[Side | None]:
        """Each sentence."""
        return (model.side(tokens) for tokens, _ in self.sentences)


@dataclass(kw_only=True, eq=False)
class TranslationMasked(MaskedObjective):
    """Registered objective `spacy_xlt.TranslationMasked.v1`: hidden words are guessed beside their translation.

    Conneau & Lample 2019 (XLM's TLM): a sentence and its translation are one text, so that a word can be guessed from
    the other side. Places are counted on over both; the model is not told where a language begins. With a romanised
    text as the translation, the pairs of MuRIL (Khanuja et al. 2021).

    Args:
        pairs: Sentence pairs.
        share: Of the words, how many are guessed, on both sides.

    Raises:
        XltError: E150 for an invalid setting; when prepared E353 as `MaskedLanguage`, E354 without pairs that the model
            can read at once.
    """

    pairs: Any

    what: ClassVar[str] = "The parallel text"

    def texts(self, model: AdaptedModel) -> Iterable[Side | None]:
        """Both sides with the mark between them that ends a text; None where they are the same, or too long."""
        end = np.asarray(model.encoder.suffix, np.int32)
        for pair in self.pairs:
            here, there = model.side(pair.source), model.side(pair.target)
            if here is None or there is None or list(pair.source) == list(pair.target):
                yield None
                continue
            ids = np.concatenate([here[0], end, there[0]])
            owners = np.concatenate([here[1], np.full_like(end, -1), there[1] + here[1][-1] + 1])
            yield (ids, owners) if len(ids) <= model.encoder.window else None
