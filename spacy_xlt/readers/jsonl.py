"""Annotated text as JSON lines: as Prodigy and other tools for spaCy write them, and doccano's."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from ..errors import error
from ..languages import MULTI, blank, vocab_of
from ..textfiles import text_lines
from .places import (
    CODE_POINTS,
    UNITS,
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
from .settings import PRODIGY, ReadNotes, ReadSettings

ACCEPT, REJECT, IGNORE = "accept", "reject", "ignore"
# The key of a span that is an entity and in no span group
ENTS = "ents"
# start, end (tokens, the end not included), label, "ents" or the key of a span group
TokenSpan = tuple[int, int, str, str]
# Keys of spans: Prodigy's, spaCy's, and doccano's, whose versions differ; of the last two a value may be a class
_SPAN_LISTS = ("spans", "ents", "entities", "annotations", "labels", "label")
_MAY_BE_CLASS = ("labels", "label")
# Keys of lists and objects that are not about spans of this text
_ABOUT_OTHERS = frozenset("tokens meta metadata comments cats options accept config relations sents source".split())
_KEYS = frozenset({*_SPAN_LISTS, "text", "tokens", "answer", "meta"})
# The view of Prodigy in which a person decides on one span, and says nothing of the rest of the text
_OF_ONE_SPAN = "ner"
# What the span groups of this package are called
_RESERVED = "xlt_"
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAY_HAVE_SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


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


class _Misfit(Exception):
    """The values of a line do not fit each other."""


class _Malformed(Exception):
    """A line is not of this form."""


def read_jsonl(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the accepted lines of a file, a document each. Where a line says nothing of spans, they are missing.

    In the format "prodigy", a line is left out where a span does not begin and end with tokens; else a span of a text
    without tokens is widened to whole tokens.

    Raises:
        XltError: As `annotated_texts`; E503 for a file without lines; E568 in the format "prodigy", where nothing was
            accepted.
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
        yield to_doc(line, vocab_of(settings.lang), notes=notes, spans_key=settings.spans_key)
    if not n_docs and strict:
        raise error("E568", path=path, what='line with the answer "accept"')
    if not (n_docs or notes.answers or notes.misfits):
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
    the spans of a file fit only in UTF-16 units or UTF-8 bytes, they are those, which `notes` says; see `UnitVotes`.
    A span's `text` must be the text there. `key`, where a span has it, is the span group that it belongs to.

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
    for number, line in text_lines(path, encoding):
        if not line.strip():
            continue
        try:
            data = _object(line)
            answer = _field(data, "answer", str, ACCEPT)
            if answer not in (ACCEPT, REJECT, IGNORE):
                raise _Malformed(f'"answer" is {answer!r}')
            if accepted and answer != ACCEPT:
                notes.answers[answer] += 1
                continue
            yield _annotated(number, _line(data), lang, unit, widen, notes)
        except _Misfit as err:
            notes.misfits.append((number, str(err)))
        except _Malformed as err:
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
        also = groups.pop(spans_key, [])
        set_entities(doc, groups.pop(ENTS), notes or ReadNotes(), unknown=line.missing, spans_key=spans_key)
        if also:
            groups[spans_key] = sorted([*doc.spans[spans_key], *also], key=lambda span: (span.start, span.end))
    for key, spans in groups.items():
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans)
    return doc


def _unit(path: Path, lang: str, encoding: str, notes: ReadNotes) -> str:
    """What the offsets of a file count, from a look at the lines where that makes a difference."""
    votes = UnitVotes()
    for number, line in text_lines(path, encoding):
        if line.isascii() and "\\u" not in line:
            continue
        try:
            seen = _line(_object(line))
            if seen.spans and votes.want(seen.text):
                rulers, tokens = [Ruler(seen.text, unit) for unit in UNITS], seen.tokenized(lang)[2]
                for span in seen.spans:
                    own = span.own_tokens if seen.tokens else None
                    votes.see(number, rulers, tokens, span[:2], own_text=span.text, own_tokens=own)
        except (_Malformed, _Misfit, RecursionError):
            continue  # it is said when the line is read
    if doubt := votes.doubt(UTF16):
        reason = f'a span is {doubt[1]}, and nothing tells which is meant. Give spans the "text" that they cover'
        raise error("E564", path=path, line=doubt[0], reason=reason)
    if doubt := votes.doubt(UTF8):
        notes.add("unit unclear", doubt[1])
    if votes.unit() != CODE_POINTS:
        notes.add("other unit", votes.unit())
    return votes.unit()


class _Span(NamedTuple):
    """A span as a line has it."""

    start: int
    end: int
    label: str
    key: str = ENTS
    text: str | None = None
    token_start: int | None = None
    token_end: int | None = None

    @property
    def own_tokens(self) -> tuple[int, int] | None:
        """The tokens `[first, stop)` that it says it has."""
        if self.token_start is None or self.token_end is None:
            return None
        return self.token_start, self.token_end + 1

    def __str__(self) -> str:
        return f"the span {self.label} from {self.start} to {self.end}"


@dataclass
class _Line:
    """What a line of any form says. `spans` is None where nothing is said of them."""

    text: str
    tokens: list[Any]
    spans: list[_Span] | None
    annotated: frozenset[str]
    answer: str
    meta: dict[str, Any]
    # In characters; None for all that is in no span
    missing: list[tuple[int, int]] | None

    def tokenized(self, lang: str) -> tuple[list[str], list[bool], Tokens]:
        """Tokens, whether a space follows each of them, and where they are."""
        if self.tokens:
            return _given_tokens(self.text, self.tokens)
        doc = blank(lang).tokenizer(self.text)
        return [token.text for token in doc], [bool(token.whitespace_) for token in doc], Tokens.of(doc)


def _line(data: Mapping[str, Any]) -> _Line:
    """What an object says, whatever its form."""
    found: dict[str, list[_Span]] = {}
    groups: dict[str, list[_Span]] = {}
    for name in _SPAN_LISTS:
        value = data.get(name)
        if name == "spans" and isinstance(value, dict):  # spaCy's groups
            groups = {_group(key): [span._replace(key=key) for span in _spans(name, of)] for key, of in value.items()}
        elif value is not None and not (name in _MAY_BE_CLASS and _is_class(value, alone=not (found or groups))):
            found[name] = _spans(name, value)
    names = list(found)
    for name in names[1:]:
        if sorted(span[:4] for span in found[name]) != sorted(span[:4] for span in found[names[0]]):
            raise _Malformed(f'"{names[0]}" and "{name}" do not say the same')
    spans = found[names[0]] if names else None
    named = data.get("annotated")
    annotated = {*groups, *(named if isinstance(named, list) and all(isinstance(key, str) for key in named) else ())}
    if spans is not None and not isinstance(named, list):
        annotated |= {span.key for span in spans} or {ENTS}
    if groups:
        spans = [*(spans or []), *(span for of in groups.values() for span in of)]
    if not (annotated or isinstance(named, list)):
        _check_others(data)
    # doccano's lines may have keys of these names that mean something else
    is_ours = not names or names[0] in ("spans", "ents")
    missing = data.get("missing") if isinstance(named, list) else []
    return _Line(
        text=_field(data, "text" if data.get("text") is not None else "data", str, said="text"),
        tokens=_field(data, "tokens", list, []) if is_ours else [],
        spans=spans,
        annotated=frozenset(annotated | {span.key for span in spans or ()}),
        answer=_field(data, "answer", str, ACCEPT),
        meta=_field(data, "meta", dict, {}) if is_ours else {},
        missing=None if data.get("_view_id") == _OF_ONE_SPAN else [_offsets(place) for place in missing or []],
    )


def _object(line: str) -> dict[str, Any]:
    try:
        data = json.loads(line, object_pairs_hook=_without_repetition)
    except ValueError as err:
        raise _Malformed(f"no JSON: {err}") from err
    if _MAY_HAVE_SURROGATE.search(line) and (half := _SURROGATE.search(json.dumps(data, ensure_ascii=False))):
        raise _Malformed(f"\\u{ord(half[0]):x} is half of a character, whose other half is missing")
    if isinstance(data, list) and len(data) == 2 and isinstance(data[0], str) and isinstance(data[1], dict):
        data = {**data[1], "text": data[0]}  # spaCy's form before its version 3
    if not isinstance(data, dict):
        raise _Malformed(f"{type(data).__name__}, not an object")
    for key in data:
        if key not in _KEYS and key.lower() in _KEYS:
            raise _Malformed(f'the key "{key}" is spelled "{key.lower()}"')
    return data


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Malformed(f'"{next(name for name in names if names.count(name) > 1)}" is there twice')
    return data


def _is_class(value: Any, *, alone: bool) -> bool:
    """Whether a label is that of the whole text, or whether labels are those that a tool offers."""
    if isinstance(value, list):
        return bool(value) and not alone and all(isinstance(name, str) for name in value)
    return not isinstance(value, dict)


def _check_others(data: Mapping[str, Any]) -> None:
    """Make sure that spans are not under a name that is not known."""
    for name, value in data.items():
        if isinstance(value, list | dict) and value and name.lower() not in _ABOUT_OTHERS and not name.startswith("_"):
            said = textwrap.shorten(repr(value), 60)
            raise _Malformed(f'there are no "spans", and "{name}" has {said}, which may be meant as such')


def _spans(name: str, values: Any) -> list[_Span]:
    if not isinstance(values, list):
        raise _Malformed(f'"{name}" is {repr(values)[:80]}')
    spans: list[_Span] = []
    for value in values:
        said = f'"{name}" has {repr(value)[:60]}'
        if isinstance(value, list) and len(value) == 3:
            value = {"start": value[0], "end": value[1], "label": value[2]}
        if not isinstance(value, dict) or value.keys().isdisjoint(("start", "start_offset")):
            raise _Malformed(f'{said}, which is no span such as [0, 5, "PER"]')
        start, end = _offsets(value)
        # Label Studio's have a list
        labels = value.get("label", value.get("labels"))
        for label in labels if isinstance(labels, list) and labels else [labels]:
            if not isinstance(label, str) or not label.strip():
                raise _Malformed(f"{said}, whose label is no name")
            key = _group(_field(value, "key", str, ENTS))
            text = _field(value, "text", str) if value.get("text") is not None else None
            tokens = (
                _field(value, at, int) if value.get(at) is not None else None for at in ("token_start", "token_end")
            )
            spans.append(_Span(start, end, label, key, text, *tokens))
    return list(dict.fromkeys(spans))


def _group(key: str) -> str:
    if not key or key.startswith(_RESERVED):
        raise _Malformed(f"a span group is called {key!r}, and has to be called otherwise")
    return key


def _offsets(span: Any) -> tuple[int, int]:
    if not isinstance(span, dict):
        raise _Malformed(f"{repr(span)[:60]} is no span")
    end = "_offset" if "start_offset" in span else ""
    return _field(span, "start" + end, int), _field(span, "end" + end, int)


def _annotated(number: int, line: _Line, lang: str, unit: str, widen: bool, notes: ReadNotes) -> AnnotatedText:
    words, spaces, tokens = line.tokenized(lang)
    ruler, wide = Ruler(line.text, unit), widen and not line.tokens
    spans: list[TokenSpan] = []
    placed: dict[str, list[tuple[int, int, int, int]]] = {}
    for span in line.spans or ():
        place = _place(span, ruler, tokens, wide, notes)
        if place[0] < place[1]:
            spans.append((*place[:2], span.label, span.key))
            placed.setdefault(span.key, []).append(place)
    for places in placed.values():
        note_shared(places, line.text, tokens, notes)
    missing = [(0, len(line.text))] if line.missing is None else line.missing
    unknown = frozenset(i for place in missing for i in range(*tokens.covering(*place)))
    return AnnotatedText(
        number, line.text, words, spaces, list(dict.fromkeys(spans)), line.answer, line.meta, line.annotated, unknown
    )


def _place(span: _Span, ruler: Ruler, tokens: Tokens, wide: bool, notes: ReadNotes) -> tuple[int, int, int, int]:
    """The tokens `[first, stop)` of a span, none where it is left out, and its characters."""
    place, text = ruler.characters(span.start, span.end), ruler.text
    if place is None:
        reason = f"{span} is not in the text of {len(ruler)} {ruler.unit}"
        raise _Malformed(reason) if wide else _Misfit(reason)
    found = text[slice(*place)]
    if span.text is not None and not same_text(found, span.text):
        raise _Malformed(f"{span} has {found[:60]!r} there, and {span.text[:60]!r} as its text")
    first, stop = tokens.covering(*place)
    said = [said for said in (span.token_start, span.token_end) if said is not None]
    if said != [at for at, of in zip((first, stop - 1), span[-2:], strict=True) if of is not None]:
        if not wide:
            raise _Misfit(f"the tokens of {span} differ from its characters")
        notes.add("other tokens", found)
    start, end = trimmed(text, *place, notes)
    first, stop = tokens.covering(start, end)
    if first == stop:
        notes.add("empty", found)
    elif not tokens.fit(start, end):
        if not wide:
            raise _Misfit(f"{span} does not begin and end with tokens")
        notes.add("widened", text[start:end])
    return first, stop, start, end


def _field(data: Mapping[str, Any], name: str, kind: type, default: Any = None, *, said: str = "") -> Any:
    """A value of that type. Where there is a default, it stands for one that is missing or null."""
    value = data.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Malformed(f'"{said or name}" is {"missing" if name not in data else repr(value)[:80]}')
    return value


def _given_tokens(text: str, given: Sequence[Any]) -> tuple[list[str], list[bool], Tokens]:
    starts, words, at = [], [], 0
    for token in given:
        if not isinstance(token, dict):
            raise _Malformed(f'"tokens" has {repr(token)[:60]}, which is no token such as {{"start": 0, "end": 5}}')
        start, end = _offsets(token)
        word = _field(token, "text", str, text[start:end])
        if start < at or not word or text[start:end] != word or text[at:start] not in ("", " "):
            raise _Misfit(f"the text has no token {word!r} from {start} to {end}")
        starts.append(start)
        words.append(word)
        at = end
    if text[at:] not in ("", " "):
        raise _Misfit(f"no token has {text[at:][:40]!r}")
    next_starts = set(starts)
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    spaces = [text[end : end + 1] == " " and end not in next_starts for end in ends]
    # The last one's own space is not part of the text
    spaces[-1] = spaces[-1] or given[-1].get("ws") is True
    return words, spaces, Tokens(starts, ends)
