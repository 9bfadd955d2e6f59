"""The gates for text in another language than it should be in, by an offline identifier (py3langid)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...errors import error
from .base import Judged, QualityFilter, check_number

# The identifier's code where spaCy's is another
_CODES = {"nb": "no"}
# Languages whose texts the identifier takes for one another: never flagged among themselves
_ALIKE = (
    {"no", "nn", "da"},
    {"bs", "hr", "sr"},
    {"id", "ms", "jv", "ace"},
    {"cs", "sk"},
    {"pt", "gl"},
    {"zh", "wuu", "yue"},
    {"ar", "ary", "arz"},
    {"en", "pcm"},
    {"fa", "tg"},
    {"xh", "zu"},
)


class WrongLanguageFilter(QualityFilter):
    """Flags a translation that is not in the target language. Score: how probable its language is.

    Needs the extra `langid`. Texts with few letters, and languages that the identifier does not know, are not judged;
    neither are texts that are no more probable in any one other language.

    min_probability (float): The smallest probability that is accepted.
    min_letters (int): Texts with fewer letters are not judged; wide characters count three times.
    """

    flag = "wrong_language"

    def __init__(self, *, min_probability: float = 0.02, min_letters: int = 30):
        self.min_probability = check_number(type(self).__name__, "min_probability", min_probability, 0, 1)
        self.min_letters = check_number(type(self).__name__, "min_letters", min_letters, 1)

    def score(self, pair: Judged) -> float | None:
        """A probability from 0 to 1.

        RAISES (XltError): E255 where py3langid is not installed.
        """
        return self._probability(pair.target, pair.target_lang)

    def accept(self, score: float) -> bool:
        """Whether the language is probable enough."""
        return score >= self.min_probability

    def _probability(self, text: str, lang: str) -> float | None:
        expected = _CODES.get(lang, lang)
        if sum(3 if char >= "\u2e80" else 1 for char in text if char.isalpha()) < self.min_letters:
            return None
        known, identify = _identifier()
        if expected not in known:
            return None
        (best, highest), *_ = ranked = identify(text)
        if best == expected or highest < 0.5:
            return 1.0 if best == expected else None
        if any({best, expected} <= alike for alike in _ALIKE):
            return None
        return dict(ranked)[expected]


class SourceLanguageFilter(WrongLanguageFilter):
    """Flags a source that is not in the source language. Score: how probable its language is.

    Needs the extra `langid`. Settings as those of WrongLanguageFilter.
    """

    flag = "source_language"

    def score(self, pair: Judged) -> float | None:
        """A probability from 0 to 1.

        RAISES (XltError): E255 where py3langid is not installed.
        """
        return self._probability(pair.source, pair.source_lang)


@lru_cache(maxsize=1)
def _identifier() -> tuple[frozenset[str], Any]:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as err:
        raise error("E255", reason=str(err)) from err
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return frozenset(identifier.labels), identifier.rank
