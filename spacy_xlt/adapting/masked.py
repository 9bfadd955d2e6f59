"""Guessing words that are hidden: in sentences, and in sentences beside their translation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from ..errors import error
from ..protocols import TokenPair
from ..romanisation import check_uroman, language_code, romanised_word
from .model import AdaptedModel, Side
from .objective import Objective
from .texts import Pair

if TYPE_CHECKING:
    import torch

    from .heads import MaskedHead

# Of the words to be guessed, so many become the mask and so many other pieces; the rest stays (Devlin et al. 2019)
_MASKED, _OTHERS = 0.8, 0.1


def hide_words(
    side: Side, share: float, random: np.random.Generator, *, mask: int, others: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Hide all pieces of some of the words of a text, at least one word.

    Args:
        side: The text. Pieces of word -1 are never hidden.
        share: Of its words.
        mask: What 80 of 100 of them become.
        others: Pieces of which 10 of 100 of them become any: (n,).

    Returns:
        The text with them hidden: int32, (n_pieces,). And the places of the pieces to be guessed, ascending: (n,).
    """
    ids, owners = side
    words = np.unique(owners[owners >= 0])
    chosen = random.choice(words, max(1, round(share * len(words))), replace=False)
    places = np.flatnonzero(np.isin(owners, chosen))
    draws = random.random(int(words[-1]) + 1)[owners[places]]
    instead = np.where(draws < _MASKED, mask, random.choice(others, len(places)))
    hidden = ids.copy()
    hidden[places] = np.where(draws < _MASKED + _OTHERS, instead, ids[places])
    return hidden, places


@dataclass(kw_only=True, eq=False)
class _Masked(Objective):
    """What both objectives share."""

    share: float = setting(0.15, gt=0, lt=1)

    def _prepare(self, model: AdaptedModel, texts: Iterable[Side | None], what: str) -> NDArray[np.int64]:
        """Keep the texts that can be used; E354 where there are none."""
        from .heads import masked_head

        read = list(texts)
        self.n_read = len(read)
        self._texts = [text for text in read if text is not None]
        if not self._texts:
            raise error("E354", path=what, reason=f"{self.n_read} read, none of at most {model.max_pieces} pieces")
        self._head: MaskedHead = masked_head(model, (ids for ids, _ in self._texts))
        return np.asarray([len(ids) + model.special for ids, _ in self._texts], np.int64)

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """The mean cross-entropy of the pieces that are hidden."""
        import torch

        texts = [self._texts[i] for i in batch]
        hide: dict[str, Any] = {"mask": self._head.mask, "others": self._head.pieces}
        hidden, places = zip(*(hide_words(text, self.share, random, **hide) for text in texts), strict=True)
        vectors = model.pieces(hidden)
        starts = np.cumsum([0, *(len(ids) for ids, _ in texts)])
        rows = np.concatenate([start + place for start, place in zip(starts, places, strict=False)])
        right = np.concatenate([ids[place] for (ids, _), place in zip(texts, places, strict=True)])
        return self._head.loss(vectors[torch.from_numpy(rows).to(vectors.device)], right)


@dataclass(kw_only=True, eq=False)
class MaskedLanguage(_Masked):
    """Registered objective `spacy_xlt.MaskedLanguage.v1`: hidden words of sentences are guessed (Devlin et al. 2019).

    All pieces of a word are hidden together. For what guesses them, see `heads.MaskedHead`.

    Args:
        sentences: Tokens and language of each, as `Sentences` gives them.
        share: Of the words, how many are guessed.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without sentences.
    """

    sentences: Any

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the sentences into pieces."""
        return self._prepare(model, (model.side(tokens) for tokens, _ in self.sentences), "The text")


@dataclass(kw_only=True, eq=False)
class TranslationMasked(_Masked):
    """Registered objective `spacy_xlt.TranslationMasked.v1`: hidden words are guessed beside their translation.

    Conneau & Lample 2019 (XLM's TLM): a sentence and its translation are one text, so that a word can be guessed from
    the other side. Places are counted on over both; the model is not told where a language begins.

    Args:
        pairs: Sentence pairs; with `romanise` also sentences, as `Sentences` gives them.
        share: Of the words, how many are guessed, on both sides.
        romanise: Learn from each target sentence and the same in Latin letters instead (Khanuja et al. 2021, MuRIL).
            Text that is in Latin letters already is left out.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without pairs that the model can read at once, E106
            where the package for `romanise` is missing.
    """

    pairs: Any
    romanise: bool = False

    @property
    def takes_sentences(self) -> bool:
        """It romanises them itself."""
        return self.romanise

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the pairs into pieces."""
        if self.romanise:
            check_uroman("TranslationMasked with romanise")
        return self._prepare(model, (_one_text(model, *pair) for pair in self._both()), "The parallel text")

    def _both(self) -> Iterator[TokenPair]:
        for item in self.pairs:
            if self.romanise:
                tokens, lang = (item.target, item.target_lang) if isinstance(item, Pair) else item
                code = language_code(lang)
                yield tokens, [romanised_word(token, code) for token in tokens]
            else:
                yield item.source, item.target


def _one_text(model: AdaptedModel, first: Sequence[str], second: Sequence[str]) -> Side | None:
    """Both sides with the mark between them that ends a text; None where they are the same, or too long."""
    here, there = model.side(first), model.side(second)
    if here is None or there is None or list(first) == list(second):
        return None
    end = np.asarray(model.encoder.suffix, np.int32)
    ids = np.concatenate([here[0], end, there[0]])
    owners = np.concatenate([here[1], np.full_like(end, -1), there[1] + here[1][-1] + 1])
    return (ids, owners) if len(ids) <= model.encoder.window else None
