"""Reading annotated text as JSON lines, in the form that Prodigy and other tools for spaCy write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from ..bitext import ENTS
from ..errors import error
from ..languages import MULTI, blank
from ..translation.parallel.reading import numbered_lines

ACCEPT, REJECT, IGNORE = "accept", "reject", "ignore"
# start, end (tokens, the end not included), label, "ents" or the key of a span group
TokenSpan = tuple[int, int, str, str]


@dataclass(frozen=True)
class Annotated:
    """A line: a text in tokens, its spans and what was said of it.

    line (int): Its number in the file, counted from 1.
    words, spaces (list): The tokens, and whether a space follows each.
    spans (list[TokenSpan]): In token positions.
    answer (str): "accept", "reject" or "ignore".
    meta (dict): What else stands there.
    """

    line: int
    text: str
    words: list[str]
    spaces: list[bool]
    spans: list[TokenSpan]
    answer: str = ACCEPT
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass
class AnnotationReader:
    """Reads JSON lines with `text`, and where they are there `tokens`, `spans`, `answer` and `meta`.

    Without tokens, a text gets those of its language. Spans count characters (code points), the end not included;
    where they also have `token_start` and `token_end`, that one included, both must say the same. `key`, where a span
    has it, is the span group that it belongs to.

    lang (str): Language, for texts without tokens.
    misfits (list[tuple[int, str]]): Lines left out because spans or tokens do not fit the text: number and reason.
    """

    lang: str = MULTI
    encoding: str = "utf8"
    misfits: list[tuple[int, str]] = field(default_factory=list)

    def read(self, path: str | Path) -> Iterator[Annotated]:
        """Read a file.

        YIELDS (Annotated): Each line that fits; empty lines are skipped.
        RAISES (XltError): E502 where there is no file; E232 and E236 where it cannot be read, the latter with the line
            that is not in the encoding; E564 for a line of another form.
        """
        path = Path(path)
        if not path.is_file():
            raise error("E502", what="file", path=path)
        for number, line in numbered_lines(path, self.encoding):
            if not line.strip():
                continue
            data = _object(line, path, number)
            try:
                found = self._fitting(number, data)
            except _Misfit as err:
                self.misfits.append((number, str(err)))
            except _Malformed as err:
                raise error("E564", path=path, line=number, reason=err) from err
            else:
                yield found

    def _fitting(self, number: int, data: Mapping[str, Any]) -> Annotated:
        text = _field(data, "text", str)
        answer = _field(data, "answer", str, ACCEPT)
        if answer not in (ACCEPT, REJECT, IGNORE):
            raise _Malformed(f'"answer" is {answer!r}')
        tokens = _field(data, "tokens", list, [])
        starts, words, spaces = _tokens(text, tokens) if tokens else self._tokenized(text)
        ends = [at + len(word) for at, word in zip(starts, words, strict=True)]
        first, last = ({at: n for n, at in enumerate(edges)} for edges in (starts, ends))
        spans = [_token_span(span, first, last) for span in _field(data, "spans", list, [])]
        meta = _field(data, "meta", dict, {})
        return Annotated(number, text, words, spaces, list(dict.fromkeys(spans)), answer, meta)

    def _tokenized(self, text: str) -> tuple[list[int], list[str], list[bool]]:
        doc = blank(self.lang).make_doc(text)
        return [t.idx for t in doc], [t.text for t in doc], [bool(t.whitespace_) for t in doc]


def to_doc(one: Annotated, vocab: Vocab, *, path: str | Path, spans_key: str = "") -> Doc:
    """A document with the annotation of a line: entities, and span groups for spans that name one.

    path (str | Path): The file, for the error.
    spans_key (str): Also put the entities into this span group; they may overlap then, and only the group has them.
    RAISES (XltError): E566 for entities that overlap, without `spans_key`.
    """
    doc = Doc(vocab, words=one.words, spaces=one.spaces)
    groups: dict[str, list[Span]] = {spans_key or ENTS: []}
    for start, end, label, key in one.spans:
        groups.setdefault((spans_key or ENTS) if key == ENTS else key, []).append(Span(doc, start, end, label=label))
    ents = sorted(groups.pop(spans_key or ENTS), key=lambda span: (span.start, span.end))
    crossing = next(((a, b) for a, b in zip(ents, ents[1:], strict=False) if a.end > b.start), None)
    if crossing and not spans_key:
        first, second = (f"{span.text!r} ({span.label_})" for span in crossing)
        raise error("E566", path=path, line=one.line, first=first, second=second)
    if not crossing:
        doc.set_ents(ents, default="outside")
    if spans_key:
        groups[spans_key] = ents
    for key, spans in groups.items():
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans)
    return doc


class _Misfit(Exception):
    """The values of a line do not fit each other."""


class _Malformed(Exception):
    """A line is not of this form."""


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise error("E564", path=path, line=number, reason=f"no JSON: {err}") from err
    if not isinstance(data, dict):
        raise error("E564", path=path, line=number, reason=f"{type(data).__name__}, not an object")
    return data


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
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    known = set(starts)
    spaces = [text[end : end + 1] == " " and end not in known for end in ends]
    # The last one's own space is not part of the text
    spaces[-1] = spaces[-1] or tokens[-1].get("ws") is True
    return starts, words, spaces


def _token_span(span: Any, firsts: Mapping[int, int], lasts: Mapping[int, int]) -> TokenSpan:
    """firsts, lasts (Mapping[int, int]): The token that begins, and that ends, at a character."""
    if not isinstance(span, dict):
        raise _Malformed(f'"spans" has {span!r}')
    label, key = _field(span, "label", str, ""), _field(span, "key", str, ENTS)
    start, end = _field(span, "start", int), _field(span, "end", int)
    first, last = firsts.get(start), lasts.get(end)
    if first is None or last is None or start >= end:
        raise _Misfit(f"the span {label} from {start} to {end} does not begin and end with tokens")
    if (_field(span, "token_start", int, first), _field(span, "token_end", int, last)) != (first, last):
        raise _Misfit(f"the tokens of the span {label} from {start} to {end} are others than its characters")
    return first, last + 1, label, key
