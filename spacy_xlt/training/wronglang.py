"""Whether a text is evidently in another language than it is said to be, by spaCy's stop words and the script alone."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import langcodes
from spacy.util import get_lang_class

from ..languages import MULTI

# Words of a source that are looked at
MAX_WORDS = 20_000
# A language is evident where so many words are stop words of it, and not of the one that was declared
MIN_WORDS = 20
# Least share of stop words among the words of a text; where lists are long it is higher
MIN_SHARE = 0.25
# Where the declared language has no list, or one in another script: no language has so many in common with a stranger
MIN_SHARE_ALONE = 0.38
# Stop words of the one language alone against those of the other alone
MIN_RATIO = 4
MIN_LETTERS = 100
MIN_SHARE_OF_SCRIPT = 0.8
# Lists shorter than this say little
MIN_LIST = 40
# Languages that CLDR has in more than one script, for which a script proves nothing
_SEVERAL_SCRIPTS = frozenset(
    "az bm bs ff ha hi ja kk kmr kn ko ks ku ky mn ms pa sa sd shi sr tg tk tt ug ur uz vai yue zh".split()
)


def wrong_language(words: Mapping[str, int], declared: str, others: Iterable[str]) -> str:
    """What speaks against a text being in the language that was declared. Says nothing where it is not sure.

    words (Mapping[str, int]): Words of the text, in lower case, and how often each is there.
    declared (str): spaCy's code.
    others (Iterable[str]): Languages that it may be instead.
    RETURNS (str): The reason, in words; "" where nothing speaks against it.
    """
    if declared == MULTI:
        return ""
    own = stop_words(declared)
    letters = Counter(_script(char) for word, n in words.items() for char in word for _ in range(n) if char.isalpha())
    total = sum(letters.values())
    if total < MIN_LETTERS:
        return ""
    script, n_letters = letters.most_common(1)[0]
    own_script = _script_of(own)
    if n_letters >= MIN_SHARE_OF_SCRIPT * total and own_script and script not in (own_script, "LATIN"):
        if declared not in _SEVERAL_SCRIPTS:
            return f"{100 * n_letters / total:.0f}% of its letters are {script.capitalize()}"
    usable = own if own_script == script else frozenset()
    for other in dict.fromkeys(others):
        if other not in (declared, MULTI) and (reason := _is_rather(words, declared, usable, other)):
            return reason
    return ""


def _is_rather(words: Mapping[str, int], declared: str, own: frozenset[str], other: str) -> str:
    foreign = stop_words(other)
    if len(foreign) < MIN_LIST:
        return ""
    if not own and _related(declared, other):
        return ""
    n_words = sum(words.values())
    n_foreign = sum(n for word, n in words.items() if word in foreign)
    n_own = sum(n for word, n in words.items() if word in own)
    only_foreign = sum(n for word, n in words.items() if word in foreign and word not in own)
    only_own = sum(n for word, n in words.items() if word in own and word not in foreign)
    if only_foreign < MIN_WORDS or n_foreign < (MIN_SHARE if own else MIN_SHARE_ALONE) * n_words:
        return ""
    if only_foreign < MIN_RATIO * only_own:
        return ""
    against = f", {n_own} of {declared!r}" if own else ""
    return f"of {n_words} words {n_foreign} are stop words of {other!r}{against}"


@lru_cache(maxsize=256)
def stop_words(lang: str) -> frozenset[str]:
    """spaCy's stop words of a language, without single letters; none where spaCy has no class for it."""
    try:
        words = get_lang_class(lang).Defaults.stop_words
    except ImportError:
        return frozenset()
    return frozenset(word for word in words if len(word) > 1)


def _related(first: str, second: str) -> bool:
    """Whether the languages are close in CLDR's table of which other language a speaker reads: nn and nb, gl and es."""
    return langcodes.tag_distance(first, second) < 30 or langcodes.tag_distance(second, first) < 30


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "").split(" ")[0]
    return "CJK" if name in ("HIRAGANA", "KATAKANA", "CJK") else name


@lru_cache(maxsize=256)
def _script_of(words: frozenset[str]) -> str:
    counts = Counter(_script(char) for word in words for char in word if char.isalpha())
    return counts.most_common(1)[0][0] if counts else ""
