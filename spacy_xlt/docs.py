"""Editing and slicing documents: the one place where spans are copied from a `Doc` to another."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Any, NamedTuple

from spacy.attrs import intify_attr
from spacy.tokens import Doc, DocBin, Span, SpanGroup, Token
from spacy.vocab import Vocab

from .span_links import ENTS, LINKS_GROUP, End, SpanLinks, get_links, set_links, span_at

# What a token carries besides its text, as in spaCy's own DocBin.
_ANNOTATION = "TAG HEAD DEP ENT_IOB ENT_TYPE ENT_KB_ID ENT_ID LEMMA MORPH POS SENT_START"
_ATTRS = [intify_attr(name) for name in _ANNOTATION.split()]
# In `doc.user_data`, as `xlt_ner` has it: tags, and the bytes of their probabilities for each token
SOFT_LABELS = "xlt_soft_labels"
# In `doc.user_data`: what a corpus says of a document besides its annotation, its id among that
META = "meta"


def copy_span(span: Span, doc: Doc, start: int | None = None, end: int | None = None) -> Span:
    """The same span on another document, with label and identifiers.

    Args:
        start: Its first token there; where left out, the same as on the old document.
        end: The token behind its last one there; where left out, so that the length stays.
    """
    start = span.start if start is None else start
    end = start + len(span) if end is None else end
    if doc.vocab.strings is span.doc.vocab.strings:
        return Span(doc, start, end, label=span.label, kb_id=span.kb_id, span_id=span.id)
    return Span(doc, start, end, label=span.label_, kb_id=span.kb_id_, span_id=span.id_)


def copy_entities(source: Doc, target: Doc) -> None:
    """Write the entities of a document onto another one with the same tokens; what is missing there is missing."""
    missing = [target[start:end] for start, end in missing_ranges(source)]
    target.set_ents([copy_span(ent, target) for ent in source.ents], missing=missing, default="outside")


def copy_groups(source: Doc, target: Doc, move: Callable[[Span], Span | None]) -> None:
    """Copy all span groups, and the links between spans; entities have to be there already.

    A span that `move` makes None is dropped, its entries in the group's attributes, and its links.
    """
    places: dict[End, End] = {}
    for key, group in source.spans.items():
        if key != LINKS_GROUP:
            moved = [move(span) for span in group]
            target.spans[key] = filter_group(group, target, moved)
            places.update(_places(key, moved))
    if LINKS_GROUP in source.spans:
        places.update(_entity_places(source, target, move))
        set_links(target, get_links(source).moved(places.get))


def _places(key: str, successors: Sequence[Span | None]) -> dict[End, End]:
    """Where the spans of a group are in the group of their successors."""
    kept = [n for n, span in enumerate(successors) if span is not None]
    return {End(key, n): End(key, place) for place, n in enumerate(kept)}


def _entity_places(source: Doc, target: Doc, move: Callable[[Span], Span | None]) -> dict[End, End]:
    """Where the entities of a document are among those of another."""
    among = {(ent.start, ent.end): n for n, ent in enumerate(target.ents)}
    moved = ((n, move(ent)) for n, ent in enumerate(source.ents))
    ranges = {n: (span.start, span.end) for n, span in moved if span is not None}
    return {End(ENTS, n): End(ENTS, among[place]) for n, place in ranges.items() if place in among}


def replace_spans(doc: Doc, key: str, successors: Sequence[Span | None]) -> None:
    """Replace the spans of a group, each by another or by None; attributes and links follow."""
    doc.spans[key] = filter_group(doc.spans[key], doc, successors)
    if LINKS_GROUP in doc.spans:
        places = _places(key, successors)
        set_links(doc, get_links(doc).moved(lambda end: places.get(end) if end.key == key else end))


def filter_group(group: SpanGroup, doc: Doc, spans: Sequence[Span | None]) -> SpanGroup:
    """A span group with a successor, or None, in the place of each span; attributes with an entry a span follow."""
    attrs = {name: _of_kept(value, spans) for name, value in group.attrs.items()}
    return SpanGroup(doc, name=group.name, attrs=attrs, spans=[span for span in spans if span is not None])


def _of_kept(value: Any, spans: Sequence[Span | None]) -> Any:
    if not isinstance(value, (list, tuple)) or len(value) != len(spans):
        return value
    return [item for item, span in zip(value, spans, strict=True) if span is not None]


class Replacement(NamedTuple):
    """Words that take the place of the tokens `[start, end)` of a document; without words, the tokens are deleted.

    Attributes:
        spaces: Whether white space follows each word; of the last one, the old text's counts.
        missing: Which of the words have no entity annotation.
    """

    start: int
    end: int
    words: Sequence[str] = ()
    spaces: Sequence[bool] = ()
    missing: Sequence[bool] = ()


def edit(
    doc: Doc, replacements: Sequence[Replacement], *, start_of: Callable[[Span], int] = attrgetter("start")
) -> Doc:
    """A copy of a document with other words in some places; sentences, entities, span groups and categories are kept.

    A span that reaches into deleted tokens is dropped, and a sentence begins behind them.

    Args:
        replacements: In order, without overlap. None may have the end of an entity or span inside, but for deletions.
        start_of: The token of the old document that an entity or span is to begin with.
    """
    words, spaces, unknown, place = _assemble(doc, replacements)
    deleted = {i for item in replacements if not item.words for i in range(item.start, item.end)}
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        begin = {place[token.i] for token in doc if token.is_sent_start}
        begin.update(place[item.end] for item in replacements if not item.words)
        starts = [i in begin for i in range(len(words))]
    copy = Doc(doc.vocab, words=words, spaces=spaces, sent_starts=starts)
    copy.cats = dict(doc.cats)

    def move(span: Span) -> Span | None:
        if not deleted.isdisjoint(range(span.start, span.end)) or (deleted and span.start == span.end):
            return None
        return copy_span(span, copy, place[start_of(span)], place[span.end])

    if doc.has_annotation("ENT_IOB"):
        missing = [copy[i : i + 1] for i, is_unknown in enumerate(unknown) if is_unknown]
        copy.set_ents([span for ent in doc.ents if (span := move(ent))], missing=missing, default="outside")
    copy_groups(doc, copy, move)
    return copy


def _assemble(doc: Doc, replacements: Sequence[Replacement]) -> tuple[list[str], list[bool], list[bool], list[int]]:
    """The new words, whether space follows each, whether each is unknown, and the new place of each old one.

    Tokens inside a replacement, after its first, have the place behind it.
    """
    begin: dict[int, Replacement] = {item.start: item for item in replacements}
    skipped = (0, 0)
    pieces: list[tuple[list[str], list[bool], list[bool]]] = []
    for token in doc:
        if token.i in begin:
            item = begin[token.i]
            skipped = item.start, item.end
            last = bool(doc[item.end - 1].whitespace_)
            spaces = [*item.spaces[:-1], last] if item.words else []
            pieces.append((list(item.words), spaces, list(item.missing)))
        elif skipped[0] <= token.i < skipped[1]:
            pieces.append(([], [], []))
        else:
            pieces.append(([token.text], [bool(token.whitespace_)], [token.ent_iob == 0]))
    words = [word for piece in pieces for word in piece[0]]
    spaces = [space for piece in pieces for space in piece[1]]
    unknown = [missing for piece in pieces for missing in piece[2]]
    place = [0, *accumulate(len(piece[0]) for piece in pieces)]
    return words, spaces, unknown, place


def without(doc: Doc, ranges: Iterable[tuple[int, int]]) -> Doc:
    """A copy of a document without some of its tokens; see `edit`.

    Args:
        ranges: Token ranges `[start, end)` to leave out, which may overlap. Spans that reach into one are dropped.
    """
    gone = sorted({i for start, end in ranges for i in range(start, end)})
    return edit(doc, [Replacement(i, i + 1) for i in gone])


def with_words(doc: Doc, words: Sequence[str]) -> Doc:
    """The same document with other words, one for one, and all annotation."""
    copy = Doc(doc.vocab, words=list(words), spaces=[bool(token.whitespace_) for token in doc])
    copy.from_array(_ATTRS, doc.to_array(_ATTRS))  # type: ignore[arg-type]
    copy.cats = dict(doc.cats)
    copy_groups(doc, copy, lambda span: copy_span(span, copy))
    _copy_soft_labels(doc, copy, 0, len(doc))
    return copy


def with_vocab(doc: Doc, vocab: Vocab) -> Doc:
    """A new document with the tokens and sentences of another one, in another vocabulary."""
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        starts = [token.is_sent_start for token in doc]
    return Doc(vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc], sent_starts=starts)


def slice_doc(doc: Doc, start: int, end: int) -> Doc:
    """The tokens `[start, end)` as a document, with the spans inside. Entities that reach out are marked missing."""
    part = doc[start:end].as_doc()

    def move(span: Span) -> Span | None:
        inside = start <= span.start and span.end <= end
        return copy_span(span, part, span.start - start) if inside else None

    if doc.has_annotation("ENT_IOB"):
        cut = [ent for ent in doc.ents if ent.start < end and ent.end > start and (ent.start < start or ent.end > end)]
        unknown = {i - start for i in range(start, end) if doc[i].ent_iob == 0}
        unknown.update(i - start for ent in cut for i in range(max(start, ent.start), min(end, ent.end)))
        ents = [span for ent in doc.ents if (span := move(ent))]
        part.set_ents(ents, missing=[part[i : i + 1] for i in sorted(unknown)], default="outside")
    part.cats = dict(doc.cats)
    copy_groups(doc, part, move)
    _copy_soft_labels(doc, part, start, end)
    return part


def join_docs(docs: Sequence[Doc]) -> Doc:
    """Documents behind each other as one, as `Doc.from_docs` has it, which loses links between spans.

    Args:
        docs: One or more, of the same vocabulary.
    """
    joined = Doc.from_docs(list(docs))
    links, n_spans = SpanLinks(), Counter[str]()
    for doc in docs:
        own = get_links(doc)
        places = {end: End(end.key, end.number + n_spans[end.key]) for end in own.ends()}
        moved = own.moved(places.get, first_record=len(links.records))
        links.links += moved.links
        links.records += moved.records
        links.complete &= own.complete
        n_spans.update({ENTS: len(doc.ents), **{key: len(group) for key, group in doc.spans.items()}})
    if LINKS_GROUP in joined.spans:
        set_links(joined, links)
    return joined


def _copy_soft_labels(doc: Doc, target: Doc, start: int, end: int) -> None:
    soft = doc.user_data.get(SOFT_LABELS)
    if soft is not None:
        size = len(soft["values"]) // max(1, len(doc))
        target.user_data[SOFT_LABELS] = {**soft, "values": soft["values"][start * size : end * size]}


def all_spans(doc: Doc) -> list[Span]:
    """The entities, and then the spans of all groups."""
    return [span for group in (doc.ents, *doc.spans.values()) for span in group]


def sentence_ranges(doc: Doc) -> list[tuple[int, int]]:
    """Token ranges `[start, end)` of the sentences of a doc, without gaps.

    They are its own, else those of spaCy's sentencizer, which does not cut spans; see `uncut`.
    """
    if not len(doc):
        return []
    if doc.has_annotation("SENT_START"):
        return [(sent.start, sent.end) for sent in doc.sents]
    from spacy.pipeline import Sentencizer

    (starts,) = Sentencizer().predict([doc])
    return uncut(doc, [i for i, is_start in enumerate(starts) if is_start])


def uncut(doc: Doc, starts: Iterable[int]) -> list[tuple[int, int]]:
    """Token ranges of sentences that begin at these tokens, joined where one ends inside an entity or another span.

    A span that has whole sentences inside, such as an argument, is cut; a name has none.
    """
    first = sorted({0, *starts})
    joints: set[int] = set()
    for i, span in enumerate(all_spans(doc)):
        inside = first[bisect_right(first, span.start) : bisect_left(first, span.end)]
        if i < len(doc.ents) or len(inside) == 1:
            joints.update(inside)
    first = [start for start in first if start not in joints]
    return list(zip(first, [*first[1:], len(doc)], strict=True))


def missing_ranges(doc: Doc) -> list[tuple[int, int]]:
    """Token ranges whose entity annotation is missing, which is not the same as "no entity here"."""
    ranges = []
    for is_missing, group in groupby(doc, key=lambda token: token.ent_iob == 0):
        tokens = list(group)
        if is_missing:
            ranges.append((tokens[0].i, tokens[-1].i + 1))
    return ranges


def runs_of(doc: Doc, tokens: Iterable[int]) -> list[Span]:
    """Spans over runs of neighbouring tokens."""
    runs: list[list[int]] = []
    for i in sorted(tokens):
        if runs and runs[-1][1] == i:
            runs[-1][1] = i + 1
        else:
            runs.append([i, i + 1])
    return [Span(doc, start, end) for start, end in runs]


def replace_ents(doc: Doc, ents: Iterable[Span], *, missing: Iterable[tuple[int, int]] = ()) -> None:
    """Replace the entities of a document; what was missing stays missing, and links stay with the same words.

    Args:
        missing: Token ranges `[start, end)` that are missing from now on.
    """
    ranges = [*missing_ranges(doc), *missing]
    with links_follow(doc):
        doc.set_ents(list(ents), missing=[Span(doc, start, end) for start, end in ranges], default="outside")


@contextmanager
def links_follow(doc: Doc) -> Iterator[None]:
    """Links between spans stay with the same words, whatever entities and groups are written inside the block.

    Of several spans on the same words of a group, the one with the same label. Links of words that are no longer
    annotated are left out, and then the rest is not complete.
    """
    before = get_links(doc)
    places = {end: span_at(doc, end) for end in before.ends()}
    ranges = {end: (span.start, span.end, span.label) for end, span in places.items()}
    yield
    if LINKS_GROUP not in doc.spans:
        return

    def place(end: End) -> End | None:
        start, stop, label = ranges[end]
        spans = doc.ents if end.key == ENTS else doc.spans.get(end.key, ())
        same = {span.label: n for n, span in enumerate(spans) if (span.start, span.end) == (start, stop)}
        return End(end.key, same.get(label, min(same.values()))) if same else None

    after = before.moved(place)
    after.complete = before.complete and Counter(after.labels()) == Counter(before.labels())
    set_links(doc, after)


def copy_ents(doc: Doc, key: str) -> bool:
    """Copy the entities to a span group, where the document does not have it.

    Returns:
        Whether it has the group now. A group cannot say that annotation is missing, so a document where
        some is gets none.
    """
    if key in doc.spans:
        return True
    if not doc.has_annotation("ENT_IOB", require_complete=True):
        return False
    doc.spans[key] = SpanGroup(doc, name=key, spans=list(doc.ents))
    return True


def select_docs(docs: DocBin, numbers: Sequence[int]) -> DocBin:
    """Some of the documents of a corpus file, in the order of their numbers, without making the others."""
    chosen = DocBin(attrs=(), store_user_data=docs.store_user_data)
    chosen.attrs, chosen.strings = docs.attrs, docs.strings
    for name in ("tokens", "spaces", "cats", "span_groups", "flags", "user_data"):
        values = getattr(docs, name)
        setattr(chosen, name, [values[i] for i in numbers])
    return chosen


def tokens_digest(tokens: Iterable[Token], *prefix: str) -> str:
    """A digest of tokens with the white space behind them, without their annotation: 16 hexadecimal digits."""
    # ASCII, so that text that has no UTF-8 has a digest as well
    data = json.dumps([*prefix, *(token.text_with_ws for token in tokens)]).encode("ascii")
    return hashlib.sha256(data).hexdigest()[:16]
