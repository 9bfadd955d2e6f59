"""Relations between the spans of a JSON line: Prodigy's, doccano's and Label Studio's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .forms import LineSpan


class LineRelation(NamedTuple):
    """A relation as a line has it: from a span to another one."""

    head: LineSpan
    child: LineSpan
    label: str


def read_relations(
    data: Mapping[str, Any], spans: Sequence[LineSpan]
) -> tuple[list[LineRelation], list[tuple[str, Any]]]:
    """The relations of a line.

    Prodigy names the last token of each end, or says where its span is; doccano and Label Studio name ids of spans.

    Args:
        data: The line, of any form, with a list `relations`.
        spans: Its spans.

    Returns:
        The relations, and those that have no two spans, behind what is wrong: "an end that is not there:".
    """
    found, problems = list[LineRelation](), list[tuple[str, Any]]()
    by_id = {span.id: span for span in reversed(spans) if span.id}
    for value in data["relations"]:
        is_relation = isinstance(value, Mapping)
        head, child = (_end(value, role, spans, by_id) if is_relation else None for role in ("head", "child"))
        if head is None or child is None:
            problems.append(("an end that is not there:", value))
        elif head == child:
            problems.append(("from a span to itself:", value))
        else:
            pairs = {"left": [(child, head)], "bi": [(head, child), (child, head)]}
            for pair in pairs.get(str(value.get("direction")), [(head, child)]):
                found += [LineRelation(*pair, label) for label in _labels(value)]
    return list(dict.fromkeys(found)), problems


def _end(
    relation: Mapping[str, Any], role: str, spans: Sequence[LineSpan], by_id: Mapping[str, LineSpan]
) -> LineSpan | None:
    if "from_id" in relation and "to_id" in relation:
        return by_id.get(str(relation["from_id" if role == "head" else "to_id"]))
    place = relation.get(f"{role}_span")
    if isinstance(place, Mapping):
        wanted = place.get("start"), place.get("end")
        same = [span for span in spans if (span.start, span.end) == wanted]
        # Prodigy's spans have a label, and an end that is a mere token has none
        return next((span for span in same if span.label == place.get("label")), same[0] if same else None)
    last = relation.get(role)
    return next((span for span in spans if span.token_end is not None and span.token_end == last), None)


def _labels(relation: Mapping[str, Any]) -> list[str]:
    """What a relation is called: Label Studio's may have no label, or several."""
    value = relation.get("label", relation.get("type") if relation.get("type") != "relation" else None)
    labels = relation.get("labels") if value is None else [value]
    return [str(label).strip() for label in labels] if isinstance(labels, list) and labels else [""]
