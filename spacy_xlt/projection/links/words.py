"""What can be seen of a word in any language: punctuation, brackets and quotation marks."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ORTH
from spacy.tokens import Doc

from ...tokens import is_symbol

# The middle dots that Unicode calls MidLetter and the katakana one bind the parts of a name: no place ends beside them
_JOINERS = frozenset("·‧・")


class Words(NamedTuple):
    """What the words of a text are like: (n_words,) each.

    Attributes:
        symbol: Has no letter or digit.
        before: Begins with punctuation.
        after: Ends with punctuation.
        joiner: A middle dot.
        brackets: How many brackets it opens, less those that it closes.
        quotes: How many quotation marks are in it.
    """

    symbol: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    joiner: NDArray[np.float32]
    brackets: NDArray[np.float32]
    quotes: NDArray[np.float32]


@lru_cache(maxsize=1 << 16)
def _of_word(word: str) -> tuple[float, ...]:
    brackets = quotes = 0
    for char in word:
        if not char.isalnum():
            category = unicodedata.category(char)
            # Languages open and close with each other's marks; the single ones are also apostrophes
            if char in '"„' or (category in ("Pi", "Pf") and char not in "‘’"):
                quotes += 1
            else:
                brackets += (category == "Ps") - (category == "Pe")
    return (is_symbol(word), not word[:1].isalnum(), not word[-1:].isalnum(), word in _JOINERS, brackets, quotes)


def read_words(docs: Sequence[Doc], wanted: NDArray[np.bool_]) -> Words:
    """What the wanted words of some documents are like; 0 for the others."""
    unique, where = np.unique(np.concatenate([doc.to_array(ORTH) for doc in docs])[wanted], return_inverse=True)
    stores = list({id(doc.vocab.strings): doc.vocab.strings for doc in docs}.values())
    # Few kinds of words are different
    kinds: dict[tuple[float, ...], int] = {}
    kind_of = []
    for key in unique.tolist():
        strings = stores[0] if key in stores[0] else next(strings for strings in stores if key in strings)
        kind_of.append(kinds.setdefault(_of_word(strings[key]), len(kinds)))
    result = np.zeros((6, len(wanted)), np.float32)
    result[:, wanted] = np.asarray(list(kinds), np.float32).reshape(-1, 6).T[:, np.asarray(kind_of, np.int64)[where]]
    return Words(*result)
