"""Links between spans (relations, arguments) and records of several (events, tuples): `doc._.xlt_links`.

They go wherever spaCy takes the attributes of span groups: `DocBin`, `to_bytes`, `copy`, pickle, `n_process`. spaCy's
own `span.as_doc()`, `Doc.from_docs` and `to_json` lose them: `docs.slice_doc` and `docs.join_docs` are in the place of
the first two. An end is a number, so entities and groups are written anew inside `docs.links_follow`.

A wheel with `xlt_relations` has the file by itself: it imports nothing else of spacy_xlt, and has no postponed
annotations (see ner/xlt_ner.py).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span, SpanGroup

# Where links are kept, in the attributes of a group without spans: groups go wherever a document goes
LINKS_GROUP = "xlt_links"
ENTS = "ents"
# Start and end of the head, of the child, and the label
LinkKey = tuple[int, int, int, int, str]


class End(NamedTuple):
    """A span of a document.

    Attributes:
        key: Its group: "ents" for entities, or the key in `doc.spans`.
        number: Its place there.
    """

    key: str
    number: int


@dataclass(frozen=True)
class Link:
    """A labelled arrow from a span to another one.

    Attributes:
        head: Where it begins: "founded by" leads from the company to its founder.
        child: Where it ends.
        score: How sure it is, from 0 to 1; 1.0 for annotation by people.
    """

    head: End
    child: End
    label: str
    score: float = 1.0


@dataclass(frozen=True)
class Record:
    """An event or tuple.

    Attributes:
        label: Its type.
        anchor: The span that says it, such as a verb; None for a tuple.
        roles: Each a role and what has it: a span, or by its number in the document's records another record.
    """

    label: str
    anchor: End | None = None
    roles: tuple[tuple[str, End | int], ...] = ()


@dataclass
class SpanLinks:
    """The links and records of a document.

    Attributes:
        complete: Whether pairs of spans without a link are known to have none, as `doc.ents` has missing annotation. It
            is False for a document that nobody gave any links.
    """

    links: list[Link] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    complete: bool = True

    def __bool__(self) -> bool:
        return bool(self.links or self.records)

    def ends(self) -> set[End]:
        """The spans that have a part in it."""
        ends = {end for link in self.links for end in (link.head, link.child)}
        for record in self.records:
            ends.update(end for _, end in record.roles if isinstance(end, End))
            ends.update([record.anchor] if record.anchor else [])
        return ends

    def labels(self) -> Iterator[str]:
        """The labels of links, the types of records, and for each role the type, a dot and the role."""
        yield from (link.label for link in self.links)
        for record in self.records:
            yield record.label
            yield from (f"{record.label}.{role}" for role, _ in record.roles)

    def moved(self, place: Callable[[End], End | None], *, first_record: int = 0) -> "SpanLinks":
        """The same between other spans. What has lost an end is left out: a link, a record with its anchor, a role.

        Args:
            place: Where a span is now; None where it is no more.
            first_record: The number of the first record, behind those of other documents.
        """
        links = []
        for link in self.links:
            head, child = place(link.head), place(link.child)
            if head is not None and child is not None:
                links.append(replace(link, head=head, child=child))
        kept: dict[int, int] = {}
        anchors = [None if record.anchor is None else place(record.anchor) for record in self.records]
        for n, (record, anchor) in enumerate(zip(self.records, anchors, strict=True)):
            if record.anchor is None or anchor is not None:
                kept[n] = first_record + len(kept)
        records = []
        for n in kept:
            moved = [
                (role, kept.get(end) if isinstance(end, int) else place(end)) for role, end in self.records[n].roles
            ]
            roles = tuple((role, end) for role, end in moved if end is not None)
            records.append(replace(self.records[n], anchor=anchors[n], roles=roles))
        return SpanLinks(links, records, self.complete)


def get_links(doc: Doc) -> SpanLinks:
    """The links and records of a document; empty and not complete where nothing is known of them."""
    group = doc.spans.get(LINKS_GROUP)
    # spaCy's own functions may have kept the group without its attributes
    stored: Mapping[str, Any] = {} if group is None else group.attrs
    links = [Link(End(*head), End(*child), label, score) for head, child, label, score in stored.get("links", ())]
    records = [
        Record(label, End(*anchor) if anchor else None, tuple((role, _end(end)) for role, end in roles))
        for label, anchor, roles in stored.get("records", ())
    ]
    return SpanLinks(links, records, bool(stored.get("complete", False)))


def set_links(doc: Doc, links: SpanLinks) -> None:
    """Replace the links and records of a document."""
    attrs = {
        "links": [[list(link.head), list(link.child), link.label, link.score] for link in links.links],
        "records": [
            [
                record.label,
                list(record.anchor) if record.anchor else None,
                [[role, list(end) if isinstance(end, End) else end] for role, end in record.roles],
            ]
            for record in links.records
        ],
        "complete": links.complete,
    }
    doc.spans[LINKS_GROUP] = SpanGroup(doc, name=LINKS_GROUP, attrs=attrs)


def span_at(doc: Doc, end: End) -> Span:
    """The span that an end stands for.

    Raises:
        IndexError: For one that is not there.
    """
    spans = doc.ents if end.key == ENTS else doc.spans.get(end.key, ())
    if not 0 <= end.number < len(spans):
        raise IndexError(
            f"A link leads to the span {end.number} of {end.key!r}, of which the document has {len(spans)}: they were "
            "written anew without their links (see spacy_xlt.docs.links_follow)."
        )
    return spans[end.number]


def as_rel(doc: Doc, labels: Iterable[str] = ()) -> dict[tuple[int, int], dict[str, float]]:
    """Links in the shape of `doc._.rel` in spaCy's tutorial on relations (explosion/projects, rel_component).

    Args:
        doc: The document. Spans that begin with the same token are one here.
        labels: All labels of the corpus; those of the document are added.

    Returns:
        For each pair of spans, by the first token of head and child, each label with 1.0 or 0.0. Where links are not
        `complete`, only those that are known: nothing is 0.0.
    """
    links = get_links(doc)
    every = sorted({*labels, *(link.label for link in links.links)})
    keys = {ENTS, *(end.key for end in links.ends())}
    starts = sorted({span.start for key in keys for span in (doc.ents if key == ENTS else doc.spans[key])})
    zeros = dict.fromkeys(every if links.complete else (), 0.0)
    rel = {pair: dict(zeros) for pair in product(starts, starts)}
    for link in links.links:
        rel[span_at(doc, link.head).start, span_at(doc, link.child).start][link.label] = 1.0
    return rel


def as_dicts(doc: Doc) -> list[dict[str, Any]]:
    """Links as plain data, in the form of Prodigy's `relations`, with their scores.

    An end is its last token, and its span: `start` and `end` count characters, the end not included; `token_start` and
    `token_end` count tokens, that one included.
    """
    found = []
    for link in get_links(doc).links:
        head, child = (end_as_dict(doc, end) for end in (link.head, link.child))
        ends = {"head": head["token_end"], "child": child["token_end"], "head_span": head, "child_span": child}
        found.append({**ends, "label": link.label, "score": link.score})
    return found


def end_as_dict(doc: Doc, end: End) -> dict[str, Any]:
    """The span of an end as plain data, as `as_dicts` has it."""
    span = span_at(doc, end)
    place = {"start": span.start_char, "end": span.end_char, "token_start": span.start, "token_end": span.end - 1}
    return {"text": span.text, **place, "label": span.label_, "key": end.key}


def end_of(doc: Doc, key: str, start: int, stop: int, label: str) -> End | None:
    """The end of a span by its tokens `[start, stop)` and label; None where there is no such span."""
    spans: Iterable[Span] = doc.ents if key == ENTS else doc.spans.get(key, ())
    for n, span in enumerate(spans):
        if (span.start, span.end, span.label_) == (start, stop, label):
            return End(key, n)
    return None


def link_keys(doc: Doc) -> Counter[LinkKey]:
    """The links of a document by the characters of their ends and their label."""

    def place(end: End) -> tuple[int, int]:
        span = span_at(doc, end)
        return span.start_char, span.end_char

    links = get_links(doc).links
    return Counter((*place(link.head), *place(link.child), link.label) for link in links)


def score_links(predicted: Iterable[Doc], golds: Iterable[Doc]) -> dict[str, Any]:
    """Compare the links of documents with gold ones.

    Returns:
        `links_p`, `links_r`, `links_f`: fractions, of links with both ends and the label exact, head and child not
        exchanged. `links_per_type`: the same by label, under "p", "r", "f". `links_ends_r`: the share of gold links
        between whose ends there is one, with whatever label and in whichever direction. `links` and `links_gold`:
        their numbers. A score is None where there is nothing to divide by.
    """
    right: Counter[str] = Counter()
    made: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    joined = 0
    for doc, gold in zip(predicted, golds, strict=True):
        ours, theirs = link_keys(doc), link_keys(gold)
        for counts, keys in ((made, ours), (wanted, theirs), (right, ours & theirs)):
            for key, n in keys.items():
                counts[key[-1]] += n
        pairs = {frozenset((key[:2], key[2:4])) for key in ours}
        joined += sum(n for key, n in theirs.items() if frozenset((key[:2], key[2:4])) in pairs)
    n_gold = wanted.total()
    labels = sorted({*made, *wanted})
    return {
        **{f"links_{name}": value for name, value in _prf(right.total(), made.total(), n_gold).items()},
        "links_per_type": {label: _prf(right[label], made[label], wanted[label]) for label in labels},
        "links_ends_r": joined / n_gold if n_gold else None,
        "links": made.total(),
        "links_gold": n_gold,
    }


def _prf(right: int, made: int, wanted: int) -> dict[str, float | None]:
    return {
        "p": right / made if made else None,
        "r": right / wanted if wanted else None,
        "f": 2 * right / (made + wanted) if made + wanted else None,
    }


def _end(stored: Sequence[Any] | int) -> End | int:
    return stored if isinstance(stored, int) else End(*stored)


# Of the files of several wheels and of spacy_xlt itself, its own gives the classes that those who import it know
if __package__ == "spacy_xlt" or not Doc.has_extension("xlt_links"):
    Doc.set_extension("xlt_links", getter=get_links, setter=set_links, force=True)
