"""What the page shows, as plain data: one row for each pair of sentences. Linear in the length of the documents."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..bitext import CANDIDATES_GROUP, ENTS, ENTS_GROUP, REASONS, Bitext, LostLink, span_scores
from ..docs import missing_ranges
from ..errors import XltError
from ..languages import MULTI, is_right_to_left
from ..review.records import REVIEW_FORMAT, page_digest, pair_ids
from ..span_links import LINKS_GROUP, End, get_links, span_at
from ..tokens import has_text

# Of the data in the page. Rows have token positions of the whole documents, so that what is said about them there can
# be brought back to the documents.
PAGE_FORMAT = 1
SIDES = ("source", "target")
# start, end, label, key ("ents" or that of a span group), score or None, reason why it was lost or None
ShownSpan = tuple[int, int, str, str, float | None, str | None]
# start and end of the head, and of the child, label, score or None, reason why it was lost or None, words of both
ShownLink = tuple[int, int, int, int, str, float | None, str | None, str, str]
# Characters of the words of a link's end, which may be whole sentences
_MOST_OF_END = 60
Row = dict[str, Any]


def rows(bitext: Bitext, *, doc: int = 0) -> Iterator[Row]:
    """The sentence pairs of a bitext, without those that are white space on both sides.

    Yields:
        `doc`, the number of the document, counted from 0; `pair`, the number of the pair in it; `langs`; `flags` and
        `score` of the translation; `links`, flat: source token, target token, score; for `source` and `target` a dict:
        `at`, the position of its first token; `words`, each with the space after it; `spans`, each a `ShownSpan`;
        `missing`, ranges of tokens without annotation; and, where the documents have any, `arcs`, each a `ShownLink`
        that begins there.
    """
    source, target = _Side(bitext, "source"), _Side(bitext, "target")
    links, scores = bitext.alignment.links, bitext.alignment.scores
    for number, pair in enumerate(bitext.sentences):
        # A line end behind the last sentence of a file
        if len(bitext.sentences) > 1 and source.is_blank(*pair.source) and target.is_blank(*pair.target):
            continue
        # the links are in order of the source
        first, last = np.searchsorted(links[:, 0], pair.source)
        between = links[first:last]
        inside = (between[:, 1] >= pair.target_start) & (between[:, 1] < pair.target_end)
        triples = zip(between[inside].tolist(), scores[first:last][inside].tolist(), strict=True)
        yield {
            "doc": doc,
            "pair": number,
            "langs": [bitext.source_lang, bitext.target_lang],
            "flags": [str(flag) for flag in pair.flags],
            "score": _number(pair.score),
            "links": list(chain.from_iterable((i, j, _number(score)) for (i, j), score in triples)),
            "source": source.between(*pair.source),
            "target": target.between(*pair.target),
        }


def has_lost(row: Row) -> bool:
    """Whether a span of the row was lost."""
    return any(span[5] is not None for side in SIDES for span in row[side]["spans"])


def payload(
    numbered: Iterable[tuple[int, Bitext]], *, title: str, only_lost: bool = False, review: bool = False
) -> dict[str, Any]:
    """The data of a whole page, without colours.

    Args:
        numbered: Bitexts, each with the number of its document.
        title: The page's title.
        only_lost: Keep only the sentences in which a span was lost.
        review: Also give the rows the `id` that their corrections are found by, so that they can be reviewed.
    """
    found: list[Row] = []
    signatures: dict[str, dict[str, None]] = {"translation": {}, "alignment": {}, "projection": {}}
    for number, bitext in numbered:
        ids = pair_ids(bitext) if review else []
        for row in rows(bitext, doc=number):
            if not only_lost or has_lost(row):
                found.append({**row, "id": ids[row["pair"]]} if review else row)
        for kind, signature in zip(signatures, (bitext.engine, bitext.aligner, bitext.projector), strict=True):
            if signature:
                signatures[kind][signature] = None
    return {
        "format": PAGE_FORMAT,
        "title": title,
        "directions": {code: direction(code) for code in sorted({code for row in found for code in row["langs"]})},
        "labels": sorted({span[2] for row in found for side in SIDES for span in row[side]["spans"]}),
        "reasons": {r: REASONS[r] for r in sorted(_reasons(found)) if r in REASONS},
        "signatures": {kind: list(values) for kind, values in signatures.items()},
        **({"review": _review(found)} if review else {}),
        "rows": found,
    }


def _review(found: Iterable[Row]) -> dict[str, Any]:
    """What the page needs to know to save corrections."""
    return {
        "format": REVIEW_FORMAT,
        "digest": page_digest([row["id"] for row in found]),
        "candidates": CANDIDATES_GROUP,
    }


def direction(lang: str) -> str:
    """The value of HTML's `dir` for text of a language: what the text itself says where the language is not known."""
    try:
        return "auto" if lang == MULTI else "rtl" if is_right_to_left(lang) else "ltr"
    except XltError:  # no language code: another version may have stored anything
        return "auto"


def _reasons(found: Iterable[Row]) -> set[str]:
    spans = (span[5] for row in found for side in SIDES for span in row[side]["spans"])
    arcs = (arc[6] for row in found for side in SIDES for arc in row[side].get("arcs", ()))
    return {reason for reason in chain(spans, arcs) if reason is not None}


class _Side:
    """One side of a bitext: what is said of its whole document, to be cut into sentences."""

    def __init__(self, bitext: Bitext, name: str):
        self.doc: Doc = bitext.source if name == "source" else bitext.target
        self.spans = _shown_spans(self.doc, [span for span in bitext.lost if span.side == name])
        self.arcs = _shown_links(self.doc, [link for link in bitext.lost_links if link.side == name])
        self.missing = missing_ranges(self.doc) if self.doc.has_annotation("ENT_IOB") else []
        self._starts = [[item[0] for item in items] for items in (self.spans, self.missing)]
        self._longest = [max((i[1] - i[0] for i in items), default=0) for items in (self.spans, self.missing)]

    def is_blank(self, start: int, end: int) -> bool:
        """Whether there is white space alone, and no span in it."""
        has_words = any(has_text(token.text) for token in self.doc[start:end])
        return not has_words and not any(self._reaching(0, self.spans, start, end))

    def between(self, start: int, end: int) -> dict[str, Any]:
        """The words from `start` to `end`, with the spans that reach into them and the links that begin there."""
        arcs = [list(arc) for arc in self.arcs if start <= arc[0] < end]
        return {
            **({"arcs": arcs} if arcs else {}),
            "at": start,
            "words": [token.text_with_ws for token in self.doc[start:end]],
            "spans": [list(span) for span in self._reaching(0, self.spans, start, end)],
            "missing": [list(found) for found in self._reaching(1, self.missing, start, end)],
        }

    def _reaching(self, which: int, items: Sequence[Any], start: int, end: int) -> Iterator[Any]:
        first = bisect_left(self._starts[which], start - self._longest[which])
        last = bisect_left(self._starts[which], end)
        return (item for item in items[first:last] if item[1] > start)


def _shown_spans(doc: Doc, lost: Iterable[Any]) -> list[ShownSpan]:
    """Entities and spans of span groups with their scores, in order; a lost one that is no longer there as well."""
    scores = span_scores(doc, ENTS_GROUP)
    found: dict[tuple[int, int, str, str], tuple[float | None, str | None]] = {}
    for span in doc.ents:
        found[span.start, span.end, span.label_, ENTS] = _number(scores.get((span.start, span.end, span.label_))), None
    for key in doc.spans:
        if key not in (ENTS_GROUP, LINKS_GROUP):
            scored = span_scores(doc, key)
            for place in dict.fromkeys((span.start, span.end, span.label_) for span in doc.spans[key]):
                whole = (*place, key)
                found[whole] = _number(scored.get(place)), None
    for span in lost:
        if 0 <= span.start < span.end <= len(doc):
            whole = (span.start, span.end, str(span.label), str(span.key))
            found[whole] = found.get(whole, (None, None))[0], str(span.reason)
    ordered = sorted(found.items(), key=lambda item: (item[0][0], -item[0][1], item[0][3] != ENTS, item[0][2:]))
    return [(*place, score, reason) for place, (score, reason) in ordered]


def _shown_links(doc: Doc, lost: Iterable[LostLink]) -> list[ShownLink]:
    """Links between spans, and of records those from the anchor, or else the first role, to the roles."""
    found = get_links(doc)
    reasons = {(link.head, link.child, link.label): link.reason for link in lost}
    ends = [(link.head, link.child, link.label, _number(link.score)) for link in found.links]
    for record in found.records:
        ends_of_roles = (
            (role, end if isinstance(end, End) else found.records[end].anchor) for role, end in record.roles
        )
        roles = [(role, end) for role, end in ends_of_roles if end]
        anchor = record.anchor or (roles.pop(0)[1] if roles else None)
        ends += [(anchor, end, f"{record.label}.{role}", None) for role, end in roles if anchor]
    shown = []
    for head, child, label, score in ends:
        first, second = span_at(doc, head), span_at(doc, child)
        reason = reasons.get((head, child, label))
        words = _shortened(first.text), _shortened(second.text)
        shown.append((first.start, first.end, second.start, second.end, label, score, reason, *words))
    return sorted(shown, key=lambda arc: arc[:5])


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_OF_END else f"{text[: _MOST_OF_END - 1].rstrip()}…"


def _number(value: Any) -> float | None:
    """A number short enough to show. JSON knows no infinity, and other versions may store something else."""
    return round(float(value), 3) if isinstance(value, Real) and isfinite(value) else None
