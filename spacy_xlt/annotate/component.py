"""`xlt_annotator`: annotate translations, for translate-test, or the documents themselves."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, TypeVar

from spacy.language import Language
from spacy.tokens import Doc

from ..bitext import Bitext
from ..docs import copy_entities, copy_groups, copy_span, links_follow
from ..engine import check_arguments
from ..errors import error
from ..pipe import BitextPipe, XltPipe
from ..subpipeline import SubPipeline
from .pipeline import PipelineAnnotator

SIDES = ("target", "source")
Prediction = TypeVar("Prediction")


@Language.factory(
    "xlt_annotator",
    # Of the source side, it assigns doc.ents and doc.spans; what the config makes of it, analyze_pipes cannot know
    requires=["doc._.xlt"],
    assigns=["doc._.xlt"],
    default_config={
        "pipeline": None,
        "engine": None,
        "targets": None,
        "beam_width": 1,
        "spans_key": None,
        "side": "target",
    },
)
def make_annotator(
    nlp: Language,
    name: str,
    pipeline: Any,
    engine: Any,
    targets: Any,
    beam_width: Any,
    spans_key: Any,
    side: Any,
) -> XltPipe[Any]:
    """Make the component: for side "source" a `SourceAnnotatorPipe`, else an `AnnotatorPipe`.

    Args:
        nlp: The pipeline; not used.
        name: The component's name.
        pipeline: Name of an installed spaCy pipeline, or a path to one, for the language of the text. It is saved with
            the component, so that a saved pipeline needs no other. None only for a config that is to be filled in, or
            with an engine.
        engine: What annotates in place of a pipeline, such as `LlmAnnotator`: it has a method `annotate`, from
            documents to annotated copies of them.
        targets: Of side "target", which bitexts of `doc._.xlt` to annotate, by language code; all where left out.
        beam_width: With a pipeline. From 2 on, also find out how probable the entities are, and which others are
            possible: they go to the span group "xlt_candidates" with `attrs["scores"]`. An `ner` component searches
            with a beam of this width, `xlt_ner` needs no search; see `annotate_scored`. With 1 nothing is done besides
            annotating.
        spans_key: With `beam_width`: the spans of this group instead of the entities, as `spancat` scores them; they
            go to "xlt_candidates:KEY".
        side: "target" for the translations, "source" for the documents themselves.

    Raises:
        XltError: E150 for an invalid setting, such as both a pipeline and an engine; E101 for an engine that does not
            annotate.
    """
    if side not in SIDES:
        raise error("E150", owner=name, setting="side", value=side, expected=" or ".join(SIDES))
    if engine is None:
        check_arguments(name, PipelineAnnotator.__init__, locals())
        engine = PipelineAnnotator(pipeline, name=name, beam_width=beam_width, spans_key=spans_key)
    else:
        given = {"pipeline": (pipeline, None), "beam_width": (beam_width, 1), "spans_key": (spans_key, None)}
        for setting, (value, default) in given.items():
            if value != default:
                expected = "nothing beside `engine`, which has settings of its own"
                raise error("E150", owner=name, setting=setting, value=value, expected=expected)
    if side == "source":
        return SourceAnnotatorPipe(name, engine)
    check_arguments(name, AnnotatorPipe.__init__, locals())
    return AnnotatorPipe(name, engine, targets=targets)


class _Annotating(XltPipe[Prediction]):
    """What both sides share."""

    required_method = "annotate"

    def inner_pipelines(self) -> list[Language]:
        """The annotating pipeline, if it is one."""
        return [self.engine.nlp] if isinstance(self.engine, SubPipeline) else []

    @property
    def found_labels(self) -> tuple[str, ...] | None:
        """The labels that the annotator gives; None where it does not say."""
        labels: tuple[str, ...] | None = getattr(self.engine, "found_labels", None)
        return labels

    @property
    def not_annotated(self) -> Counter[str]:
        """Sentences that the annotator could not annotate in this process, by the reason."""
        return Counter(getattr(self.engine, "not_annotated", {}))


class AnnotatorPipe(_Annotating[dict[str, Bitext]], BitextPipe):
    """Annotates the target docs of Bitexts.

    Args:
        name: The component's name.
        engine: What annotates.
        targets: Which bitexts of `doc._.xlt`, by language code; all where left out.
    """

    def __init__(self, name: str, engine: Any, *, targets: list[str] | None):
        super().__init__(name, engine, targets=targets)

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with annotated targets, by language code."""
        by_doc = [self.bitexts_of(doc) for doc in docs]
        bitexts = [bitext for by_lang in by_doc for bitext in by_lang.values()]
        for bitext, target in zip(bitexts, self.engine.annotate([b.target for b in bitexts]), strict=True):
            bitext.target = target
        return by_doc


class SourceAnnotatorPipe(_Annotating[Doc]):
    """Annotates the documents themselves, such as raw text before `xlt_translator` or the source of parallel text.

    Entities of `xlt_ner` have their probabilities in the span group "xlt_ents", and what is projected from them keeps
    them there as `attrs["source_scores"]`.
    """

    @property
    def assigns(self) -> tuple[str, ...]:
        """What of a document it may write: "doc.ents", "doc.spans"."""
        return tuple(getattr(self.engine, "assigns", ("doc.ents", "doc.spans")))

    def predict(self, docs: list[Doc]) -> list[Doc]:
        """Annotated copies of the docs."""
        return list(self.engine.annotate(docs))

    def set_annotations(self, docs: list[Doc], predictions: list[Doc]) -> None:
        """Copy entities, span groups and categories onto the docs; what the annotator says nothing of stays."""
        for doc, copy in zip(docs, predictions, strict=True):
            with links_follow(doc):
                # A copy in which all entities are missing looks as if nothing was said of them
                if copy.has_annotation("ENT_IOB") or self.assigns == ("doc.ents",):
                    copy_entities(copy, doc)
                copy_groups(copy, doc, partial(copy_span, doc=doc))
            if copy.cats:
                doc.cats = dict(copy.cats)
