"""`spacy_xlt.MixedCorpus.v1` and `spacy_xlt.DevCorpus.v1`: several corpora, mixed as the config says."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, dont_augment

from ..errors import error, warn
from ..languages import MULTI, to_spacy
from ..readers.docbin import read_docs
from .cutting import CutCounts
from .duplicates import NearDuplicates, sentences_of
from .examples import ExampleMaker
from .labels import check_labels, check_labels_known
from .scanning import DROP, MISSING, Rules, SourceReader
from .selection import is_target, targets_of
from .sources import SourceCounts, parse_sources
from .wronglang import wrong_language

logger = logging.getLogger("spacy")


class MixedCorpus:
    """Reads several corpora for training, mixed, in pieces that the pipeline can take.

    An epoch has a definite length. Without a `temperature` each source gives `weight` times its documents: every one
    once where weights are 1. With one, the same number in all, of which source i gives a part proportional to weight_i
    * n_i ** (1 / temperature) (Arivazhagan et al. 2019, "Massively multilingual neural machine translation in the
    wild"). Sources with a `share` come on top, as many documents as make it their share. Which source comes next is
    drawn by the seed. What an epoch did not reach of a source comes in the next one, and what is read more than once
    comes in another order.

    spaCy calls a reader once an epoch only with `max_epochs = -1`, and then looks at the first hundred examples alone
    to find the labels; set them in `[initialize.components]`. With any other value it keeps the examples of the first
    epoch in memory and goes over them again and again: what a weight below 1 or a temperature leaves out is then never
    read. Either way the reader itself holds one file of each source.

    sources (Mapping[str, Mapping]): Name → what Source says of it.
    encoder (str | None): The encoder that is trained; None for a pipeline without one: then `max_pieces` counts words.
    max_pieces, max_word_pieces (int): As in ExampleMaker.
    gold_tokens (bool): Give the pipeline the corpus's own tokens, which is needed where its tokenizer is for another
        language.
    seed (int): Of all that is drawn: the order, documents for `limit` and `keep_empty`. The same seed gives the same
        stream in every process. What is drawn of a source depends on the texts alone, not on files or their order, and
        a smaller `limit` draws a part of what a larger one does. Augmenters draw by Python's generator, as spaCy's do.
    temperature (float | None): How even the sources are mixed: 1 as large as they are, larger is more even.
    shuffle (bool): Whether to read each source in random order, file by file.
    exclude (Sequence[str]): Evaluation sets whose sentences are left out of the sources, with those that are nearly the
        same. Of parallel evaluation sets give those of all languages, as a translation cannot be seen.
    near_duplicates (float): The least similarity of a near-duplicate, see NearDuplicates; 1.0 for duplicates alone.
    on_low_score (str): "drop" leaves a document out that has a span below its `min_score`, "missing" marks entities.
    spans_key (str | None): A span group to copy the entities to, for a pipeline that learns spans.
    labels_may_differ (bool | Sequence[str]): Whether it is meant to be that not every source has every label; or
        the labels of which that is so.
    check_language (bool): Whether to make sure that the sources are not evidently in another of the languages that the
        config names, or in English; see wrong_language.
    """

    section = "corpora.train"
    # Whether every epoch reads another part and order
    varies = True

    def __init__(
        self,
        sources: Mapping[str, Mapping[str, Any]],
        *,
        encoder: str | None = None,
        max_pieces: int = 256,
        max_word_pieces: int = 32,
        gold_tokens: bool = True,
        seed: int = 0,
        temperature: float | None = None,
        shuffle: bool = True,
        exclude: Sequence[str] = (),
        near_duplicates: float = 0.6,
        on_low_score: str = DROP,
        spans_key: str | None = None,
        labels_may_differ: bool | Sequence[str] = False,
        check_language: bool = True,
    ):
        checks = [
            ("temperature", temperature, temperature is None or temperature > 0, "a number above 0, or null"),
            ("near_duplicates", near_duplicates, 0 < near_duplicates <= 1, "a similarity from above 0 to 1"),
            ("on_low_score", on_low_score, on_low_score in (DROP, MISSING), '"drop" or "missing"'),
            ("exclude", exclude, not isinstance(exclude, str), "a list of paths"),
        ]
        for setting, value, fits, expected in checks:
            if not fits:
                raise error("E610", section=self.section, setting=setting, value=value, expected=expected)
        self.maker = ExampleMaker(
            encoder=encoder, max_pieces=max_pieces, max_word_pieces=max_word_pieces, gold_tokens=gold_tokens
        )
        self.sources = parse_sources(sources, f"{self.section}.sources")
        self.seed = seed
        self.temperature = temperature
        self.shuffle = shuffle
        self.exclude = [str(path) for path in exclude]
        self.near_duplicates = near_duplicates
        self.on_low_score = on_low_score
        self.spans_key = spans_key
        self.labels_may_differ = labels_may_differ
        self.check_language = check_language
        self.cut_counts: CutCounts | None = None
        self._readers: list[SourceReader] = []
        self._epoch = 0

    @property
    def counts(self) -> dict[str, SourceCounts]:
        """What became of the documents of each source, by name. Empty before the first reading."""
        return {reader.source.name: reader.counts for reader in self._readers}

    @property
    def epoch_sizes(self) -> dict[str, int]:
        """Documents of each source in an epoch, before the long ones are cut. Empty before the first reading."""
        free = [reader for reader in self._readers if reader.source.share is None]
        sizes, weights = [reader.n_docs for reader in free], [reader.source.weight for reader in free]
        parts = epoch_parts(sizes, weights, temperature=self.temperature)
        given = {reader.source.name: part for reader, part in zip(free, parts, strict=True)}
        shares = {reader.source.name: reader.source.share or 0.0 for reader in self._readers}
        total = sum(parts) / (1 - sum(shares.values()))
        return {name: given.get(name, max(1, round(share * total))) for name, share in shares.items()}

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of an epoch.

        nlp (Language): The pipeline that is trained.
        YIELDS (Example): The examples. What was left out, cut or shortened is in `counts` and `cut_counts` afterwards,
            and is said once.
        RAISES (XltError): E502 to E504 for what is no corpus, E612 where nothing is left of a source, E613 where the
            labels differ, E614 where a text is in another language than declared, E616 for a `min_score` without
            scores.
        """
        if not self._readers:
            self._readers = self._scan(nlp)
        epoch, self._epoch = self._epoch, self._epoch + (1 if self.varies else 0)
        counts = CutCounts()
        for reader, doc in self._mix(nlp, epoch):
            yield from self.maker.examples(nlp, doc, reader.source.augmenter or dont_augment, counts)
        if counts and self.cut_counts is None:
            where = " and ".join(reader.source.path for reader in self._readers)
            warn("W601", path=where, max_pieces=self.maker.cutter.max_pieces, unit=self.maker.unit, **vars(counts))
        self.cut_counts = counts

    def _scan(self, nlp: Language) -> list[SourceReader]:
        exclude = None
        if self.exclude:
            sentences = (text for path in self.exclude for doc in read_docs(path) for _, text in sentences_of(doc))
            exclude = NearDuplicates(sentences, threshold=self.near_duplicates)
        rules = Rules(seed=self.seed, on_low_score=self.on_low_score, spans_key=self.spans_key, exclude=exclude)
        readers = [SourceReader(source, rules, section=f"{self.section}.sources") for source in self.sources]
        for reader in readers:
            reader.scan()
            source, left_out = reader.source, reader.counts.left_out()
            if left_out:
                warn("W610", name=source.name, path=source.path, counts=left_out)
            logger.info("Source %s: %s", source.name, reader.counts)
        self._check(nlp, readers)
        return readers

    def _check(self, nlp: Language, readers: Sequence[SourceReader]) -> None:
        named = [nlp.lang or MULTI, "en", *(reader.source.lang for reader in readers)]
        for reader in readers if self.check_language else ():
            source = reader.source
            if reason := wrong_language(reader.words, source.lang, named):
                values = {"name": source.name, "path": source.path, "lang": source.lang, "reason": reason}
                raise error("E614", section=self.section, **values)
        check_labels(nlp, readers, section=self.section, may_differ=self.labels_may_differ)

    def _mix(self, nlp: Language, epoch: int) -> Iterator[tuple[SourceReader, Doc]]:
        """Documents of all sources. Each source gives exactly its part of the epoch."""
        left = list(self.epoch_sizes.values())
        streams = [
            reader.docs(nlp.vocab, start=epoch * n_docs, n_docs=n_docs, shuffle=self.shuffle)
            for reader, n_docs in zip(self._readers, left, strict=True)
        ]
        draw = random.Random(f"{self.seed}/mix/{epoch}")
        while any(left):
            (i,) = draw.choices(range(len(left)), weights=left)
            left[i] -= 1
            for doc in next(streams[i]):
                yield self._readers[i], doc


def epoch_parts(sizes: Sequence[int], weights: Sequence[float], *, temperature: float | None) -> list[int]:
    """How many documents each source gives to an epoch.

    sizes (Sequence[int]): Documents of each source.
    weights (Sequence[float]): How often they are to be read.
    temperature (float | None): None to read them as often as that; else the sum of that is shared out in proportion to
        weight * size ** (1 / temperature).
    RETURNS (list[int]): Whole numbers with the sum of all `weight * size`, rounded; none is more than 1 from its share.
    """
    power = 1.0 if temperature is None else 1 / temperature
    total = round(sum(n * weight for n, weight in zip(sizes, weights, strict=True)))
    # Relative to the largest: the power of a large number could be too large
    largest = max(sizes, default=1)
    shares = [weight * (n / largest) ** power for n, weight in zip(sizes, weights, strict=True)]
    exact = [max(1, total) * share / sum(shares) for share in shares]
    parts = [int(part) for part in exact]
    by_rest = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in by_rest[: max(1, total) - sum(parts)]:
        parts[i] += 1
    return parts


class DevCorpus(MixedCorpus):
    """Reads the development set that a checkpoint is selected by: every document once, the same ones each time.

    Annotation by people in a language that the pipeline is for is refused: what is to be measured must not choose the
    model. Source gold and projected data are what there is without labels in the target language.

    target_gold (bool): Whether such annotation is allowed, for few-shot training and for a ceiling; reports say so.
    targets (Sequence[str]): Languages that the pipeline is for. Where none is given, see `selection.targets_of`.
    **settings: Those of MixedCorpus but for `shuffle`.
    """

    section = "corpora.dev"
    varies = False

    def __init__(
        self,
        sources: Mapping[str, Mapping[str, Any]],
        *,
        target_gold: bool = False,
        targets: Sequence[str] = (),
        **settings: Any,
    ):
        super().__init__(sources, **{**settings, "shuffle": False})
        self.target_gold = target_gold
        self.targets = [to_spacy(lang) for lang in targets]

    def _scan(self, nlp: Language) -> list[SourceReader]:
        targets = targets_of(nlp.config, {"targets": self.targets})
        for source in self.sources:
            if source.is_gold and not self.target_gold and is_target(source.lang, targets):
                raise error("E615", name=source.name, lang=source.lang, targets=targets)
        return super()._scan(nlp)

    def _check(self, nlp: Language, readers: Sequence[SourceReader]) -> None:
        super()._check(nlp, readers)
        if self.labels_may_differ is not True:
            check_labels_known(nlp, readers, section=self.section, accepted=self.labels_may_differ or ())


def create_mixed_corpus(
    sources: dict[str, dict[str, Any]],
    encoder: str | None = None,
    max_pieces: int = 256,
    max_word_pieces: int = 32,
    gold_tokens: bool = True,
    seed: int = 0,
    temperature: float | None = None,
    shuffle: bool = True,
    exclude: list[str] | None = None,
    near_duplicates: float = 0.6,
    on_low_score: str = DROP,
    spans_key: str | None = None,
    labels_may_differ: bool | list[str] = False,
    check_language: bool = True,
) -> MixedCorpus:
    """Registered reader `spacy_xlt.MixedCorpus.v1`. See MixedCorpus, and Source for the blocks of `sources`.

    RAISES (XltError): E601 and E610 for a value that cannot be, E611 for a setting that a source does not have.
    """
    return MixedCorpus(
        sources,
        encoder=encoder,
        max_pieces=max_pieces,
        max_word_pieces=max_word_pieces,
        gold_tokens=gold_tokens,
        seed=seed,
        temperature=temperature,
        shuffle=shuffle,
        exclude=exclude or (),
        near_duplicates=near_duplicates,
        on_low_score=on_low_score,
        spans_key=spans_key,
        labels_may_differ=labels_may_differ,
        check_language=check_language,
    )


def create_dev_corpus(
    sources: dict[str, dict[str, Any]],
    encoder: str | None = None,
    max_pieces: int = 256,
    max_word_pieces: int = 32,
    gold_tokens: bool = True,
    seed: int = 0,
    temperature: float | None = None,
    exclude: list[str] | None = None,
    near_duplicates: float = 0.6,
    on_low_score: str = DROP,
    spans_key: str | None = None,
    labels_may_differ: bool | list[str] = False,
    check_language: bool = True,
    target_gold: bool = False,
    targets: list[str] | None = None,
) -> DevCorpus:
    """Registered reader `spacy_xlt.DevCorpus.v1`. See DevCorpus.

    RAISES (XltError): E601 and E610 for a value that cannot be, E611 for a setting that a source does not have; E615,
        when called, for gold in a language that the pipeline is for.
    """
    return DevCorpus(
        sources,
        encoder=encoder,
        max_pieces=max_pieces,
        max_word_pieces=max_word_pieces,
        gold_tokens=gold_tokens,
        seed=seed,
        temperature=temperature,
        exclude=exclude or (),
        near_duplicates=near_duplicates,
        on_low_score=on_low_score,
        spans_key=spans_key,
        labels_may_differ=labels_may_differ,
        check_language=check_language,
        target_gold=target_gold,
        targets=targets or (),
    )
