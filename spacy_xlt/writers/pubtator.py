"""PubTator: title and abstract, mentions with identifiers, relations between identifiers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc

from ..span_links import get_links, span_at
from .spans import meta_of, one_line, spans_once


def pubtator_entries(docs: Iterable[Doc], left_out: Counter[str]) -> Iterator[str]:
    """An article for each document: its first line is the title. The number of one without an id is its id."""
    for number, doc in enumerate(docs, 1):
        id = one_line(str(meta_of(doc).get("id") or number)).replace("|", "_")
        title, _, abstract = doc.text.partition("\n")
        lines = [f"{id}|t|{one_line(title)}", f"{id}|a|{one_line(abstract)}"]
        for span in spans_once(doc):
            place = f"{span.start_char}\t{span.end_char}\t{one_line(span.text)}"
            lines.append(f"{id}\t{place}\t{one_line(span.label_)}\t{span.kb_id_}".rstrip("\t"))
        relations = {}
        for link in get_links(doc).links:
            # A mention may have several: "D001|D002"
            ends = [re.split(r"[|;,]", span_at(doc, end).kb_id_)[0] for end in (link.head, link.child)]
            if all(ends):
                relations["\t".join([id, one_line(link.label), *ends])] = True
            else:
                left_out["links of spans without an identifier"] += 1
        yield "".join(f"{line}\n" for line in (*lines, *relations))
