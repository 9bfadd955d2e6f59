"""Reading annotated text as JSON lines, in the form that Prodigy and other tools for spaCy write."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from ...bitext import ENTS
from ...errors import error
from ...languages import MULTI, blank
from ...textfiles import text_lines
from ..tally import Tally

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
    widen (bool): In texts without tokens, let a span reach to the ends of the tokens that it begins and ends in.
    misfits (list[tuple[int, str]]): Lines left out because spans or tokens do not fit the text: number and reason.
    tally (Tally): What was annotated by spans that became wider ("widened"), and by those without a token ("empty").
    """

    lang: str = MULTI
    encoding: str = "utf8"
    widen: bool = False
    misfits: list[tuple[int, str]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def read(self, path: str | Path) -> Iterator[Annotated]:
        """Read a file.

        YIELDS (Annotated): Each line that fits; empty lines are skipped.
        RAISES (XltError): E502 where there is no file; E232 and E236 where it cannot be read, the latter with the line
            that is not in the encoding; E564 for a line of another form.
        """
        for number, data in self.objects(path):
            found = self.fitting(path, number, data)
            if found is not None:
                yield found

    def objects(self, path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
        """The JSON object of each line, with the line's number.

        RAISES (XltError): As `read`; E564 for a line that is none.
        """
        path = Path(path)
        if not path.is_file():
            raise error("E502", what="file", path=path)
        for number, line in text_lines(path, self.encoding):
            if line.strip():
                yield number, _object(line, path, number)

    def fitting(self, path: str | Path, number: int, data: Mapping[str, Any]) -> Annotated | None:
        """What a line says; None where it goes to `misfits`.

        RAISES (XltError): E564 for a line of another form.
        """
        try:
            return self._fitting(number, data)
        except Misfit as err:
            self.misfits.append((number, str(err)))
            return None
        except Malformed as err:
            raise error("E564", path=path, line=number, reason=err) from err

    def _fitting(self, number: int, data: Mapping[str, Any]) -> Annotated:
        text = _field(data, "text", str)
        answer = _field(data, "answer", str, ACCEPT)
        if answer not in (ACCEPT, REJECT, IGNORE):
            raise Malformed(f'"answer" is {answer!r}')
        tokens = _field(data, "tokens", list, [])
        starts, words, spaces = _tokens(text, tokens) if tokens else self._tokenized(text)
        ends = [at + len(word) for at, word in zip(starts, words, strict=True)]
        first, last = ({at: n for n, at in enumerate(edges)} for edges in (starts, ends))
        spans = []
        for span in _field(data, "spans", list, []):
            if self.widen and not tokens:
                spans += self._wide(text, starts, ends, span)
            else:
                spans.append(_token_span(span, first, last))
        meta = _field(data, "meta", dict, {})
        return Annotated(number, text, words, spaces, list(dict.fromkeys(spans)), answer, meta)

    def _tokenized(self, text: str) -> tuple[list[int], list[str], list[bool]]:
        doc = blank(self.lang).tokenizer(text)
        return [t.idx for t in doc], [t.text for t in doc], [bool(t.whitespace_) for t in doc]

    def _wide(self, text: str, starts: Sequence[int], ends: Sequence[int], span: Any) -> list[TokenSpan]:
        start, end, label, key = _character_span(span)
        if not 0 <= start < end <= len(text):
            raise Malformed(f"the span {label} from {start} to {end} is not in the text of {len(text)} characters")
        first, stop = covering(starts, ends, start, end)
        if first == stop:
            self.tally.add("empty", text[start:end])
            return []
        if starts[first] < start or ends[stop - 1] > end:
            self.tally.add("widened", text[start:end])
        return [(first, stop, label, key)]


def covering(starts: Sequence[int], ends: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """The tokens `[first, stop)` that have a character of `[start, end)`. Both are the same where there is none.

    starts, ends (Sequence[int]): Where each token begins and ends, ascending.
    """
    first = bisect_right(ends, start)
    return first, max(first, bisect_left(starts, end))


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


class Misfit(Exception):
    """The values of a line do not fit each other."""


class Malformed(Exception):
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
        raise Malformed(f'"{name}" is {"missing" if name not in data else repr(value)[:80]}')
    return value


def _tokens(text: str, tokens: list[Any]) -> tuple[list[int], list[str], list[bool]]:
    starts, words, at = [], [], 0
    for token in tokens:
        if not isinstance(token, dict):
            raise Malformed(f'"tokens" has {token!r}')
        start, end, word = _field(token, "start", int), _field(token, "end", int), _field(token, "text", str)
        if start < at or not word or text[start:end] != word or text[at:start] not in ("", " "):
            raise Misfit(f"the text has no token {word!r} from {start} to {end}")
        starts.append(start)
        words.append(word)
        at = end
    if text[at:] not in ("", " "):
        raise Misfit(f"no token has {text[at:][:40]!r}")
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    known = set(starts)
    spaces = [text[end : end + 1] == " " and end not in known for end in ends]
    # The last one's own space is not part of the text
    spaces[-1] = spaces[-1] or tokens[-1].get("ws") is True
    return starts, words, spaces


def _token_span(span: Any, firsts: Mapping[int, int], lasts: Mapping[int, int]) -> TokenSpan:
    """firsts, lasts (Mapping[int, int]): The token that begins, and that ends, at a character."""
    start, end, label, key = _character_span(span)
    first, last = firsts.get(start), lasts.get(end)
    if first is None or last is None or start >= end:
        raise Misfit(f"the span {label} from {start} to {end} does not begin and end with tokens")
    if (_field(span, "token_start", int, first), _field(span, "token_end", int, last)) != (first, last):
        raise Misfit(f"the tokens of the span {label} from {start} to {end} are others than its characters")
    return first, last + 1, label, key


def _character_span(span: Any) -> TokenSpan:
    if not isinstance(span, dict):
        raise Malformed(f'"spans" has {span!r}')
    label, key = _field(span, "label", str, ""), _field(span, "key", str, ENTS)
    return _field(span, "start", int), _field(span, "end", int), label, key
