"""Lines as doccano exports them, in the form that Prodigy writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .inputs.old_jsonl import Malformed

# Its versions differ: `label` or `labels` with [start, end, label], `entities` with objects; `data` for the text
_LISTS = ("entities", "labels", "label", "annotations")
_TEXTS = ("text", "data")


def is_annotated(data: Mapping[str, Any]) -> bool:
    """Whether a line is of one of these forms: it has a list of theirs, and no `spans` as Prodigy's lines have."""
    return "spans" not in data and any(isinstance(data.get(name), list) for name in _LISTS)


def as_spans(data: Mapping[str, Any]) -> dict[str, Any]:
    """A line with `text` and `spans`, from one of doccano's forms. Spans count characters, the end not included.

    RAISES (Malformed): For a span of another form, such as the class of a whole text.
    """
    text = next((data[name] for name in _TEXTS if isinstance(data.get(name), str)), None)
    name = next(name for name in _LISTS if isinstance(data.get(name), list))
    return {"text": text, "spans": [_span(name, span) for span in data[name]]}


def _span(name: str, span: Any) -> dict[str, Any]:
    if isinstance(span, list) and len(span) == 3:
        start, end, label = span
    elif isinstance(span, dict) and "start_offset" in span:
        start, end, label = span["start_offset"], span.get("end_offset"), span.get("label")
    else:
        raise Malformed(f'"{name}" has {repr(span)[:60]}, which is no span such as [0, 5, "PER"]')
    if not isinstance(label, str) or not label:
        raise Malformed(f'"{name}" has {repr(span)[:60]}, whose label is no name')
    return {"start": start, "end": end, "label": label}
