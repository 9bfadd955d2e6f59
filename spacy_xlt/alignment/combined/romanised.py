"""The signal that compares words of different scripts by how they are written in Latin letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import warn
from .batch import Cells, PairBatch
from .signals import signal
from .spelling import folded

# Every letter before this one is Latin.
_AFTER_LATIN = "\u0250"
# Characters of a word that are compared.
_LONGEST = 24


@signal("romanised", may_be_missing=True)
def romanised(batch: PairBatch) -> Cells:
    """How alike two words of different scripts are in Latin letters, from 0 to 1; NaN for all other words.

    One less the edit distance (Levenshtein 1966) over the length of the longer word.
    """
    result = np.full((1, 1, 1), np.nan, np.float32)
    for k, (source, target) in enumerate(zip(batch.sources, batch.targets, strict=True)):
        tokens = source.tokens, target.tokens
        if all(max(token, default="") < _AFTER_LATIN for side in tokens for token in side):
            continue
        apart = different(*([scripts(token) for token in side] for side in tokens))
        if not apart.any() or romaniser() is None:
            continue
        if result.shape != batch.shape:
            result = np.full(batch.shape, np.nan, np.float32)
        alike = similarities(*([latin(token) for token in side] for side in tokens))
        result[k, : alike.shape[0], : alike.shape[1]] = np.where(apart, alike, np.nan)
    return result


@lru_cache(maxsize=1 << 16)
def scripts(word: str) -> frozenset[str]:
    """The scripts of a word's letters, as Unicode names them; empty for numbers and punctuation."""
    names = (unicodedata.name(char, "").split(" ", 1)[0] for char in word if char.isalpha())
    return frozenset(name for name in names if name)


def different(source: Sequence[frozenset[str]], target: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    """Which words have letters and share no script: (n_source, n_target)."""
    known = sorted(frozenset().union(*source, *target))
    has = [np.asarray([[name in word for name in known] for word in side], np.float32) for side in (source, target)]
    has = [side.reshape(len(side), len(known)) for side in has]
    lettered = np.outer(has[0].any(axis=1), has[1].any(axis=1))
    return lettered & (has[0] @ has[1].T == 0)


@lru_cache(maxsize=1)
def romaniser() -> Any | None:
    """The package uroman (Hermjakob et al. 2018); None where it is not installed, with a warning."""
    try:
        from uroman import Uroman
    except ImportError:
        warn("W323")
        return None
    return Uroman()


@lru_cache(maxsize=1 << 16)
def latin(word: str) -> str:
    """A word in small Latin letters, without marks on them."""
    engine = romaniser()
    text = word[:_LONGEST]
    return folded(text if text.isascii() or engine is None else str(engine.romanize_string(text)))[:_LONGEST]


def similarities(source: Sequence[str], target: Sequence[str]) -> NDArray[np.float32]:
    """One less the edit distance over the length of the longer word, of all words with all: (n_source, n_target)."""
    (first, m), (second, n) = (_codes(words) for words in (source, target))
    shape = len(source), len(target)
    distance = np.broadcast_to(n.astype(np.float32), shape).copy()
    row = [np.full(shape, j, np.float32) for j in range(second.shape[1] + 1)]
    for i in range(1, first.shape[1] + 1):
        above, row = row, [np.full(shape, i, np.float32)]
        for j in range(1, second.shape[1] + 1):
            replaced = above[j - 1] + (first[:, i - 1, None] != second[:, j - 1])
            row.append(np.minimum(np.minimum(above[j], row[j - 1]) + 1, replaced))
        ended = m == i
        distance[ended] = np.stack(row)[n, :, np.arange(len(n))].T[ended]
    longer = np.maximum(np.maximum(m[:, None], n), 1)
    return (1 - distance / longer).astype(np.float32)


def _codes(words: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The characters of words, padded to the longest, and how many each has."""
    lengths = np.asarray([len(word) for word in words], np.int64)
    codes = np.full((len(words), int(lengths.max(initial=0))), -1, np.int32)
    for line, word in zip(codes, words, strict=True):
        line[: len(word)] = [ord(char) for char in word]
    return codes, lengths
