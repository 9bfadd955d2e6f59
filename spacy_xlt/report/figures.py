"""The figures of a build report, counted one bitext at a time: counts and histograms, never lists of everything."""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from math import exp, isfinite
from typing import Any

from spacy.tokens import Doc

from ..bitext import DROP_FLAG, ENTS, ENTS_GROUP, Bitext, LostSpan, SentencePair, is_candidates, span_scores

FIGURES_FORMAT = 1
SCORE_BINS = 20
# Target words for a source word. Below the first and from the last on are bins of their own.
RATIO_EDGES = tuple(round(2.0 ** (n / 4), 4) for n in range(-8, 9))
# Of each kind: enough to see what goes wrong, few enough for a page.
EXAMPLES = 20
# Pairs in which the longer side has fewer words have extreme ratios without meaning anything.
LEAST_WORDS = 5

# rank, shard, document in the shard, target language, sentence pair in the document, sentence in the shard
Example = list[Any]


class Figures:
    """What happened to spans and sentences. Figures of shards add up to those of the build.

    shard (str): Name of the shard, which the examples say they are from.
    backwards (bool): Whether annotation was projected from the target to the source.
    """

    def __init__(self, shard: str = "", *, backwards: bool = False):
        self.shard = shard
        self.backwards = backwards
        self.sentences = 0
        self.directions: dict[str, dict[str, Any]] = {}
        self.examples: dict[str, list[Example]] = {}

    def add(self, number: int, bitext: Bitext) -> None:
        """Count a bitext.

        number (int): Number of its document in the shard, from 0.
        """
        found = self.directions.setdefault(f"{bitext.source_lang} → {bitext.target_lang}", _nothing())
        place = (number, bitext.target_lang)
        given, made = (bitext.target, bitext.source) if self.backwards else (bitext.source, bitext.target)
        for key, label, _, _ in _spans(given):
            _label(found, key, label)["in"] += 1
        starts = [(pair.target_start if self.backwards else pair.source_start) for pair in bitext.sentences]
        for span in bitext.lost:
            self._add_lost(found, span, place, max(0, bisect_right(starts, span.start) - 1))
        starts = [(pair.source_start if self.backwards else pair.target_start) for pair in bitext.sentences]
        for key, label, start, score in _spans(made):
            counts = _label(found, key, label)
            counts["out"] += 1
            if score is not None:
                counts["scores"][score_bin(score)] += 1
                self._keep("least sure", [score], (*place, max(0, bisect_right(starts, start) - 1)))
        words = [_words(bitext.source), _words(bitext.target)]
        for n, pair in enumerate(bitext.sentences):
            self._add_pair(found, pair, words, (*place, n))
        self.sentences += len(bitext.sentences)

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add what `to_json` of another one gave."""
        self.sentences += other["sentences"]
        for name, theirs in other["directions"].items():
            ours = self.directions.setdefault(name, _nothing())
            ours["pairs"] += theirs["pairs"]
            for key in ("words", "ratios", "translation_scores"):
                ours[key] = [a + b for a, b in zip(ours[key], theirs[key], strict=True)]
            ours["flags"].update(theirs["flags"])
            for key, labels in theirs["spans"].items():
                for label, counts in labels.items():
                    mine = _label(ours, key, label)
                    mine["in"] += counts["in"]
                    mine["out"] += counts["out"]
                    mine["lost"].update(counts["lost"])
                    mine["scores"] = [a + b for a, b in zip(mine["scores"], counts["scores"], strict=True)]
        for kind, examples in other["examples"].items():
            kept = self.examples.get(kind, [])
            self.examples[kind] = sorted([*kept, *examples])[:EXAMPLES]

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the keys in a fixed order."""
        return {
            "format": FIGURES_FORMAT,
            "sentences": self.sentences,
            "directions": _plain(self.directions),
            "examples": {kind: sorted(self.examples[kind]) for kind in sorted(self.examples)},
        }

    def _add_lost(self, found: dict[str, Any], span: LostSpan, place: tuple[int, str], pair: int) -> None:
        _label(found, span.key, span.label)["lost"][span.reason] += 1
        self._keep(f"lost: {span.reason}", [self._draw(*place, span.key, span.start, span.end)], (*place, pair))

    def _add_pair(
        self, found: dict[str, Any], pair: SentencePair, words: list[list[int]], place: tuple[int, str, int]
    ) -> None:
        source, target = (
            of_doc[end] - of_doc[start] for of_doc, (start, end) in zip(words, (pair.source, pair.target), strict=True)
        )
        found["pairs"] += 1
        found["words"] = [found["words"][0] + source, found["words"][1] + target]
        if source or target:
            ratio = target / source if source else float("inf")
            found["ratios"][bisect_right(RATIO_EDGES, ratio)] += 1
            if max(source, target) >= LEAST_WORDS:
                self._keep("longest translations", [-(target + 1) / (source + 1)], place)
                self._keep("shortest translations", [(target + 1) / (source + 1)], place)
        if pair.score is not None and isfinite(pair.score):
            found["translation_scores"][score_bin(exp(min(0.0, pair.score)))] += 1
        for flag in pair.flags:
            if flag == DROP_FLAG:
                continue
            found["flags"][flag] += 1
            self._keep(f"flag: {flag}", [self._draw(*place, flag)], place)

    def _draw(self, *what: Any) -> str:
        # A random draw that is the same each time, and whatever else is in the corpus
        return hashlib.blake2b(repr((self.shard, *what)).encode("utf8"), digest_size=6).hexdigest()

    def _keep(self, kind: str, rank: list[Any], place: tuple[int, str, int]) -> None:
        """Keep an example if it is among those of the lowest ranks."""
        number, lang, pair = place
        example = [*rank, self.shard, number, lang, pair, self.sentences + pair]
        kept = self.examples.setdefault(kind, [])
        if len(kept) < EXAMPLES:
            kept.append(example)
            kept.sort()
        elif example < kept[-1]:
            self.examples[kind] = heapq.nsmallest(EXAMPLES, [*kept, example])


def score_bin(score: float) -> int:
    """The bin of a score from 0 to 1."""
    return max(0, min(SCORE_BINS - 1, int(score * SCORE_BINS)))


def _nothing() -> dict[str, Any]:
    return {
        "pairs": 0,
        "words": [0, 0],
        "spans": {},
        "ratios": [0] * (len(RATIO_EDGES) + 1),
        "translation_scores": [0] * SCORE_BINS,
        "flags": Counter(),
    }


def _label(found: dict[str, Any], key: str, label: str) -> dict[str, Any]:
    labels: dict[str, Any] = found["spans"].setdefault(key, {})
    if label not in labels:
        labels[label] = {"in": 0, "out": 0, "lost": Counter(), "scores": [0] * SCORE_BINS}
    counts: dict[str, Any] = labels[label]
    return counts


def _spans(doc: Doc) -> Iterator[tuple[str, str, int, float | None]]:
    """Key, label, first token and score of entities and of the spans of groups."""
    scores = span_scores(doc, ENTS_GROUP)
    for ent in doc.ents:
        yield ENTS, ent.label_, ent.start, scores.get((ent.start, ent.end, ent.label_))
    for key in doc.spans:
        if key == ENTS_GROUP or is_candidates(key):
            continue
        scores = span_scores(doc, key)
        for span in doc.spans[key]:
            yield key, span.label_, span.start, scores.get((span.start, span.end, span.label_))


def _words(doc: Doc) -> list[int]:
    """For each place between tokens the number of words before it; white space is no word."""
    counts = [0]
    for token in doc:
        counts.append(counts[-1] + (not token.is_space))
    return counts


def _plain(data: Any) -> Any:
    return {key: _plain(data[key]) for key in sorted(data)} if isinstance(data, dict) else data
