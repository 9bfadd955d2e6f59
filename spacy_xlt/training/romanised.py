"""`spacy_xlt.romanise.v1`: documents written in Latin letters, so that scripts share their word pieces."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..docs import with_words
from ..errors import error
from ..languages import MULTI, to_iso639_3
from .augmenting import checked_share, example_like
from .examples import Augmenter

# Words that are kept with what they became; a longer one is romanised each time.
_CACHED, _LONGEST_CACHED = 1 << 15, 64
# Letters before this one are Latin.
_AFTER_LATIN = "\u0370"


def create_romanise(
    share: float = 0.3,
    lang: str | None = None,
    strip_marks: bool = False,
    keep_original: bool = False,
) -> Augmenter:
    """Registered augmenter `spacy_xlt.romanise.v1`: a share of the documents in Latin letters, token by token.

    With the package uroman (Hermjakob et al. 2018): pip install 'spacy-xlt[romanise]'. Tokens, spaces, sentences,
    entities (also missing ones), span groups and every other annotation stay as they are. A token that is written in
    Latin letters already keeps them, and so does one of which nothing would be left.

    share (float): Share of the documents that are changed, drawn at random.
    lang (str | None): Language of the documents, where its own way to read letters matters (Ukrainian "г" is "h").
    strip_marks (bool): Also take the marks off Latin letters: "São" → "Sao".
    keep_original (bool): Give the document as it was beside the changed one.
    RAISES (XltError): E601 for a share that cannot be, E010 for an unknown language, E650 where uroman is missing.
    """
    checked_share("share", share)
    code = None if lang in (None, "", MULTI) else to_iso639_3(str(lang))
    if share and find_spec("uroman") is None:
        raise error("E650")

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        if random.random() >= share:
            yield example
            return
        reference = romanised_doc(example.reference, lang=code, strip_marks=strip_marks)
        changed = reference is not example.reference
        if keep_original or not changed:
            yield example
        if changed:
            yield example_like(nlp, example, reference)

    return augment


def romanised_doc(doc: Doc, *, lang: str | None = None, strip_marks: bool = False) -> Doc:
    """The same document in Latin letters; itself where there is nothing to change.

    lang (str | None): ISO 639-3 code.
    strip_marks (bool): Also take the marks off Latin letters.
    """
    old = [token.text for token in doc]
    words = [romanised_word(word, lang, strip_marks) for word in old]
    return doc if words == old else with_words(doc, words)


def romanised_word(word: str, lang: str | None = None, strip_marks: bool = False) -> str:
    """A token in Latin letters, in one piece; the token itself where nothing would be left of it."""
    if word.isascii():
        return word
    return (_romanised_cached if len(word) <= _LONGEST_CACHED else _romanised)(word, lang, strip_marks)


def _romanised(word: str, lang: str | None, strip_marks: bool) -> str:
    from ..alignment.combined.romanised import romaniser

    new = word
    if any(_is_foreign(char) for char in word):
        engine = romaniser()
        # A token stays one token: no spaces in it, such as uroman puts after a full stop
        new = "".join(str(engine.romanize_string(word, lcode=lang)).split()) if engine is not None else word
    if strip_marks:
        new = "".join(char for char in unicodedata.normalize("NFD", new) if not unicodedata.combining(char))
    return new if new.strip() else word


_romanised_cached = lru_cache(maxsize=_CACHED)(_romanised)


def _is_foreign(char: str) -> bool:
    """Whether a character belongs to a script that is not Latin; quotation marks, dashes and symbols do not."""
    if char < _AFTER_LATIN:
        return False
    if char.isalpha():
        return not unicodedata.name(char, "").startswith("LATIN ")
    return unicodedata.category(char)[0] in "MNP" and not "\u2000" <= char < "\u2c00"
