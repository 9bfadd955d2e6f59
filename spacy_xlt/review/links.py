"""Putting links that a person has corrected in the place of those that were carried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spacy.tokens import Doc

from ..bitext import ENTS, REVIEWED, Bitext, LostLink, is_annotation
from ..projection.carried_links import carried_ends
from ..readers.forms import TokenSpan
from ..readers.jsonl import ACCEPT
from ..span_links import LINKS_GROUP, End, Link, end_of, get_links, set_links, span_at

if TYPE_CHECKING:
    from .records import Correction


def correct_links(bitext: Bitext, corrections: Sequence[tuple[int, Correction]]) -> None:
    """Give sentences that are done the links of their corrections and no others, in place; their spans come first.

    The links have the score 1.0 then. One of the source that was taken away, got another label or was turned round is
    lost ("reviewed"). Sentences of whose links nothing is said, links out of a sentence and records stay as they are.

    Args:
        bitext: Changed.
        corrections: Each with the number of the sentence pair that it is about.
    """
    said = [
        (bitext.sentences[n], one.links) for n, one in corrections if one.answer == ACCEPT and one.links is not None
    ]
    if not said:
        return
    source, target, links = bitext.source, bitext.target, get_links(bitext.target)
    keys = [ENTS, *filter(is_annotation, source.spans)]
    sources = {end: of for key in keys for of, (end, _) in carried_ends(bitext, key).items()}

    def in_source(link: Link) -> tuple[End | None, End | None, str]:
        return sources.get(link.head), sources.get(link.child), link.label

    for pair, corrected in said:
        old = [link for link in links.links if _are_inside(target, (link.head, link.child), pair.target)]
        new = []
        for *spans, label in corrected:
            head, child = (_end(target, span, pair.target_start) for span in spans)
            new += [Link(head, child, label)] if head and child else []
        links.links = [link for link in links.links if link not in old] + new
        present = {in_source(link) for link in new}
        bitext.lost_links = [k for k in bitext.lost_links if (k.head, k.child, k.label) not in present]
        for head, child, label in dict.fromkeys(map(in_source, old)):
            if head and child and (head, child, label) not in present:
                bitext.lost_links.append(LostLink(head, child, label, REVIEWED))
    # "No link" is said of the pairs of a sentence; of others it may be known from the source
    is_known = len(bitext.sentences) == 1 or (LINKS_GROUP in source.spans and get_links(source).complete)
    links.complete = is_known and all(
        any(_are_inside(source, (lost.head, lost.child), pair.source) for pair, _ in said) for lost in bitext.lost_links
    )
    set_links(target, links)


def _are_inside(doc: Doc, ends: Sequence[End], tokens: tuple[int, int]) -> bool:
    spans = [span_at(doc, end) for end in ends]
    return all(tokens[0] <= span.start and span.end <= tokens[1] for span in spans)


def _end(doc: Doc, span: TokenSpan, by: int) -> End | None:
    start, stop, label, key = span
    return end_of(doc, key, start + by, stop + by, label)
