"""Vocabularies: a tokenizer is made with each that `spacy.blank` makes, which takes longer than most tests."""

from __future__ import annotations

from functools import cache

import spacy
from spacy.vocab import Vocab


@cache
def vocab_of(lang: str) -> Vocab:
    """The vocabulary of a language, the same one each time."""
    return spacy.blank(lang).vocab
