"""`xlt_annotator`: run any spaCy pipeline on the translations, for translate-test."""

from __future__ import annotations

from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from .bitext import Bitext
from .pipe import BitextPipe
from .translation.component import load_pipeline


@Language.factory(
    "xlt_annotator",
    requires=["doc._.xlt"],
    assigns=["doc._.xlt"],
    default_config={"targets": None},
)
def make_annotator(nlp: Language, name: str, pipeline: str, targets: list[str] | None) -> AnnotatorPipe:
    """Make the component.

    pipeline (str): Name of an installed spaCy pipeline, or a path to one, in the language of the translations.
    targets (list[str] | None): Which bitexts of `doc._.xlt` to annotate, by language code; all where left out.
    """
    return AnnotatorPipe(name, PipelineAnnotator(pipeline, name=name), targets=targets)


class PipelineAnnotator:
    """Runs a spaCy pipeline, loaded at first use, on documents that are already tokenised.

    pipeline (str): Name or path.
    name (str): The component's name, for errors.
    """

    def __init__(self, pipeline: str, *, name: str):
        self.pipeline = pipeline
        self.name = name
        self._nlp: Language | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nlp": None}

    @property
    def nlp(self) -> Language:
        """The pipeline.

        RAISES (XltError): E104 where it cannot be loaded.
        """
        if self._nlp is None:
            self._nlp = load_pipeline(self.pipeline, name=self.name, setting="pipeline")
        return self._nlp

    @property
    def signature(self) -> str:
        """The pipeline's name and version where it is loaded, else the setting."""
        if self._nlp is None:
            return f"pipeline:{self.pipeline}"
        meta = self._nlp.meta
        return f"pipeline:{meta['lang']}_{meta['name']}-{meta['version']}"

    def annotate(self, docs: list[Doc]) -> list[Doc]:
        """The same tokens and sentences, annotated: new docs, as the pipeline has a vocabulary of its own."""
        return list(self.nlp.pipe(_with_vocab(doc, self.nlp) for doc in docs))


class AnnotatorPipe(BitextPipe):
    """Annotates the target docs of Bitexts.

    name (str): The component's name.
    engine (PipelineAnnotator): What annotates.
    targets (list[str] | None): See `make_annotator`.
    """

    required_method = "annotate"

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with annotated targets, by language code."""
        found = [self.bitexts_of(doc) for doc in docs]
        bitexts = [bitext for of_doc in found for bitext in of_doc.values()]
        for bitext, target in zip(bitexts, self.engine.annotate([b.target for b in bitexts]), strict=True):
            bitext.target = target
        return found


def _with_vocab(doc: Doc, nlp: Language) -> Doc:
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        starts = [token.is_sent_start for token in doc]
    return Doc(nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc], sent_starts=starts)
