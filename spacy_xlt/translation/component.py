"""`xlt_translator`: translate documents sentence by sentence into Bitexts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from ..alignment.links import Alignment
from ..alignment.soft import links_above, token_weights
from ..bitext import Bitext, SentencePair, sentence_ranges
from ..errors import error
from ..languages import MULTI, blank, to_spacy
from ..pipe import XltPipe
from ..protocols import Translation

DEFAULT_ENGINE = {"@misc": "spacy_xlt.BergamotTranslator.v1"}
# Attention below this is noise spread over all words; storing it would make corpora several times larger.
STORED_ATTENTION = 0.02


@Language.factory(
    "xlt_translator",
    assigns=["doc._.xlt"],
    default_config={"engine": DEFAULT_ENGINE, "source": None, "target_pipeline": None},
)
def make_translator(
    nlp: Language,
    name: str,
    engine: Any,
    target: str,
    source: str | None,
    target_pipeline: str | None,
) -> TranslatorPipe:
    """Make the component.

    engine (Translator): What translates.
    target (str): Language code to translate into.
    source (str | None): Language code of the documents; the pipeline's own language where left out.
    target_pipeline (str | None): Name or path of a pipeline whose tokenizer cuts the translations; spaCy's tokenizer
        for the language where left out. It should be the one that the final pipeline uses.
    """
    return TranslatorPipe(
        name,
        engine,
        source=to_spacy(source or nlp.lang or MULTI),
        target=to_spacy(target),
        target_pipeline=target_pipeline,
    )


@dataclass(frozen=True)
class _Sentence:
    """A source sentence as token range and as text: white space around it is kept out of the translation."""

    start: int
    end: int
    before: str
    text: str
    after: str
    # where `text` starts in the doc, in characters
    offset: int


class TranslatorPipe(XltPipe[Bitext]):
    """Adds to each document a Bitext with its translation: `doc._.xlt[target]`.

    name (str): The component's name.
    engine (Translator): What translates.
    source, target (str): spaCy's language codes.
    target_pipeline (str | None): See `make_translator`.
    """

    required_method = "translate"

    def __init__(self, name: str, engine: Any, *, source: str, target: str, target_pipeline: str | None = None):
        super().__init__(name, engine)
        self.source = source
        self.target = target
        self.target_pipeline = target_pipeline
        self._tokenizer: Tokenizer | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A tokenizer of some languages (Japanese, Thai) holds objects that cannot be pickled.
        return {**self.__dict__, "_tokenizer": None}

    @property
    def tokenizer(self) -> Tokenizer:
        """What cuts the translations into tokens; made at first use.

        RAISES (XltError): E104 where `target_pipeline` cannot be loaded, E011 where a language's tokenizer cannot.
        """
        if self._tokenizer is None:
            if self.target_pipeline is None:
                self._tokenizer = blank(self.target).tokenizer
            else:
                self._tokenizer = load_pipeline(
                    self.target_pipeline, name=self.name, setting="target_pipeline"
                ).tokenizer
        return self._tokenizer

    def predict(self, docs: list[Doc]) -> list[Bitext]:
        """Translate all sentences of the docs in one call of the engine.

        RAISES (XltError): E105 where the engine returns another number of translations than it got texts.
        """
        sentences = [list(_sentences(doc)) for doc in docs]
        texts = [sentence.text for of_doc in sentences for sentence in of_doc]
        translations = self.engine.translate(texts, source=self.source, target=self.target)
        if len(translations) != len(texts):
            raise error("E105", name=self.name, found=len(translations), expected=len(texts))
        stream = iter(translations)
        return [
            self._assemble(doc, [(sentence, next(stream)) for sentence in of_doc])
            for doc, of_doc in zip(docs, sentences, strict=True)
        ]

    def set_annotations(self, docs: list[Doc], predictions: list[Bitext]) -> None:
        """Store the Bitexts on the docs."""
        for doc, bitext in zip(docs, predictions, strict=True):
            doc._.xlt[self.target] = bitext

    def _assemble(self, doc: Doc, translated: list[tuple[_Sentence, Translation]]) -> Bitext:
        words: list[str] = []
        spaces: list[bool] = []
        starts: list[bool | int | None] = []
        pairs: list[SentencePair] = []
        attention: list[Alignment] = []
        for sentence, translation in translated:
            tokens = self.tokenizer(f"{sentence.before}{translation.text}{sentence.after}")
            first = len(words)
            words += [token.text for token in tokens]
            spaces += [bool(token.whitespace_) for token in tokens]
            starts += [i == 0 for i in range(len(tokens))]
            pairs.append(
                SentencePair(sentence.start, sentence.end, first, len(words), translation.score, translation.flags)
            )
            if translation.alignment is not None:
                source_spans = _char_spans(doc[sentence.start : sentence.end], sentence.offset)
                target_spans = _char_spans(tokens, len(sentence.before))
                weights = token_weights(translation.alignment, source_spans, target_spans)
                attention.append(links_above(weights, STORED_ATTENTION).shift(sentence.start, first))
        target = Doc(blank(self.target).vocab, words=words, spaces=spaces, sent_starts=starts)
        return Bitext(
            doc,
            target,
            source_lang=self.source,
            target_lang=self.target,
            sentences=pairs,
            engine=self.signature,
            attention=Alignment.concatenate(attention) if attention else None,
        )


def load_pipeline(pipeline: str, *, name: str, setting: str) -> Language:
    """Load a spaCy pipeline that a component's setting names.

    RAISES (XltError): E104 with spaCy's reason where that fails.
    """
    import spacy

    try:
        return spacy.load(pipeline)
    except (OSError, ValueError, ImportError) as err:
        raise error("E104", name=name, pipeline=pipeline, setting=setting, reason=" ".join(str(err).split())) from err


def _sentences(doc: Doc) -> Iterable[_Sentence]:
    for start, end in sentence_ranges(doc):
        full = doc[start:end].text_with_ws
        text = full.strip()
        lead = full.index(text) if text else 0
        before, after = full[:lead], full[lead + len(text) :]
        yield _Sentence(start, end, before, text, after, doc[start].idx + lead)


def _char_spans(tokens: Any, offset: int) -> np.ndarray:
    """Character ranges of tokens, counted from `offset`: int32, (n, 2)."""
    spans = [(token.idx - offset, token.idx - offset + len(token)) for token in tokens]
    return np.asarray(spans, dtype=np.int32).reshape(-1, 2)
