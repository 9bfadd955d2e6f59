"""A shard through the components of a pipeline: documents in, the contents of files out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..bitext import ENTS_GROUP, Bitext, dropped_pairs, training_target
from ..docs import sentence_ranges
from ..errors import is_document_error
from ..io import docs_bytes
from ..memory import give_back, keep_little, trim
from ..review.records import Corrections
from .overlapping import OverlappedStages, Stage
from .sharding import BITEXT, LOST, TARGET, Built, Shard, ShardCounts
from .threads import ThreadSettings, torch_threads

# Documents after which spaCy forgets the words that it has taken into the pipeline's vocabulary. They are few megabytes
DOCS_PER_ZONE = 10_000
# Documents after which what the C library keeps for later is given back: a quarter of a process by then
DOCS_PER_TRIM = 2_000
READ, WRITE = "read", "write"
# Shards that wait between the stages
WAITING = 2
# Characters that are kept of the text of a document that was set aside
KEPT_TEXT = 200


@dataclass
class _Work:
    """A shard on its way through the stages."""

    shard: Shard
    docs: list[Doc] = field(default_factory=list)
    counts: ShardCounts = field(default_factory=ShardCounts)


class ShardProcessor:
    """Takes shards through a pipeline, several at a time: each component in a thread of its own.

    nlp (Language): The pipeline. Its error handler is set.
    corrections (Corrections | None): What was reviewed replaces what is projected.
    """

    def __init__(self, nlp: Language, *, corrections: Corrections | None = None):
        self.nlp = nlp
        self.corrections = corrections
        self._drop = frozenset(flag for _, pipe in nlp.pipeline for flag in getattr(pipe, "drop_flags", ()))
        # The work that a thread is at, for the error handler
        self._now = threading.local()
        nlp.set_error_handler(self._set_aside)
        components: list[Stage] = [partial(self._component, name) for name in nlp.pipe_names]
        self._stages: list[Stage] = [self._read, *components, self._collect]
        self._line: OverlappedStages | None = None
        self._zone = ExitStack()
        self._settings = ThreadSettings()
        self._docs_in_zone = 0
        self._docs_since_trim = 0
        self._is_warm = False
        keep_little()

    @property
    def capacity(self) -> int:
        """How many shards are worked on at once, or wait to be."""
        return len(self._stages) + WAITING

    def _warm_up(self, shard: Shard) -> None:
        """Load the models with the first document of a shard.

        A setting that cannot work stops the build before anything is done, and loading does not count in the speeds.
        """
        self._settings.give()
        work = _Work(shard, list(islice(shard.docs(self.nlp.vocab), 1)))
        for name in self.nlp.pipe_names:
            work = self._component(name, work)
        give_back()
        self._is_warm = True

    def submit(self, shard: Shard) -> Future[Built]:
        """Work on a shard; waits while there are `capacity` of them. To be called from one thread only.

        RETURNS (Future[Built]): What became of it, or the error about a setting.
        RAISES (XltError): With the first shard, for which the models are loaded: what is wrong with a setting.
        """
        if not self._is_warm:
            self._warm_up(shard)
        if self._docs_in_zone >= DOCS_PER_ZONE:
            # What is in the line has its words in the old zone, so it has to be empty
            self.close()
            give_back()
        if self._line is None:
            self._zone.enter_context(self.nlp.memory_zone())
            give = partial(self._settings.give, n_threads=torch_threads())
            self._line = OverlappedStages(self._stages, waiting=WAITING, at_start=give)
        self._docs_in_zone += shard.n_docs
        self._docs_since_trim += shard.n_docs
        if self._docs_since_trim >= DOCS_PER_TRIM:
            self._docs_since_trim = 0
            trim()
        return self._line.submit(_Work(shard))

    def close(self, *, now: bool = False) -> None:
        """End the threads; `now`: without finishing what is begun."""
        if self._line is not None:
            self._line.close(now=now)
            self._line = None
        self._zone.close()
        self._docs_in_zone = 0

    def _read(self, work: _Work) -> _Work:
        start = time.perf_counter()
        counts = work.counts
        counts.docs = work.shard.n_docs
        for number, doc in work.shard.numbered_docs(self.nlp.vocab):
            if reason := work.shard.set_aside.get(number):
                counts.failed.append({"text": doc.text[:KEPT_TEXT], "error": reason})
            else:
                work.docs.append(doc)
        for doc in work.docs:
            counts.spans_in.update(_labels(doc))
            counts.sentences += len(sentence_ranges(doc))
        counts.spend(READ, time.perf_counter() - start)
        return work

    def _component(self, name: str, work: _Work) -> _Work:
        """Run one component over a whole shard, and time it."""
        self._now.work, self._now.component = work, name
        others = [other for other in self.nlp.pipe_names if other != name]
        pipe = self.nlp.get_pipe(name)
        before = getattr(pipe, "cache_counts", (0, 0))
        start = time.perf_counter()
        work.docs = list(self.nlp.pipe(self._until_stopped(work.docs), disable=others))
        work.counts.spend(name, time.perf_counter() - start)
        after = getattr(pipe, "cache_counts", (0, 0))
        work.counts.cache.update(hits=after[0] - before[0], misses=after[1] - before[1])
        return work

    def _until_stopped(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        for doc in docs:
            if self._line is not None and self._line.stopping.is_set():
                raise CancelledError
            yield doc

    def _set_aside(self, name: str, proc: Any, failed: list[Doc], err: Exception) -> Any:
        if not is_document_error(err):
            raise err
        reason = f"{name}: {type(err).__name__}: {err}"
        self._now.work.counts.failed += [{"text": doc.text[:KEPT_TEXT], "error": reason} for doc in failed]

    def _collect(self, work: _Work) -> Built:
        start = time.perf_counter()
        bitexts = self._bitexts(work)
        files = self._files(work, bitexts)
        return Built(work.shard.id, files, work.counts.to_json())

    def _bitexts(self, work: _Work) -> list[tuple[int, Bitext]]:
        """The bitexts of a shard, each with the number of its document, with the corrections in them."""
        bitexts = [(i, bitext) for i, doc in enumerate(work.docs) for bitext in doc._.xlt.values()]
        if self.corrections is not None:
            for i, bitext in bitexts:
                if done := self.corrections.apply(bitext):
                    work.counts.corrected.update(done)
                    work.docs[i]._.xlt[bitext.target_lang] = bitext
        return bitexts

    def _files(self, work: _Work, bitexts: list[tuple[int, Bitext]]) -> dict[str, bytes]:
        shard, counts = work.shard.id, work.counts
        files = {
            f"{BITEXT}/{shard}.spacy": docs_bytes(work.docs, store_user_data=True),
            f"{LOST}/{shard}.jsonl": "".join(_lost_line(i, bitext) for i, bitext in bitexts).encode("utf8"),
        }
        for lang in sorted({bitext.target_lang for _, bitext in bitexts}):
            targets = [training_target(bitext, self._drop) for _, bitext in bitexts if bitext.target_lang == lang]
            files[f"{TARGET}/{lang}-{shard}.spacy"] = docs_bytes(targets)
        for _, bitext in bitexts:
            counts.spans_projected.update(_labels(bitext.target))
            counts.lost_reasons.update(span.reason for span in bitext.lost)
            counts.flags.update(flag for pair in bitext.sentences for flag in pair.flags)
            counts.sentences_dropped.update(reason for _, reason in dropped_pairs(bitext, self._drop))
            if bitext.aligner:
                counts.words_unlinked.update(dict(zip(("source", "target"), bitext.unlinked, strict=True)))
        return files


def _labels(doc: Doc) -> Iterator[str]:
    yield from (ent.label_ for ent in doc.ents)
    for key, group in doc.spans.items():
        if key != ENTS_GROUP:
            yield from (span.label_ for span in group)


def _lost_line(i: int, bitext: Bitext) -> str:
    lines = []
    for span in bitext.lost:
        side = bitext.target if span.side == "target" else bitext.source
        text = side[span.start : span.end].text
        record = {"doc": i, "lang": bitext.target_lang, "text": text, **vars(span)}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return "".join(lines)


def stage_names(pipe_names: Iterable[str]) -> list[str]:
    """The stages that time is counted of, in order."""
    return [READ, *pipe_names, WRITE]
