"""How often texts use each piece of a tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..tokens import encodable
from .pieces import WORDPIECE, Pieces

# Documents counted at a time
_CHUNK = 1000


def count_pieces(pieces: Pieces, docs: Iterable[Doc]) -> NDArray[np.int64]:
    """How often each piece is used, in running text or token by token, whichever is more.

    Components and aligners give a tokenizer single tokens, and other programs whole texts: "Lisbon." and "Lisbon", ".".

    Returns:
        By id, (n_pieces,). A WordPiece that began a word with an unknown rest is counted, too.
    """
    n_pieces = max(pieces.ids.values()) + 1
    counts = np.zeros((3, n_pieces), np.int64)
    stream = iter(docs)
    while chunk := list(islice(stream, _CHUNK)):
        texts = Counter(encodable(doc.text) for doc in chunk)
        words = Counter(token.text for doc in chunk for token in doc if not token.is_space)
        # Byte-level tokenizers have other pieces for a word behind a space
        spaced = Counter({f" {word}": n for word, n in words.items()})
        counts[0] += _count(pieces, texts, n_pieces)
        counts[1] += _count(pieces, words, n_pieces, as_words=True)
        counts[2] += _count(pieces, spaced, n_pieces, as_words=True)
    return counts.max(axis=0)


def _count(pieces: Pieces, texts: Counter[str], n_pieces: int, *, as_words: bool = False) -> NDArray[np.int64]:
    ids = list(cut_words(pieces.backend, texts) if as_words else _cut(pieces.backend, list(texts)))
    if pieces.kind == WORDPIECE:
        unknown = pieces.ids.get(pieces.unknown or "")
        pairs = zip(texts, ids, strict=True)
        ids = [[*found, *_begun(pieces, text)] if unknown in found else found for text, found in pairs]
    weights = np.repeat(list(texts.values()), [len(found) for found in ids])
    used = np.fromiter(chain.from_iterable(ids), np.int64, count=len(weights))
    return np.bincount(used, weights, minlength=n_pieces).astype(np.int64)


def cut_words(backend: Any, words: Iterable[str]) -> Iterator[list[int]]:
    """The ids of the pieces that each word is cut into by itself, as tokens are."""
    stream = iter(words)
    while chunk := list(islice(stream, 10 * _CHUNK)):
        yield from _cut(backend, [[encodable(word)] for word in chunk])


def _cut(backend: Any, inputs: list[str] | list[list[str]]) -> Iterator[list[int]]:
    is_cut = bool(inputs) and not isinstance(inputs[0], str)
    for encoding in backend.encode_batch(inputs, is_pretokenized=is_cut, add_special_tokens=False):
        yield encoding.ids


def _begun(pieces: Pieces, text: str) -> Iterator[int]:
    """The pieces that words of a text begin with, whose rest has none, so that all of it is unknown."""
    backend = pieces.backend
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = backend.pre_tokenizer.pre_tokenize_str(text) if backend.pre_tokenizer is not None else [(text, None)]
    for word, _ in words:
        start = 0 if len(word) <= pieces.state["model"]["max_input_chars_per_word"] else len(word)
        while start < len(word):
            prefix = pieces.continuation if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in pieces.ids), None)
            if end is None:
                break
            yield pieces.ids[prefix + word[start:end]]
            start = end
