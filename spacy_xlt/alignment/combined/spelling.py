"""Signals from how words are written."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .batch import Cells, PairBatch, Side, products
from .signals import signal

# Pieces of words of two and three characters are counted in so many places.
_PLACES = 128


@lru_cache(maxsize=1 << 16)
def folded(word: str) -> str:
    """A word in lower case and without the marks on its letters."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


@lru_cache(maxsize=1 << 15)
def ngrams(word: str) -> NDArray[np.float32]:
    """A unit vector of the character 2-grams and 3-grams of a word; zeros where it has no letter or digit."""
    counts = np.zeros(_PLACES, np.float32)
    text = folded(word)
    if any(char.isalnum() for char in text):
        text = f"^{text[:40]}$"
        for size in (2, 3):
            for start in range(len(text) - size + 1):
                counts[crc32(text[start : start + size].encode("utf8", "surrogatepass")) % _PLACES] += 1
        counts /= np.sqrt(counts @ counts)
    return counts


@lru_cache(maxsize=1 << 16)
def traits(word: str) -> tuple[float, float, float, float]:
    """Whether a word is punctuation, a number or capitalised, and a key of its spelling."""
    marks = sum(unicodedata.category(char)[0] in "PSZC" for char in word)
    digits = any(char.isdigit() for char in word)
    upper = word[:1] != word[:1].lower()
    key = crc32(folded(word).encode("utf8", "surrogatepass")) & 0xFFFFFF
    return float(marks == len(word)), float(digits), float(upper), float(key)


def _trait(index: int, side: Side) -> list[float]:
    return [traits(token)[index] for token in side.tokens]


def _source(batch: PairBatch, index: int) -> Cells:
    return batch.keep(("source trait", index), lambda: batch.of_source(lambda side: _trait(index, side), 0))


def _target(batch: PairBatch, index: int) -> Cells:
    return batch.keep(("target trait", index), lambda: batch.of_target(lambda side: _trait(index, side), 0))


@signal("spelling")
def spelling(batch: PairBatch) -> Cells:
    """How alike the characters of two words are."""
    return products(batch, lambda side: np.stack([ngrams(token) for token in side.tokens]))


@signal("same")
def same(batch: PairBatch) -> Cells:
    """Whether two words are written the same, but for case and marks."""
    return (_source(batch, 3) == _target(batch, 3)).astype(np.float32)


@signal("source_mark")
def source_mark(batch: PairBatch) -> Cells:
    """Whether the source word is punctuation."""
    return _source(batch, 0)


@signal("target_mark")
def target_mark(batch: PairBatch) -> Cells:
    """Whether the target word is punctuation."""
    return _target(batch, 0)


@signal("one_mark")
def one_mark(batch: PairBatch) -> Cells:
    """Whether one of both is punctuation and the other is not."""
    return (_source(batch, 0) != _target(batch, 0)).astype(np.float32)


@signal("numbers")
def numbers(batch: PairBatch) -> Cells:
    """1 where both have digits, -1 where only one has."""
    source, target = _source(batch, 1), _target(batch, 1)
    return source * target - np.abs(source - target)


@signal("capitals")
def capitals(batch: PairBatch) -> Cells:
    """1 where both are capitalised, -1 where only one is."""
    source, target = _source(batch, 2), _target(batch, 2)
    return source * target - np.abs(source - target)
