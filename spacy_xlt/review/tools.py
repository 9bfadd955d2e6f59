"""Sentences for annotation tools: projected spans to correct in Prodigy, doccano or Label Studio.

A task has the text of one sentence with its spans. What a tool does not know it hands back as it was: `meta` with the
id of the sentence, `tokens`, and `given`, the spans that were exported. `Corrections` reads what comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from spacy.tokens import Doc

from ..bitext import DROP_FLAG, ENTS, Bitext, is_annotation
from ..docs import META
from .records import REVIEW_FORMAT, pair_ids

Task = dict[str, Any]


def tasks(bitext: Bitext, tool: str) -> Iterator[Task]:
    """A task for each sentence of a bitext that is not left out.

    Args:
        tool: One of `TOOLS`.
    """
    ids, groups = pair_ids(bitext), _groups(bitext.target)
    # Where a span belongs that is new
    is_of_group = bool(groups) and not bitext.target.has_annotation("ENT_IOB")
    key = {"key": groups[0]} if is_of_group else {}
    for number, pair in enumerate(bitext.sentences):
        if DROP_FLAG in pair.flags or pair.target_start == pair.target_end:
            continue
        meta = {
            "id": ids[number],
            "format": REVIEW_FORMAT,
            "lang": bitext.target_lang,
            "source_lang": bitext.source_lang,
            "source": bitext.source[pair.source_start : pair.source_end].text,
            "source_tokens": list(pair.source),
            **key,
            **({"document": document} if (document := bitext.source.user_data.get(META)) else {}),
        }
        yield TOOLS[tool](_sentence(bitext.target, *pair.target), meta)


def _sentence(doc: Doc, first: int, stop: int) -> Task:
    """Text, tokens and spans of a sentence, in Prodigy's form."""
    at = doc[first].idx
    tokens = [
        {"text": t.text, "start": t.idx - at, "end": t.idx - at + len(t), "id": n, "ws": bool(t.whitespace_)}
        for n, t in enumerate(doc[first:stop])
    ]
    groups = [(ENTS, doc.ents), *((key, doc.spans[key]) for key in _groups(doc))]
    inside = {
        (span.start - first, span.end - first, span.label_, key)
        for key, spans in groups
        for span in spans
        if first <= span.start < span.end <= stop
    }
    given = sorted(inside)
    spans = [
        {
            "start": tokens[start]["start"],
            "end": tokens[end - 1]["end"],
            "token_start": start,
            "token_end": end - 1,
            "label": label,
            **({} if key == ENTS else {"key": key}),
        }
        for start, end, label, key in given
    ]
    return {"text": doc[first:stop].text, "tokens": tokens, "spans": spans, "given": [list(span) for span in given]}


def _groups(doc: Doc) -> list[str]:
    return [key for key in doc.spans if is_annotation(key)]


def _prodigy(sentence: Task, meta: Task) -> Task:
    return {**sentence, "meta": meta}


def _doccano(sentence: Task, meta: Task) -> Task:
    # A span of several groups is there once
    spans = list(dict.fromkeys((span["start"], span["end"], span["label"]) for span in sentence["spans"]))
    kept = {name: sentence[name] for name in ("tokens", "given")}
    return {"text": sentence["text"], "label": [list(span) for span in spans], "meta": meta, **kept}


def _label_studio(sentence: Task, meta: Task) -> Task:
    text, result = sentence["text"], []
    for n, (start, end, label) in enumerate(_doccano(sentence, meta)["label"]):
        value = {"start": start, "end": end, "text": text[start:end], "labels": [label]}
        result.append({"id": str(n), "from_name": "label", "to_name": "text", "type": "labels", "value": value})
    kept = {name: sentence[name] for name in ("tokens", "given")}
    return {
        "data": {"text": text, "source": meta["source"], "meta": meta, **kept},
        "predictions": [{"model_version": "spacy_xlt", "result": result}],
    }


# How a sentence is written for a tool
TOOLS: dict[str, Callable[[Task, Task], Task]] = {
    "prodigy": _prodigy,
    "doccano": _doccano,
    "label-studio": _label_studio,
}
