"""Links and records of a stored document that cannot be: with ends that are not there, or a part of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spacy.tokens import Doc

from ..span_links import ENTS, LINKS_GROUP, End, Record, get_links, set_links
from .settings import ReadNotes


def leave_out_unusable(doc: Doc, where: str, notes: ReadNotes) -> None:
    """Take links and records that cannot be out of a document, in place.

    Args:
        doc: As it was stored.
        where: The document, for the message.
        notes: Where they are counted.
    """
    if LINKS_GROUP not in doc.spans:
        return
    try:
        links = get_links(doc)
        sizes = {end: len(doc.ents if end.key == ENTS else doc.spans.get(end.key, ())) for end in links.ends()}
        missing = {end for end, size in sizes.items() if not 0 <= end.number < size}
    except (TypeError, ValueError) as err:
        notes.leave_out(where, "links of another form:", err)
        del doc.spans[LINKS_GROUP]
        return
    problems = []
    for link in links.links:
        said = f"{link.label} from {link.head.key} {link.head.number} to {link.child.key} {link.child.number}"
        if missing & {link.head, link.child}:
            problems.append(("an end that is not there:", said))
        elif link.head == link.child:
            problems.append(("from a span to itself:", said))
    problems += [("a trigger that is not there:", one.label) for one in links.records if one.anchor in missing]
    for n, record in enumerate(links.records):
        roles = []
        for role, end in record.roles:
            if end in missing or (isinstance(end, int) and not 0 <= end < len(links.records)):
                problems.append(("a role that is not there:", f"{record.label}.{role}"))
            elif isinstance(end, int) and _leads_to(links.records, end, n):
                problems.append(("an event that is a part of itself:", f"{record.label}.{role}"))
            else:
                roles.append((role, end))
        # The roles of those behind it are looked at without those that were left out
        links.records[n] = replace(record, roles=tuple(roles))
    for wrong, said in problems:
        notes.leave_out(where, wrong, said)
    if problems:
        links.links = [link for link in links.links if link.head != link.child]
        set_links(doc, links.moved(lambda end: None if end in missing else end))


def _leads_to(records: Sequence[Record], start: int, goal: int) -> bool:
    """Whether a record is another one, or reaches it over roles."""
    seen, waiting = set[int](), [start]
    while waiting:
        number = waiting.pop()
        if number == goal:
            return True
        if number not in seen and 0 <= number < len(records):
            seen.add(number)
            waiting += [end for _, end in records[number].roles if not isinstance(end, End)]
    return False
