"""A shard, the unit of a build's work: documents through the components of a pipeline into the contents of files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ..bitext import ENTS_GROUP, Bitext, dropped_pairs, is_candidates, span_scores, training_target
from ..docs import META, sentence_ranges
from ..errors import is_document_error
from ..io import docs_bytes, json_bytes
from ..memory import release_memory
from ..span_links import End, get_links, span_at

TARGET, BITEXT, LOST = "target", "bitext", "lost"
READ, WRITE = "read", "write"
# Documents after which what the C library keeps for later is given back: a quarter of a process by then
DOCS_PER_RELEASE = 2_000
# Characters that are kept of the text of a document that was set aside
KEPT_TEXT = 200


class Corrections(Protocol):
    """What a person said of the bitexts of an earlier build; see `Corrections` in `review.records`."""

    digest: str
    path: Path

    def check_sources(self, docs: Iterable[Doc], where: str | Path) -> None:
        """Raise an XltError if none of the corrections is about one of the documents."""

    def apply(self, bitext: Bitext) -> list[str]:
        """Correct a bitext in place. Returns the ids of the corrections that were applied."""

    def left_over(self, used: Iterable[str]) -> list[int]:
        """The lines of those that were not applied."""


@dataclass(frozen=True)
class Shard:
    """Documents to work on.

    Args:
        name: See `shard_name`.
        data: The documents, as a DocBin's bytes.
        n_docs: How many they are.
        set_aside: Numbers of documents that are not to be processed, and why.
    """

    name: str
    data: bytes
    n_docs: int
    set_aside: Mapping[int, str] = field(default_factory=dict)

    def docs(self, vocab: Vocab) -> Iterator[Doc]:
        """All documents, also those that are set aside."""
        return DocBin().from_bytes(self.data).get_docs(vocab)


@dataclass(frozen=True)
class ShardResult:
    """What a shard became.

    Args:
        shard: Its name.
        files: What to write, by path in the build folder.
        counts: A `ShardCounts` as plain data.
    """

    shard: str
    files: Mapping[str, bytes]
    counts: Mapping[str, Any]


@dataclass
class ShardCounts:
    """Counts of the documents of a shard, or of several.

    Attributes:
        docs: Documents, also those that were set aside.
        sentences: Of the source.
        spans_in: Entities and spans of the input by label.
        spans_projected: Entities and spans of the target by label.
        lost_reasons: Lost spans by reason.
        links_in: Links between spans and records of the input by label; see `SpanLinks.labels`.
        links_projected: Those of the target.
        lost_link_reasons: Lost links and parts of records by reason.
        flags: Sentence pairs by flag.
        sentences_dropped: Sentence pairs left out of `target/`, by flag.
        words_unlinked: Words without a link, of "source" and "target".
        kept: Of `target/`: "sentences", "spans", and the sum of their scores, "score"; of `spacy xlt label` entities by
            the views that have them, and "missing words".
        cache: "hits" and "misses" of the translator's cache.
        corrected: Ids of the sentences whose corrections were applied.
        not_annotated: Sentences that an annotator could not annotate, by the reason.
        failed: Documents that were set aside: their text and the error.
        seconds: Time spent in each stage.
    """

    docs: int = 0
    sentences: int = 0
    spans_in: Counter[str] = field(default_factory=Counter)
    spans_projected: Counter[str] = field(default_factory=Counter)
    lost_reasons: Counter[str] = field(default_factory=Counter)
    links_in: Counter[str] = field(default_factory=Counter)
    links_projected: Counter[str] = field(default_factory=Counter)
    lost_link_reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    sentences_dropped: Counter[str] = field(default_factory=Counter)
    words_unlinked: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    not_annotated: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the keys in a fixed order."""
        return {key: dict(sorted(v.items())) if isinstance(v, Counter) else v for key, v in vars(self).items()}

    def add(self, other: Mapping[str, Any]) -> None:
        """Add what `to_json` of another one gave."""
        self.docs += other["docs"]
        self.sentences += other["sentences"]
        self.failed += other["failed"]
        for key in (name for name, value in vars(self).items() if isinstance(value, Counter)):
            # Lines of earlier versions lack some
            getattr(self, key).update(other.get(key, {}))
        for name, seconds in other["seconds"].items():
            self.spend(name, seconds)

    def spend(self, name: str, seconds: float) -> None:
        """Add to the time spent in a stage."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)

    @property
    def cache_hit_share(self) -> float:
        """The share of translated texts that came from the cache: from 0 to 1."""
        return round(self.cache["hits"] / max(1, self.cache.total()), 4)


class ShardProcessor:
    """Takes shards through a pipeline, whose error handler it sets. Reviewed sentences replace projected ones."""

    def __init__(self, nlp: Language, *, corrections: Corrections | None = None):
        self.nlp = nlp
        self.corrections = corrections
        self._counts = ShardCounts()
        self._docs_since_release: int | None = None
        nlp.set_error_handler(self._set_aside)

    def __call__(self, shard: Shard) -> ShardResult:
        """Process a shard.

        Raises:
            XltError: What is wrong with a setting; a document that fails is set aside.
        """
        if self._docs_since_release is None:
            self._load_models(shard)
        # Words of the shard are forgotten at its end, so that the vocabulary does not grow with the corpus
        with self.nlp.memory_zone():
            result = self._process(shard)
        self._docs_since_release = (self._docs_since_release or 0) + shard.n_docs
        if self._docs_since_release >= DOCS_PER_RELEASE:
            release_memory()
            self._docs_since_release = 0
        return result

    def _load_models(self, shard: Shard) -> None:
        """Load the models with the first document, outside the zone: what they keep in the vocabulary stays there.

        A setting that cannot work stops the build before anything is done, and loading does not count in the speeds.
        """
        docs = list(islice((doc for n, doc in enumerate(shard.docs(self.nlp.vocab)) if n not in shard.set_aside), 1))
        self._counts = ShardCounts()
        for name in self.nlp.pipe_names:
            docs = self._component(name, docs)
        release_memory()
        self._docs_since_release = 0

    def _process(self, shard: Shard) -> ShardResult:
        counts = self._counts = ShardCounts(docs=shard.n_docs)
        start = time.perf_counter()
        docs = []
        for number, doc in enumerate(shard.docs(self.nlp.vocab)):
            if number in shard.set_aside:
                counts.failed.append({"text": doc.text[:KEPT_TEXT], "error": shard.set_aside[number]})
                continue
            docs.append(doc)
            counts.spans_in.update(_labels(doc))
            counts.links_in.update(get_links(doc).labels())
            counts.sentences += len(sentence_ranges(doc))
        counts.spend(READ, time.perf_counter() - start)
        for name in self.nlp.pipe_names:
            docs = self._component(name, docs)
        start = time.perf_counter()
        files = self._files(shard.name, docs)
        counts.spend(WRITE, time.perf_counter() - start)
        return ShardResult(shard.name, files, counts.to_json())

    def _component(self, name: str, docs: list[Doc]) -> list[Doc]:
        """Run one component over all documents, and time it. Those that fail are left out."""
        others = [other for other in self.nlp.pipe_names if other != name]
        pipe = self.nlp.get_pipe(name)
        hits, misses = getattr(pipe, "cache_counts", (0, 0))
        before = Counter(getattr(pipe, "not_annotated", ()))
        start = time.perf_counter()
        docs = list(self.nlp.pipe(docs, disable=others))
        self._counts.spend(name, time.perf_counter() - start)
        hits_now, misses_now = getattr(pipe, "cache_counts", (0, 0))
        self._counts.cache.update(hits=hits_now - hits, misses=misses_now - misses)
        self._counts.not_annotated.update(Counter(getattr(pipe, "not_annotated", ())) - before)
        return docs

    def _set_aside(self, name: str, proc: Any, failed: list[Doc], err: Exception) -> Any:
        if not is_document_error(err):
            raise err
        reason = f"{name}: {type(err).__name__}: {err}"
        self._counts.failed += [{"text": doc.text[:KEPT_TEXT], "error": reason} for doc in failed]

    def _files(self, shard: str, docs: list[Doc]) -> dict[str, bytes]:
        counts = self._counts
        bitexts = [(i, bitext) for i, doc in enumerate(docs) for bitext in doc._.xlt.values()]
        for i, bitext in bitexts:
            if self.corrections is not None and (applied := self.corrections.apply(bitext)):
                counts.corrected.update(applied)
                docs[i]._.xlt[bitext.target_lang] = bitext
        files = {
            f"{BITEXT}/{shard}.spacy": docs_bytes(docs, store_user_data=True),
            f"{LOST}/{shard}.jsonl": b"".join(_lost_lines(i, bitext) for i, bitext in bitexts),
        }
        kept = [(bitext, training_target(bitext)) for _, bitext in bitexts]
        for lang in sorted({bitext.target_lang for bitext, _ in kept}):
            targets = [target for bitext, target in kept if bitext.target_lang == lang]
            has_meta = any(META in target.user_data for target in targets)
            files[f"{TARGET}/{lang}-{shard}.spacy"] = docs_bytes(targets, store_user_data=has_meta)
        for bitext, target in kept:
            n_sentences = len(bitext.sentences) - len(dropped_pairs(bitext))
            n_spans = sum(1 for _ in _labels(target))
            counts.kept.update({"sentences": n_sentences, "spans": n_spans, "score": _scores(target)})
            counts.spans_projected.update(_labels(bitext.target))
            counts.lost_reasons.update(span.reason for span in bitext.lost)
            counts.links_projected.update(get_links(bitext.target).labels())
            counts.lost_link_reasons.update(link.reason for link in bitext.lost_links)
            counts.flags.update(flag for pair in bitext.sentences for flag in pair.flags)
            counts.sentences_dropped.update(reason for _, reason in dropped_pairs(bitext))
            if bitext.aligner:
                counts.words_unlinked.update(dict(zip(("source", "target"), bitext.unlinked, strict=True)))
        return files


def shard_name(number: int) -> str:
    """The name of a shard: the documents from `number * docs_per_shard` on, counted over all files of the input."""
    return f"{number:05d}"


def _scores(target: Doc) -> float:
    """The sum of the scores of projected spans."""
    keys = [key for key in target.spans if not is_candidates(key)]
    return round(sum(score for key in keys for score in span_scores(target, key).values()), 4)


def _labels(doc: Doc) -> Iterator[str]:
    yield from (ent.label_ for ent in doc.ents)
    for key, group in doc.spans.items():
        # Candidates are none that the annotation has
        if key != ENTS_GROUP and not is_candidates(key):
            yield from (span.label_ for span in group)


def _lost_lines(i: int, bitext: Bitext) -> bytes:
    """A line for each lost span, then one for each lost link, with "head" and "child" in the place of a text."""
    where = {"doc": i, "lang": bitext.target_lang}
    docs = {"source": bitext.source, "target": bitext.target}
    lines: list[dict[str, Any]] = []
    for span in bitext.lost:
        lines.append({**where, "text": docs[span.side][span.start : span.end].text, **vars(span)})
    for link in bitext.lost_links:
        ends = {name: _end(docs[link.side], end) for name, end in (("head", link.head), ("child", link.child))}
        lines.append({**where, **ends, "label": link.label, "reason": link.reason, "side": link.side})
    return b"".join(map(json_bytes, lines))


def _end(doc: Doc, end: End) -> dict[str, Any]:
    span = span_at(doc, end)
    return {"text": span.text, "start": span.start, "end": span.end, "label": span.label_, "key": end.key}
