"""Finding the sentences of an evaluation set, and those that are nearly the same, in training data."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import ceil

from spacy.tokens import Doc

from ..bitext import sentence_ranges

# Characters in a shingle
SHINGLE = 4
# Of shorter sentences ("Thank you very much.") only exact duplicates count: everybody writes them.
MIN_LETTERS = 20


class NearDuplicates:
    """Knows sentences, and says how similar the most similar one of them is to another sentence.

    Sentences are compared as sets of all their runs of four letters, digits and marks, in lower case and without what
    is between: tokenisation, punctuation and spaces make no difference. The measure is Jaccard's: shared runs by all
    runs. The search is exact and does not compare all pairs: of two sets that are similar enough, the rarest elements
    of each must meet (prefix filtering: Chaudhuri et al. 2006, "A primitive operator for similarity joins in data
    cleaning"; Xiao et al. 2008, "Efficient similarity joins for near duplicate detection").

    sentences (Iterable[str]): The sentences to know.
    threshold (float): The least similarity, from above 0 to 1, that is found.
    """

    def __init__(self, sentences: Iterable[str], *, threshold: float):
        self.threshold = threshold
        self._texts = list(dict.fromkeys(text for text in map(_letters, sentences) if text))
        self._known = frozenset(self._texts)
        self._seen: Counter[str] = Counter()
        self._postings: dict[str, list[int]] = defaultdict(list)
        if threshold < 1:
            self._index()

    def __len__(self) -> int:
        return len(self._texts)

    def similarity(self, sentence: str) -> float:
        """How similar the most similar sentence is: 1.0 for a duplicate, 0.0 where none reaches the threshold."""
        text = _letters(sentence)
        if not text:
            return 0.0
        if text in self._known:
            return 1.0
        if self.threshold == 1 or len(text) < MIN_LETTERS:
            return 0.0
        shingles = _shingles(text)
        met = shingles & self._seen.keys()
        # What nobody has seen is the rarest of all, and meets nothing.
        n_rarest = self._prefix(len(shingles)) - (len(shingles) - len(met))
        if n_rarest <= 0:
            return 0.0
        candidates = {i for shingle in self._sorted(met)[:n_rarest] for i in self._postings.get(shingle, ())}
        best = max((_jaccard(shingles, _shingles(self._texts[i])) for i in candidates), default=0.0)
        # Different texts can be of the same runs; only the same text is a duplicate.
        return min(best, 0.9999) if best >= self.threshold else 0.0

    def _index(self) -> None:
        long_enough = [i for i, text in enumerate(self._texts) if len(text) >= MIN_LETTERS]
        for i in long_enough:
            self._seen.update(_shingles(self._texts[i]))
        for i in long_enough:
            shingles = _shingles(self._texts[i])
            for shingle in self._sorted(shingles)[: self._prefix(len(shingles))]:
                self._postings[shingle].append(i)

    def _sorted(self, shingles: Iterable[str]) -> list[str]:
        """The rarest first, in the same order for every sentence."""
        return sorted(shingles, key=lambda shingle: (self._seen[shingle], shingle))

    def _prefix(self, size: int) -> int:
        """How many of the rarest elements of a set must hold one of every similar set's rarest."""
        return size - ceil(self.threshold * size - 1e-9) + 1


def sentences_of(doc: Doc) -> list[tuple[tuple[int, int], str]]:
    """Token range and text of each sentence; where a document has no sentences, of those of spaCy's sentencizer."""
    return [((start, end), doc[start:end].text) for start, end in sentence_ranges(doc)]


class _Letters(dict[int, "str | None"]):
    """For str.translate: letters, digits and the marks that belong to letters stay, all else goes."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        self[code] = char if unicodedata.category(char)[0] in "LNM" else None
        return self[code]


_LETTERS = _Letters()


def _letters(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)


def _shingles(text: str) -> set[str]:
    return {text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))}


def _jaccard(first: set[str], second: set[str]) -> float:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)
