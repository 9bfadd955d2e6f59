"""`xlt_annotator`: run any spaCy pipeline on translations, for translate-test, or on the documents themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from .bitext import Bitext, candidates_group
from .docs import copy_entities, copy_groups, copy_span, links_follow, with_vocab
from .engine import check_arguments
from .errors import error
from .pipe import BitextPipe, XltPipe
from .probabilities import Scores, annotate_scored, labels_of
from .subpipeline import SubPipeline

SIDES = ("target", "source")


@Language.factory(
    "xlt_annotator",
    # Of the source side, it assigns doc.ents and doc.spans; what the config makes of it, analyze_pipes cannot know
    requires=["doc._.xlt"],
    assigns=["doc._.xlt"],
    default_config={"pipeline": None, "targets": None, "beam_width": 1, "spans_key": None, "side": "target"},
)
def make_annotator(
    nlp: Language,
    name: str,
    pipeline: Any,
    targets: Any,
    beam_width: Any,
    spans_key: Any,
    side: Any,
) -> XltPipe[Any]:
    """Make the component: for side "source" a `SourceAnnotatorPipe`, else an `AnnotatorPipe`, which check the rest."""
    if side not in SIDES:
        raise error("E150", owner=name, setting="side", value=side, expected=" or ".join(SIDES))
    if side == "source":
        return SourceAnnotatorPipe(name, pipeline=pipeline, beam_width=beam_width, spans_key=spans_key)
    return AnnotatorPipe(name, pipeline=pipeline, targets=targets, beam_width=beam_width, spans_key=spans_key)


class AnnotatorPipe(BitextPipe):
    """Annotates the target docs of Bitexts.

    Args:
        pipeline: Name of an installed spaCy pipeline, or a path to one, for the language of the translations. It is
            saved with the component, so that a saved pipeline needs no other. None only for a config that is to be
            filled in.
        targets: Which bitexts of `doc._.xlt` to annotate, by language code; all where left out.
        beam_width: From 2 on, also find out how probable the entities are, and which others are possible: they go to
            the span group "xlt_candidates" of the translation with `attrs["scores"]`. An `ner` component searches with
            a beam of this width, `xlt_ner` needs no search; see `annotate_scored`. With 1 nothing is done besides
            annotating.
        spans_key: With `beam_width`: the spans of this group instead of the entities, as `spancat` scores them; they
            go to "xlt_candidates:KEY".

    Raises:
        XltError: E150 for an invalid beam width.
    """

    required_method = "annotate"

    def __init__(
        self,
        name: str,
        *,
        pipeline: str | None,
        targets: list[str] | None,
        beam_width: int,
        spans_key: str | None,
    ):
        check_arguments(name, AnnotatorPipe.__init__, locals())
        annotator = PipelineAnnotator(pipeline, name=name, beam_width=beam_width, spans_key=spans_key)
        super().__init__(name, annotator, targets=targets)

    def inner_pipelines(self) -> list[Language]:
        """The annotating pipeline."""
        return [self.engine.nlp]

    @property
    def found_labels(self) -> tuple[str, ...] | None:
        """The labels that the annotating pipeline gives; None where it does not say."""
        labels = labels_of(self.engine.nlp, self.engine.spans_key)
        return None if labels is None else tuple(sorted(labels))

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with annotated targets, by language code."""
        by_doc = [self.bitexts_of(doc) for doc in docs]
        bitexts = [bitext for by_lang in by_doc for bitext in by_lang.values()]
        for bitext, target in zip(bitexts, self.engine.annotate([b.target for b in bitexts]), strict=True):
            bitext.target = target
        return by_doc


class SourceAnnotatorPipe(XltPipe[Doc]):
    """Annotates the documents themselves, such as raw text before `xlt_translator` or the source of parallel text.

    Entities of `xlt_ner` have their probabilities in the span group "xlt_ents", and what is projected from them keeps
    them there as `attrs["source_scores"]`. The arguments are those of `AnnotatorPipe`.
    """

    required_method = "annotate"

    def __init__(self, name: str, *, pipeline: str | None, beam_width: int, spans_key: str | None):
        check_arguments(name, SourceAnnotatorPipe.__init__, locals())
        super().__init__(name, PipelineAnnotator(pipeline, name=name, beam_width=beam_width, spans_key=spans_key))

    def inner_pipelines(self) -> list[Language]:
        """The annotating pipeline."""
        return [self.engine.nlp]

    def predict(self, docs: list[Doc]) -> list[Doc]:
        """Annotated copies of the docs."""
        return list(self.engine.annotate(docs))

    def set_annotations(self, docs: list[Doc], predictions: list[Doc]) -> None:
        """Copy entities, span groups and categories onto the docs."""
        for doc, copy in zip(docs, predictions, strict=True):
            with links_follow(doc):
                if copy.has_annotation("ENT_IOB"):
                    copy_entities(copy, doc)
                copy_groups(copy, doc, partial(copy_span, doc=doc))
            doc.cats = dict(copy.cats)


class PipelineAnnotator(SubPipeline):
    """Runs a spaCy pipeline on documents that are already tokenised.

    The tokens stay as the translator cut them: by the tokenizer of the translation's language, whatever the pipeline's
    own tokenizer is for.
    """

    def __init__(self, pipeline: str | None, *, name: str, beam_width: int = 1, spans_key: str | None = None):
        if beam_width < 1:
            raise error("E150", owner=name, setting="beam_width", value=beam_width, expected="a number from 1")
        super().__init__(pipeline, name=name)
        self.beam_width = beam_width
        self.spans_key = spans_key

    def annotate(self, docs: list[Doc]) -> list[Doc]:
        """The same tokens and sentences, annotated: new docs, as the pipeline has a vocabulary of its own."""
        copies = [with_vocab(doc, self.nlp.vocab) for doc in docs]
        if self.beam_width == 1:
            return [_to_lists(doc) for doc in self.run(copies)]
        annotated, scored = annotate_scored(self.nlp, copies, beam_width=self.beam_width, spans_key=self.spans_key)
        for doc, scores in zip(annotated, scored, strict=True):
            _add_candidates(_to_lists(doc), scores, candidates_group(self.spans_key))
        return annotated


def _add_candidates(doc: Doc, scores: Scores, key: str) -> None:
    ordered = sorted(scores.items())
    spans = [Span(doc, span.start, span.end, label=span.label) for span, _ in ordered]
    doc.spans[key] = SpanGroup(doc, name=key, attrs={"scores": [score for _, score in ordered]}, spans=spans)


def _to_lists(doc: Doc) -> Doc:
    """Make lists of the arrays that `spancat` keeps scores in: a Bitext stores plain data."""
    for group in doc.spans.values():
        group.attrs = {name: v.tolist() if hasattr(v, "tolist") else v for name, v in group.attrs.items()}
    return doc
