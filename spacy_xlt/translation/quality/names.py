"""The gate for names that vanish."""

from __future__ import annotations

import re
import unicodedata

from .base import Judged, QualityFilter, check_number

_TOKEN = re.compile(r"[^\W_]+")
# Languages that write all nouns with a capital: a capital says nothing there
_CAPITAL_NOUNS = frozenset({"de", "lb"})


class NamesFilter(QualityFilter):
    """Flags a translation that lacks names of its source. Score: the share of the names that have a like word in it.

    A name is a word with a capital that does not begin a sentence. Many names change in translation ("London",
    "Londres") and many words with a capital in English are no names ("Monday"), so that a word with the same beginning
    is enough, and that single names don't count. Nothing is judged between scripts, or in languages without capitals.

    min_share (float): The smallest share that is accepted.
    min_names (int): Sources with fewer names are not judged.
    """

    flag = "names"

    def __init__(self, *, min_share: float = 0.2, min_names: int = 3):
        self.min_share = check_number("NamesFilter", "min_share", min_share, 0, 1)
        self.min_names = int(check_number("NamesFilter", "min_names", min_names, 1))

    def score(self, pair: Judged) -> float | None:
        """From 0 to 1; None where there are too few names."""
        if pair.source_lang in _CAPITAL_NOUNS:
            return None
        names = _names(pair.source)
        if len(names) < self.min_names:
            return None
        words = {_folded(word) for word in _TOKEN.findall(pair.target)}
        if _script("".join(names)) != _script(pair.target):
            return None
        begins = {word[:3] for word in words}
        return sum(name[:3] in begins for name in map(_folded, names)) / len(names)

    def accept(self, score: float) -> bool:
        """Whether enough names are there."""
        return score >= self.min_share


def _names(text: str) -> list[str]:
    """Different words with a capital and three letters or more, without those after an end of sentence or a quote."""
    if text.isupper():
        return []
    matches = list(_TOKEN.finditer(text))
    found = []
    capitals = 0
    for match in matches:
        word = match.group()
        if not word[0].isupper():
            continue
        capitals += 1
        before = text[: match.start()].rstrip(" ")[-1:]
        if len(word) >= 3 and before and before not in ".!?:;\"'“”«»„([{-–—…":
            found.append(word)
    # Headlines in English have a capital on nearly every word
    return list(dict.fromkeys(found)) if capitals <= 0.6 * len(matches) else []


def _folded(word: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(char))


def _script(text: str) -> str:
    """The script of the first letter, by its Unicode name."""
    letter = next((char for char in text if char.isalpha()), "")
    return unicodedata.name(letter, "").split(" ")[0]
