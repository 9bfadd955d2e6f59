"""One source of a mixed corpus: which of its documents are read, found in one pass, and reading them file by file."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..docs import copy_ents, select_docs, slice_doc
from ..errors import error, warn
from ..languages import MULTI, blank
from ..readers.docbin import corpus_files, read_bin
from ..tokens import has_text
from .cutting import CutCounts
from .duplicates import NearDuplicates, sentences_of
from .relabel import doubtful, labels_of, map_labels, n_scores, set_missing
from .sources import Source, SourceCounts
from .wronglang import MAX_WORDS

DROP, MISSING = "drop", "missing"
# What is drawn: the documents for `limit`
LIMIT = "limit"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds for all sources of a reader.

    seed (int): Of all that is drawn.
    on_low_score (str): What to do with a span below `min_score`: "drop" leaves its document out, "missing" marks an
        entity as missing. A span group cannot say that, so its document is left out in both cases.
    spans_key (str | None): A span group to copy the entities to.
    exclude (NearDuplicates | None): Sentences that no document may have.
    """

    seed: int
    on_low_score: str = DROP
    spans_key: str | None = None
    exclude: NearDuplicates | None = None


class SourceReader:
    """Reads a source. Of the whole corpus it remembers one bit a document.

    source (Source): Where documents come from.
    rules (Rules): What holds for all sources.
    section (str): Where the source stands in the config, for messages.
    """

    def __init__(self, source: Source, rules: Rules, *, section: str):
        self.source = source
        self.rules = rules
        self.section = f"{section}.{source.name}"
        self.counts = SourceCounts()
        # The first words, by which the language is checked
        self.words: Counter[str] = Counter()
        self._files: list[Path] = []
        # For each file: whether its documents are read, a bit each
        self._kept: list[np.ndarray] = []
        # Documents that lose some sentences, by file and number: what stays, as token ranges
        self._trimmed: dict[tuple[int, int], list[tuple[int, int]]] = {}

    @property
    def n_docs(self) -> int:
        """How many documents one pass reads."""
        return self.counts.read

    def scan(self) -> None:
        """Find out what is to be read, and count what is not.

        RAISES (XltError): E502 to E504 for what is no corpus, E612 where nothing is left, E616 for a `min_score`
            without scores.
        """
        source, self.counts = self.source, SourceCounts()
        self._files = corpus_files(source.path)
        drawn: list[tuple[int, int, int]] = []
        n_spans = scores = 0
        for f, file in enumerate(self._files):
            docs = read_bin(file)
            kept = np.zeros(len(docs), dtype=bool)
            # Not the pipeline's vocab, which would take in the words of what is not read
            for i, doc in enumerate(docs.get_docs(blank(MULTI).vocab)):
                scores += n_scores(doc)
                n_spans += len(doc.ents)
                kept[i] = self._decide(doc, f, i)
                if kept[i] and source.limit:
                    # The smallest of so many random numbers, which depend on the text alone
                    heapq.heappush(drawn, (-self._random(doc, LIMIT), f, i))
                    if len(drawn) > source.limit:
                        heapq.heappop(drawn)
            self._kept.append(np.packbits(kept))
            self.counts.read += int(kept.sum())
        if source.min_score and n_spans and not scores:
            values = {"name": source.name, "path": source.path, "min_score": source.min_score, "n": n_spans}
            raise error("E616", section=self.section, **values)
        if source.limit:
            self._keep_only({(f, i) for _, f, i in drawn})
        if not self.n_docs:
            raise error("E612", name=source.name, path=source.path, counts=self.counts, section=self.section)

    def docs(self, vocab: Vocab, *, start: int, n_docs: int, shuffle: bool) -> Iterator[list[Doc]]:
        """Yield documents, each as the list of what is left of it where sentences were left out.

        The source is read over and over, each time in another order, as one endless stream of which this is a part:
        what one epoch did not reach comes in the next.

        start (int): Where in the endless stream to begin.
        n_docs (int): How many documents to read.
        shuffle (bool): Whether to read files, and the documents of each file, in random order.
        """
        number, skip = divmod(start, self.n_docs)
        while n_docs > 0:
            for f, numbers in self._pass(number, shuffle=shuffle):
                chosen, skip = numbers[skip : skip + n_docs], max(0, skip - len(numbers))
                if not chosen:
                    continue
                n_docs -= len(chosen)
                docs = select_docs(read_bin(self._files[f]), chosen)
                for i, doc in zip(chosen, docs.get_docs(vocab), strict=True):
                    yield self._prepare(doc, f, i)
                if not n_docs:
                    return
            number += 1

    def _pass(self, number: int, *, shuffle: bool) -> Iterator[tuple[int, list[int]]]:
        """Files, and the numbers of their documents, of the nth time that the source is read."""
        order = list(range(len(self._files)))
        if not shuffle:
            for f in order:
                yield f, self._numbers(f)
            return
        draw = random.Random(f"{self.rules.seed}/{self.source.name}/{number}")
        draw.shuffle(order)
        for f in order:
            numbers = self._numbers(f)
            draw.shuffle(numbers)
            yield f, numbers

    def _numbers(self, f: int) -> list[int]:
        return [int(i) for i in np.flatnonzero(np.unpackbits(self._kept[f]))]

    def _decide(self, doc: Doc, f: int, i: int) -> bool:
        """Whether a document is read. Counts, and notes which of its sentences are."""
        source, counts = self.source, self.counts
        counts.documents += 1
        if not any(has_text(token.text) for token in doc):
            counts.blank += 1
            return False
        if self.words.total() < MAX_WORDS:
            self.words.update(token.lower_ for token in doc if token.is_alpha)
        if self.rules.exclude is not None and not self._without_duplicates(doc, f, i):
            return False
        counts.labels_out.update(map_labels(doc, source.labels))
        if source.min_score:
            ents, in_group = doubtful(doc, source.min_score)
            if in_group or (ents and self.rules.on_low_score == DROP):
                counts.doubtful += 1
                return False
            counts.spans_missing += len(ents)
            set_missing(doc, ents)
        if self.rules.spans_key and not copy_ents(doc, self.rules.spans_key):
            counts.without_group += 1
            return False
        labels = labels_of(doc)
        for key, found in labels.items():
            counts.labels.setdefault(key, Counter()).update(found)
        if source.keep_empty < 1 and not any(labels.values()):
            if self._random(doc, "keep_empty") >= source.keep_empty * 2**64:
                counts.empty += 1
                return False
        return True

    def _without_duplicates(self, doc: Doc, f: int, i: int) -> bool:
        """Whether anything of a document is not in an evaluation set."""
        exclude = self.rules.exclude
        assert exclude is not None
        stays: list[tuple[int, int]] = []
        n_out = 0
        for (start, end), text in sentences_of(doc):
            similarity = exclude.similarity(text)
            if similarity:
                n_out += 1
                self.counts.duplicates += similarity == 1
                self.counts.near_duplicates += similarity < 1
            elif stays and stays[-1][1] == start:
                stays[-1] = (stays[-1][0], end)
            else:
                stays.append((start, end))
        if n_out and stays:
            self._trimmed[f, i] = stays
        return bool(stays)

    def _prepare(self, doc: Doc, f: int, i: int) -> list[Doc]:
        map_labels(doc, self.source.labels)
        if self.source.min_score:
            set_missing(doc, doubtful(doc, self.source.min_score)[0])
        if self.rules.spans_key:
            copy_ents(doc, self.rules.spans_key)
        ranges = self._trimmed.get((f, i))
        return [doc] if ranges is None else [slice_doc(doc, start, end, CutCounts()) for start, end in ranges]

    def _keep_only(self, drawn: set[tuple[int, int]]) -> None:
        source = self.source
        if self.n_docs < source.limit:
            warn("W611", name=source.name, path=source.path, n=self.n_docs, limit=source.limit)
        self.counts.over_limit = self.n_docs - len(drawn)
        self.counts.read = len(drawn)
        self.counts.drawn = sorted((str(self._files[f]), i) for f, i in drawn)
        for f, bits in enumerate(self._kept):
            kept = np.zeros(len(bits) * 8, dtype=bool)
            kept[[i for g, i in drawn if g == f]] = True
            self._kept[f] = np.packbits(kept)

    def _random(self, doc: Doc, purpose: str) -> int:
        """A number below 2**64 that depends on the seed and the document's words alone."""
        limit_seed = self.source.limit_seed if purpose == LIMIT else None
        seed = self.rules.seed if limit_seed is None else limit_seed
        text = f"{seed}/{purpose}/" + " ".join(token.text for token in doc)
        return int.from_bytes(blake2b(text.encode("utf8", "surrogatepass"), digest_size=8).digest(), "big")
