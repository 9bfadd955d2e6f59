"""What a sentence pair is known by, whichever build it is in: its source document, its number, its target's tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc

from ..bitext import Bitext

_LETTERS = 16  # of hexadecimal digits: 64 bits


def source_digest(doc: Doc) -> str:
    """A digest of a document's tokens, without their annotation."""
    return _digest([token.text_with_ws for token in doc])


def pair_ids(bitext: Bitext) -> list[str]:
    """An id for each sentence pair: digest of the source document, number of the pair, digest of its target.

    Two builds agree on it where document, language and the tokens of the translation are the same.
    """
    source = source_digest(bitext.source)
    ids = []
    for number, pair in enumerate(bitext.sentences):
        words = [token.text_with_ws for token in bitext.target[pair.target_start : pair.target_end]]
        ids.append(f"{source}-{number}-{_digest([bitext.target_lang, *words])}")
    return ids


def source_of(pair_id: str) -> str:
    """The digest of the source document that is part of an id."""
    return pair_id.split("-")[0]


def page_digest(ids: Sequence[str]) -> str:
    """A digest of the sentence pairs that a page shows."""
    return _digest(list(ids))


def _digest(data: Any) -> str:
    # ASCII, so that text that has no UTF-8 has a digest as well
    return hashlib.sha256(json.dumps(data).encode("ascii")).hexdigest()[:_LETTERS]
