"""`xlt_translator`: translate documents sentence by sentence into Bitexts."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from ..alignment.soft import links_above, token_weights
from ..bitext import Bitext, SentencePair
from ..errors import error
from ..languages import MULTI, UNSEGMENTED, blank, to_spacy
from ..links import Alignment
from ..pipe import XltPipe
from ..protocols import Translation
from ..subpipeline import load_pipeline
from .cache import TranslationCache
from .cached import CachedTranslator
from .contracted import Reading, as_it_is, contracted, joins_of
from .glossary import Glossary, check_keep, kept_spans
from .guarded import GuardedTranslator, Request
from .placeholders import KINDS, check_kinds
from .quality.gates import QualityGates
from .sentences import LINE_BREAKS, Part, Sentence, sentences_of

DEFAULT_ENGINE = {"@misc": "spacy_xlt.BergamotTranslator.v1"}
DEFAULT_QUALITY = {"@misc": "spacy_xlt.QualityGates.v1"}
# Attention below this is noise spread over all words; storing it would make corpora several times larger.
STORED_ATTENTION = 0.02


@Language.factory(
    "xlt_translator",
    assigns=["doc._.xlt"],
    default_config={
        "engine": DEFAULT_ENGINE,
        "source": None,
        "target_pipeline": None,
        "max_chars": 1200,
        "line_breaks": "auto",
        "join_contractions": False,
        "protect": None,
        "terms": None,
        "keep": [],
        "quality": DEFAULT_QUALITY,
        "drop_flags": [],
        "cache": None,
        "cache_mb": 1024,
    },
)
def make_translator(
    nlp: Language,
    name: str,
    engine: Any,
    target: str,
    source: str | None,
    target_pipeline: str | None,
    max_chars: int | None,
    line_breaks: str,
    join_contractions: bool,
    protect: list[str] | None,
    terms: str | None,
    keep: list[str],
    quality: Any,
    drop_flags: list[str],
    cache: str | None,
    cache_mb: int | float,
) -> TranslatorPipe:
    """Make the component. For the other settings see `TranslatorPipe`.

    source (str | None): Language code of the documents; the pipeline's own language where left out.
    """
    return TranslatorPipe(
        name,
        engine,
        source=to_spacy(source or nlp.lang or MULTI),
        target=to_spacy(target),
        target_pipeline=target_pipeline,
        max_chars=max_chars,
        line_breaks=line_breaks,
        join_contractions=join_contractions,
        protect=protect,
        terms=terms,
        keep=keep,
        quality=quality,
        drop_flags=drop_flags,
        cache=cache,
        cache_mb=cache_mb,
    )


class TranslatorPipe(XltPipe[Bitext]):
    """Adds to each document a Bitext with its translation: `doc._.xlt[target]`.

    name (str): The component's name.
    engine (Translator): What translates.
    source, target (str): spaCy's codes of the languages to translate from and into.
    target_pipeline (str | None): Name or path of a pipeline whose tokenizer cuts the translations; spaCy's tokenizer
        for the language where left out. It should be the one that the final pipeline uses.
    max_chars (int | None): Longer sentences are translated in parts; see `sentences_of`. Engines may cut further.
    line_breaks (str): "auto", "keep" or "join"; see `sentences_of`.
    join_contractions (bool): Translate "de a" as "da": for text from treebanks, which take contractions apart. The
        document keeps its tokens. Changes nothing in languages without a table (`contractions.TABLES`).
    protect (list[str] | None): Kinds of strings that must not be translated, of `placeholders.KINDS`; all where left
        out. A translation that lacks one is flagged "placeholder_lost".
    terms (str | None): File of lines `term<TAB>translation`; see `Glossary`. A translation that lacks one is flagged
        "term_missing". Works with every engine: those that cannot be told of terms translate stand-ins.
    keep (list[str]): Labels of entities and `spans:KEY` for span groups whose text must appear as it is, or in a given
        form; see `kept_spans`. Handled as terms are.
    quality (QualityGates | None): What flags doubtful translations; nothing where null.
    drop_flags (list[str]): `build` leaves sentences with one of these flags out of the projected corpus.
    cache (str | None): File to keep translations in; "user" for one in the user's cache folder; none where left out.
    cache_mb (float): The most mebibytes of translations there.
    RAISES (XltError): E103 for a setting that cannot be, E250 for an unknown kind in `protect`, E251 and E252 for the
        glossary.
    """

    required_method = "translate"
    # What may change between two runs of a build: it changes nothing in the output
    settings_without_effect = ("cache", "cache_mb")

    def __init__(
        self,
        name: str,
        engine: Any,
        *,
        source: str,
        target: str,
        target_pipeline: str | None = None,
        max_chars: int | None = 1200,
        line_breaks: str = "auto",
        join_contractions: bool = False,
        protect: list[str] | None = None,
        terms: str | None = None,
        keep: list[str] | tuple[str, ...] = (),
        quality: QualityGates | None = None,
        drop_flags: list[str] | tuple[str, ...] = (),
        cache: str | None = None,
        cache_mb: float = 1024,
    ):
        super().__init__(name, engine)
        for setting, value, fits, expected in (
            ("max_chars", max_chars, max_chars is None or max_chars >= 20, "a number from 20, or null"),
            ("line_breaks", line_breaks, line_breaks in LINE_BREAKS, ", ".join(LINE_BREAKS)),
            ("cache_mb", cache_mb, cache_mb > 0, "more than 0"),
            ("drop_flags", drop_flags, not isinstance(drop_flags, str), "a list of flags"),
        ):
            if not fits:
                raise error("E103", name=name, setting=setting, value=value, expected=expected)
        self.source = source
        self.target = target
        self.target_pipeline = target_pipeline
        self.max_chars = max_chars
        self.line_breaks = line_breaks
        self.join_contractions = join_contractions
        self.keep = check_keep(keep, name=name)
        self.drop_flags = tuple(drop_flags)
        self.glossary = None if terms is None else Glossary.read(terms)
        self.cache = None if cache is None else TranslationCache(cache, max_mb=cache_mb)
        self.protect = KINDS if protect is None else check_kinds(protect)
        self.quality = quality
        self._guarded: GuardedTranslator | None = None
        self._tokenizer: Tokenizer | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A tokenizer of some languages (Japanese, Thai) holds objects that cannot be pickled.
        return {**self.__dict__, "_tokenizer": None}

    @property
    def signature(self) -> str:
        """The engine's signature, and what else decides the translations where it is set."""
        parts = [super().signature]
        if self.protect != KINDS:
            parts.append(f"protect:{'+'.join(self.protect) or 'none'}")
        if self.glossary is not None:
            parts.append(f"terms:{sha256(repr(sorted(self.glossary.entries.items())).encode()).hexdigest()[:12]}")
        if self.join_contractions:
            parts.append("join_contractions")
        if self.keep:
            parts.append(f"keep:{'+'.join(self.keep)}")
        return "|".join(parts)

    @property
    def guarded(self) -> GuardedTranslator:
        """The engine with cache, placeholders, terms and quality gates around it."""
        if self._guarded is None or self._guarded.translator.engine is not self.engine:
            cached = CachedTranslator(self.engine, cache=self.cache)
            self._guarded = GuardedTranslator(cached, protect=self.protect, gates=self.quality)
        return self._guarded

    @property
    def cache_counts(self) -> tuple[int, int]:
        """How many texts came from the cache, and how many from the engine, in this process."""
        translator = self.guarded.translator
        return translator.hits, translator.misses

    @property
    def tokenizer(self) -> Tokenizer:
        """What cuts the translations into tokens; made at first use.

        RAISES (XltError): E104 where `target_pipeline` cannot be loaded, E011 where a language's tokenizer cannot.
        """
        if self.target_pipeline is None:
            # Not kept: the vocab that it fills is exchanged from time to time
            return blank(self.target).tokenizer
        if self._tokenizer is None:
            pipeline = load_pipeline(self.target_pipeline, name=self.name, setting="target_pipeline")
            self._tokenizer = pipeline.tokenizer
        return self._tokenizer

    def predict(self, docs: list[Doc]) -> list[Bitext]:
        """Translate all sentences of the docs in one call of the engine.

        RAISES (XltError): E105 where the engine returns another number of translations than it got texts.
        """
        cutting: dict[str, Any] = {
            "max_chars": self.max_chars,
            "line_breaks": self.line_breaks,
            "protect": self.protect,
        }
        readings = [self._read(doc) for doc in docs]
        sentences = [list(sentences_of(reading.doc, **cutting)) for reading in readings]
        requests = [
            request
            for reading, of_doc in zip(readings, sentences, strict=True)
            for request in self._requests(reading, of_doc)
        ]
        translations = self.guarded.translate(requests, source=self.source, target=self.target)
        if len(translations) != len(requests):
            raise error("E105", name=self.name, found=len(translations), expected=len(requests))
        stream = iter(translations)
        # Of an engine that asks its programs for it, slow
        engine = self.signature
        return [
            self._assemble(reading, [(sentence, [next(stream) for _ in sentence.parts]) for sentence in of_doc], engine)
            for reading, of_doc in zip(readings, sentences, strict=True)
        ]

    def set_annotations(self, docs: list[Doc], predictions: list[Bitext]) -> None:
        """Store the Bitexts on the docs."""
        for doc, bitext in zip(docs, predictions, strict=True):
            doc._.xlt[self.target] = bitext

    def _read(self, doc: Doc) -> Reading:
        return contracted(doc, joins_of(self.source)) if self.join_contractions else as_it_is(doc)

    def _requests(self, reading: Reading, sentences: list[Sentence]) -> Iterator[Request]:
        terms = list(self.glossary.find(reading.doc)) if self.glossary is not None else []
        for kept in kept_spans(reading.original, self.keep) if self.keep else ():
            start, end = reading.offsets(kept.start, kept.end)
            terms.append(kept._replace(start=start, end=end))
        for part in (part for sentence in sentences for part in sentence.parts):
            start, end = part.offset, part.offset + len(part.text)
            inside = [term for term in terms if start <= term.start < term.end <= end]
            yield Request(part.text, tuple(t._replace(start=t.start - start, end=t.end - start) for t in inside))

    def _assemble(self, reading: Reading, translated: list[tuple[Sentence, list[Translation]]], engine: str) -> Bitext:
        words: list[str] = []
        spaces: list[bool] = []
        starts: list[bool | int | None] = []
        pairs: list[SentencePair] = []
        attention: list[Alignment] = []
        for sentence, translations in translated:
            text, offsets = self._joined(sentence, translations)
            tokens = self.tokenizer(text)
            first = len(words)
            words += [token.text for token in tokens]
            spaces += [bool(token.whitespace_) for token in tokens]
            starts += [i == 0 for i in range(len(tokens))]
            flags = tuple(dict.fromkeys(flag for translation in translations for flag in translation.flags))
            score = _mean_score(translations)
            start, end = reading.first[sentence.start], reading.first[sentence.end]
            pairs.append(SentencePair(start, end, first, len(words), score, flags))
            source = reading.doc[sentence.start : sentence.end]
            for part, translation, offset in zip(sentence.parts, translations, offsets, strict=True):
                if translation.alignment is not None:
                    spans = _char_spans(source, part.offset), _char_spans(tokens, offset)
                    weights = token_weights(translation.alignment, *spans)
                    attention.append(links_above(weights, STORED_ATTENTION).shift(sentence.start, first))
        target = Doc(blank(self.target).vocab, words=words, spaces=spaces, sent_starts=starts)
        return Bitext(
            reading.original,
            target,
            source_lang=self.source,
            target_lang=self.target,
            sentences=pairs,
            engine=engine,
            attention=reading.links(Alignment.concatenate(attention)) if attention else None,
        )

    def _joined(self, sentence: Sentence, translations: list[Translation]) -> tuple[str, list[int]]:
        """The translation of a whole sentence, and where in it the translation of each part starts."""
        text = ""
        offsets = []
        for part, translation in zip(sentence.parts, translations, strict=True):
            text += self._gap(part)
            offsets.append(len(text))
            text += translation.text
        return text + sentence.after, offsets

    def _gap(self, part: Part) -> str:
        if part.gap is not None:
            return part.gap
        return "" if self.target in UNSEGMENTED else " "


def _mean_score(translations: list[Translation]) -> float | None:
    """The mean score of the parts of a sentence, weighted by their length."""
    if len(translations) == 1:
        return translations[0].score
    scored = [(one.score, max(1, len(one.text))) for one in translations if one.score is not None]
    if not scored:
        return None
    return sum(score * length for score, length in scored) / sum(length for _, length in scored)


def _char_spans(tokens: Any, offset: int) -> np.ndarray:
    """Character ranges of tokens, counted from `offset`: int32, (n, 2)."""
    spans = [(token.idx - offset, token.idx - offset + len(token)) for token in tokens]
    return np.asarray(spans, dtype=np.int32).reshape(-1, 2)
