"""Words in Latin letters, with the package uroman (Hermjakob et al. 2018): pip install 'spacy-xlt[romanise]'."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from .errors import missing_package
from .languages import MULTI, to_iso639_3

# Letters before this one are Latin.
_AFTER_LATIN = "\u0370"


def check_uroman(user: str, *, otherwise: str = "") -> None:
    """Make sure that the package is there.

    Raises:
        XltError: E106 where it is missing; it names `user`, and `otherwise` as another way out.
    """
    if find_spec("uroman") is None:
        raise missing_package(user, "uroman", "romanise", otherwise=otherwise)


def language_code(lang: str | None) -> str | None:
    """A language as `romanised_word` takes it, in ISO 639-3; None for "xx" and for none.

    Raises:
        XltError: E010 for an unknown one.
    """
    return None if lang in (None, "", MULTI) else to_iso639_3(str(lang))


@lru_cache(maxsize=1 << 15)
def romanised_word(word: str, lang: str | None = None, strip_marks: bool = False) -> str:
    """A token in Latin letters, in one piece; the token itself where nothing would be left of it."""
    new = word
    if any(is_foreign(char) for char in word):
        # A token stays one token: no spaces in it, such as uroman puts after a full stop
        new = "".join(str(_uroman().romanize_string(word, lcode=lang)).split())
    if strip_marks:
        new = "".join(char for char in unicodedata.normalize("NFD", new) if not unicodedata.combining(char))
    return new if new.strip() else word


@lru_cache(maxsize=1)
def _uroman() -> Any:
    from uroman import Uroman

    return Uroman()


def is_foreign(char: str) -> bool:
    """Whether a character belongs to a script that is not Latin; quotation marks, dashes and symbols do not."""
    if char < _AFTER_LATIN:
        return False
    if char.isalpha():
        return not unicodedata.name(char, "").startswith("LATIN ")
    return unicodedata.category(char)[0] in "MNP" and not "\u2000" <= char < "\u2c00"
