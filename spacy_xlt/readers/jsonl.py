"""Annotated text as JSON: lines of Prodigy, doccano and other tools, or an array, as Label Studio exports it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from ..docs import META
from ..errors import error
from ..languages import MULTI, vocab_of
from ..span_links import End, Link, SpanLinks, end_of, set_links
from ..textfiles import plain_name, text_lines
from .forms import NOT_READ, Line, LineSpan, Malformed, Misfit, TokenLink, TokenSpan, read_line, read_object, value_of
from .places import (
    CODE_POINTS,
    CR_LF,
    UTF8,
    UTF16,
    Ruler,
    Tokens,
    UnitVotes,
    note_shared,
    same_text,
    set_entities,
    trimmed,
)
from .relations import read_relations
from .settings import ENTS, PRODIGY, ReadNotes, ReadSettings

ACCEPT, REJECT, IGNORE = "accept", "reject", "ignore"


@dataclass(frozen=True)
class AnnotatedText:
    """A line: a text in tokens, its spans and what was said of it.

    Attributes:
        line: Its number in the file, counted from 1.
        text: The text.
        words: The tokens.
        spaces: Whether a space follows each of them.
        spans: In token positions.
        answer: "accept", "reject" or "ignore".
        meta: What else stands there.
        annotated: "ents" and the keys of span groups that are annotated, also without any span; nothing is known
            about others.
        missing: Tokens of which it is not known whether they are in an entity.
        answered: Whether the answer stands there.
        given: The spans of a sentence that was exported for a tool, as `review.tools` has them.
        given_links: Likewise, the links between these spans.
        links: Relations, from a span to another one with a label; None where nothing is said of them. An end may be a
            span that was exported and is not there any more.
    """

    line: int
    text: str
    words: list[str]
    spaces: list[bool]
    spans: list[TokenSpan]
    answer: str = ACCEPT
    meta: dict[str, Any] = field(default_factory=dict)
    annotated: frozenset[str] = frozenset()
    missing: frozenset[int] = frozenset()
    answered: bool = True
    given: list[TokenSpan] | None = None
    given_links: list[TokenLink] | None = None
    links: list[TokenLink] | None = None


def read_jsonl(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the accepted lines of a file, a document each. Where a line says nothing of spans, they are missing.

    What a line has in `meta`, and its `id`, is in `doc.user_data["meta"]`.

    In the format "prodigy", a line is left out where a span does not begin and end with tokens; else a span of a text
    without tokens is widened to whole tokens.

    Raises:
        XltError: As `annotated_texts`; E503 for a file without lines, and in the format "prodigy" where all were left
            out; E568 there where nothing was accepted.
    """
    strict = settings.format == PRODIGY
    lines = annotated_texts(
        path, lang=settings.lang, encoding=settings.encoding, widen=not strict, accepted=True, notes=notes
    )
    n_docs = 0
    for line in lines:
        n_docs += 1
        if not line.annotated:
            notes.add("not annotated", f"line {line.line}")
        notes.dropped.update(span[2] for span in line.spans if not settings.keeps(span[2]))
        line = replace(line, spans=[span for span in line.spans if settings.keeps(span[2])])
        doc = to_doc(line, vocab_of(settings.lang), notes=notes, spans_key=settings.spans_key)
        if line.meta:
            doc.user_data[META] = json.loads(json.dumps(line.meta), parse_int=_storable)
        yield doc
    if not n_docs and strict and not notes.misfits:
        raise error("E568", path=path, what='line with the answer "accept"')
    if not n_docs and (strict or not (notes.answers or notes.misfits)):
        raise error("E503", path=path)


def annotated_texts(
    path: str | Path,
    *,
    lang: str = MULTI,
    encoding: str = "utf8",
    widen: bool = False,
    accepted: bool = False,
    notes: ReadNotes | None = None,
) -> Iterator[AnnotatedText]:
    """Read JSON lines with `text`, and where they are there `tokens`, `spans`, `answer` and `meta`; doccano's; spaCy's.

    Without tokens, a text gets those of its language. Spans count characters, the end not included; where they also
    have `token_start` and `token_end`, that one included, both must say the same. Characters are code points; where
    the spans of a file fit only in UTF-16 units, in UTF-8 bytes or with CR LF as one, they are that, which `notes`
    says; see `UnitVotes`. A span's `text` must be the text there. `key`, where a span has it, is the span group that
    it belongs to.

    Args:
        path: The file; empty lines are skipped.
        lang: Language, for texts without tokens.
        encoding: Of the file.
        widen: In texts without tokens, let a span reach to the ends of the tokens that it begins and ends in.
        accepted: Only lines with the answer "accept", or none.
        notes: Filled in on the way, with the lines whose spans or tokens do not fit the text: they are left out.

    Raises:
        XltError: E502 where there is no file; E564 for a line of another form; E513, E106, E535 as `text_lines`.
    """
    path, notes = Path(path), notes or ReadNotes()
    if not path.is_file():
        raise error("E502", what="file", path=path)
    unit = _unit(path, lang, encoding, notes)
    for number, line in _lines(path, encoding):
        if not line.strip():
            continue
        try:
            data = read_object(line)
            answer = value_of(data, "answer", str, ACCEPT)
            if answer not in (ACCEPT, REJECT, IGNORE):
                raise Malformed(f'"answer" is {answer!r}')
            if accepted and answer != ACCEPT:
                notes.answers[answer] += 1
                continue
            said = read_line(data)
            read, places = _annotated(number, answer, said, lang, unit, widen, notes)
            if isinstance(data.get("relations"), list):
                relations, problems = read_relations(data, list(places))
                for wrong, value in problems:
                    notes.leave_out(f"line {number}", wrong, value)
                links = [(places[r.head], places[r.child], r.label) for r in relations]
                # Where nothing is said of spans, nothing is said of what joins them
                read = replace(read, links=None if said.spans is None else links)
            elif data.get("relations") is not None:
                notes.leave_out(f"line {number}", "no list of relations:", data["relations"])
            for result in data.get(NOT_READ, ()):
                notes.leave_out(f"line {number}", "neither a span nor a relation:", result)
            yield replace(read, answered=bool(data.get("answer")))
        except Misfit as err:
            notes.misfits.append((number, str(err)))
        except Malformed as err:
            raise error("E564", path=path, line=number, reason=err) from err
        except RecursionError as err:
            raise error("E564", path=path, line=number, reason="lists or objects inside each other, too deep") from err


def to_doc(line: AnnotatedText, vocab: Vocab, *, notes: ReadNotes | None = None, spans_key: str = "") -> Doc:
    """A document with the annotation of a line: entities, and span groups for spans that name one.

    Args:
        line: The line.
        vocab: Of the document.
        notes: Where entities that overlap are counted; see `set_entities`.
        spans_key: Also put the entities into this span group; they may overlap there.
    """
    doc = Doc(vocab, words=line.words, spaces=line.spaces)
    groups: dict[str, list[Span]] = {key: [] for key in sorted(line.annotated)}
    for start, end, label, key in line.spans:
        groups.setdefault(key, []).append(Span(doc, start, end, label=label))
    if ENTS in groups:
        ents, also = groups.pop(ENTS), groups.pop(spans_key, [])
        set_entities(doc, ents, notes or ReadNotes(), unknown=line.missing, spans_key=spans_key)
        if also:
            groups[spans_key] = sorted([*doc.spans[spans_key], *also], key=lambda span: (span.start, span.end))
    for key, spans in groups.items():
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans)
    if line.links is not None:
        set_links(doc, SpanLinks(_links(doc, line.links, spans_key)))
    return doc


def _links(doc: Doc, links: Sequence[TokenLink], spans_key: str) -> list[Link]:
    """Links between the spans that the document has; an entity that overlaps another may be in the group alone."""

    def end(span: TokenSpan) -> End | None:
        start, stop, label, key = span
        return end_of(doc, key, start, stop, label) or end_of(doc, spans_key, start, stop, label)

    ends = ((end(head), end(child), label) for head, child, label in links)
    return [Link(head, child, label) for head, child, label in ends if head and child]


def _storable(digits: str) -> int | str:
    """A whole number; one that a `.spacy` file has no room for stays a string."""
    return int(digits) if len(digits) < 19 else digits


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a file; of an array in a file .json its objects, each with its number from 1."""
    if plain_name(path.name).lower().endswith(".json"):
        try:
            objects = json.loads("\n".join(line for _, line in text_lines(path, encoding)))
        except ValueError:
            objects = None  # lines under another name
        if isinstance(objects, list):
            yield from ((number, json.dumps(one, ensure_ascii=False)) for number, one in enumerate(objects, 1))
            return
    yield from text_lines(path, encoding)


def _unit(path: Path, lang: str, encoding: str, notes: ReadNotes) -> str:
    """What the offsets of a file count, from a look at the lines where that makes a difference."""
    votes = UnitVotes()
    for number, line in _lines(path, encoding):
        if line.isascii() and "\\u" not in line and "\\r" not in line:
            continue
        try:
            seen = read_line(read_object(line))
            if seen.spans and votes.want(seen.text):
                rulers, tokens = votes.rulers(seen.text), seen.tokenized(lang)[2]
                for span in seen.spans:
                    own = span.own_tokens if seen.tokens else None
                    votes.see(number, rulers, tokens, span[:2], own_text=span.text, own_tokens=own)
        except (Malformed, Misfit, RecursionError):
            continue  # it is said when the line is read
    if doubt := votes.doubt(UTF16) or votes.doubt(CR_LF):
        reason = f'a span is {doubt[1]}, and nothing tells which is meant. Give spans the "text" that they cover'
        raise error("E564", path=path, line=doubt[0], reason=reason)
    if doubt := votes.doubt(UTF8):
        notes.add("unit unclear", doubt[1])
    if votes.unit() != CODE_POINTS:
        notes.add("other unit", votes.unit())
    return votes.unit()


def _annotated(
    number: int, answer: str, line: Line, lang: str, unit: str, widen: bool, notes: ReadNotes
) -> tuple[AnnotatedText, dict[LineSpan, TokenSpan]]:
    """A line in tokens, and the tokens of each of its spans, and behind them of those that were exported."""
    words, spaces, tokens = line.tokenized(lang)
    ruler, wide = Ruler(line.text, unit), widen and not line.tokens
    spans: dict[LineSpan, TokenSpan] = {}
    placed: dict[str, list[tuple[int, int, int, int]]] = {}
    for span in line.spans or ():
        place = _place(span, ruler, tokens, wide, notes)
        if place[0] < place[1]:
            spans[span] = (*place[:2], span.label, span.key)
            placed.setdefault(span.key, []).append(place)
    for places in placed.values():
        note_shared(places, line.text, tokens, notes)
    missing = [(0, len(line.text))] if line.missing is None else line.missing
    unknown = frozenset(i for place in missing for i in range(*tokens.covering(*place)))
    read = AnnotatedText(
        number,
        line.text,
        words,
        spaces,
        list(dict.fromkeys(spans.values())),
        answer,
        line.meta,
        line.annotated,
        unknown,
        given=line.given,
        given_links=line.given_links,
    )
    for first, stop, label, key in line.given or ():
        if stop <= len(words):
            exported = LineSpan(tokens.starts[first], tokens.ends[stop - 1], label, key, None, first, stop - 1)
            spans.setdefault(exported, (first, stop, label, key))
    return read, spans


def _place(span: LineSpan, ruler: Ruler, tokens: Tokens, wide: bool, notes: ReadNotes) -> tuple[int, int, int, int]:
    """The tokens `[first, stop)` of a span, none where it is left out, and its characters."""
    place, text = ruler.characters(span.start, span.end), ruler.text
    if place is None:
        reason = f"{span} is not in the text of {len(ruler)} {ruler.unit}"
        raise Malformed(reason) if wide else Misfit(reason)
    found = text[slice(*place)]
    if span.text is not None and not same_text(found, span.text):
        raise Malformed(f"{span} has {found[:60]!r} there, and {span.text[:60]!r} as its text")
    first, stop = tokens.covering(*place)
    if span.token_start not in (None, first) or span.token_end not in (None, stop - 1):
        if not wide:
            raise Misfit(f"the tokens of {span} differ from its characters")
        notes.add("other tokens", found)
    start, end = trimmed(text, *place, notes)
    first, stop = tokens.covering(start, end)
    if first == stop:
        notes.add("empty", found)
    elif not tokens.fit(start, end):
        if not wide:
            raise Misfit(f"{span} does not begin and end with tokens")
        notes.add("widened", text[start:end])
    return first, stop, start, end
