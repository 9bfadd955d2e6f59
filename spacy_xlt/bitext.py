"""The Bitext: two documents that say the same thing, how their words correspond, and its stored form on a Doc."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span, SpanGroup

from .docs import META, missing_ranges, sentence_ranges, with_vocab, without
from .errors import XltError, error
from .languages import MULTI, to_spacy, vocab_of
from .links import Alignment
from .span_links import ENTS, LINKS_GROUP, End
from .tokens import has_text

__all__ = ["ENTS", "Alignment", "Bitext", "BitextStore", "LostLink", "LostSpan", "SentencePair"]

STORED_FORMAT = 1
USER_DATA_KEY = "xlt"
# The span group that mirrors projected entities, because `doc.ents` has no room for scores.
ENTS_GROUP = "xlt_ents"
# The span group of entities that an annotator holds possible, with their probabilities.
CANDIDATES_GROUP = "xlt_candidates"
# Why a span is not there, and what is said of a sentence, that a person has corrected
REVIEWED = "reviewed"
# Why a span or a link was lost.
REASONS = {
    "empty": "the source span has no tokens",
    "no_links": "no word of the span is linked, and nothing else says where it went",
    "low_score": "its place is less sure than the projector's `min_score`",
    "markers_lost": "its markers did not survive translation, or what they held is not in the target",
    "no_candidate": "no words of the target could be its translation",
    "no_answer": "the language model has no answer for it: it refused, or was cut off, or answered in another form",
    "too_long": "its sentence is longer than the projector can read",
    "no_agreement": "the projectors that voted do not agree on its place",
    "overlap": "another entity has a better claim to its place: it is in the span group, but not in `doc.ents`",
    "same_words": "both ends of the link came to the same words",
    "not_projected": "an end of the link is in a group that is not projected",
    "dropped": "an end of the link is in a sentence that is left out",
    REVIEWED: "who reviewed the sentence took it away",
}
# Flag of the sentence pairs that are to be left out of the training corpus; the flag before it says why.
DROP_FLAG = "dropped"


@dataclass(frozen=True)
class SentencePair:
    """A sentence of the source and its translation, as token ranges `[start, end)` of the two docs.

    Attributes:
        score: Mean log-probability (natural) a piece, from the translator.
        flags: What makes the translation doubtful.
    """

    source_start: int
    source_end: int
    target_start: int
    target_end: int
    score: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def source(self) -> tuple[int, int]:
        return self.source_start, self.source_end

    @property
    def target(self) -> tuple[int, int]:
        return self.target_start, self.target_end

    def transpose(self) -> SentencePair:
        """The same pair with source and target exchanged."""
        return replace(
            self,
            source_start=self.target_start,
            source_end=self.target_end,
            target_start=self.source_start,
            target_end=self.source_end,
        )


@dataclass(frozen=True)
class LostSpan:
    """A source span that could not be carried over, and why.

    Attributes:
        start: First token in the source doc, or in the target doc for `side` "target".
        end: The token behind the last one.
        reason: A key of `REASONS`, such as "no_links".
        key: "ents", or the key of its span group.
        side: "target" where annotation was projected from the target to the source.
    """

    start: int
    end: int
    label: str
    reason: str
    key: str = ENTS
    side: str = "source"


@dataclass(frozen=True)
class LostLink:
    """A link of the source that could not be carried over, or a part of a record, and why.

    Attributes:
        head: Its ends in the source; of a record the anchor and what was lost.
        label: Of a record its type, with the role behind a dot.
        reason: That of a lost end, a key of `REASONS`; "same_words", "not_projected".
        side: "target" where annotation was projected from the target to the source; then the ends are the target's.
    """

    head: End
    child: End
    label: str
    reason: str
    side: str = "source"


@dataclass
class Bitext:
    """One source Doc and one target Doc that say the same thing.

    Attributes:
        alignment: Word links between them, token indices of the docs.
        source_lang: spaCy's code of the source language; taken from the doc where left out.
        target_lang: spaCy's code of the target language; taken from the doc where left out.
        sentences: Which sentence corresponds to which; the whole docs as one pair where left out.
        engine: Signature of what made the target; "" for a given bitext.
        aligner: Signature of what made the links; "" before that.
        projector: Signature of what made the annotation; "" before that.
        attention: Soft links that came with the translation, scores are attention weights.
        lost: Spans of the source that could not be projected.
        lost_links: Links between spans that could not.

    Raises:
        XltError: E002 for links and E006 for sentences outside the docs.
    """

    source: Doc
    target: Doc
    alignment: Alignment = field(default_factory=Alignment)
    source_lang: str = ""
    target_lang: str = ""
    sentences: list[SentencePair] = field(default_factory=list)
    engine: str = ""
    aligner: str = ""
    projector: str = ""
    attention: Alignment | None = None
    lost: list[LostSpan] = field(default_factory=list)
    lost_links: list[LostLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source_lang = self.source_lang or self.source.lang_ or MULTI
        self.target_lang = self.target_lang or self.target.lang_ or MULTI
        if not self.sentences:
            self.sentences = [SentencePair(0, len(self.source), 0, len(self.target))]
        for pair in self.sentences:
            inside = 0 <= pair.source_start <= pair.source_end <= len(self.source)
            if not inside or not 0 <= pair.target_start <= pair.target_end <= len(self.target):
                raise error("E006", pair=pair, n_source=len(self.source), n_target=len(self.target))
        self.alignment.check(len(self.source), len(self.target))
        if self.attention is not None:
            self.attention.check(len(self.source), len(self.target))

    @classmethod
    def of_docs(cls, source: Doc, target: Doc) -> Bitext:
        """A bitext of a doc and a translation that is there already, sentence by sentence where both have equally many.

        The target is a copy with tokens and sentences, and no annotation.
        """
        bitext = cls(source, with_vocab(target, target.vocab))
        if source.has_annotation("SENT_START") and target.has_annotation("SENT_START"):
            firsts, seconds = list(source.sents), list(target.sents)
            if len(firsts) == len(seconds):
                pairs = zip(firsts, seconds, strict=True)
                bitext.sentences = [SentencePair(a.start, a.end, b.start, b.end) for a, b in pairs]
        return bitext

    def __repr__(self) -> str:
        """One line: the first sentence of both sides, with the spans in brackets."""
        from .view.terminal import in_a_line

        return in_a_line(self)

    def __str__(self) -> str:
        """The first sentence pairs, as `spacy xlt view --text` shows them."""
        from .view.terminal import in_short

        return in_short(self)

    def _repr_html_(self) -> str:
        """The side-by-side view, for notebooks."""
        from .view.render import render

        return str(render(self, page=False, jupyter=False, height=240))

    @property
    def flags(self) -> tuple[str, ...]:
        """All flags of its sentences, each once, sorted."""
        return tuple(sorted({flag for pair in self.sentences for flag in pair.flags}))

    @property
    def score(self) -> float | None:
        """Mean of its sentences' scores, weighted by their target tokens; None where no sentence has one."""
        scored = [(p.score, max(1, p.target_end - p.target_start)) for p in self.sentences if p.score is not None]
        if not scored:
            return None
        values, weights = zip(*scored, strict=True)
        return float(np.average(values, weights=weights))

    @property
    def unlinked(self) -> tuple[int, int]:
        """How many words of the source, and of the target, have no link; tokens without text don't count."""
        linked = [set(column.tolist()) for column in self.alignment.links.T]
        docs = (self.source, self.target)
        source, target = (
            sum(token.i not in with_link and has_text(token.text) for token in doc)
            for doc, with_link in zip(docs, linked, strict=True)
        )
        return source, target

    def transpose(self) -> Bitext:
        """The same bitext seen from the other side: source and target exchanged. The docs are not copied.

        What was lost is not carried over, as it belongs to one direction of projecting.
        """
        return Bitext(
            source=self.target,
            target=self.source,
            alignment=self.alignment.transpose(),
            source_lang=self.target_lang,
            target_lang=self.source_lang,
            sentences=[pair.transpose() for pair in self.sentences],
            engine=self.engine,
            aligner=self.aligner,
            attention=None if self.attention is None else self.attention.transpose(),
        )

    def to_stored(self) -> dict[str, Any]:
        """Plain JSON-able data that is everything but the source doc."""
        stored = {
            "format": STORED_FORMAT,
            "n_source": len(self.source),
            "source_lang": self.source_lang,
            "target_lang": self.target_lang,
            "target": _doc_to_stored(self.target),
            "alignment": self.alignment.to_stored(),
            "sentences": [[*p.source, *p.target, p.score, list(p.flags)] for p in self.sentences],
            "engine": self.engine,
            "aligner": self.aligner,
            "projector": self.projector,
            "lost": [[s.start, s.end, s.label, s.reason, s.key, s.side] for s in self.lost],
        }
        if self.lost_links:
            stored["lost_links"] = [[list(k.head), list(k.child), k.label, k.reason, k.side] for k in self.lost_links]
        if self.attention is not None:
            stored["attention"] = self.attention.to_stored()
        return stored

    @classmethod
    def from_stored(cls, source: Doc, data: dict[str, Any]) -> Bitext:
        """Build a Bitext, and its target Doc, from its stored form.

        Raises:
            XltError: E004 for data of a newer version, E007 where the document was tokenised again since, E008 for an
                unknown language.
        """
        if data.get("format", 0) > STORED_FORMAT:
            raise error("E004", found=data["format"], known=STORED_FORMAT)
        if data["n_source"] != len(source):
            raise error("E007", expected=data["n_source"], found=len(source))
        for code in (data["source_lang"], data["target_lang"]):
            try:
                to_spacy(code)
            except XltError as err:
                raise error("E008", code=code) from err
        attention = data.get("attention")
        return cls(
            source=source,
            target=_doc_from_stored(data["target"], data["target_lang"]),
            alignment=Alignment.from_stored(data["alignment"]),
            source_lang=data["source_lang"],
            target_lang=data["target_lang"],
            sentences=[
                SentencePair(source_start, source_end, target_start, target_end, score, tuple(flags))
                for source_start, source_end, target_start, target_end, score, flags in data["sentences"]
            ],
            engine=data["engine"],
            aligner=data["aligner"],
            projector=data["projector"],
            attention=None if attention is None else Alignment.from_stored(attention),
            lost=[LostSpan(*span) for span in data["lost"]],
            lost_links=[LostLink(End(*head), End(*child), *rest) for head, child, *rest in data.get("lost_links", ())],
        )


class BitextStore(MutableMapping[str, Bitext]):
    """`doc._.xlt`: language code → Bitext, kept as plain data in `doc.user_data`.

    A Bitext is built anew each time one is asked for. Changes to it are kept when it is put back:
    `doc._.xlt["pt"] = bitext`.
    """

    def __init__(self, doc: Doc):
        self._doc = doc

    @property
    def _stored(self) -> dict[str, Any]:
        return self._doc.user_data.get(USER_DATA_KEY) or {}

    def __getitem__(self, lang: str) -> Bitext:
        stored = self._stored.get(lang) or self._stored.get(to_spacy(lang))
        if stored is None:
            raise KeyError(str(error("E005", lang=lang, known=", ".join(self._stored) or "none")))
        return Bitext.from_stored(self._doc, stored)

    def __setitem__(self, lang: str, bitext: Bitext) -> None:
        # A new dict: `Doc.copy` shares the old one with the copy.
        self._doc.user_data[USER_DATA_KEY] = {**self._stored, to_spacy(lang): bitext.to_stored()}

    def __delitem__(self, lang: str) -> None:
        kept = {key: value for key, value in self._stored.items() if key != to_spacy(lang)}
        if len(kept) == len(self._stored):
            raise KeyError(lang)
        self._doc.user_data[USER_DATA_KEY] = kept

    def __contains__(self, lang: object) -> bool:
        return isinstance(lang, str) and (lang in self._stored or to_spacy(lang) in self._stored)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        return f"BitextStore({', '.join(self)})"


Doc.set_extension("xlt", getter=BitextStore, force=True)


def candidates_group(spans_key: str | None = None) -> str:
    """The span group of what an annotator holds possible, entities or the spans of another group."""
    return CANDIDATES_GROUP if spans_key is None else f"{CANDIDATES_GROUP}:{spans_key}"


def is_candidates(key: str) -> bool:
    """Whether a span group has what is only possible, and not annotation."""
    return key.split(":")[0] == CANDIDATES_GROUP


def is_annotation(key: str) -> bool:
    """Whether a span group is annotation: not the one that mirrors entities, not what is only possible, no links."""
    return key not in (ENTS_GROUP, LINKS_GROUP) and not is_candidates(key)


def dropped_pairs(bitext: Bitext) -> list[tuple[SentencePair, str]]:
    """The sentence pairs that are left out of the projected corpus, each with the flag that says why."""
    return [
        (pair, pair.flags[max(0, pair.flags.index(DROP_FLAG) - 1)])
        for pair in bitext.sentences
        if DROP_FLAG in pair.flags
    ]


def training_target(bitext: Bitext) -> Doc:
    """The target doc without the sentences that are left out, with the metadata of its source; see `dropped_pairs`."""
    dropped = [pair.target for pair, _ in dropped_pairs(bitext)]
    target = without(bitext.target, dropped) if dropped else bitext.target
    if META in bitext.source.user_data:
        target.user_data[META] = bitext.source.user_data[META]
    return target


def span_scores(doc: Doc, key: str) -> dict[tuple[int, int, str], float]:
    """The scores that a projector left in a span group: (start, end, label) → score. What is no number is left out."""
    group = doc.spans.get(key)
    scores = None if group is None else group.attrs.get("scores")
    if group is None or not isinstance(scores, (list, tuple)):
        return {}
    pairs = zip(group, scores, strict=False)
    return {(s.start, s.end, s.label_): float(n) for s, n in pairs if isinstance(n, Real) and isfinite(n)}


def _span_to_stored(span: Span) -> list[Any]:
    return [span.start, span.end, span.label_, span.kb_id_, span.id_]


def _span_from_stored(doc: Doc, data: Sequence[Any]) -> Span:
    start, end, label, kb_id, span_id = data
    return Span(doc, start, end, label=label, kb_id=kb_id, span_id=span_id)


def _doc_to_stored(doc: Doc) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "words": [token.text for token in doc],
        "spaces": "".join("1" if token.whitespace_ else "0" for token in doc),
        "sents": [start for start, _ in sentence_ranges(doc)] if doc.has_annotation("SENT_START") else None,
        "ents": None,
        "spans": {
            key: {"spans": [_span_to_stored(span) for span in group], "attrs": dict(group.attrs)}
            for key, group in doc.spans.items()
        },
        "cats": dict(doc.cats),
    }
    if doc.has_annotation("ENT_IOB"):
        stored["ents"] = [_span_to_stored(span) for span in doc.ents]
        stored["missing"] = [list(r) for r in missing_ranges(doc)]
    return stored


def _doc_from_stored(data: dict[str, Any], lang: str) -> Doc:
    words = list(data["words"])
    starts: list[bool | int | None] | None = None
    if data["sents"] is not None:
        first = set(data["sents"])
        starts = [i in first for i in range(len(words))]
    doc = Doc(vocab_of(lang), words=words, spaces=[c == "1" for c in data["spaces"]], sent_starts=starts)
    doc.cats = dict(data["cats"])
    if data["ents"] is not None:
        ents = [_span_from_stored(doc, span) for span in data["ents"]]
        missing = [doc[start:end] for start, end in data["missing"]]
        doc.set_ents(ents, missing=missing, default="outside")
    for key, group in data["spans"].items():
        attrs = {name: list(v) if isinstance(v, tuple) else v for name, v in group["attrs"].items()}
        spans = [_span_from_stored(doc, span) for span in group["spans"]]
        doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=spans)
    return doc
