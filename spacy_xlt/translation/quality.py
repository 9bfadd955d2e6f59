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
from ..errors import UnknownDirection, error
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

    def scores(self, pairs: Sequence[TranslationPair], *, engine: Any) -> list[float | None]:
        """The scores of several translations.

        Args:
            pairs: All in the same languages.
            engine: The `Translator` that made them.
        """
        return [self.score(pair) for pair in pairs]


@dataclass(kw_only=True, eq=False)
class EmptyFilter(QualityFilter):
    """Flags a translation with nothing in it where the source has letters or digits. Score: 1 or 0."""

    flag: ClassVar[str] = "empty"

    def score(self, pair: TranslationPair) -> float | None:
        """1 for a translation with text in it; None for a source without letters and digits."""
        return float(has_text(pair.target)) if any(char.isalnum() for char in pair.source) else None

    def accept(self, score: float) -> bool:
        return score > 0


@dataclass(kw_only=True, eq=False)
class CopiedFilter(QualityFilter):
    """Flags a translation that repeats the source. Score: the share of the source's ordinary words that are in it.

    Ordinary words are those that don't begin with a capital, as names are often the same in both languages.

    Args:
        max_share: The largest share that is accepted.
        min_words: Sources with fewer ordinary words are not judged.
    """

    max_share: float = setting(0.8, ge=0, le=1)
    min_words: int = setting(4, ge=1)
    flag: ClassVar[str] = "copied"

    def score(self, pair: TranslationPair) -> float | None:
        """From 0 to 1, each word counted as often as it occurs."""
        words = Counter(word for word in pair.source_words if not word[0].isupper())
        if words.total() < self.min_words or not pair.target_words:
            return None
        return (words & Counter(pair.target_words)).total() / words.total()

    def accept(self, score: float) -> bool:
        return score <= self.max_share


# Letters said four times or more inside a word, which models that loop write without end
_INSIDE = re.compile(r"(.{1,12}?)\1{3,}")
_LONG_WORD = 20


@dataclass(kw_only=True, eq=False)
class LoopingFilter(QualityFilter):
    """Flags a translation that says something again and again and the source does not.

    Score: how many words repeat those before them, in the longest run of a unit of any length that is said at least
    three times in a row; less that of the source.

    Args:
        max_words: The largest number that is accepted.
        max_unit: The longest unit that is looked for, in words.
    """

    max_words: int = setting(4, ge=0)
    max_unit: int = setting(12, ge=1)
    flag: ClassVar[str] = "looping"

    def score(self, pair: TranslationPair) -> float | None:
        """A number of words; letters in scripts without spaces."""
        if not pair.target_words:
            return None
        looping = _repeating(pair.target_words, self.max_unit)
        return max(0.0, looping - _repeating(pair.source_words, self.max_unit)) if looping else 0.0

    def accept(self, score: float) -> bool:
        return score <= self.max_words


def _repeating(words: Sequence[str], max_unit: int) -> float:
    """The words of the longest run of a unit said three times or more, without its first time; four letters of a run
    inside a word count as a word."""
    lowered = [word.lower() for word in words]
    counts = Counter(lowered)
    inside = [match for word in counts if len(word) > _LONG_WORD and (match := _INSIDE.search(word))]
    most = max((len(match.group()) // 4 for match in inside), default=0)
    # Where no word comes three times there is no run
    if max(counts.values(), default=0) < 3:
        return float(most)
    for unit in range(1, min(max_unit, len(lowered) // 3) + 1):
        run = 0
        for before, word in zip(lowered, lowered[unit:], strict=False):
            run = run + 1 if before == word else 0
            if run >= 2 * unit:
                most = max(most, run)
    return float(most)


# Words are this many characters long on average, with the space, where it comes to adding the slack
_WORD = 5


@dataclass(kw_only=True, eq=False)
class LengthRatioFilter(QualityFilter):
    """Flags a translation that is much longer or shorter than its source.

    Score: how many times as long the longer side is, in characters or in words, whichever is more. Wide characters,
    such as Chinese ones, count three times; words count only where both languages have spaces between them. Both sides
    are taken to be longer than they are, so that short texts may differ more.

    Args:
        max_ratio: The largest ratio that is accepted.
        slack: Characters that both sides are taken to be longer.
    """

    max_ratio: float = setting(2.0, ge=1)
    slack: int = setting(15, ge=0)
    flag: ClassVar[str] = "length_ratio"

    def score(self, pair: TranslationPair) -> float | None:
        """A ratio of 1 or more."""
        if not pair.source.strip() or not pair.target.strip():
            return None
        ratio = _ratio(_width(pair.source) + self.slack, _width(pair.target) + self.slack)
        if not UNSEGMENTED.isdisjoint((pair.source_lang, pair.target_lang)):
            return ratio
        slack = self.slack / _WORD
        return max(ratio, _ratio(len(pair.source.split()) + slack, len(pair.target.split()) + slack))

    def accept(self, score: float) -> bool:
        return score <= self.max_ratio


def _ratio(first: float, second: float) -> float:
    shorter, longer = sorted((first, second))
    return longer / shorter if shorter else 1.0


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + 2 * sum("\u2e80" <= char <= "\ud7ff" or "\uf900" <= char <= "\uffef" for char in text)


# Digits in groups of three, or any digits with a point or the like inside
_NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3})+(?!\d)|\d+(?:[.,'’٫٬]\d+)*")
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
        min_digits: How many digits a number must have.
    """

    min_share: float = setting(0.6, ge=0, le=1)
    min_digits: int = setting(3, ge=1)
    flag: ClassVar[str] = "numbers"

    def score(self, pair: TranslationPair) -> float | None:
        """From 0 to 1; None without numbers in the source."""
        wanted = Counter(_significant(number) for number in _numbers(pair.source) if self._counts(number))
        if not wanted or _NUMERALS.search(pair.target):
            return None
        return (wanted & Counter(map(_significant, _numbers(pair.target)))).total() / wanted.total()

    def accept(self, score: float) -> bool:
        return score >= self.min_share

    def _counts(self, number: list[str]) -> bool:
        grouped = all(len(part) == 3 for part in number[1:])
        return grouped and sum(map(len, number)) >= self.min_digits and len(_significant(number)) > 1


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
        min_letters: Texts with fewer letters are not judged; wide characters count three times.
    """

    min_probability: float = setting(0.02, ge=0, le=1)
    min_letters: int = setting(30, ge=1)
    flag: ClassVar[str] = "wrong_language"
    extra: ClassVar[str | None] = "langid"

    def score(self, pair: TranslationPair) -> float | None:
        """A probability from 0 to 1.

        Raises:
            XltError: E255 where py3langid is not installed.
        """
        return self._probability(pair.target, pair.target_lang)

    def accept(self, score: float) -> bool:
        return score >= self.min_probability

    def _probability(self, text: str, lang: str) -> float | None:
        expected = _CODES.get(lang, lang)
        if sum(3 if char >= "\u2e80" else 1 for char in text if char.isalpha()) < self.min_letters:
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


@dataclass(kw_only=True, eq=False)
class SourceLanguageFilter(WrongLanguageFilter):
    """Flags a source that is not in the source language. Score: how probable its language is.

    Needs the extra `langid`. Settings as those of WrongLanguageFilter.
    """

    flag: ClassVar[str] = "source_language"

    def score(self, pair: TranslationPair) -> float | None:
        """A probability from 0 to 1.

        Raises:
            XltError: E255 where py3langid is not installed.
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


_TOKEN = re.compile(r"[^\W_]+")
# Languages that write all nouns with a capital: a capital says nothing there
_CAPITAL_NOUNS = frozenset({"de", "lb"})


@dataclass(kw_only=True, eq=False)
class NamesFilter(QualityFilter):
    """Flags a translation that lacks names of its source. Score: the share of the names that have a like word in it.

    A name is a word with a capital that does not begin a sentence. Many names change in translation ("London",
    "Londres") and many words with a capital in English are no names ("Monday"), so that a word with the same beginning
    is enough, and that single names don't count. Nothing is judged between scripts, or in languages without capitals.

    Args:
        min_share: The smallest share that is accepted.
        min_names: Sources with fewer names are not judged.
    """

    min_share: float = setting(0.2, ge=0, le=1)
    min_names: int = setting(3, ge=1)
    flag: ClassVar[str] = "names"

    def score(self, pair: TranslationPair) -> float | None:
        """From 0 to 1; None where there are too few names."""
        names = [] if pair.source_lang in _CAPITAL_NOUNS else _names(pair.source)
        if len(names) < self.min_names or _script("".join(names)) != _script(pair.target):
            return None
        begins = {_folded(word)[:3] for word in _TOKEN.findall(pair.target)}
        return sum(name[:3] in begins for name in map(_folded, names)) / len(names)

    def accept(self, score: float) -> bool:
        return score >= self.min_share


def _names(text: str) -> list[str]:
    """Different words with a capital and three letters or more, without those after an end of sentence or a quote."""
    if text.isupper():
        return []
    matches = list(_TOKEN.finditer(text))
    capitals = [match for match in matches if match.group()[0].isupper()]
    # Headlines in English have a capital on nearly every word
    if len(capitals) > 0.6 * len(matches):
        return []
    names = []
    for match in capitals:
        before = text[: match.start()].rstrip(" ")[-1:]
        if len(match.group()) >= 3 and before and before not in ".!?:;\"'“”«»„([{-–—…":
            names.append(match.group())
    return list(dict.fromkeys(names))


def _folded(word: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(char))


def _script(text: str) -> str:
    """The script of the first letter, by its Unicode name."""
    letter = next((char for char in text if char.isalpha()), "")
    return unicodedata.name(letter, "").split(" ")[0]


@dataclass(kw_only=True, eq=False)
class RoundTripFilter(QualityFilter):
    """Flags a translation that, translated back, is too far from the source. Score: F of character n-grams, 0 to 1.

    Costs as much as translating. Nothing is judged where the translator does not know the way back.

    Args:
        translator: The `Translator` that translates back; the translator itself where left out.
        min_score: The smallest score that is accepted.
    """

    translator: Any = None
    min_score: float = setting(0.3, ge=0, le=1)
    flag: ClassVar[str] = "round_trip"

    def score(self, pair: TranslationPair) -> float | None:
        """The score of one pair; None without a translator of its own."""
        return None if self.translator is None else self.scores([pair], engine=self.translator)[0]

    def scores(self, pairs: Sequence[TranslationPair], *, engine: Any) -> list[float | None]:
        """Translate back in one call. All pairs must have the same languages."""
        if not pairs:
            return []
        languages = {"source": pairs[0].target_lang, "target": pairs[0].source_lang}
        try:
            returned = (self.translator or engine).translate([pair.target for pair in pairs], **languages)
        except UnknownDirection:
            return [None] * len(pairs)
        return [
            character_f(back.text, pair.source) if pair.source.strip() else None
            for back, pair in zip(returned, pairs, strict=True)
        ]

    def accept(self, score: float) -> bool:
        return score >= self.min_score


def character_f(text: str, reference: str, *, longest: int = 6, beta: float = 2.0) -> float:
    """How much of a reference is in a text: F of the character n-grams without spaces, averaged over n (Popović 2015,
    "chrF: character n-gram F-score for automatic MT evaluation").

    Args:
        text: The text.
        reference: What it should be.
        longest: The longest n-grams.
        beta: How many times recall weighs precision.

    Returns:
        From 0 to 1; 1 for two empty texts.
    """
    first, second = "".join(text.split()), "".join(reference.split())
    scores = []
    # n-grams longer than both texts say nothing
    for n in range(1, min(longest, max(len(first), len(second))) + 1):
        a, b = (Counter(side[i : i + n] for i in range(len(side) - n + 1)) for side in (first, second))
        shared = (a & b).total()
        precision, recall = shared / max(1, a.total()), shared / max(1, b.total())
        total = beta**2 * precision + recall
        scores.append((1 + beta**2) * precision * recall / total if total else 0.0)
    return sum(scores) / len(scores) if scores else 1.0


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
            is_filter = callable(getattr(gate, "scores", None)) and callable(getattr(gate, "accept", None))
            if not is_filter or not getattr(gate, "flag", ""):
                expected = "a filter, with `scores`, `accept` and a `flag`"
                raise invalid_setting("QualityGates", f"filters.{name}", gate, expected)
        flags = {gate.flag for gate in given.values()}
        first = [make() for make in DEFAULT if make.flag not in flags] if self.default else []
        self.gates: list[QualityFilter] = [*first, *given.values()]

    def details(self) -> dict[str, Any]:
        """The gates with their settings."""
        return {"gates": self.gates}

    def flags(self, pairs: Sequence[TranslationPair], *, engine: Any = None) -> list[tuple[str, ...]]:
        """What is wrong with translations.

        Args:
            pairs: All in the same languages.
            engine: The `Translator` that made them.

        Returns:
            The flags of each, in the order of the filters.
        """
        flags: list[list[str]] = [[] for _ in pairs]
        for gate in self.gates:
            for own, score in zip(flags, gate.scores(pairs, engine=engine), strict=True):
                if score is not None and not gate.accept(score):
                    own.append(gate.flag)
        return [tuple(own) for own in flags]
