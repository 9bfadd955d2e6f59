"""What happened to spans and sentences in a build: counts, histograms and a few examples of each kind."""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import Any

from spacy.tokens import Doc

from ..bitext import DROP_FLAG, ENTS, ENTS_GROUP, Bitext, SentencePair, is_annotation, span_scores
from ..span_links import get_links, span_at
from ..view.data import Row, rows

SCORE_BINS = 20
# Target words for a source word. Below the first and from the last on are bins of their own.
RATIO_EDGES = tuple(round(2.0 ** (n / 4), 4) for n in range(-8, 9))
# Of each kind: enough to see what goes wrong, few enough for a page.
EXAMPLES = 20
# Pairs in which the longer side has fewer words have extreme ratios without meaning anything.
MIN_WORDS = 5


@dataclass(order=True)
class Example:
    """A sentence pair that shows something.

    Attributes:
        rank: Examples with the lowest ranks are kept.
        shard: Name of its shard.
        doc: Number of its document in the shard, from 0.
        pair: Number of the pair in the document.
        sentence: Number of the pair in the whole build, from 0.
    """

    rank: Any
    shard: str
    doc: int
    lang: str
    pair: int
    sentence: int = field(compare=False)
    row: Row = field(compare=False, repr=False, default_factory=dict)


@dataclass
class LabelStats:
    """Spans of a label in one direction: into the projection, out of it, lost by reason, and scores by bin."""

    put_in: int = 0
    out: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)


@dataclass
class LinkStats:
    """Links between spans, or records or parts of them, of a label in one direction: in, out, lost by reason."""

    put_in: int = 0
    out: int = 0
    lost: Counter[str] = field(default_factory=Counter)


@dataclass
class DirectionStats:
    """A pair of languages: its sentence pairs and their words, spans, links, ratios, scores and flags.

    Attributes:
        spans: By group and label.
        links: By label, see `SpanLinks.labels`.
    """

    pairs: int = 0
    words: list[int] = field(default_factory=lambda: [0, 0])
    spans: dict[tuple[str, str], LabelStats] = field(default_factory=dict)
    links: defaultdict[str, LinkStats] = field(default_factory=lambda: defaultdict(LinkStats))
    ratios: list[int] = field(default_factory=lambda: [0] * (len(RATIO_EDGES) + 1))
    translation_scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    flags: Counter[str] = field(default_factory=Counter)

    def label(self, key: str, label: str) -> LabelStats:
        """The counts of a label in a span group."""
        return self.spans.setdefault((key, label), LabelStats())

    def to_json(self) -> dict[str, Any]:
        """Plain data with sorted keys."""
        spans: dict[str, dict[str, Any]] = {}
        for (key, label), s in sorted(self.spans.items()):
            counts = {"in": s.put_in, "out": s.out, "lost": dict(sorted(s.lost.items())), "scores": s.scores}
            spans.setdefault(key, {})[label] = counts
        return {
            "pairs": self.pairs,
            "words": self.words,
            "spans": spans,
            "links": {
                label: {"in": s.put_in, "out": s.out, "lost": dict(sorted(s.lost.items()))}
                for label, s in sorted(self.links.items())
            },
            "ratios": self.ratios,
            "translation_scores": self.translation_scores,
            "flags": dict(sorted(self.flags.items())),
        }


class BuildStats:
    """Counts one bitext after another.

    Args:
        backwards: Whether annotation was projected from the target to the source.
    """

    def __init__(self, *, backwards: bool = False):
        self.backwards = backwards
        self.sentences = 0
        self.directions: dict[str, DirectionStats] = {}
        self.examples: dict[str, list[Example]] = {}

    def add(self, shard: str, doc: int, bitext: Bitext) -> None:
        """Count a bitext."""
        stats = self.directions.setdefault(f"{bitext.source_lang} → {bitext.target_lang}", DirectionStats())
        numbered: list[Row] = []

        def keep(kind: str, pair: int, rank: Any = None) -> None:
            """Keep a pair as an example if it is among the lowest ranks; a random but repeatable one if left out."""
            if rank is None:
                what = repr((shard, doc, bitext.target_lang, kind, pair)).encode("utf8")
                rank = hashlib.blake2b(what, digest_size=6).hexdigest()
            example = Example(rank, shard, doc, bitext.target_lang, pair, self.sentences + pair)
            kept = self.examples.setdefault(kind, [])
            if len(kept) == EXAMPLES and not example < kept[-1]:
                return
            if not numbered:
                numbered.extend(rows(bitext, doc=doc))
            example.row = numbered[pair]
            self.examples[kind] = heapq.nsmallest(EXAMPLES, [*kept, example])

        self._add_spans(stats, bitext, keep)
        self._add_links(stats, bitext, keep)
        words = [_words_before(bitext.source), _words_before(bitext.target)]
        for n, pair in enumerate(bitext.sentences):
            self._add_pair(stats, n, pair, words, keep)
        self.sentences += len(bitext.sentences)

    def _add_spans(self, stats: DirectionStats, bitext: Bitext, keep: Callable[..., None]) -> None:
        given, made = (bitext.target, bitext.source) if self.backwards else (bitext.source, bitext.target)
        sides = [(pair.target_start, pair.source_start) for pair in bitext.sentences]
        given_starts, made_starts = zip(*(sides if self.backwards else [(b, a) for a, b in sides]), strict=True)
        for key, label, _, _ in _spans(given):
            stats.label(key, label).put_in += 1
        for span in bitext.lost:
            stats.label(span.key, span.label).lost[span.reason] += 1
            keep(f"lost: {span.reason}", max(0, bisect_right(given_starts, span.start) - 1))
        for key, label, start, score in _spans(made):
            counts = stats.label(key, label)
            counts.out += 1
            if score is not None:
                counts.scores[score_bin(score)] += 1
                keep("least sure", max(0, bisect_right(made_starts, start) - 1), score)

    def _add_links(self, stats: DirectionStats, bitext: Bitext, keep: Callable[..., None]) -> None:
        given, made = (bitext.target, bitext.source) if self.backwards else (bitext.source, bitext.target)
        for label in get_links(given).labels():
            stats.links[label].put_in += 1
        for label in get_links(made).labels():
            stats.links[label].out += 1
        starts = [pair.target_start if self.backwards else pair.source_start for pair in bitext.sentences]
        for link in bitext.lost_links:
            stats.links[link.label].lost[link.reason] += 1
            head = span_at(given, link.head)
            keep(f"lost link: {link.reason}", max(0, bisect_right(starts, head.start) - 1))

    def _add_pair(
        self, stats: DirectionStats, n: int, pair: SentencePair, words: list[list[int]], keep: Callable[..., None]
    ) -> None:
        source, target = (
            before[end] - before[start] for before, (start, end) in zip(words, (pair.source, pair.target), strict=True)
        )
        stats.pairs += 1
        stats.words = [stats.words[0] + source, stats.words[1] + target]
        if source or target:
            ratio = target / source if source else float("inf")
            stats.ratios[bisect_right(RATIO_EDGES, ratio)] += 1
            if max(source, target) >= MIN_WORDS:
                keep("longest translations", n, -(target + 1) / (source + 1))
                keep("shortest translations", n, (target + 1) / (source + 1))
        if pair.score is not None and isfinite(pair.score):
            stats.translation_scores[score_bin(exp(min(0.0, pair.score)))] += 1
        for flag in pair.flags:
            if flag != DROP_FLAG:
                stats.flags[flag] += 1
                keep(f"flag: {flag}", n)


def score_bin(score: float) -> int:
    """The bin of a score from 0 to 1."""
    return max(0, min(SCORE_BINS - 1, int(score * SCORE_BINS)))


def _spans(doc: Doc) -> Iterator[tuple[str, str, int, float | None]]:
    """Key, label, first token and score of entities and of the spans of groups."""
    scores = span_scores(doc, ENTS_GROUP)
    for ent in doc.ents:
        yield ENTS, ent.label_, ent.start, scores.get((ent.start, ent.end, ent.label_))
    for key in doc.spans:
        if is_annotation(key):
            scores = span_scores(doc, key)
            for span in doc.spans[key]:
                yield key, span.label_, span.start, scores.get((span.start, span.end, span.label_))


def _words_before(doc: Doc) -> list[int]:
    """For each place between tokens the number of words before it; white space is no word."""
    counts = [0]
    for token in doc:
        counts.append(counts[-1] + (not token.is_space))
    return counts
