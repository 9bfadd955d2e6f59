"""The corpus readers of training: `spacy_xlt.MixedCorpus.v1` and `spacy_xlt.DevCorpus.v1`."""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from spacy.training import Example, dont_augment

from ..bitext import ENTS
from ..engine import Engine, invalid_setting, setting
from ..errors import error, warn
from ..languages import MULTI, to_spacy
from ..readers.docbin import corpus_files, read_docs
from .checks import (
    check_labels,
    check_labels_known,
    check_language,
    learned_by,
    needs_categories,
    warn_of_unused_labels,
)
from .duplicates import NearDuplicates, sentences_of
from .selection import check_corpora, is_target, targets_of
from .sources import (
    CATS,
    DROP,
    MISSING,
    LoadedSource,
    ReadingRules,
    Source,
    SourceCounts,
    parse_sources,
)
from .windows import DocSplitter, PieceCounter, SplitStats, WordCounter, bare_doc

logger = logging.getLogger("spacy")


@dataclass
class _Loaded:
    sources: list[LoadedSource]
    stats: SplitStats


# spaCy makes the readers of a training twice, before it initializes the pipeline and again before it trains: what was
# read for a pipeline is kept as long as the pipeline is there, by the settings and files that it was read with.
_loaded: WeakKeyDictionary[Language, dict[str, _Loaded]] = WeakKeyDictionary()


@dataclass(kw_only=True, eq=False)
class MixedCorpus(Engine):
    """Registered reader `spacy_xlt.MixedCorpus.v1`: several corpora, mixed, in pieces that the pipeline can take.

    An epoch has a definite length: each source gives `weight` times its documents, every one once where weights are 1.
    Sources with a `share` come on top, as many documents as make it their share. Which source comes next is drawn by
    the seed, and what is read more than once comes in another order.

    spaCy keeps the examples of the first epoch and shuffles them anew for each, unless `max_epochs` is -1. Then it
    calls the reader once an epoch, which has another order each time, and looks at the first hundred examples alone to
    find the labels; set them in `[initialize.components]`. Either way all documents are in memory.

    Where the pipeline has spaCy's `textcat`, a document without a category is left out and counted: it would teach that
    the document has none of them. `textcat_multilabel` takes it as missing. Each part of a document that is cut has the
    document's categories.

    Args:
        sources: Name → settings of a source; see Source.
        use: Names of the sources that are read, each of which must have a path; None for all. The others are ignored.
        encoder: The encoder that is trained: model folder or Hugging Face name. None for a pipeline without one: then
            `max_pieces` counts words.
        max_pieces: The most word pieces an example may have; a longer document is cut, at a sentence end where there is
            one, and outside entities.
        max_word_pieces: The most word pieces a word may have; of a longer one the beginning is read.
        gold_tokens: Give the pipeline the corpus's own tokens, which is needed where its tokenizer is for another
            language.
        seed: Of all that is drawn: the order, documents for `limit` and `keep_empty`. The same seed gives the same
            examples in every process. What is drawn of a source depends on the texts alone, not on files or their
            order, and a smaller `limit` draws a part of what a larger one does. Augmenters draw by Python's generator,
            as spaCy's do.
        shuffle: Whether to read each source in random order, file by file.
        exclude: Evaluation sets whose sentences are left out of the sources, with those that are nearly the same. Of
            parallel evaluation sets give those of all languages, as a translation cannot be seen.
        near_duplicates: The least similarity of a near-duplicate, see NearDuplicates; 1.0 for duplicates alone.
        on_low_score: "drop" leaves a document out that has a span below its `min_score`, "missing" marks entities.
        spans_key: A span group to copy the entities to, for a pipeline that learns spans.
        labels_may_differ: Whether it is meant to be that not every source has every label; or the labels of which that
            is so.
        check_language: Whether to make sure that the sources are not evidently in another of the languages that the
            config names, or in English.

    Raises:
        XltError: E150 and E610 for an invalid setting, E611 for a setting that a source does not have.
    """

    section: ClassVar[str] = "corpora.train"
    # Whether every epoch has another order
    varies: ClassVar[bool] = True
    # Whether fewer documents than a source's `limit` are worth a warning
    expects_limit: ClassVar[bool] = True

    sources: Mapping[str, Any]
    use: Sequence[str] | None = None
    encoder: str | None = None
    max_pieces: int = setting(256, ge=8)
    max_word_pieces: int = setting(32, ge=1)
    gold_tokens: bool = True
    seed: int = 0
    shuffle: bool = True
    exclude: Sequence[str] | None = None
    near_duplicates: float = setting(0.6, gt=0, le=1)
    on_low_score: str = setting(DROP, choices=(DROP, MISSING))
    spans_key: str | None = None
    labels_may_differ: bool | Sequence[str] = False
    check_language: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_word_pieces >= self.max_pieces:
            name = type(self).__name__
            raise invalid_setting(name, "max_word_pieces", self.max_word_pieces, "less than max_pieces")
        self._counter = WordCounter() if self.encoder is None else PieceCounter(self.encoder)
        self._sources = parse_sources(self.sources, f"{self.section}.sources", use=self.use)
        self._loaded: _Loaded | None = None
        self._epoch = 0

    @property
    def counts(self) -> dict[str, SourceCounts]:
        """What became of the documents of each source, by name. Empty before the first reading."""
        return {loaded.source.name: loaded.counts for loaded in self._loaded.sources} if self._loaded else {}

    @property
    def split_stats(self) -> SplitStats:
        """What was cut and shortened so far."""
        return self._loaded.stats if self._loaded else SplitStats()

    @property
    def epoch_sizes(self) -> dict[str, int]:
        """Documents of each source in an epoch, before the long ones are cut. Empty before the first reading."""
        if self._loaded is None:
            return {}
        n_read = {name: counts.read for name, counts in self.counts.items()}
        blocks: dict[str, list[Source]] = {}
        for source in self._sources:
            blocks.setdefault(source.block, []).append(source)
        totals = {
            name: sum(n_read[s.name] for s in block) * block[0].weight
            for name, block in blocks.items()
            if block[0].share is None
        }
        shares = {name: block[0].share for name, block in blocks.items() if block[0].share is not None}
        rest = sum(totals.values()) / (1 - sum(shares.values()))
        totals |= {name: share * rest for name, share in shares.items()}
        sizes: dict[str, int] = {}
        for name, block in blocks.items():
            even = {s.name: n_read[s.name] ** (1 / s.temperature) for s in block}
            part = totals[name] / sum(even.values())
            sizes |= {each: max(1, round(part * n)) for each, n in even.items()}
        return sizes

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of an epoch.

        Args:
            nlp: The pipeline that is trained.

        Raises:
            XltError: E502 to E504 for what is no corpus, E612 where nothing is left of a source, E613 where the labels
                differ, E614 where a text is in another language than declared, E616 for a `min_score` without scores.
        """
        if self._loaded is None:
            # spaCy itself sees that the development set is missing after the pipeline has been initialized
            check_corpora(nlp.config.interpolate(), "dev_corpus")
            loaded = self._load(nlp)
            self._check(nlp, loaded.sources)
            self._loaded = loaded
        epoch, self._epoch = self._epoch, self._epoch + (1 if self.varies else 0)
        for augmenter, parts in self._mix(self._loaded.sources, epoch):
            for doc in parts:
                yield from augmenter(nlp, Example(bare_doc(nlp, doc, own_tokens=self.gold_tokens), doc))

    def _mix(self, sources: Sequence[LoadedSource], epoch: int) -> Iterator[tuple[Any, list[Doc]]]:
        """Documents of all sources, as their parts. Each source gives exactly its part of the epoch."""
        left = list(self.epoch_sizes.values())
        streams = [
            source.stream(seed=self.seed, n_docs=n_docs, shuffle=self.shuffle, epoch=epoch)
            for source, n_docs in zip(sources, left, strict=True)
        ]
        augmenters = [source.augmenter or dont_augment for source in self._sources]
        draw = random.Random(f"{self.seed}/mix/{epoch}")
        while any(left):
            (i,) = draw.choices(range(len(left)), weights=left)
            left[i] -= 1
            yield augmenters[i], next(streams[i])

    def _load(self, nlp: Language) -> _Loaded:
        """Read the sources, or take what was read for the same pipeline with the same settings."""
        key = self._key(nlp)
        loaded = _loaded.setdefault(nlp, {})
        if key not in loaded:
            loaded[key] = self._read(nlp)
        return loaded[key]

    def _read(self, nlp: Language) -> _Loaded:
        exclude = None
        if self.exclude:
            sentences = (text for path in self.exclude for doc in read_docs(path) for _, text in sentences_of(doc))
            exclude = NearDuplicates(sentences, threshold=self.near_duplicates)
        splitter = DocSplitter(self._counter, max_pieces=self.max_pieces, max_word_pieces=self.max_word_pieces)
        rules = ReadingRules(
            seed=self.seed,
            on_low_score=self.on_low_score,
            spans_key=self.spans_key,
            exclude=exclude,
            split=splitter.split,
            expects_limit=self.expects_limit,
            learns_cats=CATS in learned_by(nlp),
            needs_cats=needs_categories(nlp),
        )
        named = [nlp.lang or MULTI, "en", *(source.lang for source in self._sources)]
        sources = []
        for source in self._sources:
            section = f"{self.section}.sources.{source.name}"
            loaded = LoadedSource(source, rules, nlp.vocab, section=section)
            if self.check_language:
                check_language(loaded, named, section=self.section)
            warn_of_unused_labels(loaded)
            if left_out := loaded.counts.left_out():
                warn("W610", name=source.name, path=source.path, counts=left_out)
            logger.info("Source %s: %s", source.name, loaded.counts)
            sources.append(loaded)
        if splitter.stats:
            where = " and ".join(source.path for source in self._sources)
            warn("W601", path=where, max_pieces=self.max_pieces, unit=self._counter.unit, **vars(splitter.stats))
        return _Loaded(sources, splitter.stats)

    def _key(self, nlp: Language) -> str:
        """What decides what is read: settings, and the files as they are."""
        undecided = {"sources", "use", "gold_tokens", "shuffle", "labels_may_differ", "target_gold", "targets"}
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in undecided}
        sources = [
            dataclasses.replace(source, augmenter=None, weight=1.0, share=None, temperature=1.0)
            for source in self._sources
        ]
        files = [file for path in [*(self.exclude or ()), *(s.path for s in sources)] for file in corpus_files(path)]
        looks = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return repr((self.section, nlp.lang, settings, sources, looks))

    def _check(self, nlp: Language, loaded: Sequence[LoadedSource]) -> None:
        check_labels(nlp, loaded, section=self.section, may_differ=self.labels_may_differ)


@dataclass(kw_only=True, eq=False)
class DevCorpus(MixedCorpus):
    """Registered reader `spacy_xlt.DevCorpus.v1`: the development set that a checkpoint is selected by.

    It has every document once, the same ones each time. Annotation by people in a language that the pipeline is for is
    refused: what is to be measured must not choose the model. Source gold and projected data are what there is without
    labels in the target language.

    Args:
        target_gold: Whether such annotation is allowed, for few-shot training and for a ceiling; reports say so.
        given_spans: Annotation that the pipeline is given, not to be found: "ents", or keys in `doc.spans`. So a
            component for links is measured by itself.
        targets: Languages that the pipeline is for. Where none is given, see `selection.targets_of`.
        sources: As in MixedCorpus, as are all others.

    Raises:
        XltError: As in MixedCorpus; E615, when called, for gold in a language that the pipeline is for.
    """

    section: ClassVar[str] = "corpora.dev"
    varies: ClassVar[bool] = False
    # It is only that an evaluation takes no longer
    expects_limit: ClassVar[bool] = False

    shuffle: bool = False
    target_gold: bool = False
    targets: Sequence[str] | None = None
    given_spans: Sequence[str] = ()

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """See MixedCorpus."""
        for example in super().__call__(nlp):
            for key in self.given_spans:
                _give_spans(example, key)
            yield example

    def _load(self, nlp: Language) -> _Loaded:
        targets = targets_of(nlp.config.interpolate(), {"targets": [to_spacy(lang) for lang in self.targets or ()]})
        for source in self._sources:
            if source.kind == "gold" and not self.target_gold and is_target(source.lang, targets):
                raise error("E615", name=source.name, lang=source.lang, targets=targets)
        return super()._load(nlp)

    def _check(self, nlp: Language, loaded: Sequence[LoadedSource]) -> None:
        super()._check(nlp, loaded)
        check_labels_known(nlp, loaded, section=self.section, may_differ=self.labels_may_differ)


def _give_spans(example: Example, key: str) -> None:
    reference, predicted = example.reference, example.predicted
    spans = list(reference.ents if key == ENTS else reference.spans.get(key, ()))
    there = example.get_aligned_spans_y2x(spans, allow_overlap=key != ENTS)
    if key == ENTS:
        predicted.set_ents(there, default="outside")
    else:
        predicted.spans[key] = SpanGroup(predicted, name=key, spans=there)
