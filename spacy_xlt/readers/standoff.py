"""What brat's lines say of spans: relations, events and normalisations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..span_links import End, Link, Record, SpanLinks

_RELATION = re.compile(r"R\S*\t(?P<label>\S+) \S+?:(?P<head>\S+) \S+?:(?P<child>\S+)\s*")
_EVENT = re.compile(r"(?P<id>E\S*)\t(?P<label>[^\s:]+):(?P<anchor>\S+)(?P<roles>(?: \S+?:\S+)*)\s*")
_NORMALISATION = re.compile(r"N\S*\t\S+ (?P<span>\S+) (?P<id>[^\t]+?)(?:\t.*)?")
# Of a role that several have, the others are numbered: "Theme2"
_NUMBERED = re.compile(r"(\D)\d+$")


@dataclass
class Standoff:
    """What was found.

    Attributes:
        links: Relations and events.
        kb_ids: Id of a span ("T1") → its entry in a knowledge base ("Wikipedia:534366").
        problems: Lines that are left out: their number, what is wrong, and the line.
    """

    links: SpanLinks = field(default_factory=SpanLinks)
    kb_ids: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[int, str, str]] = field(default_factory=list)


def read_standoff(lines: Sequence[tuple[int, str]], ends: Mapping[str, End]) -> Standoff:
    """Read lines that are about spans.

    Args:
        lines: Their numbers and texts; those of attributes, equivalences and notes are problems.
        ends: Id of a span → where it is in the document; those that were left out are not there.
    """
    found = Standoff()
    events: dict[str, tuple[int, re.Match[str]]] = {}
    for number, line in lines:
        if match := _RELATION.fullmatch(line):
            _add_link(found, number, match, ends)
        elif match := _EVENT.fullmatch(line):
            events[match["id"]] = number, match
        elif match := _NORMALISATION.fullmatch(line):
            if match["span"] in ends:
                found.kb_ids[match["span"]] = match["id"].strip()
            else:
                found.problems.append((number, "a span that is not there:", line))
        else:
            found.problems.append((number, "", line))
    _add_events(found, events, ends)
    return found


def _add_link(found: Standoff, number: int, match: re.Match[str], ends: Mapping[str, End]) -> None:
    head, child = ends.get(match["head"]), ends.get(match["child"])
    if head is None or child is None:
        found.problems.append((number, "an end that is not there:", match[0]))
    elif head == child:
        found.problems.append((number, "from a span to itself:", match[0]))
    else:
        found.links.links.append(Link(head, child, match["label"]))


def _add_events(found: Standoff, events: Mapping[str, tuple[int, re.Match[str]]], ends: Mapping[str, End]) -> None:
    numbers: dict[str, int] = {}
    for id, (number, match) in events.items():
        anchor = ends.get(match["anchor"])
        if anchor is None:
            found.problems.append((number, "a trigger that is not there:", match[0]))
            continue
        numbers[id] = len(found.links.records)
        found.links.records.append(Record(match["label"], anchor))
    reached = {id: _others(events[id][1], events) for id in events}
    for id, n in numbers.items():
        number, match = events[id]
        roles: list[tuple[str, End | int]] = []
        for role, other in _roles(match):
            if id == other or id in _reachable(other, reached):
                found.problems.append((number, "an event that is a part of itself:", match[0]))
            elif other in ends or other in numbers:
                roles.append((_NUMBERED.sub(r"\1", role), ends.get(other) or numbers[other]))
            else:
                found.problems.append((number, "a role that is not there:", match[0]))
        found.links.records[n] = replace(found.links.records[n], roles=tuple(roles))


def _roles(event: re.Match[str]) -> list[tuple[str, str]]:
    pairs = (role.partition(":") for role in event["roles"].split())
    return [(name, other) for name, _, other in pairs]


def _others(event: re.Match[str], events: Mapping[str, object]) -> list[str]:
    """The events that have a role in an event."""
    return [other for _, other in _roles(event) if other in events]


def _reachable(start: str, reached: Mapping[str, Sequence[str]]) -> set[str]:
    """What can be reached from an event over roles."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in reached.get(waiting.pop(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen
