"""A spaCy pipeline that annotates documents which are already tokenised."""

from __future__ import annotations

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import candidates_group
from ..docs import with_vocab
from ..errors import error
from ..probabilities import Scores, annotate_scored, labels_of
from ..subpipeline import SubPipeline


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

    @property
    def found_labels(self) -> tuple[str, ...] | None:
        """The labels that the pipeline gives; None where it does not say."""
        labels = labels_of(self.nlp, self.spans_key)
        return None if labels is None else tuple(sorted(labels))

    def annotate(self, docs: list[Doc]) -> list[Doc]:
        """The same tokens and sentences, annotated: new docs, as the pipeline has a vocabulary of its own."""
        copies = [with_vocab(doc, self.nlp.vocab) for doc in docs]
        if self.beam_width == 1:
            return [_to_lists(doc) for doc in self.run(copies)]
        annotated, scored = annotate_scored(self.nlp, copies, beam_width=self.beam_width, spans_key=self.spans_key)
        for doc, scores in zip(annotated, scored, strict=True):
            write_scores(_to_lists(doc), scores, candidates_group(self.spans_key))
        return annotated


def write_scores(doc: Doc, scores: Scores, key: str) -> None:
    """Write spans into a group with their scores."""
    ordered = sorted(scores.items())
    spans = [Span(doc, span.start, span.end, label=span.label) for span, _ in ordered]
    doc.spans[key] = SpanGroup(doc, name=key, attrs={"scores": [score for _, score in ordered]}, spans=spans)


def _to_lists(doc: Doc) -> Doc:
    """Make lists of the arrays that `spancat` keeps scores in: a Bitext stores plain data."""
    for group in doc.spans.values():
        group.attrs = {name: v.tolist() if hasattr(v, "tolist") else v for name, v in group.attrs.items()}
    return doc
