"""Quality gates: what makes a translation doubtful. Each filter has a score, a limit and a flag."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from ..engine import Engine, invalid_setting, setting
from ..errors import missing_package
from ..languages import UNSEGMENTED
from ..tokens import has_text

_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True)
class TranslationPair:
    """A text and its translation, without what must not be translated (addresses, code) on either side.

    Attributes:
        source: The text.
        target: Its translation.
        source_lang: spaCy's code.
        target_lang: spaCy's code.
        score: Mean log-probability of a piece, where the translator knows it.
    """

    source: str
    target: str
    source_lang: str = ""
    target_lang: str = ""
    score: float | None = None

    @cached_property
    def source_words(self) -> list[str]:
        """The words of the source: letters only; single characters in scripts without spaces."""
        return _words(self.source, self.source_lang)

    @cached_property
    def target_words(self) -> list[str]:
        """The words of the target."""
        return _words(self.target, self.target_lang)


def _words(text: str, lang: str) -> list[str]:
    if lang in UNSEGMENTED:
        return [char for char in text if char.isalpha()]
    return _WORDS.findall(text)


@dataclass(kw_only=True, eq=False)
class QualityFilter(Engine, ABC):
    """A quality gate: a score for each translation, and whether that is good enough."""

    # What a translation that is not accepted is flagged with
    flag: ClassVar[str] = ""

    @abstractmethod
    def score(self, pair: TranslationPair) -> float | None:
        """The score of a translation; None where it cannot be judged, which counts as accepted."""

    @abstractmethod
    def accept(self, score: float) -> bool:
        """Whether the score is good enough."""


@dataclass(kw_only=True, eq=False)
class EmptyFilter(QualityFilter):
    """Flags a translation with nothing in it where the source has letters or digits. Score: 1 or 0."""

    flag: ClassVar[str] = "empty"

    def score(self, pair: TranslationPair) -> float | None:
        """1 for a translation with text in it; None for a source without letters and digits."""
        return float(has_text(pair.target)) if any(char.isalnum() for char in pair.source) else None

    def accept(self, score: float) -> bool:
        return score > 0


_FEWEST_WORDS = 4


@dataclass(kw_only=True, eq=False)
class CopiedFilter(QualityFilter):
    """Flags a translation that repeats the source. Score: the share of the source's ordinary words that are in it.

    Ordinary words are those that don't begin with a capital, as names are often the same in both languages; all where
    everything is in capitals. Sources with fewer than four are not judged.

    Args:
        max_share: The largest share that is accepted.
    """

    max_share: float = setting(0.8, ge=0, le=1)
    flag: ClassVar[str] = "copied"

    def score(self, pair: TranslationPair) -> float | None:
        """From 0 to 1, each word counted as often as it occurs."""
        in_capitals = pair.source.isupper()
        words = Counter(word for word in pair.source_words if in_capitals or not word[0].isupper())
        if words.total() < _FEWEST_WORDS or not pair.target_words:
            return None
        return (words & Counter(pair.target_words)).total() / words.total()

    def accept(self, score: float) -> bool:
        return score <= self.max_share


# Letters said four times or more inside a word, which models that loop write without end
_INSIDE = re.compile(r"(.{1,12}?)\1{3,}")
_LONG_WORD = 20
_LONGEST_UNIT = 12


@dataclass(kw_only=True, eq=False)
class LoopingFilter(QualityFilter):
    """Flags a translation that says something again and again and the source does not.

    Score: how many words repeat those before them, in the longest run of a unit of up to twelve words that is said at
    least three times in a row; less that of the source.

    Args:
        max_words: The largest number that is accepted.
    """

    max_words: int = setting(4, ge=0)
    flag: ClassVar[str] = "looping"

    def score(self, pair: TranslationPair) -> float | None:
        """A number of words; letters in scripts without spaces."""
        if not pair.target_words:
            return None
        looping = _repeating(pair.target_words)
        return max(0.0, looping - _repeating(pair.source_words)) if looping else 0.0

    def accept(self, score: float) -> bool:
        return score <= self.max_words


def _repeating(words: Sequence[str]) -> float:
    """The words of the longest run of a unit said three times or more, without its first time; four letters of a run
    inside a word count as a word."""
    lowered = [word.lower() for word in words]
    counts = Counter(lowered)
    inside = [match for word in counts if len(word) > _LONG_WORD and (match := _INSIDE.search(word))]
    most = max((len(match.group()) // 4 for match in inside), default=0)
    # Where no word comes three times there is no run
    if max(counts.values(), default=0) < 3:
        return float(most)
    for unit in range(1, min(_LONGEST_UNIT, len(lowered) // 3) + 1):
        run = 0
        for before, word in zip(lowered, lowered[unit:], strict=False):
            run = run + 1 if before == word else 0
            if run >= 2 * unit:
                most = max(most, run)
    return float(most)


# Characters that both sides are taken to be longer, and the words that these are
_SLACK = 15
_SLACK_WORDS = 3


@dataclass(kw_only=True, eq=False)
class LengthRatioFilter(QualityFilter):
    """Flags a translation that is much longer or shorter than its source.

    Score: how many times as long the longer side is, in characters or in words, whichever is more. Wide characters,
    such as Chinese ones, count three times; words count only where both languages have spaces between them. Both sides
    are taken to be longer than they are, so that short texts may differ more.

    Args:
        max_ratio: The largest ratio that is accepted.
    """

    max_ratio: float = setting(2.0, ge=1)
    flag: ClassVar[str] = "length_ratio"

    def score(self, pair: TranslationPair) -> float | None:
        """A ratio of 1 or more."""
        if not pair.source.strip() or not pair.target.strip():
            return None
        ratio = _ratio(_width(pair.source) + _SLACK, _width(pair.target) + _SLACK)
        if not UNSEGMENTED.isdisjoint((pair.source_lang, pair.target_lang)):
            return ratio
        words = [len(text.split()) + _SLACK_WORDS for text in (pair.source, pair.target)]
        return max(ratio, _ratio(*words))

    def accept(self, score: float) -> bool:
        return score <= self.max_ratio


def _ratio(first: float, second: float) -> float:
    shorter, longer = sorted((first, second))
    return longer / shorter


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + 2 * sum("\u2e80" <= char <= "\ud7ff" or "\uf900" <= char <= "\uffef" for char in text)


# Digits in groups of three, or any digits with a point or the like inside
_NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3})+(?!\d)|\d+(?:[.,'’٫٬]\d+)*")
_FEWEST_DIGITS = 3
# Characters that stand for numbers and are no digits
_NUMERALS = re.compile(r"[〇零一二三四五六七八九十百千万萬亿億兆]")


@dataclass(kw_only=True, eq=False)
class NumbersFilter(QualityFilter):
    """Flags a translation that lacks numbers of its source. Score: the share of the numbers that are in it.

    Only the digits count, without zeros at the end and whatever separates them, in whatever digits the language writes
    ("1,500,000", "1.5 million", "١٥٠٠"). Short numbers and round ones (100) are often words in a translation, and times
    of day and decimals are said otherwise, so that they don't count. Nothing is judged where the target writes numbers
    in Chinese characters.

    Args:
        min_share: The smallest share that is accepted.
    """

    min_share: float = setting(0.6, ge=0, le=1)
    flag: ClassVar[str] = "numbers"

    def score(self, pair: TranslationPair) -> float | None:
        """From 0 to 1; None without numbers in the source."""
        wanted = Counter(_significant(number) for number in _numbers(pair.source) if _counts(number))
        if not wanted or _NUMERALS.search(pair.target):
            return None
        return (wanted & Counter(map(_significant, _numbers(pair.target)))).total() / wanted.total()

    def accept(self, score: float) -> bool:
        return score >= self.min_share


def _counts(number: list[str]) -> bool:
    grouped = all(len(part) == 3 for part in number[1:])
    return grouped and sum(map(len, number)) >= _FEWEST_DIGITS and len(_significant(number)) > 1


def _numbers(text: str) -> list[list[str]]:
    """The numbers of a text, as the digits between separators, in ASCII."""
    if not any(char.isdecimal() for char in text):
        return []
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    return [re.split(r"[^\d]", match.group()) for match in _NUMBER.finditer(text)]


def _significant(number: list[str]) -> str:
    return "".join(number).strip("0")


@dataclass(kw_only=True, eq=False)
class LogProbabilityFilter(QualityFilter):
    """Flags a translation with a low score of the translator. Score: mean log-probability (natural) of a piece.

    What is low depends on the model; translators that give no score are not judged.

    Args:
        min_score: The smallest score that is accepted.
    """

    min_score: float = setting(-1.5, le=0)
    flag: ClassVar[str] = "low_score"

    def score(self, pair: TranslationPair) -> float | None:
        """The translator's score."""
        return pair.score

    def accept(self, score: float) -> bool:
        return score >= self.min_score


# The language identifier's code where spaCy's is another
_CODES = {"nb": "no"}
# Texts with fewer letters are not judged; wide characters count three times
_FEWEST_LETTERS = 30
# Languages whose texts it takes for one another: never flagged among themselves
_ALIKE = (
    *({"no", "nn", "da"}, {"bs", "hr", "sr"}, {"id", "ms", "jv", "ace"}, {"cs", "sk"}, {"pt", "gl"}),
    *({"zh", "wuu", "yue"}, {"ar", "ary", "arz"}, {"en", "pcm"}, {"fa", "tg"}, {"xh", "zu"}),
)


@dataclass(kw_only=True, eq=False)
class WrongLanguageFilter(QualityFilter):
    """Flags a translation that is not in the target language. Score: how probable its language is.

    Needs the extra `langid`. Texts with few letters, and languages that the identifier does not know, are not judged;
    neither are texts that are no more probable in any one other language.

    Args:
        min_probability: The smallest probability that is accepted.
    """

    min_probability: float = setting(0.02, ge=0, le=1)
    flag: ClassVar[str] = "wrong_language"
    extra: ClassVar[str | None] = "langid"

    def score(self, pair: TranslationPair) -> float | None:
        """A probability from 0 to 1.

        Raises:
            XltError: E106 where py3langid is not installed.
        """
        return _language_probability(pair.target, pair.target_lang)

    def accept(self, score: float) -> bool:
        return score >= self.min_probability


@dataclass(kw_only=True, eq=False)
class SourceLanguageFilter(WrongLanguageFilter):
    """Flags a source that is not in the source language, as WrongLanguageFilter does a translation."""

    flag: ClassVar[str] = "source_language"

    def score(self, pair: TranslationPair) -> float | None:
        """A probability from 0 to 1.

        Raises:
            XltError: E106 where py3langid is not installed.
        """
        return _language_probability(pair.source, pair.source_lang)


def _language_probability(text: str, lang: str) -> float | None:
    expected = _CODES.get(lang, lang)
    if sum(3 if char >= "\u2e80" else 1 for char in text if char.isalpha()) < _FEWEST_LETTERS:
        return None
    labels, identify = _identifier()
    if expected not in labels:
        return None
    (best, highest), *_ = ranked = identify(text)
    if best == expected or highest < 0.5:
        return 1.0 if best == expected else None
    if any({best, expected} <= alike for alike in _ALIKE):
        return None
    return dict(ranked)[expected]


@lru_cache(maxsize=1)
def _identifier() -> tuple[frozenset[str], Any]:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as err:
        otherwise = ", or leave the language filters out of `quality`"
        raise missing_package("The filter", "py3langid", "langid", reason=str(err), otherwise=otherwise) from err
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return frozenset(identifier.labels), identifier.rank


# Those that cost next to nothing and hardly ever flag a good translation (`benchmarks/quality_gates.py`)
DEFAULT = (EmptyFilter, CopiedFilter, LoopingFilter, LengthRatioFilter, NumbersFilter)


@dataclass(kw_only=True, eq=False)
class QualityGates(Engine):
    """Quality filters together.

    Args:
        filters: Those to have besides the default ones, under names of your choice. One with the flag of a default one
            takes its place.
        default: Have the default ones.

    Raises:
        XltError: E150 for something that is no filter.
    """

    filters: Mapping[str, Any] | None = setting(None, decides=False)
    default: bool = setting(True, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = dict(self.filters or {})
        for name, gate in given.items():
            if not isinstance(gate, QualityFilter):
                raise invalid_setting("QualityGates", f"filters.{name}", gate, "a filter, of a class of QualityFilter")
        flags = {gate.flag for gate in given.values()}
        first = [make() for make in DEFAULT if make.flag not in flags] if self.default else []
        self.gates: list[QualityFilter] = [*first, *given.values()]

    def details(self) -> dict[str, Any]:
        """The gates with their settings."""
        return {"gates": self.gates}

    def flags(self, pair: TranslationPair) -> tuple[str, ...]:
        """What is wrong with a translation: flags in the order of the filters."""
        scores = [(gate, gate.score(pair)) for gate in self.gates]
        return tuple(gate.flag for gate, score in scores if score is not None and not gate.accept(score))
