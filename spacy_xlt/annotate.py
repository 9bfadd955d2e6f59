"""`xlt_annotator`: run any spaCy pipeline on the translations, for translate-test."""

from __future__ import annotations

from spacy.language import Language
from spacy.tokens import Doc

from .bitext import Bitext
from .pipe import BitextPipe
from .subpipeline import SubPipeline, with_vocab


@Language.factory(
    "xlt_annotator",
    requires=["doc._.xlt"],
    assigns=["doc._.xlt"],
    default_config={"pipeline": None, "targets": None},
)
def make_annotator(nlp: Language, name: str, pipeline: str | None, targets: list[str] | None) -> AnnotatorPipe:
    """Make the component.

    pipeline (str | None): Name of an installed spaCy pipeline, or a path to one, for the language of the translations.
        It is saved with the component, so that a saved pipeline needs no other. None only for a config that is to be
        filled in.
    targets (list[str] | None): Which bitexts of `doc._.xlt` to annotate, by language code; all where left out.
    """
    return AnnotatorPipe(name, PipelineAnnotator(pipeline, name=name), targets=targets)


class PipelineAnnotator(SubPipeline):
    """Runs a spaCy pipeline on documents that are already tokenised.

    The tokens stay as the translator cut them: by the tokenizer of the translation's language, whatever the pipeline's
    own tokenizer is for.
    """

    def annotate(self, docs: list[Doc]) -> list[Doc]:
        """The same tokens and sentences, annotated: new docs, as the pipeline has a vocabulary of its own."""
        return self.run(with_vocab(doc, self.nlp) for doc in docs)


class AnnotatorPipe(BitextPipe):
    """Annotates the target docs of Bitexts.

    name (str): The component's name.
    engine (PipelineAnnotator): What annotates.
    targets (list[str] | None): See `make_annotator`.
    """

    required_method = "annotate"

    def inner_pipelines(self) -> list[Language]:
        """The annotating pipeline."""
        return [self.engine.nlp]

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with annotated targets, by language code."""
        found = [self.bitexts_of(doc) for doc in docs]
        bitexts = [bitext for of_doc in found for bitext in of_doc.values()]
        for bitext, target in zip(bitexts, self.engine.annotate([b.target for b in bitexts]), strict=True):
            bitext.target = target
        return found
