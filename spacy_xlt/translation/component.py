"""`xlt_translator`: translate documents sentence by sentence into Bitexts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from ..alignment.soft import token_links
from ..bitext import Bitext, SentencePair
from ..docs import all_spans
from ..engine import check_arguments
from ..errors import error
from ..languages import MULTI, UNSEGMENTED, blank, to_spacy, vocab_of
from ..links import Alignment
from ..pipe import XltPipe
from ..protocols import Finder, Translation
from ..subpipeline import load_pipeline
from .cache import CachedTranslator, TranslationCache
from .constraints import KINDS, Glossary, is_keep, kept_spans
from .contractions import ContractedView, contracted, contraction_table, unchanged
from .masking import MaskingTranslator, Request
from .quality import QualityGates
from .sentences import Sentence, joined_where_known, sentences_of

DEFAULT_ENGINE = {"@misc": "spacy_xlt.BergamotTranslator.v1"}
DEFAULT_QUALITY = {"@misc": "spacy_xlt.QualityGates.v1"}
# Attention below this is noise spread over all words; storing it would make corpora several times larger.
STORED_ATTENTION = 0.02


@Language.factory(
    "xlt_translator",
    assigns=["doc._.xlt"],
    default_config={"engine": DEFAULT_ENGINE, "quality": DEFAULT_QUALITY, "keep": []},
)
class TranslatorPipe(XltPipe[Bitext]):
    """Adds to each document a Bitext with its translation: `doc._.xlt[target]`.

    Args:
        name: The component's name.
        engine: What translates, a `Translator`.
        target: Language code to translate into.
        nlp: The pipeline, for its language.
        source: Language code of the documents; the pipeline's own language where left out.
        target_pipeline: Name or path of a pipeline whose tokenizer cuts the translations; spaCy's tokenizer for the
            language where left out. It should be the one that the final pipeline uses.
        max_chars: Longer sentences are translated in parts; see `sentences_of`. Engines may cut further.
        join_contractions: Translate "de a" as "da": for text from treebanks, which take contractions apart. The
            document keeps its tokens. Changes nothing in languages without a table (`contractions.TABLES`).
        protect: Kinds of strings that must not be translated, of `constraints.KINDS`; all where left out. A translation
            that lacks one is flagged "placeholder_lost".
        terms: File of lines `term<TAB>translation`; see `Glossary`. A translation that lacks one is flagged
            "term_missing".
        keep: Labels of entities and `spans:KEY` for span groups whose text must appear as it is. Handled as terms are.
        quality: The `QualityGates` that flag doubtful translations; none where null.
        store_attention: Store what the translation model looked at, for an `AttentionAligner` behind the translator.
            Sentences with placeholders or terms that were masked have none.
        cache: File to keep translations in; "user" for one in the user's cache folder; none where left out.
        cache_mb: The most mebibytes of translations there.

    Raises:
        XltError: E150 for an invalid setting, E251 and E531 for the glossary.
    """

    required_method = "translate"
    # What may change between two runs of a build: it changes nothing in the output
    settings_without_effect = ("cache", "cache_mb")

    def __init__(
        self,
        name: str,
        engine: Any,
        *,
        target: str,
        nlp: Language | None = None,
        source: str | None = None,
        target_pipeline: str | None = None,
        max_chars: int | None = 1200,
        join_contractions: bool = False,
        protect: Sequence[str] | None = None,
        terms: str | None = None,
        keep: Sequence[str] = (),
        quality: Any = None,
        store_attention: bool = False,
        cache: str | None = None,
        cache_mb: int | float = 1024,
    ):
        check_arguments(name, TranslatorPipe.__init__, locals())
        super().__init__(name, engine)
        kinds = KINDS if protect is None else tuple(protect)
        for setting, value, is_valid, expected in (
            ("max_chars", max_chars, max_chars is None or max_chars >= 20, "a number from 20, or null"),
            ("protect", protect, set(kinds) <= set(KINDS), f"a list of {', '.join(KINDS)}; null for all of them"),
            ("keep", keep, is_keep(keep), "a list of entity labels and spans:KEY"),
            ("cache_mb", cache_mb, cache_mb > 0, "more than 0"),
            ("quality", quality, quality is None or isinstance(quality, QualityGates), "QualityGates, or null"),
        ):
            if not is_valid:
                raise error("E150", owner=name, setting=setting, value=value, expected=expected)
        # Engines get the codes as they are given: some tell varieties and scripts apart
        self.codes = {"source": source or (nlp.lang if nlp is not None else "") or MULTI, "target": target}
        self.source, self.target = map(to_spacy, self.codes.values())
        self.target_pipeline = target_pipeline
        self.join_contractions = join_contractions
        self.keep = tuple(keep)
        self.glossary = None if terms is None else Glossary.read(terms)
        self.cache = None if cache is None else TranslationCache(cache, max_mb=cache_mb)
        self.quality: QualityGates | None = quality
        self.store_attention = store_attention
        self._cutting: dict[str, Any] = {"max_chars": max_chars, "protect": kinds}
        self._masking: MaskingTranslator | None = None
        self._tokenizer: Tokenizer | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A tokenizer of some languages (Japanese, Thai) holds objects that cannot be pickled.
        return {**self.__dict__, "_tokenizer": None}

    @property
    def signature(self) -> str:
        """The engine's signature, and what else decides the translations where it is not the default."""
        max_chars, protect = self._cutting.values()
        gates = "none" if self.quality is None else self.quality.signature
        terms = None if self.glossary is None else repr(sorted(self.glossary.entries.items()))
        extra = {
            "max_chars": max_chars if max_chars != 1200 else "",
            "target_pipeline": self.target_pipeline or "",
            "protect": ("+".join(protect) or "none") if protect != KINDS else "",
            "terms": sha256(terms.encode()).hexdigest()[:12] if terms is not None else "",
            "join_contractions": "yes" if self.join_contractions else "",
            "keep": "+".join(self.keep),
            "quality": gates if gates != QualityGates().signature else "",
            "store_attention": "yes" if self.store_attention else "",
        }
        return "|".join([super().signature, *(f"{name}:{value}" for name, value in extra.items() if value != "")])

    @property
    def masking(self) -> MaskingTranslator:
        """The engine with cache, placeholders, terms and quality gates around it."""
        if self._masking is None or self._masking.translator.engine is not self.engine:
            cached = CachedTranslator(
                self.engine, cache=self.cache, name=self.name, with_attention=self.store_attention
            )
            self._masking = MaskingTranslator(cached, protect=self._cutting["protect"], gates=self.quality)
        return self._masking

    @property
    def cache_counts(self) -> tuple[int, int]:
        """How many texts came from the cache, and how many from the engine, in this process."""
        translator = self.masking.translator
        return translator.hits, translator.misses

    @property
    def tokenizer(self) -> Tokenizer:
        """What cuts the translations into tokens; made at first use.

        Raises:
            XltError: E104 where `target_pipeline` cannot be loaded, E011 where a language's tokenizer cannot.
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

        Raises:
            XltError: E105 where the engine returns another number of translations than it got texts.
        """
        table = contraction_table(self.source) if self.join_contractions else {}
        views = [contracted(doc, table) if table else unchanged(doc) for doc in docs]
        sentences = [self._sentences(view.doc) for view in views]
        requests = [
            request for view, of_doc in zip(views, sentences, strict=True) for request in self._requests(view, of_doc)
        ]
        translations = iter(self.masking.translate(requests, **self.codes))
        # Of an engine that asks its programs for it, slow
        signature = self.signature
        bitexts = []
        for view, of_doc in zip(views, sentences, strict=True):
            translated = [(sentence, [next(translations) for _ in sentence.parts]) for sentence in of_doc]
            bitexts.append(self._assemble(view, translated, signature))
        return bitexts

    def set_annotations(self, docs: list[Doc], predictions: list[Bitext]) -> None:
        """Store the Bitexts on the docs."""
        for doc, bitext in zip(docs, predictions, strict=True):
            doc._.xlt[self.target] = bitext

    def _sentences(self, doc: Doc) -> list[Sentence]:
        sentences = list(sentences_of(doc, **self._cutting))
        if not isinstance(self.engine, Finder):
            return sentences
        return list(joined_where_known(doc, sentences, partial(self.engine.finds, **self.codes)))

    def _requests(self, view: ContractedView, sentences: list[Sentence]) -> Iterator[Request]:
        terms = list(self.glossary.find(view.doc)) if self.glossary is not None else []
        for kept in kept_spans(view.original, self.keep) if self.keep else ():
            start, end = view.offsets(kept.start, kept.end)
            terms.append(kept._replace(start=start, end=end))
        spans = view.doc.ents or all_spans(view.doc)
        names = sorted((span.start_char, span.end_char) for span in spans)
        for part in (part for sentence in sentences for part in sentence.parts):
            start, end = part.offset, part.offset + len(part.text)
            inside = [term for term in terms if start <= term.start < term.end <= end]
            of_part = names[bisect_left(names, (start,)) : bisect_left(names, (end,))]
            yield Request(
                part.text,
                tuple(t._replace(start=t.start - start, end=t.end - start) for t in inside),
                tuple((first - start, last - start) for first, last in of_part),
            )

    def _assemble(
        self, view: ContractedView, translated: list[tuple[Sentence, list[Translation]]], signature: str
    ) -> Bitext:
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
            start, end = view.first[sentence.start], view.first[sentence.end]
            pairs.append(SentencePair(start, end, first, len(words), _mean_score(translations), flags))
            if self.store_attention:
                links = _attention(view.doc, sentence, translations, tokens, offsets)
                attention.append(links.shift(sentence.start, first))
        target = Doc(vocab_of(self.target), words=words, spaces=spaces, sent_starts=starts)
        return Bitext(
            view.original,
            target,
            source_lang=self.source,
            target_lang=self.target,
            sentences=pairs,
            engine=signature,
            attention=view.links(Alignment.concatenate(attention)) if any(map(len, attention)) else None,
        )

    def _joined(self, sentence: Sentence, translations: list[Translation]) -> tuple[str, list[int]]:
        """The translation of a whole sentence, and where in it the translation of each part starts."""
        space = "" if self.target in UNSEGMENTED else " "
        text = ""
        offsets = []
        for part, translation in zip(sentence.parts, translations, strict=True):
            text += space if part.gap is None else part.gap
            offsets.append(len(text))
            text += translation.text
        return text + sentence.after, offsets


def _mean_score(translations: list[Translation]) -> float | None:
    """The mean score of the parts of a sentence, weighted by their length."""
    if len(translations) == 1:
        return translations[0].score
    scored = [(part.score, max(1, len(part.text))) for part in translations if part.score is not None]
    if not scored:
        return None
    return sum(score * length for score, length in scored) / sum(length for _, length in scored)


def _attention(
    doc: Doc, sentence: Sentence, translations: list[Translation], tokens: Doc, offsets: list[int]
) -> Alignment:
    """Links between the tokens of a sentence and those of its translation; none where a part lacks them."""
    spans = _char_spans(doc[sentence.start : sentence.end]), _char_spans(tokens)
    links = []
    for part, translation, offset in zip(sentence.parts, translations, offsets, strict=True):
        if translation.alignment is None:
            return Alignment()
        links.append(token_links(translation.alignment, *spans, STORED_ATTENTION, at=(part.offset, offset)))
    return Alignment.concatenate(links)


def _char_spans(tokens: Any) -> NDArray[np.int64]:
    """Character ranges of tokens: int64, (n, 2), by columns, which are searched in often."""
    spans = [(token.idx, token.idx + len(token)) for token in tokens]
    return np.asfortranarray(np.asarray(spans, np.int64).reshape(-1, 2))
