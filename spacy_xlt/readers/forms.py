"""The forms of a JSON line with annotated text: Prodigy's, doccano's, spaCy's and Label Studio's."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..languages import blank
from ..limits import MARKS, marks_in_a_row
from .columns import TAG
from .places import Tokens
from .settings import ENTS, RESERVED

# Keys of spans: Prodigy's, spaCy's, and doccano's, whose versions differ; of the last two a value may be a class
_SPAN_LISTS = ("spans", "ents", "entities", "annotations", "labels", "label")
_MAY_BE_CLASS = ("labels", "label")
# Keys of lists and objects that are not about spans of this text
_ABOUT_OTHERS = frozenset(
    "tokens meta metadata comments cats options accept config relations sents source given given_links".split()
)
# What a span may say besides
_OPTIONAL = {"text": str, "token_start": int, "token_end": int}
# What `review.tools` exported, in a task that comes back
_OF_EXPORT = ("given", "given_links")
# Results of Label Studio that are neither spans nor relations
NOT_READ = "_not_read"
# Keys of a span, in the forms of many tools
_STARTS = ("start", "start_offset")
_LABELS = ("label", "labels", "type", "tag", "entity", "entity_type", "entity_group")
_KEYS = frozenset({*_SPAN_LISTS, "text", "tokens", "answer", "meta"})
# The view of Prodigy in which a person decides on one span, and says nothing of the rest of the text
_OF_ONE_SPAN = "ner"
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAY_HAVE_SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


class Misfit(Exception):
    """The values of a line do not fit each other."""


class Malformed(Exception):
    """A line is not of this form."""


# start, end (tokens, the end not included), label, "ents" or the key of a span group
TokenSpan = tuple[int, int, str, str]
# Head, child, label
TokenLink = tuple[TokenSpan, TokenSpan, str]


class LineSpan(NamedTuple):
    """A span as a line has it."""

    start: int
    end: int
    label: str
    key: str = ENTS
    text: str | None = None
    token_start: int | None = None
    token_end: int | None = None
    # What relations call it
    id: str = ""

    @property
    def own_tokens(self) -> tuple[int, int] | None:
        """The tokens `[first, stop)` that it says it has."""
        if self.token_start is None or self.token_end is None:
            return None
        return self.token_start, self.token_end + 1

    def __str__(self) -> str:
        return f"the span {self.label} from {self.start} to {self.end}"


@dataclass
class Line:
    """What a line of any form says.

    Attributes:
        text: The text.
        tokens: As they are there; none where the line has none.
        spans: None where nothing is said of them.
        annotated: See `AnnotatedText`.
        meta: What else stands there.
        given: The spans of a sentence that `review.tools` exported, as it has them.
        given_links: Likewise, the links between these spans.
        missing: Characters of which it is not known whether they are in an entity; None for all that are in none.
    """

    text: str
    tokens: list[Any]
    spans: list[LineSpan] | None
    annotated: frozenset[str]
    meta: dict[str, Any]
    missing: list[tuple[int, int]] | None
    given: list[TokenSpan] | None = None
    given_links: list[TokenLink] | None = None

    def tokenized(self, lang: str) -> tuple[list[str], list[bool], Tokens]:
        """Tokens, whether a space follows each of them, and where they are."""
        if self.tokens:
            return _given_tokens(self.text, self.tokens)
        if (n_marks := marks_in_a_row(self.text)) > MARKS:
            raise Malformed(f"{n_marks:,} marks in a row without a word or a space; the limit is {MARKS:,}")
        doc = blank(lang).tokenizer(self.text)
        return [token.text for token in doc], [bool(token.whitespace_) for token in doc], Tokens.of(doc)


def read_line(data: Mapping[str, Any]) -> Line:
    """What an object says, whatever its form."""
    found: dict[str, list[LineSpan]] = {}
    groups: dict[str, list[LineSpan]] = {}
    for name in _SPAN_LISTS:
        value = data.get(name)
        if name == "spans" and isinstance(value, dict):  # spaCy's groups
            groups = {_group(key): [span._replace(key=key) for span in _spans(name, of)] for key, of in value.items()}
        elif name == "annotations" and value == []:
            continue  # in Label Studio's form nobody has said anything
        elif value is not None and not (name in _MAY_BE_CLASS and _is_class(value, alone=not (found or groups))):
            found[name] = _spans(name, value)
    names = list(found)
    for name in names[1:]:
        if sorted(span[:4] for span in found[name]) != sorted(span[:4] for span in found[names[0]]):
            raise Malformed(f'"{names[0]}" and "{name}" do not say the same')
    spans = found[names[0]] if names else None
    # `shards export` says what is annotated and what is missing
    is_export = isinstance(data.get("annotated"), list) and isinstance(data.get("missing"), list)
    annotated = set(groups)
    if is_export:
        annotated.update(map(str, data["annotated"]))
    elif spans is not None:
        annotated.update({span.key for span in spans} or {ENTS})
    if not is_export and not spans and not groups:
        _check_others(data, may_have_lists=spans is not None)
    missing = [_offsets(place) for place in data["missing"]] if is_export else []
    if groups:
        spans = [*(spans or []), *(span for of in groups.values() for span in of)]
    # doccano's lines may have keys of these names that mean something else
    is_ours = not names or names[0] in ("spans", "ents") or _is_task(data.get("meta"))
    meta = dict(value_of(data, "meta", dict, {})) if is_ours else {}
    if isinstance(data.get("id"), str | int):
        meta.setdefault("id", data["id"])
    return Line(
        text=value_of(data, "text" if data.get("text") is not None else "data", str, said="text"),
        tokens=value_of(data, "tokens", list, []) if is_ours else [],
        spans=spans,
        annotated=frozenset(annotated),
        meta=meta,
        **(_as_exported(data) if _is_task(data.get("meta")) else {}),
        missing=None if data.get("_view_id") == _OF_ONE_SPAN else missing,
    )


def read_object(line: str) -> dict[str, Any]:
    """The object on a line; a list of a text and its annotation is made one."""
    try:
        data = json.loads(line, object_pairs_hook=_without_repetition)
    except ValueError as err:
        raise Malformed(f"no JSON: {err}") from err
    if _MAY_HAVE_SURROGATE.search(line) and (half := _SURROGATE.search(json.dumps(data, ensure_ascii=False))):
        raise Malformed(f"\\u{ord(half[0]):x} is half of a character, whose other half is missing")
    if isinstance(data, list) and len(data) == 2 and isinstance(data[0], str) and isinstance(data[1], dict):
        data = {**data[1], "text": data[0]}  # spaCy's form before its version 3
    if not isinstance(data, dict):
        raise Malformed(f"{type(data).__name__}, not an object")
    if isinstance(data.get("data"), dict):
        data = _from_task(data)
    for key in data:
        if key not in _KEYS and key.lower() in _KEYS:
            raise Malformed(f'the key "{key}" is spelled "{key.lower()}"')
    return data


def _from_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task as Label Studio exports it (format JSON), in Prodigy's form."""
    given = value_of(task, "annotations", list, [])
    done = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    if len(done) > 1:
        raise Misfit(f'it has {len(done)} "annotations", by several people; leave one of them')
    line: dict[str, Any] = {"text": value_of(task["data"], "text", str), "meta": {"id": task.get("id")}}
    if _is_task(task["data"].get("meta")):
        line |= {name: task["data"][name] for name in ("meta", "tokens", *_OF_EXPORT) if name in task["data"]}
    if given and not done:
        line["answer"] = "ignore"
    if done:
        results = [one for one in value_of(done[0], "result", list, []) if isinstance(one, dict)]
        marked = [one for one in results if isinstance(one.get("value"), dict) and "start" in one["value"]]
        spans = [{**one["value"], "id": one.get("id")} for one in marked]
        line |= {"spans": spans, "answer": "accept"}
        relations = [one for one in results if "from_id" in one]
        # Where it went out with links, those that are not there were taken away
        if relations or "given_links" in line:
            line["relations"] = relations
        line[NOT_READ] = [one for one in results if one not in marked and one not in relations]
    return line


def _is_task(meta: Any) -> bool:
    """Whether it is that of a sentence which was exported for a tool; see `review.tools`."""
    return isinstance(meta, dict) and isinstance(meta.get("id"), str) and isinstance(meta.get("format"), int)


def _as_exported(task: Mapping[str, Any]) -> dict[str, Any]:
    """The spans of a sentence that was exported, and the links between them."""
    found: dict[str, Any] = {}
    for name in _OF_EXPORT:
        if name in task:
            try:
                values = [tuple(value) for value in task[name]]
                if name == "given_links":
                    values = [(found["given"][head], found["given"][child], label) for head, child, label in values]
                elif not all(type(a) is type(b) is int and 0 <= a < b for a, b, _, _ in values):
                    raise ValueError
            except (KeyError, IndexError, TypeError, ValueError) as err:
                raise Malformed(f'"{name}" is {repr(task[name])[:80]}, and not as it was exported') from err
            found[name] = values
    return found


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        raise Malformed(f'"{next(name for name in names if names.count(name) > 1)}" is there twice')
    return data


def _is_class(value: Any, *, alone: bool) -> bool:
    """Whether a label is that of the whole text, or whether labels are those that a tool offers."""
    if isinstance(value, list):
        return bool(value) and not alone and all(isinstance(name, str) for name in value)
    return not isinstance(value, dict)


def _check_others(data: Mapping[str, Any], *, may_have_lists: bool) -> None:
    """Make sure that spans are not under a name that is not known.

    Args:
        may_have_lists: Only look for what can hardly be anything else, as the line says that it has no spans.
    """
    for name, value in data.items():
        if name == "spans":
            continue  # groups
        if may_have_lists and not _is_annotation(value):
            continue
        if isinstance(value, list | dict) and value and name.lower() not in _ABOUT_OTHERS and not name.startswith("_"):
            said = textwrap.shorten(repr(value), 60)
            raise Malformed(f'there are no "spans", and "{name}" has {said}, which may be meant as such')


def _is_annotation(value: Any) -> bool:
    """Whether a value is spans of any form with labels, or the tags of tokens."""
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(item, str) and TAG.fullmatch(item) for item in value):
        return any(len(item) > 1 for item in value)
    return any(
        not (item.keys().isdisjoint(_STARTS) or item.keys().isdisjoint(_LABELS))
        if isinstance(item, dict)
        else isinstance(item, list) and sorted(type(part).__name__ for part in item)[:3] == ["int", "int", "str"]
        for item in value
    )


def _spans(name: str, values: Any) -> list[LineSpan]:
    if not isinstance(values, list):
        raise Malformed(f'"{name}" is {repr(values)[:80]}')
    spans: list[LineSpan] = []
    for value in values:
        said = f'"{name}" has {repr(value)[:60]}'
        if isinstance(value, list) and len(value) == 3:
            value = {"start": value[0], "end": value[1], "label": value[2]}
        if not isinstance(value, dict) or value.keys().isdisjoint(_STARTS):
            raise Malformed(f'{said}, which is no span such as [0, 5, "PER"]')
        start, end = _offsets(value)
        # Label Studio's have a list
        labels = value.get("label", value.get("labels"))
        for label in labels if isinstance(labels, list) and labels else [labels]:
            if not isinstance(label, str) or not label.strip():
                raise Malformed(f"{said}, whose label is no name")
            key = _group(value_of(value, "key", str, ENTS))
            own = {name: value_of(value, name, kind) for name, kind in _OPTIONAL.items() if value.get(name) is not None}
            own["id"] = "" if value.get("id") is None else str(value["id"])
            spans.append(LineSpan(start, end, label.strip(), key, **own))
    return list(dict.fromkeys(spans))


def _group(key: str) -> str:
    if not key or key.startswith(RESERVED):
        raise Malformed(f"a span group is called {key!r}, and has to be called otherwise")
    return key


def _offsets(span: Any) -> tuple[int, int]:
    if not isinstance(span, dict):
        raise Malformed(f"{repr(span)[:60]} is no span")
    end = "_offset" if "start_offset" in span else ""
    return value_of(span, "start" + end, int), value_of(span, "end" + end, int)


def value_of(data: Mapping[str, Any], name: str, kind: type, default: Any = None, *, said: str = "") -> Any:
    """A value of that type. Where there is a default, it stands for one that is missing or null."""
    value = data.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed(f'"{said or name}" is {"missing" if name not in data else repr(value)[:80]}')
    return value


def _given_tokens(text: str, given: Sequence[Any]) -> tuple[list[str], list[bool], Tokens]:
    starts, words, at = [], [], 0
    for token in given:
        if not isinstance(token, dict):
            raise Malformed(f'"tokens" has {repr(token)[:60]}, which is no token such as {{"start": 0, "end": 5}}')
        start, end = _offsets(token)
        word = value_of(token, "text", str, text[start:end])
        if start < at or not word or text[start:end] != word or text[at:start] not in ("", " "):
            raise Misfit(f"the text has no token {word!r} from {start} to {end}")
        starts.append(start)
        words.append(word)
        at = end
    if text[at:] not in ("", " "):
        raise Misfit(f"no token has {text[at:][:40]!r}")
    next_starts = set(starts)
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    spaces = [text[end : end + 1] == " " and end not in next_starts for end in ends]
    # The last one's own space is not part of the text
    spaces[-1] = spaces[-1] or given[-1].get("ws") is True
    return words, spaces, Tokens(starts, ends)
