"""What quality gates share."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...errors import error
from ...languages import UNSEGMENTED

_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True)
class Judged:
    """A translation to be judged, without what must not be translated (addresses, code) on either side.

    source, target (str): The texts.
    source_lang, target_lang (str): spaCy's codes.
    score (float | None): Mean log-probability of a piece, where the translator knows it.
    terms (bool): Whether words of it were given, so that it may differ from what the translator would say.
    """

    source: str
    target: str
    source_lang: str = ""
    target_lang: str = ""
    score: float | None = None
    terms: bool = False

    @cached_property
    def source_words(self) -> list[str]:
        """The words of the source: letters only; single characters in scripts without spaces."""
        return words_of(self.source, self.source_lang)

    @cached_property
    def target_words(self) -> list[str]:
        """The words of the target."""
        return words_of(self.target, self.target_lang)


def words_of(text: str, lang: str) -> list[str]:
    """Runs of letters; single letters in languages written without spaces."""
    if lang in UNSEGMENTED:
        return [char for char in text if char.isalpha()]
    return _WORDS.findall(text)


class QualityFilter(ABC):
    """A quality gate: a score for each translation, and whether that is good enough.

    flag (str): What a translation that is not accepted is flagged with.
    """

    flag: str = ""

    @abstractmethod
    def score(self, pair: Judged) -> float | None:
        """The score of a translation; None where it cannot be judged, which counts as accepted."""

    @abstractmethod
    def accept(self, score: float) -> bool:
        """Whether the score is good enough."""

    def scores(self, pairs: Sequence[Judged], *, engine: Any) -> list[float | None]:
        """The scores of several translations.

        engine (Translator): What made them.
        """
        return [self.score(pair) for pair in pairs]

    @property
    def settings(self) -> str:
        """The settings that decide, in one short piece of text."""
        return ",".join(f"{key}={value:g}" for key, value in vars(self).items() if isinstance(value, int | float))


def check_number(gate: str, setting: str, value: Any, lowest: float, highest: float = float("inf")) -> float:
    """Make sure that a setting is a number in a range.

    RAISES (XltError): E254 where it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        expected = f"a number from {lowest:g}" + (f" to {highest:g}" if highest != float("inf") else "")
        raise error("E254", gate=gate, setting=setting, value=value, expected=expected)
    return value
