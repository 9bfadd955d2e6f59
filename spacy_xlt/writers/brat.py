"""brat's standoff annotation of a document."""

from __future__ import annotations

import re
from collections import Counter

from spacy.tokens import Doc

from ..span_links import End, get_links, span_at
from .spans import one_line, place_of, spans_once

_SPACE, _COLON_OR_SPACE = re.compile(r"\s+"), re.compile(r"[\s:]+")


def brat_annotation(doc: Doc, left_out: Counter[str]) -> str:
    """The lines of spans (T), identifiers (N), links (R) and records (E).

    White space in labels is an underscore, and so are colons in those of events. A role that several
    have is numbered, as brat does it.
    """
    spans = spans_once(doc)
    ids = {place_of(span): f"T{n}" for n, span in enumerate(spans, 1)}
    lines = []
    for span in spans:
        id, text = ids[place_of(span)], one_line(span.text)
        lines.append(f"{id}\t{_name(span.label_)} {span.start_char} {span.end_char}\t{text}")
        if span.kb_id_:
            lines.append(f"N{id[1:]}\tReference {id} {span.kb_id_}\t{text}")

    def id_of(end: End) -> str:
        return ids[place_of(span_at(doc, end))]

    links = get_links(doc)
    for n, link in enumerate(links.links, 1):
        head, child = id_of(link.head), id_of(link.child)
        if head == child:
            left_out["links from a span to itself"] += 1
        else:
            lines.append(f"R{n}\t{_name(link.label)} Arg1:{head} Arg2:{child}")
    events = {n: f"E{n + 1}" for n, record in enumerate(links.records) if record.anchor}
    if len(events) < len(links.records):
        left_out["events without a trigger"] += len(links.records) - len(events)
    for n, id in events.items():
        record, uses = links.records[n], Counter[str]()
        line = f"{id}\t{_name(record.label, _COLON_OR_SPACE)}:{id_of(record.anchor)}" if record.anchor else ""
        for role, end in record.roles:
            other = id_of(end) if isinstance(end, End) else events.get(end)
            if other is None:
                left_out["roles of events without a trigger"] += 1
                continue
            uses[role] += 1
            line += f" {_name(role, _COLON_OR_SPACE)}{uses[role] if uses[role] > 1 else ''}:{other}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _name(label: str, unwanted: re.Pattern[str] = _SPACE) -> str:
    return unwanted.sub("_", label) or "_"
