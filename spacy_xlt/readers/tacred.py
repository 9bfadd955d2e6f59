"""TACRED's JSON: tokens, a subject and an object, and the relation between them (Zhang et al. 2017)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from ..docs import META
from ..errors import error
from ..languages import vocab_of
from ..span_links import End, Link, SpanLinks, set_links
from ..textfiles import read_text
from .marked import DEFAULT_KEY
from .settings import ReadNotes, ReadSettings

NO_RELATION = "no_relation"
# How the Penn treebank writes brackets, which a translator does not know
BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}
_ROLES = ("subj", "obj")


class _NoTwoSpans(Exception):
    """A relation does not lead from a span to another one."""


def read_tacred(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the examples of an array, each a document with a span group of subject and object, labelled by their types.

    A link leads from the subject to the object; "no_relation" is none. Ends of spans are included in TACRED. Entities
    are missing, as nothing is said of others. Examples without two spans are left out.

    Raises:
        XltError: E503 without an example, E574 for what is no such array, with the number of the example.
    """
    try:
        data = json.loads(read_text(path, settings.encoding).lstrip("\ufeff"))
    except ValueError as err:
        raise error(
            "E574", format="tacred", path=path, line=getattr(err, "lineno", 1), reason=f"no JSON: {err}"
        ) from err
    if not isinstance(data, list):
        raise error(
            "E574", format="tacred", path=path, line=1, reason=f"{type(data).__name__}, not an array of examples"
        )
    n_docs = 0
    for number, example in enumerate(data, 1):
        try:
            doc = _doc(example, settings)
        except _NoTwoSpans as err:
            notes.misfits.append((number, str(err)))
        except (KeyError, TypeError, ValueError) as err:
            reason = f"the example lacks {err}" if isinstance(err, KeyError) else str(err)
            raise error("E574", format="tacred", path=path, line=f"example {number}", reason=reason) from err
        else:
            n_docs += 1
            yield doc
    if not n_docs:
        raise error("E503", path=path)


def _doc(example: dict[str, Any], settings: ReadSettings) -> Doc:
    words = [BRACKETS.get(word, word) for word in example["token"]]
    doc = Doc(vocab_of(settings.lang), words=words)
    key = settings.spans_key or DEFAULT_KEY
    spans = []
    for role in _ROLES:
        start, end = int(example[f"{role}_start"]), int(example[f"{role}_end"]) + 1
        if not 0 <= start < end <= len(doc):
            raise _NoTwoSpans(f"{role}_start is {start} and {role}_end {end - 1}, and there are {len(doc)} tokens")
        spans.append(Span(doc, start, end, label=str(example[f"{role}_type"])))
    doc.spans[key] = spans
    relation = str(example["relation"])
    if relation != NO_RELATION and (spans[0].start, spans[0].end) == (spans[1].start, spans[1].end):
        raise _NoTwoSpans(f"the relation {relation} leads from a span to itself")
    links = [] if relation == NO_RELATION else [Link(End(key, 0), End(key, 1), relation)]
    set_links(doc, SpanLinks(links))
    doc.user_data[META] = {name: example[name] for name in ("id", "docid") if name in example}
    return doc
