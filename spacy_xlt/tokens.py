"""What a token must have to be linked at all, and what a tokenizer can read of it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def has_text(token: str) -> bool:
    """Whether a token has anything but white space, control and zero-width characters in it."""
    return any(not (char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Cs"}) for char in token)


def encodable(token: str) -> str:
    """The token with "?" for each half of a surrogate pair, which no tokenizer takes."""
    return token.encode("utf8", "replace").decode("utf8")


@lru_cache(maxsize=1 << 16)
def is_symbol(token: str) -> bool:
    """Whether a token has no letter or digit in it."""
    return not any(char.isalnum() for char in token)


# Scripts that have no spaces between words, as Unicode's names of characters begin
_UNSPACED: tuple[str, ...] = ("CJK ", "IDEOGRAPHIC ITERATION ", "IDEOGRAPHIC NUMBER ", "HIRAGANA ", "BOPOMOFO ")
_UNSPACED += ("KATAKANA", "HALFWIDTH KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ", "YI ")


@lru_cache(maxsize=1 << 14)
def is_unspaced(char: str) -> bool:
    """Whether a character is of a script that has no spaces between words."""
    return unicodedata.name(char, "").startswith(_UNSPACED)
