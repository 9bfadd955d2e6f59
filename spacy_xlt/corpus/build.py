"""Building a projected corpus: documents through the components, shard by shard, into a folder that can be resumed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from .. import __version__
from ..bitext import ENTS_GROUP, Bitext, sentence_ranges
from ..errors import XltError, error, warn
from ..reporting.figures import Figures
from .config import component_config
from .correcting import apply_corrections
from .corrections import Corrections, lines_named
from .dropping import dropped_pairs, training_target
from .manifest import Manifest
from .reading import corpus_files, has_annotation_to_project, read_bin, read_docs
from .writing import file_digest, write_bytes, write_docs, write_json

TARGET, BITEXT, LOST, SUMMARY = "target", "bitext", "lost", "summary.json"
# Errors that are about one document; every other XltError is about a setting and stops the build.
_OF_A_DOCUMENT = frozenset({"E002", "E004", "E006", "E007"})


@dataclass
class ShardCounts:
    """What happened to the documents of a shard, or of several.

    corrected (Counter[str]): Ids of the sentences whose corrections were applied.
    """

    docs: int = 0
    sentences: int = 0
    spans_in: Counter[str] = field(default_factory=Counter)
    spans_projected: Counter[str] = field(default_factory=Counter)
    lost_reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    sentences_dropped: Counter[str] = field(default_factory=Counter)
    words_unlinked: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the keys in a fixed order."""
        return {key: dict(sorted(v.items())) if isinstance(v, Counter) else v for key, v in vars(self).items()}

    def add(self, other: dict[str, Any]) -> None:
        """Add what `to_json` of another one gave."""
        self.docs += other["docs"]
        self.sentences += other["sentences"]
        self.failed += other["failed"]
        for key in (name for name, value in vars(self).items() if isinstance(value, Counter)):
            # A build that an older version began lacks some
            getattr(self, key).update(other.get(key, {}))
        for name, seconds in other["seconds"].items():
            self.spend(name, seconds)

    def spend(self, name: str, seconds: float) -> None:
        """Add to the time that a component took."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)


class Builder:
    """Takes a corpus through a pipeline of xlt components and writes bitexts and target documents.

    nlp (Language): The pipeline.
    source (Path): A `.spacy` file or a folder of them.
    output (Path): The build folder: new, empty, or one of the same config and input to go on with.
    docs_per_shard (int): Documents in an output file; what is done again after a kill is at most one shard.
    corrections (Path | None): JSON lines that the page of `spacy xlt view --review` saved: what was reviewed replaces
        what is projected.
    RAISES (XltError): E502, E503, E504 for the input; E507 where it has nothing to project; E505 and E506 where the
        output folder holds something else; E564 to E569 for the corrections.
    """

    def __init__(
        self, nlp: Language, source: Path, output: Path, *, docs_per_shard: int = 200, corrections: Path | None = None
    ):
        if docs_per_shard < 1:
            raise error("E510", setting="--docs-per-shard", value=docs_per_shard, expected="a number from 1")
        self.nlp = nlp
        self.source = source
        self.output = output
        self.docs_per_shard = docs_per_shard
        files = corpus_files(source)
        self.n_docs = sum(len(read_bin(file)) for file in files)
        if not self.n_docs:
            raise error("E503", path=source)
        self._check_annotation()
        self.corrections = None if corrections is None else Corrections(corrections)
        if self.corrections is not None:
            self.corrections.check_sources(read_docs(source, vocab=nlp.vocab), source)
        self._drop = frozenset(flag for _, pipe in nlp.pipeline for flag in getattr(pipe, "drop_flags", ()))
        header = {
            "spacy_xlt": __version__,
            "docs_per_shard": docs_per_shard,
            "config": component_config(nlp, deciding=True),
            "input": {file.name: file_digest(file) for file in files},
            "engines": {name: getattr(pipe, "signature", "") for name, pipe in nlp.pipeline},
        }
        if self.corrections is not None:
            header["corrections"] = self.corrections.digest
        self.manifest = Manifest(output, json.loads(json.dumps(header)))

    def _check_annotation(self) -> None:
        projectors = [pipe for _, pipe in self.nlp.pipeline if getattr(pipe, "direction", "") == "source_to_target"]
        if projectors and not has_annotation_to_project(read_docs(self.source, vocab=self.nlp.vocab)):
            raise error("E507", path=self.source, n=self.n_docs)

    def run(self, progress: Callable[[int, ShardCounts], object] = lambda n_docs, done_now: None) -> dict[str, Any]:
        """Build what is not built yet.

        progress (Callable[[int, ShardCounts], object]): Called with a number of documents each time that many more are
            done, and with the counts of all that this run did.
        RETURNS (dict[str, Any]): The summary, which is also in `summary.json`.
        RAISES (XltError): E508 where not a single document could be processed.
        """
        total, done_now = ShardCounts(), ShardCounts()
        models_loaded = False
        for shard, docs in self._shards():
            if not self.manifest.is_finished(shard, self.output):
                if not models_loaded:
                    self._try_first()
                    models_loaded = True
                counts = ShardCounts()
                built = self._process(docs, counts)
                bitexts = self._bitexts(built, counts)
                files = self._write(shard, built, bitexts, counts)
                self.manifest.add(shard, {"files": files, **counts.to_json(), "figures": self._figures(shard, bitexts)})
                done_now.add(counts.to_json())
            total.add(self.manifest.shards[shard])
            progress(len(docs), done_now)
        if len(total.failed) == self.n_docs:
            raise error("E508", n=self.n_docs, reason=total.failed[0]["error"])
        if self.corrections is not None and (left_over := self.corrections.left_over(total.corrected)):
            n, path = len(left_over), self.corrections.path
            warn("W561", n=n, total=n + len(total.corrected), path=path, lines=lines_named(left_over))
        summary = self._summary(total)
        write_json(self.output / SUMMARY, summary)
        return summary

    def _try_first(self) -> None:
        # Loads the models, so that a setting that cannot work stops the build before anything is done, and loading
        # does not count in the speeds.
        (first,) = islice(read_docs(self.source, vocab=self.nlp.vocab), 1)
        self._process([first], ShardCounts())

    def _shards(self) -> Iterator[tuple[str, list[Doc]]]:
        stream = read_docs(self.source, vocab=self.nlp.vocab)
        number = 0
        while docs := list(islice(stream, self.docs_per_shard)):
            yield f"{number:05d}", docs
            number += 1

    def _process(self, docs: list[Doc], counts: ShardCounts) -> list[Doc]:
        """Run the components one after the other, each over the whole shard, and time them."""

        def set_aside(name: str, proc: Any, failed: list[Doc], err: Exception) -> Any:
            if isinstance(err, XltError) and err.code not in _OF_A_DOCUMENT:
                raise err
            reason = f"{name}: {type(err).__name__}: {err}"
            counts.failed += [{"text": doc.text[:200], "error": reason} for doc in failed]

        self.nlp.set_error_handler(set_aside)
        counts.docs += len(docs)
        for doc in docs:
            counts.spans_in.update(_labels(doc))
            counts.sentences += len(sentence_ranges(doc))
        for name in self.nlp.pipe_names:
            others = [other for other in self.nlp.pipe_names if other != name]
            pipe = self.nlp.get_pipe(name)
            before = getattr(pipe, "cache_counts", (0, 0))
            start = time.perf_counter()
            docs = list(self.nlp.pipe(docs, disable=others))
            counts.spend(name, time.perf_counter() - start)
            after = getattr(pipe, "cache_counts", (0, 0))
            counts.cache.update(hits=after[0] - before[0], misses=after[1] - before[1])
        return docs

    def _bitexts(self, docs: list[Doc], counts: ShardCounts) -> list[tuple[int, Bitext]]:
        """The bitexts of a shard, each with the number of its document, with the corrections in them."""
        bitexts = [(i, bitext) for i, doc in enumerate(docs) for bitext in doc._.xlt.values()]
        if self.corrections is not None:
            for i, bitext in bitexts:
                if done := apply_corrections(bitext, self.corrections):
                    counts.corrected.update(done)
                    docs[i]._.xlt[bitext.target_lang] = bitext
        return bitexts

    def _write(
        self, shard: str, docs: list[Doc], bitexts: list[tuple[int, Bitext]], counts: ShardCounts
    ) -> dict[str, str]:
        """Write a shard's files. RETURNS (dict[str, str]): Their paths in the build folder and their SHA-256."""
        names = [f"{BITEXT}/{shard}.spacy", f"{LOST}/{shard}.jsonl"]
        write_docs(self.output / names[0], docs, store_user_data=True)
        lost = [_lost_line(i, bitext) for i, bitext in bitexts]
        write_bytes(self.output / names[1], "".join(lost).encode("utf8"))
        for lang in sorted({bitext.target_lang for _, bitext in bitexts}):
            targets = [training_target(bitext, self._drop) for _, bitext in bitexts if bitext.target_lang == lang]
            names.append(f"{TARGET}/{lang}-{shard}.spacy")
            write_docs(self.output / names[-1], targets)
        for _, bitext in bitexts:
            counts.spans_projected.update(_labels(bitext.target))
            counts.lost_reasons.update(span.reason for span in bitext.lost)
            counts.flags.update(flag for pair in bitext.sentences for flag in pair.flags)
            counts.sentences_dropped.update(reason for _, reason in dropped_pairs(bitext, self._drop))
            if bitext.aligner:
                counts.words_unlinked.update(dict(zip(("source", "target"), bitext.unlinked, strict=True)))
        return {name: file_digest(self.output / name) for name in names}

    def _figures(self, shard: str, bitexts: list[tuple[int, Bitext]]) -> dict[str, Any]:
        """What the report says of a shard: counted here, as reading all bitexts again would take long."""
        backwards = any(getattr(pipe, "direction", "") == "target_to_source" for _, pipe in self.nlp.pipeline)
        figures = Figures(shard, backwards=backwards)
        for number, bitext in bitexts:
            figures.add(number, bitext)
        return figures.to_json()

    def _summary(self, total: ShardCounts) -> dict[str, Any]:
        seconds = {name: round(value, 2) for name, value in total.seconds.items()}
        return {
            "signature": " | ".join(f"{name}={engine}" for name, engine in self.manifest.header["engines"].items()),
            **{key: value for key, value in total.to_json().items() if key not in ("failed", "seconds", "corrected")},
            **({"sentences_reviewed": len(total.corrected)} if self.corrections is not None else {}),
            "spans_lost": sum(total.lost_reasons.values()),
            "docs_failed": len(total.failed),
            "failed": total.failed[:20],
            "cache_hit_share": cache_hit_share(total),
            "seconds": seconds,
            "sentences_per_second": {name: round(total.sentences / s, 1) for name, s in seconds.items() if s},
        }


def cache_hit_share(counts: ShardCounts) -> float:
    """The share of translated texts that came from the cache: from 0 to 1."""
    return round(counts.cache["hits"] / max(1, counts.cache.total()), 4)


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
