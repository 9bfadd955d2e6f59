"""Sentences that a projection is not sure of: what is lost or doubtful must not be read as "no entity here"."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from spacy.tokens import Span

from ..bitext import DROP_FLAG, ENTS, Bitext, LostSpan
from ..docs import missing_ranges, runs_of
from ..tokens import has_text
from .carry import carried
from .filters import ProjectionFilter

# Flag of the sentence pairs that hold a lost span.
LOST_FLAG = "lost_span"
# What may become of a doubtful sentence.
WAYS = ("keep", "missing", "drop")


def mark_lost(bitext: Bitext, *, way: str) -> None:
    """Treat the sentence pairs that a lost span belongs to.

    way (str): "keep" changes nothing. "missing" makes the tokens outside entities missing where an entity was lost.
        "drop" flags the pair with "lost_span", and to be left out.
    """
    if way == "keep" or not bitext.lost:
        return
    lost = [span for span in bitext.lost if way == "drop" or span.key == ENTS]
    touched = [n for n, pair in enumerate(bitext.sentences) if any(_touches(pair.source, span) for span in lost)]
    if way == "missing":
        make_missing(bitext, touched)
    else:
        for n in touched:
            add_flags(bitext, n, (LOST_FLAG, DROP_FLAG))


def mark_unknown(bitext: Bitext, *, flags: Collection[str] = ()) -> None:
    """Make missing what nothing is known of: sentences of the target without any text on the source side, as of a
    translation that failed, and the tokens outside entities of those with certain flags.

    flags (Collection[str]): Flags of sentence pairs, such as "looping".
    """
    source, target = bitext.source, bitext.target
    unknown = []
    for n, pair in enumerate(bitext.sentences):
        untold = _has_words(target[slice(*pair.target)]) and not _has_words(source[slice(*pair.source)])
        if untold or any(flag in flags for flag in pair.flags):
            unknown.append(n)
    if unknown:
        make_missing(bitext, unknown)


def filter_sentences(bitext: Bitext, filters: Mapping[str, ProjectionFilter], *, way: str) -> None:
    """Flag the sentence pairs that a filter does not accept with the filter's name.

    filters (Mapping[str, ProjectionFilter]): By the name that becomes the flag.
    way (str): "keep" flags only. "missing" also makes the tokens outside entities missing, and the entities that were
        not accepted. "drop" also flags the pair to be left out.
    """
    every = carried(bitext)
    doubtful: set[int] = set()
    refused: set[tuple[int, int]] = set()
    for n, pair in enumerate(bitext.sentences):
        spans = [one for one in every if pair.target_start <= one.target.start < pair.target_end]
        for name, one_filter in filters.items():
            verdicts = [one_filter.accept(score) for score in one_filter.score(bitext, n, spans)]
            if all(verdicts):
                continue
            add_flags(bitext, n, (name, DROP_FLAG) if way == "drop" else (name,))
            doubtful.add(n)
            if len(verdicts) == len(spans):
                bad = [one.target for one, good in zip(spans, verdicts, strict=True) if not good and one.key == ENTS]
                refused.update((span.start, span.end) for span in bad)
    if doubtful and way == "missing":
        make_missing(bitext, sorted(doubtful), also=refused)


def make_missing(bitext: Bitext, pairs: Iterable[int], *, also: Iterable[tuple[int, int]] = ()) -> None:
    """In some sentence pairs, make the target's tokens outside entities missing instead of "no entity".

    pairs (Iterable[int]): Indices of `bitext.sentences`.
    also (Iterable[tuple[int, int]]): Token ranges `[start, end)` of entities that are to be missing, too.
    """
    target, doubtful = bitext.target, set(also)
    ents = [ent for ent in target.ents if (ent.start, ent.end) not in doubtful]
    tokens = {i for n in pairs for i in range(*bitext.sentences[n].target)}
    tokens.update(i for start, end in (*doubtful, *missing_ranges(target)) for i in range(start, end))
    tokens.difference_update(*(range(ent.start, ent.end) for ent in ents))
    target.set_ents(ents, missing=runs_of(target, tokens), default="outside")


def add_flags(bitext: Bitext, n: int, flags: Iterable[str]) -> None:
    """Add flags to a sentence pair, each once."""
    pair = bitext.sentences[n]
    bitext.sentences[n] = replace(pair, flags=tuple(dict.fromkeys([*pair.flags, *flags])))


def _has_words(span: Span) -> bool:
    return any(has_text(token.text) for token in span)


def _touches(sentence: tuple[int, int], span: LostSpan) -> bool:
    # A span without tokens belongs to the sentence it stands in
    return sentence[0] < max(span.end, span.start + 1) and span.start < sentence[1]
