"""What a translation memory holds, packed: a million sentence pairs take little more than their text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ...errors import XltError
from ...languages import to_spacy

# What pretty-printed XML and stray tabs put into a text; a no-break space is part of it
_LAYOUT = re.compile(r"[ \t\r\n]{2,}|[\t\r\n]")


def memory_key(text: str) -> str:
    """The form in which texts are compared: composed characters (NFC), every run of white space a single space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf8", "surrogatepass"), digest_size=8).digest(), "little")


class _Column:
    """The texts of one language (with its region) in the order of their units."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q")
        self._units = array("Q")
        self._index: tuple[NDArray[np.uint64], NDArray[np.uint32]] | None = None

    def add(self, unit: int, text: str) -> None:
        self._bytes += _LAYOUT.sub(" ", text).strip().encode("utf8", "surrogatepass")
        self._ends.append(len(self._bytes))
        self._units.append(unit)
        self._index = None

    def text(self, place: int) -> str:
        start = self._ends[place - 1] if place else 0
        return self._bytes[start : self._ends[place]].decode("utf8", "surrogatepass")

    def units_of(self, key: str) -> Iterator[int]:
        """The units in which a text has this form. The digest finds them, the text itself decides."""
        if self._index is None:
            # Made for the language that is looked up, and only for it
            n = len(self._ends)
            digests = np.fromiter((_digest(memory_key(self.text(place))) for place in range(n)), np.uint64, n)
            order = np.argsort(digests, kind="stable").astype(np.uint32)
            self._index = digests[order], order
        digests, order = self._index
        wanted = np.uint64(_digest(key))
        first, last = (int(np.searchsorted(digests, wanted, side)) for side in ("left", "right"))
        for place in order[first:last].tolist():
            if memory_key(self.text(place)) == key:
                yield self._units[place]

    def texts_of(self, unit: int) -> Iterator[str]:
        units = np.frombuffer(self._units, np.uint64)
        first, last = (int(np.searchsorted(units, np.uint64(unit), side)) for side in ("left", "right"))
        for place in range(first, last):
            yield self.text(place)


class Memory:
    """Translation units: the same text in two or more languages.

    Languages are kept with their region ("pt-BR"). A question for "pt" is answered from all of them, one for "pt-BR"
    from that region before others.
    """

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._n_units = 0
        self._ranked = lru_cache(maxsize=4096)(self._rank)

    def __len__(self) -> int:
        return self._n_units

    def add(self, unit: Iterable[tuple[str, str]]) -> int:
        """Add a unit: language codes with texts. Empty texts say nothing and are left out.

        RETURNS (int): How many languages it has.
        """
        codes = set()
        for code, text in unit:
            if text and not text.isspace():
                if code not in self._columns:
                    self._columns[code] = _Column()
                self._columns[code].add(self._n_units, text)
                codes.add(code)
        self._n_units += 1
        self._ranked.cache_clear()
        return len(codes)

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Every pair of languages in it, as spaCy's codes."""
        known = {language for code in self._columns if (language := spacy_code(code)) is not None}
        return sorted(permutations(sorted(known), 2))

    def lookup(self, text: str, *, source: str, target: str) -> Mapping[str, int]:
        """The translations of a text with the number of times each was found, the best first.

        The translations of the region asked for come first, then the more frequent, then the one that was met first.
        """
        return self._ranked(memory_key(text), source, target)

    def _rank(self, key: str, source: str, target: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        regional: set[str] = set()
        # Regions differ in spelling only; the same sentence of both is one witness of the translation
        units = sorted({unit for code in self._codes(source) for unit in self._columns[code].units_of(key)})
        for unit in units:
            for code in self._codes(target):
                for text in self._columns[code].texts_of(unit):
                    counts[text] = counts.get(text, 0) + 1
                    if code.lower() == target.lower():
                        regional.add(text)
        order = sorted(counts, key=lambda text: (text not in regional, -counts[text]))
        return {text: counts[text] for text in order}

    def _codes(self, language: str) -> list[str]:
        """The codes in the memory that stand for a language, the very code asked for first."""
        wanted = to_spacy(language)
        codes = [code for code in self._columns if spacy_code(code) == wanted]
        return sorted(codes, key=lambda code: code.lower() != language.lower())


@lru_cache(maxsize=1024)
def spacy_code(code: str) -> str | None:
    """spaCy's code for a language code found in a file; None where it stands for no known language."""
    try:
        return to_spacy(code)
    except XltError:
        return None
