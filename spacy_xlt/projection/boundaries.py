"""The ends of a projected span: words that links attach to it or leave out, though the source decides otherwise."""

from __future__ import annotations

from functools import lru_cache

from spacy.tokens import Doc

from ..bitext import Bitext
from .evidence import Evidence, Stretch

# Letters of the longest word that counts as an article, a preposition and the like.
SHORT = 3
# From so many source tokens on a span is read as a clause and not as a name.
CLAUSE = 8


@lru_cache(maxsize=1 << 16)
def is_particle(text: str) -> bool:
    """Whether a word looks like an article, a preposition or a conjunction: short and in lower case.

    Scripts without case, where this says nothing, have none.
    """
    return len(text) <= SHORT and text.isalpha() and text.islower()


@lru_cache(maxsize=1 << 16)
def is_symbol(text: str) -> bool:
    """Whether a token has no letter or digit in it."""
    return not any(char.isalnum() for char in text)


def particle_at(doc: Doc, i: int, sentence_start: int) -> bool:
    """Whether a token is a particle; at the start of a sentence it may have a capital."""
    text = doc[i].text
    return is_particle(text) or (i == sentence_start and is_particle(text.lower()) and not text.isupper())


def trim(bitext: Bitext, source: tuple[int, int], stretch: Stretch, *, always: bool) -> Stretch:
    """Leave particles out at the ends of a name.

    A particle that the source span has too (the "von" of "von Wogau") stays, as do all where nothing else is left.

    source (tuple[int, int]): Source tokens `[start, end)` of the span.
    always (bool): Also at an end where the source span has a particle itself ("the Netherlands").
    """
    doc, target = bitext.source, bitext.target
    start, end = stretch.start, stretch.end
    first, last = is_particle(doc[source[0]].text), is_particle(doc[source[1] - 1].text)
    own: set[str] | None = None

    def drop(i: int) -> bool:
        nonlocal own
        if not particle_at(target, i, target_start):
            return False
        if own is None:
            own = {token.text.lower() for token in doc[source[0] : source[1]]}
        return target[i].text.lower() not in own

    target_start = _sentence_of(bitext, source[0])[2]
    if always or not first:
        while start < end and drop(start):
            start += 1
    if always or not last:
        while end > start and drop(end - 1):
            end -= 1
    return stretch if start == end else Stretch(start, end, stretch.total)


def extend(bitext: Bitext, evidence: Evidence, source: tuple[int, int], stretch: Stretch) -> Stretch:
    """Take words without links at the ends of a clause into it, unless the source word beside the clause may be theirs.

    A clause that starts its sentence or follows punctuation takes "La" of "La fatiga ..." along. The word beside the
    clause may be the source where it is a particle or has no link itself.

    source (tuple[int, int]): Source tokens `[start, end)` of the span.
    """
    target = bitext.target
    low, high = _sentence_of(bitext, source[0]), _sentence_of(bitext, source[1] - 1)
    start, end = stretch.start, stretch.end

    def free(i: int) -> bool:
        return evidence.balance(i, *source) >= 0.0 and not is_symbol(target[i].text)

    if _accounted(bitext, evidence, source[0] - 1, low):
        while start > low[2] and free(start - 1):
            start -= 1
    if _accounted(bitext, evidence, source[1], high):
        while end < high[3] and free(end):
            end += 1
    return Stretch(start, end, stretch.total)


def _accounted(bitext: Bitext, evidence: Evidence, i: int, sentence: tuple[int, int, int, int]) -> bool:
    """Whether a source token beside a span cannot be the source of unlinked target words."""
    if not sentence[0] <= i < sentence[1]:
        return True
    text = bitext.source[i].text
    return is_symbol(text) or (len(evidence.links_of(i, i + 1)) > 0 and not is_particle(text))


def _sentence_of(bitext: Bitext, i: int) -> tuple[int, int, int, int]:
    """Source and target range of the sentence pair that source token `i` is in; of both docs where it is in none."""
    for pair in bitext.sentences:
        if pair.source_start <= i < pair.source_end:
            return *pair.source, *pair.target
    return 0, len(bitext.source), 0, len(bitext.target)
