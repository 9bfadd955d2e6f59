"""Spans, or words of spans, without links: found by their spelling, or between the links of their neighbours."""

from __future__ import annotations

from ..bitext import Bitext
from .boundaries import is_particle, is_symbol, sentence_of
from .evidence import Evidence, Stretch

# What an identical word counts in the place of a link.
SPELLING = 0.5
# How sure a place is that only the links of the neighbours point at.
POSITION = 0.25


def same_spelling(bitext: Bitext, evidence: Evidence, source: tuple[int, int]) -> list[tuple[int, float]]:
    """Target words without links that are spelled as words without links of a span, in the same sentence.

    Particles and punctuation do not count.

    RETURNS (list[tuple[int, float]]): Target tokens and weights.
    """
    words = {
        token.text.lower()
        for token in bitext.source[source[0] : source[1]]
        if not len(evidence.links_of(token.i, token.i + 1))
        and not is_particle(token.text)
        and not is_symbol(token.text)
    }
    if not words:
        return []
    start, end = sentence_of(bitext, source[0])[2], sentence_of(bitext, source[1] - 1)[3]
    found = [j for j in range(start, end) if j not in evidence.columns and bitext.target[j].text.lower() in words]
    return [(j, SPELLING) for j in found]


def between_neighbours(bitext: Bitext, evidence: Evidence, source: tuple[int, int]) -> Stretch | None:
    """The unlinked target words between the links of the words beside a span.

    RETURNS (Stretch | None): None where the neighbours' links are not in order, or there are more words between them
        than a translation of the span would have, or none but punctuation.
    """
    first = sentence_of(bitext, source[0])
    left, right = source[0] - 1, source[1]
    if not first[0] <= source[1] - 1 < first[1]:
        return None
    while left >= first[0] and not len(evidence.links_of(left, left + 1)):
        left -= 1
    while right < first[1] and not len(evidence.links_of(right, right + 1)):
        right += 1
    start = first[2] if left < first[0] else max(evidence.target[k] for k in evidence.links_of(left, left + 1)) + 1
    end = first[3] if right == first[1] else min(evidence.target[k] for k in evidence.links_of(right, right + 1))
    if any(j in evidence.columns for j in range(start, end)):
        return None
    # Words beside the span may have no link either, and theirs are then in the same gap
    beside = (source[0] - left - 1) + (right - source[1])
    while start < end and is_symbol(bitext.target[start].text):
        start += 1
    while start < end and is_symbol(bitext.target[end - 1].text):
        end -= 1
    length = source[1] - source[0]
    if beside or not 0 < end - start <= 2 * length + 1:
        return None
    return Stretch(start, end, POSITION)
