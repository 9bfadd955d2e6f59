"""Relations in marked text: `<e1>…</e1>` and `<e2>…</e2>`, and the relation on the next line.

SemEval-2010 task 8 (Hendrickx et al. 2010), and RELX (Köksal and Özgür 2020).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import Doc

from ..docs import META
from ..errors import error
from ..languages import blank
from ..span_links import End, Link, SpanLinks, set_links
from ..textfiles import text_lines
from .places import CharSpan, write_group
from .settings import ReadNotes, ReadSettings

# The span group where no other one is asked for, as spaCy calls its own
DEFAULT_KEY = "sc"
MARKS = ("e1", "e2")
_MARK = re.compile(r" ?<(/?)(e[12])> ?")
_TEXT = re.compile(r"(?:(?P<id>[^\t<>]*)\t)?(?P<text>.*<e1>.*)")
_RELATION = re.compile(r"(?P<label>.*?)\((?P<head>e\d+), ?(?P<child>e\d+)\)")


def read_marked(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read texts, each a document with a span group of two spans, "e1" and "e2", and a link between them.

    Texts without words in one of the marks, or whose relation does not lead from one to the other, are left out.

    A relation without a direction ("Other", "no_relation") is no link. What the line says is in
    `doc.user_data["meta"]["relation"]`. Entities are missing, as nothing is said of others.

    Raises:
        XltError: E503 for a file without a text, E574 for a text without both marks or a relation.
    """
    n_docs = 0
    for number, lines in _blocks(path, settings.encoding):
        match = _TEXT.fullmatch(lines[0])
        if match is None or len(lines) < 2:
            reason = "there is no <e1> in it" if match is None else "no line with its relation follows"
            raise error("E574", format="marked", path=path, line=number, reason=f"{lines[0][:60]!r}: {reason}")
        text, places = _without_marks(_unquoted(match["text"].strip()).strip())
        if set(places) != set(MARKS) or any(start >= end for start, end in places.values()):
            reason = f"{lines[0][:60]!r} has no words between <e1> and </e1>, or <e2> and </e2>"
            notes.misfits.append((number, reason))
            continue
        relation = _RELATION.fullmatch(lines[1].strip())
        if relation and (
            relation["head"] == relation["child"] or not set(MARKS) >= {relation["head"], relation["child"]}
        ):
            reason = f"the relation {relation[0]} does not lead from e1 to e2 or from e2 to e1"
            notes.misfits.append((number, reason))
            continue
        n_docs += 1
        yield _doc(text, places, lines[1].strip(), match["id"] or "", settings, notes)
    if not n_docs:
        raise error("E503", path=path)


def _blocks(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that stand together, and the number of the first."""
    block: list[str] = []
    start = 0
    for number, line in text_lines(path, encoding):
        if line.strip():
            start = start if block else number
            block.append(line)
        elif block:
            yield start, block
            block = []
    if block:
        yield start, block


def _unquoted(text: str) -> str:
    """A text without one quotation mark at each end, which SemEval has around all texts."""
    return text.removeprefix('"').removesuffix('"')


def _without_marks(marked: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """A text without its marks and the spaces that only they set off, and the characters of each mark."""
    text, at = "", 0
    begun: dict[str, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for match in _MARK.finditer(marked):
        text += marked[at : match.start()]
        at = match.end()
        is_end, name = bool(match[1]), match[2]
        if is_end and name in begun:
            places[name] = begun[name], len(text)
        # A space outside of a mark is the text's own
        outside = match[0].endswith(" ") if is_end else match[0].startswith(" ")
        text += " " if outside else ""
        if not is_end:
            begun[name] = len(text)
    return text + marked[at:], places


def _doc(
    text: str,
    places: dict[str, tuple[int, int]],
    relation: str,
    id: str,
    settings: ReadSettings,
    notes: ReadNotes,
) -> Doc:
    doc = blank(settings.lang).tokenizer(text)
    key = settings.spans_key or DEFAULT_KEY
    write_group(doc, key, [CharSpan(*places[name], name) for name in MARKS], notes)
    links = []
    if match := _RELATION.fullmatch(relation):
        head, child = (End(key, MARKS.index(match[role])) for role in ("head", "child"))
        links.append(Link(head, child, match["label"]))
    set_links(doc, SpanLinks(links))
    doc.user_data[META] = {**({"id": id.strip()} if id.strip() else {}), "relation": relation}
    return doc
