"""Annotated text as JSON lines: as Prodigy and other tools for spaCy write them, and doccano's."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from ..errors import error
from ..languages import MULTI, blank
from ..textfiles import text_lines
from .settings import PRODIGY, ReadNotes, ReadSettings

ACCEPT, REJECT, IGNORE = "accept", "reject", "ignore"
# The key of a span that is an entity and in no span group
ENTS = "ents"
# start, end (tokens, the end not included), label, "ents" or the key of a span group
TokenSpan = tuple[int, int, str, str]
# doccano's versions differ: `label` or `labels` with [start, end, label], `entities` with objects; `data` for the text
_DOCCANO_LISTS = ("entities", "labels", "label", "annotations")
_DOCCANO_TEXTS = ("text", "data")


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
    """

    line: int
    text: str
    words: list[str]
    spaces: list[bool]
    spans: list[TokenSpan]
    answer: str = ACCEPT
    meta: dict[str, Any] = field(default_factory=dict)


class _Misfit(Exception):
    """The values of a line do not fit each other."""


class _Malformed(Exception):
    """A line is not of this form."""


def read_jsonl(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the accepted lines of a file, a document each.

    In the format "prodigy", a line is left out where a span does not begin and end with tokens; else a span of a text
    without tokens is widened to whole tokens.

    Raises:
        XltError: As `annotated_texts`; E503 for a file without lines; E566 for entities that overlap without
            `spans_key`; E568 in the format "prodigy", where nothing was accepted.
    """
    strict = settings.format == PRODIGY
    lines = annotated_texts(
        path, lang=settings.lang, encoding=settings.encoding, widen=not strict, accepted=True, notes=notes
    )
    n_docs = 0
    for line in lines:
        n_docs += 1
        notes.dropped.update(span[2] for span in line.spans if not settings.keeps(span[2]))
        line = replace(line, spans=[span for span in line.spans if settings.keeps(span[2])])
        yield to_doc(line, blank(settings.lang).vocab, path=path, spans_key=settings.spans_key)
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
    """Read JSON lines with `text`, and where they are there `tokens`, `spans`, `answer` and `meta`; or doccano's.

    Without tokens, a text gets those of its language. Spans count characters (code points), the end not included;
    where they also have `token_start` and `token_end`, that one included, both must say the same. `key`, where a span
    has it, is the span group that it belongs to.

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
            yield _annotated(number, data, lang, widen, notes)
        except _Misfit as err:
            notes.misfits.append((number, str(err)))
        except _Malformed as err:
            raise error("E564", path=path, line=number, reason=err) from err


def to_doc(line: AnnotatedText, vocab: Vocab, *, path: str | Path, spans_key: str = "") -> Doc:
    """A document with the annotation of a line: entities, and span groups for spans that name one.

    Args:
        line: The line.
        vocab: Of the document.
        path: For the error.
        spans_key: Also put the entities into this span group; they may overlap then, and only the group has them.

    Raises:
        XltError: E566 for entities that overlap, without `spans_key`.
    """
    doc = Doc(vocab, words=line.words, spaces=line.spaces)
    groups: dict[str, list[Span]] = {}
    for start, end, label, key in line.spans:
        groups.setdefault(key, []).append(Span(doc, start, end, label=label))
    ents = groups.pop(ENTS, []) + (groups.pop(spans_key, []) if spans_key else [])
    ents.sort(key=lambda span: (span.start, span.end))
    crossing = next(((a, b) for a, b in zip(ents, ents[1:], strict=False) if a.end > b.start), None)
    if crossing and not spans_key:
        first, second = (f"{span.text!r} ({span.label_})" for span in crossing)
        raise error("E566", path=path, line=line.line, first=first, second=second)
    if not crossing:
        doc.set_ents(ents, default="outside")
    if spans_key:
        groups[spans_key] = ents
    for key, spans in groups.items():
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans)
    return doc


def covering(starts: Sequence[int], ends: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """The tokens `[first, stop)` that have a character of `[start, end)`. Both are the same where there is none."""
    first = bisect_right(ends, start)
    return first, max(first, bisect_left(starts, end))


def _object(line: str) -> dict[str, Any]:
    """The object of a line, in Prodigy's form."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise _Malformed(f"no JSON: {err}") from err
    if not isinstance(data, dict):
        raise _Malformed(f"{type(data).__name__}, not an object")
    name = next((name for name in _DOCCANO_LISTS if isinstance(data.get(name), list)), None)
    if name is None or "spans" in data:
        return data
    text = next((data[key] for key in _DOCCANO_TEXTS if isinstance(data.get(key), str)), None)
    return {"text": text, "spans": [_doccano_span(name, span) for span in data[name]], "answer": data.get("answer")}


def _doccano_span(name: str, span: Any) -> dict[str, Any]:
    if isinstance(span, list) and len(span) == 3:
        start, end, label = span
    elif isinstance(span, dict) and "start_offset" in span:
        start, end, label = span["start_offset"], span.get("end_offset"), span.get("label")
    else:
        raise _Malformed(f'"{name}" has {repr(span)[:60]}, which is no span such as [0, 5, "PER"]')
    if not isinstance(label, str) or not label:
        raise _Malformed(f'"{name}" has {repr(span)[:60]}, whose label is no name')
    return {"start": start, "end": end, "label": label}


def _annotated(number: int, data: Mapping[str, Any], lang: str, widen: bool, notes: ReadNotes) -> AnnotatedText:
    text, tokens = _field(data, "text", str), _field(data, "tokens", list, [])
    if tokens:
        starts, words, spaces = _tokens(text, tokens)
    else:
        doc = blank(lang).tokenizer(text)
        starts, words, spaces = [t.idx for t in doc], [t.text for t in doc], [bool(t.whitespace_) for t in doc]
    ends = [at + len(word) for at, word in zip(starts, words, strict=True)]
    spans = []
    for span in _field(data, "spans", list, []):
        if not isinstance(span, dict):
            raise _Malformed(f'"spans" has {span!r}')
        wide = widen and not tokens
        first, stop = _wide(text, starts, ends, span, notes) if wide else _exact(starts, ends, span)
        if first < stop:
            spans.append((first, stop, _field(span, "label", str, ""), _field(span, "key", str, ENTS)))
    answer, meta = _field(data, "answer", str, ACCEPT), _field(data, "meta", dict, {})
    return AnnotatedText(number, text, words, spaces, list(dict.fromkeys(spans)), answer, meta)


def _field(data: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """A value of that type. Where there is a default, it stands for one that is missing or null."""
    value = data.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Malformed(f'"{name}" is {"missing" if name not in data else repr(value)[:80]}')
    return value


def _tokens(text: str, tokens: list[Any]) -> tuple[list[int], list[str], list[bool]]:
    starts, words, at = [], [], 0
    for token in tokens:
        if not isinstance(token, dict):
            raise _Malformed(f'"tokens" has {token!r}')
        start, end, word = _field(token, "start", int), _field(token, "end", int), _field(token, "text", str)
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
    spaces[-1] = spaces[-1] or tokens[-1].get("ws") is True
    return starts, words, spaces


def _exact(starts: Sequence[int], ends: Sequence[int], span: Mapping[str, Any]) -> tuple[int, int]:
    """The tokens `[first, stop)` that begin and end where a span does."""
    start, end, label = _field(span, "start", int), _field(span, "end", int), _field(span, "label", str, "")
    first, last = bisect_left(starts, start), bisect_left(ends, end)
    if start >= end or starts[first : first + 1] != [start] or ends[last : last + 1] != [end]:
        raise _Misfit(f"the span {label} from {start} to {end} does not begin and end with tokens")
    if (_field(span, "token_start", int, first), _field(span, "token_end", int, last)) != (first, last):
        raise _Misfit(f"the tokens of the span {label} from {start} to {end} differ from its characters")
    return first, last + 1


def _wide(
    text: str, starts: Sequence[int], ends: Sequence[int], span: Mapping[str, Any], notes: ReadNotes
) -> tuple[int, int]:
    """The tokens `[first, stop)` that a span reaches into."""
    start, end, label = _field(span, "start", int), _field(span, "end", int), _field(span, "label", str, "")
    if not 0 <= start < end <= len(text):
        raise _Malformed(f"the span {label} from {start} to {end} is not in the text of {len(text)} characters")
    first, stop = covering(starts, ends, start, end)
    if first == stop:
        notes.add("empty", text[start:end])
    elif starts[first] < start or ends[stop - 1] > end:
        notes.add("widened", text[start:end])
    return first, stop
