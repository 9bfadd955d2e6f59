"""The ends of a projected span: words that links attach to it or leave out, though the source decides otherwise.

What counts as a particle or a clause was chosen for languages of the alphabets of Europe; see `constants.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...tokens import is_symbol
from .constants import BESIDES_AFTER, BESIDES_BEFORE, CLAUSE, SHORT_CLAUSE, WEAK
from .evidence import LinkIndex, Stretch, is_particle


def is_clause(index: LinkIndex, source: tuple[int, int]) -> bool:
    """Whether a span reads as a clause and not as a name: long, or not that short and up to punctuation.

    However long, a span whose words all have capitals is a name ("Committee on Employment and Social Affairs"),
    particles aside.
    """
    start, end = source
    length = end - start
    if length < SHORT_CLAUSE or _is_long_name(index.source_words[start:end]):
        return False
    if length >= CLAUSE:
        return True
    words = index.source_words
    return end == index.sentence_of(end - 1).source_end or is_symbol(words[end - 1]) or is_symbol(words[end])


def _is_long_name(words: Sequence[str]) -> bool:
    letters = [word for word in words if word.isalpha() and not is_particle(word)]
    return bool(letters) and all(word[0].isupper() for word in letters)


def adjust(
    index: LinkIndex, source: tuple[int, int], stretch: Stretch, *, is_name: bool, others: Sequence[Stretch] = ()
) -> Stretch:
    """Move the ends of a stretch to where the source span has them.

    Particles are left out at the ends, except those that the source span has too (the "von" of "von Wogau") or that
    another kind of word in it is linked to most, and except where nothing else would be left. A clause is not trimmed:
    words without links at its ends are taken into it, such as "La" of "La fatiga ...", if the source word beside the
    clause has a link of its own and can't be their source.

    Args:
        index: The bitext.
        source: Source tokens `[start, end)` of the span.
        stretch: Where its links lead.
        is_name: Trim also where the source span ends in a particle itself ("the Netherlands").
        others: Where other spans are, whose words are not free to take.
    """
    if not is_clause(index, source):
        return _trim(index, source, stretch, left=True, right=True, is_name=is_name)
    left = _has_own_translation(index, source[0] - 1, source[0])
    right = _has_own_translation(index, source[1], source[1] - 1)
    stretch = _trim(index, source, stretch, left=not left, right=not right, is_name=False)
    return _fill_clause(index, source, stretch, others, left=left, right=right)


def _has_own_translation(index: LinkIndex, beside: int, inside: int) -> bool:
    """Whether the token beside a span cannot be the source of unlinked target words."""
    pair = index.sentence_of(inside)
    if not pair.source_start <= beside < pair.source_end:
        return True
    return index.is_linked(beside) or is_symbol(index.source_words[beside])


def _fill_clause(
    index: LinkIndex,
    source: tuple[int, int],
    stretch: Stretch,
    others: Sequence[Stretch],
    *,
    left: bool,
    right: bool,
) -> Stretch:
    """Take words that nothing else claims into a clause, and give back those that begin the next one."""
    words = index.target_words
    low, high = index.sentence_of(source[0]).target_start, index.sentence_of(source[1] - 1).target_end
    start, end = stretch.start, stretch.end

    def is_unclaimed(j: int) -> bool:
        inside, outside = index.strongest(j, *source)
        if inside - outside < -WEAK or is_symbol(words[j]):
            return False
        return not any(other.start <= j < other.end for other in others)

    while left and start > low and is_unclaimed(start - 1):
        start -= 1
    while right and end < high and is_unclaimed(end) and not _ends_in_punctuation(words[end - 1]):
        end += 1
    ends_here = end == high or is_symbol(words[end]) or _ends_in_punctuation(words[end - 1])
    if end > stretch.end and not ends_here:
        end = stretch.end
    if _ends_in_punctuation(index.source_words[source[1] - 1]):
        last = end
        while last > start and is_particle(words[last - 1]):
            last -= 1
        if last > start and _ends_in_punctuation(words[last - 1]):
            end = last
    return Stretch(start, end, stretch.total)


def _trim(
    index: LinkIndex, source: tuple[int, int], stretch: Stretch, *, left: bool, right: bool, is_name: bool
) -> Stretch:
    """Leave particles, and symbols at the ends of a name, out of a stretch, unless nothing else is left."""
    words = index.source_words[source[0] : source[1]]
    start, end = stretch.start, stretch.end
    if left and (is_name or not is_particle(words[0])):
        while start < end and _is_trimmable(index, source, start, BESIDES_BEFORE, symbols=is_name):
            start += 1
    if right and (is_name or not is_particle(words[-1])):
        while end > start and _is_trimmable(index, source, end - 1, BESIDES_AFTER, symbols=is_name):
            end -= 1
    return stretch if start == end else Stretch(start, end, stretch.total)


def _is_trimmable(index: LinkIndex, source: tuple[int, int], j: int, min_ratio: float, *, symbols: bool) -> bool:
    """Whether target token `j`, at the end of a stretch, does not belong to the span.

    `min_ratio`: how many times its weight another link of its source word must have.
    """
    words, text = index.source_words[source[0] : source[1]], index.target_words[j]
    if symbols and is_symbol(text):
        return not any(map(is_symbol, words))
    if not _is_particle_at(index, j, index.sentence_of(source[0]).target_start):
        return False
    if text.lower() in map(str.lower, words):
        return False
    # "Um" is no article where it is all that "One" became; "A" is one where "Ana" is linked to "Ana" besides
    partner = index.best_source(j)
    if partner is None or not source[0] <= partner < source[1] or is_particle(index.source_words[partner]):
        return True
    weight = min_ratio * index.weight(partner, j)
    return any(
        k != j and other >= weight and not is_particle(index.target_words[k]) for k, other in index.links_to(partner)
    )


def _is_particle_at(index: LinkIndex, j: int, sentence_start: int) -> bool:
    """Whether target token `j` is a particle; at the start of a sentence it may have a capital, as "The" and "A"."""
    text = index.target_words[j]
    return is_particle(text) or (j == sentence_start and is_particle(text.lower()) and not text[1:].isupper())


def _ends_in_punctuation(text: str) -> bool:
    return not text[-1:].isalnum()
