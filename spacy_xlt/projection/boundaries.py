"""The ends of a projected span: words that links attach to it or leave out, though the source decides otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from spacy.tokens import Doc

from ..bitext import Bitext
from .evidence import Evidence, Stretch

# Letters of the longest word that counts as an article, a preposition and the like.
SHORT = 3
# From so many source tokens on a span is read as a clause and not as a name.
CLAUSE = 8
# And from so many on if it reaches up to punctuation or the end of its sentence.
SHORT_CLAUSE = 6
# A particle is left out if its source word has a link to a content word besides, with at least so many times the
# particle's weight. Articles and prepositions come before what they belong to, so that at the end it takes more: "mer"
# in "fruits de mer" is as short as a particle.
BESIDES_BEFORE = 0.2
BESIDES_AFTER = 2.0
# Up to this weight a link elsewhere is no claim to a word at the end of a clause.
WEAK = 0.4


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
    """Whether a token is a particle; at the start of a sentence it may have a capital, as "The" and "A"."""
    text = doc[i].text
    return is_particle(text) or (i == sentence_start and is_particle(text.lower()) and not text[1:].isupper())


def is_clause(bitext: Bitext, source: tuple[int, int]) -> bool:
    """Whether a span reads as a clause and not as a name: long, or not that short and up to punctuation.

    However long, a span whose words all have capitals is a name ("Committee on Employment and Social Affairs"),
    particles aside.
    """
    length = source[1] - source[0]
    if length < SHORT_CLAUSE or _is_long_name(bitext.source, source):
        return False
    if length >= CLAUSE:
        return True
    doc, end = bitext.source, sentence_of(bitext, source[1] - 1)[1]
    return source[1] == end or is_symbol(doc[source[1] - 1].text) or is_symbol(doc[source[1]].text)


def _is_long_name(doc: Doc, span: tuple[int, int]) -> bool:
    words = [token.text for token in doc[span[0] : span[1]] if token.text.isalpha() and not is_particle(token.text)]
    return bool(words) and all(word[0].isupper() for word in words)


def adjust(
    bitext: Bitext,
    evidence: Evidence,
    source: tuple[int, int],
    stretch: Stretch,
    *,
    name: bool,
    others: Sequence[Stretch] = (),
) -> Stretch:
    """Move the ends of a stretch to where the source span has them.

    Particles are left out at the ends, except those that the source span has too (the "von" of "von Wogau") or that
    another kind of word in it is linked to most, and except where nothing else would be left. A clause is not trimmed:
    words without links at its ends are taken into it, such as "La" of "La fatiga ...", if the source word beside the
    clause has a link of its own and can't be their source.

    source (tuple[int, int]): Source tokens `[start, end)` of the span.
    name (bool): Trim also where the source span ends in a particle itself ("the Netherlands").
    others (Sequence[Stretch]): Where other spans are, whose words are not free to take.
    """
    if not is_clause(bitext, source):
        return _trim(bitext, evidence, source, stretch, left=True, right=True, always=name)
    first, last = sentence_of(bitext, source[0]), sentence_of(bitext, source[1] - 1)
    left = _accounted(bitext, evidence, source[0] - 1, first)
    right = _accounted(bitext, evidence, source[1], last)
    stretch = _trim(bitext, evidence, source, stretch, left=not left, right=not right, always=False)
    return _fill_clause(bitext, evidence, source, stretch, others, left=left, right=right)


def _fill_clause(
    bitext: Bitext,
    evidence: Evidence,
    source: tuple[int, int],
    stretch: Stretch,
    others: Sequence[Stretch],
    *,
    left: bool,
    right: bool,
) -> Stretch:
    """Take words that nothing else claims into a clause, and give back those that begin the next one."""
    target = bitext.target
    low, high = sentence_of(bitext, source[0])[2], sentence_of(bitext, source[1] - 1)[3]
    start, end = stretch.start, stretch.end

    def free(i: int) -> bool:
        if evidence.balance(i, *source) < -WEAK or is_symbol(target[i].text):
            return False
        return not any(other.start <= i < other.end for other in others)

    while left and start > low and free(start - 1):
        start -= 1
    while right and end < high and free(end) and not _closes(target[end - 1].text):
        end += 1
    ends_here = end == high or is_symbol(target[end].text) or _closes(target[end - 1].text)
    if end > stretch.end and not ends_here:
        end = stretch.end
    if _closes(bitext.source[source[1] - 1].text):
        last = end
        while last > start and is_particle(target[last - 1].text):
            last -= 1
        if last > start and _closes(target[last - 1].text):
            end = last
    return Stretch(start, end, stretch.total)


def _trim(
    bitext: Bitext,
    evidence: Evidence,
    source: tuple[int, int],
    stretch: Stretch,
    *,
    left: bool,
    right: bool,
    always: bool,
) -> Stretch:
    doc, target = bitext.source, bitext.target
    start, end = stretch.start, stretch.end
    sentence_start = sentence_of(bitext, source[0])[2]

    def is_extra(i: int, besides: float) -> bool:
        text = target[i].text
        symbol = always and is_symbol(text)
        if not symbol and not particle_at(target, i, sentence_start):
            return False
        own = [token.text for token in doc[source[0] : source[1]]]
        if symbol:
            return not any(is_symbol(word) for word in own)
        if text.lower() in map(str.lower, own):
            return False
        # "Um" is no article where it is all that "One" became; "A" is one where "Ana" is linked to "Ana" besides
        partner = evidence.best_source(i)
        if partner is None or not source[0] <= partner < source[1] or is_particle(doc[partner].text):
            return True
        return any(
            j != i and weight >= besides * evidence.weight(partner, i) and not is_particle(target[j].text)
            for j, weight in evidence.links_to(partner)
        )

    if left and (always or not is_particle(doc[source[0]].text)):
        while start < end and is_extra(start, BESIDES_BEFORE):
            start += 1
    if right and (always or not is_particle(doc[source[1] - 1].text)):
        while end > start and is_extra(end - 1, BESIDES_AFTER):
            end -= 1
    return stretch if start == end else Stretch(start, end, stretch.total)


def _closes(text: str) -> bool:
    """Whether a token ends with punctuation."""
    return not text[-1:].isalnum()


def _accounted(bitext: Bitext, evidence: Evidence, i: int, sentence: tuple[int, int, int, int]) -> bool:
    """Whether a source token beside a span cannot be the source of unlinked target words."""
    if not sentence[0] <= i < sentence[1]:
        return True
    return len(evidence.links_of(i, i + 1)) > 0 or is_symbol(bitext.source[i].text)


def sentence_of(bitext: Bitext, i: int) -> tuple[int, int, int, int]:
    """Source and target range of the sentence pair that source token `i` is in; of both docs where it is in none."""
    for pair in bitext.sentences:
        if pair.source_start <= i < pair.source_end:
            return *pair.source, *pair.target
    return 0, len(bitext.source), 0, len(bitext.target)
