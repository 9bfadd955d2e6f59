"""Documents as plain data, for people without spaCy.

Tokens and spans have the keys of Prodigy: `start` and `end` count characters, the end not included; `token_start` and
`token_end` count tokens, that one included.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from spacy.tokens import Doc

from ..bitext import ENTS, ENTS_GROUP, Bitext, LostSpan, SentencePair, is_annotation, span_scores
from ..docs import META, missing_ranges, sentence_ranges
from ..span_links import LINKS_GROUP, End, as_dicts, end_as_dict, get_links

Row = dict[str, Any]
# Scores are not surer than that
_DIGITS = 6


def document_row(doc: Doc) -> Row:
    """A document by itself."""
    return {**_meta(doc), **_side(doc)}


def target_row(target: Doc, bitext: Bitext) -> Row:
    """A target document without the sentences that were left out, with what it is a translation of."""
    whole = len(target) == len(bitext.target)
    return {
        "lang": bitext.target_lang,
        **_meta(bitext.source),
        **_side(target),
        "source": {"lang": bitext.source_lang, **_annotation(bitext.source)},
        **_of_bitext(bitext, target_is_whole=whole),
    }


def bitext_row(bitext: Bitext) -> Row:
    """Both sides of a bitext with the links between their words."""
    links = zip(bitext.alignment.links.tolist(), bitext.alignment.scores.tolist(), strict=True)
    return {
        "lang": bitext.target_lang,
        **_meta(bitext.source),
        **_side(bitext.target),
        "source": {"lang": bitext.source_lang, **_side(bitext.source)},
        **_of_bitext(bitext, target_is_whole=True),
        "pairs": [_pair(pair) for pair in bitext.sentences],
        "links": [{"source": i, "target": j, "score": _number(score)} for (i, j), score in links],
    }


def _meta(doc: Doc) -> Row:
    meta = doc.user_data.get(META)
    return {} if meta is None else {META: meta}


def _side(doc: Doc) -> Row:
    has_sentences = doc.has_annotation("SENT_START")
    return {
        **_annotation(doc),
        "tokens": [
            {
                "id": token.i,
                "text": token.text,
                "start": token.idx,
                "end": token.idx + len(token.text),
                "ws": bool(token.whitespace_),
                "tag": _tag(token.ent_iob_, token.ent_type_),
            }
            for token in doc
        ],
        "sentences": [_range(doc, *one) for one in sentence_ranges(doc)] if has_sentences else None,
    }


def _annotation(doc: Doc) -> Row:
    """Text and spans. What is not known is not the same as what is not there: `spans` is None where nothing is known,
    `annotated` names what is, and `missing` has the tokens of which it is not known whether they are in an entity."""
    groups = {key: list(group) for key, group in doc.spans.items() if is_annotation(key)}
    if doc.has_annotation("ENT_IOB"):
        groups = {ENTS: list(doc.ents), **groups}
    spans = []
    for key, group in groups.items():
        scores = span_scores(doc, ENTS_GROUP if key == ENTS else key)
        for span in group:
            found = _range(doc, span.start, span.end)
            score = _number(scores.get((span.start, span.end, span.label_)))
            more = {"label": span.label_, "key": key, "score": score}
            spans.append({**found, **more, "kb_id": span.kb_id_ or None, "id": span.id_ or None})
    return {
        "text": doc.text,
        "spans": spans if groups else None,
        "annotated": list(groups),
        "missing": [_range(doc, *one) for one in missing_ranges(doc)],
        **(_relations(doc) if LINKS_GROUP in doc.spans else {}),
    }


def _relations(doc: Doc) -> Row:
    """Links between spans, in the form of Prodigy's relations, and records."""
    links = get_links(doc)
    ends = {end: end_as_dict(doc, end) for end in links.ends()}
    relations = [{**link, "score": _number(link["score"])} for link in as_dicts(doc)]
    records = [
        {
            "label": record.label,
            "anchor": ends[record.anchor] if record.anchor else None,
            "roles": [
                {"role": role, **({"span": ends[end]} if isinstance(end, End) else {"record": end})}
                for role, end in record.roles
            ],
        }
        for record in links.records
    ]
    return {"relations": relations, **({"records": records} if records else {}), "relations_complete": links.complete}


def _of_bitext(bitext: Bitext, *, target_is_whole: bool) -> Row:
    lost = []
    for span in bitext.lost:
        doc = bitext.target if span.side == "target" else bitext.source
        # Where sentences were left out, the text has not these places
        known = span.side != "target" or target_is_whole
        lost.append(_lost(doc, span, places=known))
    links = []
    for link in bitext.lost_links:
        doc = bitext.target if link.side == "target" else bitext.source
        known = link.side != "target" or target_is_whole
        ends = {name: _lost_end(doc, end, places=known) for name, end in (("head", link.head), ("child", link.child))}
        links.append({**ends, "label": link.label, "reason": link.reason, "side": link.side})
    return {
        "lost": lost,
        **({"lost_links": links} if links else {}),
        "flags": list(bitext.flags),
        "translation_score": _number(bitext.score),
    }


def _lost(doc: Doc, span: LostSpan, *, places: bool) -> Row:
    found: Row = _range(doc, span.start, span.end)
    if not places:
        found = dict.fromkeys(found)
    text = doc[span.start : span.end].text
    return {**found, "text": text, "label": span.label, "reason": span.reason, "key": span.key, "side": span.side}


def _lost_end(doc: Doc, end: End, *, places: bool) -> Row:
    found = end_as_dict(doc, end)
    return found if places else {**dict.fromkeys(found), **{name: found[name] for name in ("text", "label", "key")}}


def _pair(pair: SentencePair) -> Row:
    ranges = {name: getattr(pair, name) for name in ("source_start", "source_end", "target_start", "target_end")}
    return {**ranges, "score": _number(pair.score), "flags": list(pair.flags)}


def _range(doc: Doc, start: int, end: int) -> dict[str, int]:
    first = doc[start].idx if start < len(doc) else len(doc.text)
    last = doc[end - 1].idx + len(doc[end - 1]) if end > start else first
    return {"start": first, "end": last, "token_start": start, "token_end": end - 1}


def _tag(iob: str, label: str) -> str | None:
    return None if not iob else f"{iob}-{label}" if label else iob


def _number(value: float | None) -> float | None:
    return round(float(value), _DIGITS) if value is not None and isfinite(value) else None
