"""Sentences for annotation tools: projected spans to correct in Prodigy, doccano or Label Studio.

A task has the text of one sentence with its spans. What a tool does not know it hands back as it was: `meta` with the
id of the sentence, `tokens`, and as they were exported the spans, `given`, and the links between them, `given_links`:
head and child, by their numbers in `given`, and label. `Corrections` reads what comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from spacy.tokens import Doc

from ..bitext import DROP_FLAG, ENTS, Bitext, is_annotation
from ..docs import META
from ..span_links import LINKS_GROUP, End, get_links, span_at
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
    task: Task = {
        "text": doc[first:stop].text,
        "tokens": tokens,
        "spans": spans,
        "given": [list(span) for span in given],
    }
    if LINKS_GROUP in doc.spans:
        numbers = {span: n for n, span in enumerate(given)}
        ends = (
            (link.label, [_place(doc, end, first) for end in (link.head, link.child)]) for link in get_links(doc).links
        )
        # A link that leads out of the sentence has no end there
        task["given_links"] = [
            [numbers[head], numbers[child], label]
            for label, (head, child) in ends
            if head in numbers and child in numbers
        ]
    return task


def _place(doc: Doc, end: End, first: int) -> tuple[int, int, str, str]:
    span = span_at(doc, end)
    return span.start - first, span.end - first, span.label_, end.key


def _groups(doc: Doc) -> list[str]:
    return [key for key in doc.spans if is_annotation(key)]


def _prodigy(sentence: Task, meta: Task) -> Task:
    task = sentence | {"meta": meta}
    spans = sentence["spans"]
    if "given_links" in sentence:
        task["relations"] = [
            {
                "head": spans[head]["token_end"],
                "child": spans[child]["token_end"],
                "head_span": spans[head],
                "child_span": spans[child],
                "label": label,
            }
            for head, child, label in sentence["given_links"]
        ]
    return task


def _kept(sentence: Task) -> Task:
    """What a tool hands back as it was."""
    return {name: sentence[name] for name in ("tokens", "given", "given_links") if name in sentence}


def _doccano(sentence: Task, meta: Task) -> Task:
    if "given_links" in sentence:
        return _doccano_with_relations(sentence, meta)
    spans = [[span["start"], span["end"], span["label"]] for span in _spans_once(sentence)]
    return {"text": sentence["text"], "label": spans, "meta": meta, **_kept(sentence)}


def _spans_once(sentence: Task) -> list[Task]:
    """The spans, one of several groups once."""
    return list({(span["start"], span["end"], span["label"]): span for span in reversed(sentence["spans"])}.values())[
        ::-1
    ]


def _doccano_with_relations(sentence: Task, meta: Task) -> Task:
    """The form of doccano's projects with relations, in which spans have ids."""
    entities = [
        {"id": n, "label": span["label"], "start_offset": span["start"], "end_offset": span["end"]}
        for n, span in enumerate(sentence["spans"])
    ]
    relations = [
        {"id": n, "from_id": head, "to_id": child, "type": label}
        for n, (head, child, label) in enumerate(sentence["given_links"])
    ]
    return {
        "text": sentence["text"],
        "entities": entities,
        "relations": relations,
        "meta": meta,
        **_kept(sentence),
    }


def _label_studio(sentence: Task, meta: Task) -> Task:
    text, result = sentence["text"], []
    # Of several groups a span is there once, but where links tell them apart
    spans = sentence["spans"] if "given_links" in sentence else _spans_once(sentence)
    for n, span in enumerate(spans):
        start, end = span["start"], span["end"]
        value = {"start": start, "end": end, "text": text[start:end], "labels": [span["label"]]}
        result.append({"id": str(n), "from_name": "label", "to_name": "text", "type": "labels", "value": value})
    for head, child, label in sentence.get("given_links", ()):
        ends = {"from_id": str(head), "to_id": str(child)}
        result.append({**ends, "type": "relation", "direction": "right", "labels": [label]})
    return {
        "data": {"text": text, "source": meta["source"], "meta": meta, **_kept(sentence)},
        "predictions": [{"model_version": "spacy_xlt", "result": result}],
    }


# How a sentence is written for a tool
TOOLS: dict[str, Callable[[Task, Task], Task]] = {
    "prodigy": _prodigy,
    "doccano": _doccano,
    "label-studio": _label_studio,
}
