"""PubTator: title and abstract, mentions with identifiers, and relations between identifiers (Wei et al. 2013)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from spacy.tokens import Doc

from ..docs import META
from ..errors import error
from ..languages import blank
from ..span_links import End, Link, SpanLinks, set_links
from ..textfiles import text_lines
from .marked import DEFAULT_KEY
from .places import UTF8, UTF16, CharSpan, Ruler, same_text, write_group
from .settings import ReadNotes, ReadSettings

_TEXT = re.compile(r"(?P<id>[^|\t]+)\|(?P<part>[ta])\|(?P<text>.*)")


@dataclass
class _Article:
    id: str
    parts: list[str] = field(default_factory=list)
    # With their line and text
    mentions: list[tuple[int, str, CharSpan]] = field(default_factory=list)
    # Line, label, two identifiers
    relations: list[tuple[int, str, str, str]] = field(default_factory=list)


def read_pubtator(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read articles, each a document of title and abstract; its mentions are a span group with identifiers as `kb_id_`.

    A relation between two identifiers is a link between the mentions of both that are closest to each other, as the
    file does not say which are meant. Entities are missing: mentions may overlap.

    Raises:
        XltError: E503 for a file without an article; E574 for a line of another form, and for offsets where the text of
            a mention is not.
    """
    n_docs = 0
    for article in _articles(path, settings.encoding):
        n_docs += 1
        # One character stands between title and abstract
        doc = blank(settings.lang).tokenizer("\n".join(article.parts).removesuffix("\n"))
        key = settings.spans_key or DEFAULT_KEY
        mentions = write_group(doc, key, _mentions(path, article, doc.text, settings, notes), notes)
        set_links(doc, SpanLinks(_links(article, mentions, key, notes)))
        doc.user_data[META] = {"id": article.id}
        yield doc
    if not n_docs:
        raise error("E503", path=path)


def _articles(path: Path, encoding: str) -> Iterator[_Article]:
    article: _Article | None = None
    for number, line in text_lines(path, encoding):
        cells = line.rstrip().split("\t")
        if match := _TEXT.fullmatch(line):
            if article is None or match["id"] != article.id or match["part"] == "t":
                if article is not None:
                    yield article
                article = _Article(match["id"])
            article.parts.append(match["text"])
        elif article is not None and len(cells) >= 5 and cells[1].isdigit() and cells[2].isdigit():
            span = CharSpan(int(cells[1]), int(cells[2]), cells[4], kb_id="".join(cells[5:6]))
            article.mentions.append((number, cells[3], span))
        elif article is not None and len(cells) == 4:
            article.relations.append((number, cells[1], cells[2], cells[3]))
        elif line.strip():
            reason = f"{line[:60]!r} is no text, mention or relation"
            raise error("E574", format="pubtator", path=path, line=number, reason=reason)
    if article is not None:
        yield article


def _mentions(path: Path, article: _Article, text: str, settings: ReadSettings, notes: ReadNotes) -> Iterator[CharSpan]:
    for line, covered, span in article.mentions:
        found = text[span.start : span.end]
        if not same_text(found, covered):
            reason = f"the text has {found!r} there, and the mention is {covered!r}; offsets are code points"
            for ruler in (Ruler(text, UTF16), Ruler(text, UTF8)):
                place = ruler.characters(span.start, span.end)
                if place is not None and same_text(text[slice(*place)], covered):
                    reason = f"its offsets are {ruler.unit}; write them in code points, as Python counts a string"
            raise error("E574", format="pubtator", path=path, line=line, reason=reason)
        if settings.keeps(span.label):
            yield span
        else:
            notes.dropped[span.label] += 1


def _links(article: _Article, mentions: Sequence[CharSpan], key: str, notes: ReadNotes) -> list[Link]:
    links = []
    # Some mentions may be left out by their labels
    known = {id for _, _, span in article.mentions for id in _ids(span)}
    for line, label, *ids in article.relations:
        heads, children = ([n for n, span in enumerate(mentions) if id in _ids(span)] for id in ids)
        pairs = [(n, k) for n, k in product(heads, children) if n != k]
        if not pairs:
            if heads and children:
                notes.leave_out(f"line {line}", "from a span to itself:", " ".join([label, *ids]))
            elif not known.issuperset(ids):
                notes.leave_out(f"line {line}", "an end that is not there:", " ".join([label, *ids]))
            continue
        head, child = min(pairs, key=lambda pair: abs(mentions[pair[0]].start - mentions[pair[1]].start))
        links.append(Link(End(key, head), End(key, child), label))
    return links


def _ids(span: CharSpan) -> list[str]:
    """The identifiers of a mention, which may have several: "D001|D002"."""
    return re.split(r"[|;,]", span.kb_id)
