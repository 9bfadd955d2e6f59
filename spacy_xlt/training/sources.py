"""The blocks `[corpora.*.sources.NAME]` of a config: where documents come from, and which of them are read."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from itertools import count, islice
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.vocab import Vocab

from ..bitext import ENTS, ENTS_GROUP
from ..docs import copy_ents, replace_ents, replace_spans, slice_doc
from ..engine import check_settings, setting
from ..errors import XltError, error, warn
from ..languages import LANG, MULTI, blank, codes_in, to_spacy
from ..readers.docbin import corpus_files, read_bin
from ..span_links import LINKS_GROUP
from ..tokens import has_text
from .duplicates import NearDuplicates, distinct_ranges
from .selection import OF_BLOCK, one_a_language

Augmenter = Callable[[Language, Example], Iterable[Example]]

# Key of the documents' categories among the annotation that labels are counted of
CATS = "cats"
GOLD, PROJECTED, SELF_LABELLED = "gold", "projected", "self_labelled"
DROP, MISSING = "drop", "missing"
# Words of a source by which its language is checked
MAX_WORDS = 20_000


@dataclass(kw_only=True)
class Source:
    """A corpus among several.

    Args:
        name: Name of its block.
        path: A `.spacy` file or a folder of them.
        lang: Its language, "xx" for several. Where the path has "{lang}" in it, languages as a list or as text with
            commas between: a corpus each.
        temperature: Of several languages: how even they are made. One with n documents is read in proportion to
            n^(1/temperature), all together as often as there are documents: 1.0 as they are, 5.0 nearly evenly
            (Devlin et al. 2019, multilingual BERT; Conneau & Lample 2019).
        kind: "gold" for annotation by people, "projected" for one that was carried over, "self_labelled" for one by
            trained pipelines (`spacy xlt label`).
        weight: How often each of its documents is read in an epoch: 2.0 for twice, 0.5 for one half of them.
        share: In place of a weight: its part of an epoch's documents, whatever the size of the others: 0.5 for as many
            as all others have together. Its documents are read as often as that takes.
        min_score: The least score of a projected span, from 0 to 1; see `on_low_score` of the reader.
        limit: The most documents to read, drawn at random; 0 for all.
        limit_seed: What they are drawn by; the reader's seed where left out. Runs with different seeds and the same
            documents differ by the training alone.
        keep_empty: Share of the documents without an entity or span that are read, drawn by the reader's seed. Where
            the pipeline learns categories, a document that has one counts as one that has something.
        labels: Its labels of spans and documents → ours; "" or None leaves one out.
        augmenter: Makes more examples of each, as in spaCy.
    """

    name: str
    path: str
    lang: str
    kind: str = setting(GOLD, choices=(GOLD, PROJECTED, SELF_LABELLED))
    weight: float = setting(1.0, gt=0)
    share: float | None = setting(None, gt=0, lt=1)
    min_score: float = setting(0.0, ge=0, le=1)
    limit: int = setting(0, ge=0)
    limit_seed: int | None = None
    keep_empty: float = setting(1.0, ge=0, le=1)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    augmenter: Any = None
    temperature: float = setting(1.0, ge=1)

    def __post_init__(self) -> None:
        check_settings(self)
        self.lang = to_spacy(self.lang)

    @property
    def block(self) -> str:
        """Name of the block that it stands in, which has several sources where it is of several languages."""
        return self.name.partition(OF_BLOCK)[0]


@dataclass
class SourceCounts:
    """What became of the documents of a source.

    Attributes:
        documents: In the files.
        read: Read, in one pass over the source.
        blank: Documents left out because they have no text.
        not_built: Projected documents without text, which the build has left out.
        duplicates: Sentences left out because they are in an evaluation set.
        near_duplicates: Sentences left out because they are nearly so.
        doubtful: Documents left out because of a span with a low score.
        spans_missing: Entities with a low score that were marked missing.
        without_group: Documents left out because some annotation is missing, which a span group cannot say.
        without_category: Documents left out because they have none, which their classifier cannot take as missing.
        empty: Documents without an entity or span left out, as `keep_empty` says.
        over_limit: Documents that were not drawn, as `limit` says.
        labels: Annotation ("ents", "cats" where they are learnt, or a span group) → label → number, as ours, before
            `limit`.
        labels_out: Spans and categories left out with their label, as the mapping says.
    """

    documents: int = 0
    read: int = 0
    blank: int = 0
    not_built: int = 0
    duplicates: int = 0
    near_duplicates: int = 0
    doubtful: int = 0
    spans_missing: int = 0
    without_group: int = 0
    without_category: int = 0
    empty: int = 0
    over_limit: int = 0
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    labels_out: Counter[str] = field(default_factory=Counter)

    def left_out(self) -> str:
        """What is not read, in words; "" where nothing happened that nobody asked for by number."""
        counted = [
            (self.blank, "documents without text"),
            (self.duplicates, "sentences that are in an evaluation set"),
            (self.near_duplicates, "sentences nearly as in an evaluation set"),
            (self.doubtful, "documents with a span below min_score"),
            (self.without_group, "documents with missing annotation, which a span group cannot say"),
            (self.without_category, "documents without a category, from which textcat would learn that they have none"),
        ]
        parts = [f"{n} {what}" for n, what in counted if n]
        text = f"{', '.join(parts)} left out" if parts else ""
        if self.spans_missing:
            text += f"{'; ' if text else ''}{self.spans_missing} entities below min_score marked missing"
        return text

    def __str__(self) -> str:
        asked = [
            (self.not_built, "that the build has"),
            (self.empty, "without an entity"),
            (self.over_limit, "over the limit"),
        ]
        parts = [self.left_out(), *(f"{n} documents {what} left out" for n, what in asked if n)]
        lost = ", ".join(f"{label} {n}" for label, n in sorted(self.labels_out.items()))
        parts.append(f"left out by label: {lost}" if lost else "")
        return "; ".join([f"{self.read} of {self.documents} documents read", *(part for part in parts if part)])


def parse_sources(blocks: Mapping[str, Any], section: str, *, use: Sequence[str] | None = None) -> list[Source]:
    """Check the blocks of a config.

    Args:
        blocks: Name → settings of the source.
        section: Where they stand, for messages: "corpora.train.sources".
        use: The sources to read; None for all.

    Raises:
        XltError: E610 for an invalid value, E611 for a setting that does not exist, E010 for an unknown language.
    """
    if not isinstance(blocks, Mapping) or not all(isinstance(block, Mapping) for block in blocks.values()):
        raise error("E610", section=section, setting="sources", value=blocks, expected="a block for each source")
    if unknown := [name for name in use or () if name not in blocks]:
        expected = f"names of its sources: {', '.join(blocks)}"
        raise error("E610", section=section.rpartition(".")[0], setting="use", value=unknown, expected=expected)
    names = [name for name in blocks if use is None or name in use]
    each = one_a_language({name: blocks[name] for name in names})
    sources = [_parse(name, block, f"{section}.{name.partition(OF_BLOCK)[0]}") for name, block in each.items()]
    if not sources:
        raise error("E610", section=section, setting="sources", value=names, expected="at least one source to read")
    shares = {source.block: source.share for source in sources if source.share is not None}
    if shares and (all(source.share for source in sources) or sum(shares.values()) >= 1):
        expected = "a sum of shares below 1, and a source without one that has the rest"
        raise error("E610", section=section, setting="share", value=shares, expected=expected)
    return sources


def _parse(name: str, block: Mapping[str, Any], section: str) -> Source:
    known = [item.name for item in fields(Source) if item.name != "name"]
    if unknown := sorted(set(block) - set(known)):
        raise error("E611", section=section, found=", ".join(unknown), known=", ".join(known))
    values = {key: value for key, value in block.items() if value is not None}
    path, lang = str(values.get("path") or ""), values.get("lang")
    several = len(codes_in(lang) if isinstance(lang, str) else lang or ()) > 1
    checks = [
        ("path", path, "a .spacy file or a folder of them"),
        ("path", not several, "{lang} in it, as `lang` is several languages"),
        # Where there are any, it was taken apart
        ("lang", LANG not in path, "languages, as `path` has {lang}"),
        ("lang", isinstance(lang, str) and lang, "the code of its language"),
        ("share", not {"share", "weight"} <= set(values), "`share` or `weight`, not both"),
        ("augmenter", callable(values.get("augmenter", len)), "a registered augmenter"),
    ]
    for key, fits, expected in checks:
        if not fits:
            raise error("E610", section=section, setting=key, value=block.get(key), expected=expected)
    try:
        return Source(name=name, **{**values, "path": str(values["path"])})
    except XltError as err:
        if err.code != "E150":
            raise
        raise XltError("E610", f"[{section}] {err.message}") from err


@dataclass(frozen=True, kw_only=True)
class ReadingRules:
    """What holds for all sources of a reader.

    Attributes:
        seed: Of all that is drawn.
        on_low_score: What to do with a span below `min_score`: "drop" leaves its document out, "missing" marks an
            entity as missing. A span group cannot say that, so its document is left out in both cases.
        spans_key: A span group to copy the entities to.
        exclude: Sentences that no document may have.
        split: Cuts a document into pieces that the pipeline can take.
        expects_limit: Whether to warn of a source that has fewer documents than its `limit`.
        learns_cats: Whether the pipeline learns the categories of documents.
        needs_cats: Whether one of its components would learn from a document without a category that it has none of
            them: spaCy's `textcat`, whose classes are exclusive.
    """

    seed: int
    on_low_score: str
    spans_key: str | None
    exclude: NearDuplicates | None
    split: Callable[[Doc], list[Doc]]
    expects_limit: bool = True
    learns_cats: bool = False
    needs_cats: bool = False


class LoadedSource:
    """The documents of a source that are read.

    Args:
        source: The source.
        rules: What holds for all sources.
        vocab: The pipeline's. It takes in the words of what is read, not of what is left out.
        section: Block of the source in the config, for messages.

    Attributes:
        counts: What became of its documents.
        words: Its first words in lower case, by which its language is checked.
        files: For each file its documents, each as the list of its parts.

    Raises:
        XltError: E502 to E504 for what is no corpus, E612 where nothing is left, E616 for a `min_score` without scores.
    """

    def __init__(self, source: Source, rules: ReadingRules, vocab: Vocab, *, section: str):
        self.source, self.rules, self.section = source, rules, section
        self.counts = SourceCounts()
        self.words: Counter[str] = Counter()
        self.files = self._read(vocab)

    def stream(self, *, seed: int, n_docs: int, shuffle: bool, epoch: int = 0) -> Iterator[list[Doc]]:
        """Yield documents, each as the list of its parts, over and over until there are enough.

        Args:
            seed: What the order is drawn by, with the name of the source.
            n_docs: How many documents to yield.
            shuffle: Whether to read files, and the documents of each file, in another order each time.
            epoch: Number of the epoch; each has orders of its own.
        """
        first = epoch * -(-n_docs // self.counts.read)
        passes = (self._in_order(f"{seed}/{self.source.name}/{number}" if shuffle else None) for number in count(first))
        return islice((parts for docs in passes for parts in docs), n_docs)

    def _in_order(self, seed: str | None) -> Iterator[list[Doc]]:
        draw = random.Random(seed)
        files = list(self.files)
        if seed is not None:
            draw.shuffle(files)
        for docs in files:
            docs = list(docs)
            if seed is not None:
                draw.shuffle(docs)
            yield from docs

    def _read(self, vocab: Vocab) -> list[list[list[Doc]]]:
        source, counts = self.source, self.counts
        files: list[list[list[Doc]]] = []
        # For `limit`: numbers that depend on the text alone, with file and place
        drawn: list[tuple[int, int, int]] = []
        n_spans = n_scores = 0
        for file in corpus_files(source.path):
            files.append([])
            for doc in read_bin(file).get_docs(blank(MULTI).vocab):
                n_spans += len(doc.ents)
                n_scores += sum(len(group.attrs.get("scores", ())) for group in doc.spans.values())
                if parts := self._prepare(doc):
                    if source.limit:
                        seed = self.rules.seed if source.limit_seed is None else source.limit_seed
                        drawn.append((_draw(doc, f"{seed}/limit"), len(files) - 1, len(files[-1])))
                    files[-1].append(parts)
        if source.min_score and n_spans and not n_scores:
            values = {"name": source.name, "path": source.path, "min_score": source.min_score, "n": n_spans}
            raise error("E616", section=self.section, **values)
        counts.read = sum(map(len, files))
        if source.limit:
            files = self._limited(files, drawn)
        if not counts.read:
            raise error("E612", name=source.name, path=source.path, counts=counts, section=self.section)
        return [self._with_vocab(docs, vocab) for docs in files]

    def _limited(self, files: list[list[list[Doc]]], drawn: list[tuple[int, int, int]]) -> list[list[list[Doc]]]:
        source, counts = self.source, self.counts
        if counts.read < source.limit and self.rules.expects_limit:
            warn("W611", name=source.name, path=source.path, n=counts.read, limit=source.limit)
        chosen = {(f, i) for _, f, i in heapq.nsmallest(source.limit, drawn)}
        counts.over_limit = counts.read - len(chosen)
        counts.read = len(chosen)
        return [[docs[i] for i in range(len(docs)) if (f, i) in chosen] for f, docs in enumerate(files)]

    def _with_vocab(self, docs: list[list[Doc]], vocab: Vocab) -> list[list[Doc]]:
        """The same documents with another vocabulary, cut into pieces."""
        packed = DocBin(docs=[part for parts in docs for part in parts], store_user_data=True)
        copies = packed.get_docs(vocab)
        return [[piece for _ in parts for piece in self.rules.split(next(copies))] for parts in docs]

    def _prepare(self, doc: Doc) -> list[Doc]:
        """A document as it is read: the parts that are left of it; none where it is left out, which is counted."""
        source, rules, counts = self.source, self.rules, self.counts
        counts.documents += 1
        if not any(has_text(token.text) for token in doc):
            if source.kind == PROJECTED:
                counts.not_built += 1
            else:
                counts.blank += 1
            return []
        if self.words.total() < MAX_WORDS:
            self.words.update(token.lower_ for token in doc if token.is_alpha)
        ranges = self._ranges(doc)
        if not ranges:
            return []
        counts.labels_out.update(map_labels(doc, source.labels))
        if source.min_score:
            ents, in_group = doubtful(doc, source.min_score)
            if in_group or (ents and rules.on_low_score == DROP):
                counts.doubtful += 1
                return []
            counts.spans_missing += len(ents)
            set_missing(doc, ents)
        if rules.spans_key and not copy_ents(doc, rules.spans_key):
            counts.without_group += 1
            return []
        labels = labels_of(doc)
        if rules.learns_cats:
            labels[CATS] = Counter(label for label, value in doc.cats.items() if value)
        if rules.needs_cats and not labels[CATS]:
            counts.without_category += 1
            return []
        for key, numbers in labels.items():
            counts.labels.setdefault(key, Counter()).update(numbers)
        if source.keep_empty < 1 and not any(labels.values()):
            if _draw(doc, f"{rules.seed}/keep_empty") >= source.keep_empty * 2**64:
                counts.empty += 1
                return []
        return [doc] if ranges == [(0, len(doc))] else [slice_doc(doc, start, end) for start, end in ranges]

    def _ranges(self, doc: Doc) -> list[tuple[int, int]]:
        """Token ranges of what is in no evaluation set."""
        if self.rules.exclude is None:
            return [(0, len(doc))]
        ranges, duplicates, near = distinct_ranges(doc, self.rules.exclude)
        self.counts.duplicates += duplicates
        self.counts.near_duplicates += near
        return ranges


def _draw(doc: Doc, purpose: str) -> int:
    """A number below 2**64 that depends on the purpose, with its seed, and the document's words alone."""
    text = f"{purpose}/" + " ".join(token.text for token in doc)
    return int.from_bytes(blake2b(text.encode("utf8", "surrogatepass"), digest_size=8).digest(), "big")


def labels_of(doc: Doc) -> dict[str, Counter[str]]:
    """Labels and their numbers, of the entities ("ents") and of each span group but the one with projected scores."""
    counts = {ENTS: Counter(ent.label_ for ent in doc.ents)} if doc.has_annotation("ENT_IOB") else {}
    groups = {
        key: Counter(span.label_ for span in group)
        for key, group in doc.spans.items()
        if key not in (ENTS_GROUP, LINKS_GROUP)
    }
    return counts | groups


def map_labels(doc: Doc, labels: Mapping[str, str | None]) -> Counter[str]:
    """Give the spans of a document, and the document itself, other labels, in place.

    Args:
        doc: The document.
        labels: From a label to another one, or to "" or None: such spans go, and their words are outside of entities.
            Such a category goes, which does not say that the document has it or not.

    Returns:
        How many spans and documents each label lost.
    """
    removed: Counter[str] = Counter()
    if any(ent.label_ in labels for ent in doc.ents):
        removed.update(ent.label_ for ent in doc.ents if not labels.get(ent.label_, ent.label_))
        replace_ents(doc, [new for ent in doc.ents if (new := _relabelled(ent, labels))])
    for key, group in list(doc.spans.items()):
        if not any(span.label_ in labels for span in group):
            continue
        if key != ENTS_GROUP:
            removed.update(span.label_ for span in group if not labels.get(span.label_, span.label_))
        replace_spans(doc, key, [_relabelled(span, labels) for span in group])
    if not labels.keys().isdisjoint(doc.cats):
        cats: dict[str, float] = {}
        for label, value in doc.cats.items():
            if ours := labels.get(label, label):
                cats[ours] = max(value, cats.get(ours, 0.0))
            elif value:
                removed[label] += 1
        doc.cats = cats
    return removed


def _relabelled(span: Span, labels: Mapping[str, str | None]) -> Span | None:
    label = labels.get(span.label_, span.label_)
    if not label:
        return None
    return Span(span.doc, span.start, span.end, label=label, kb_id=span.kb_id, span_id=span.id)


def doubtful(doc: Doc, min_score: float) -> tuple[list[Span], bool]:
    """The entities whose projection has a score below `min_score`, and whether a span of a group has.

    Of the group that mirrors projected entities only those count that are entities: the others lost their place.
    """
    ents, in_group = [], False
    by_place = {(ent.start, ent.end, ent.label): ent for ent in doc.ents}
    for key, group in doc.spans.items():
        for span, score in zip(group, group.attrs.get("scores", ()), strict=False):
            if score >= min_score:
                continue
            if key != ENTS_GROUP:
                in_group = True
            elif (ent := by_place.get((span.start, span.end, span.label))) is not None:
                ents.append(ent)
    return ents, in_group


def set_missing(doc: Doc, ents: Iterable[Span]) -> None:
    """Make the annotation of entities missing: they may be one or not."""
    ranges = {(ent.start, ent.end) for ent in ents}
    replace_ents(doc, [ent for ent in doc.ents if (ent.start, ent.end) not in ranges], missing=ranges)
