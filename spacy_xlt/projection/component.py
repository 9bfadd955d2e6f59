"""`xlt_projector`: carry annotation across Bitexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from ..bitext import ENTS_GROUP, Bitext
from ..docs import missing_ranges
from ..errors import error
from ..pipe import BitextPipe
from .carry import clear_entities
from .doubts import WAYS, filter_sentences, mark_lost, mark_unknown
from .filters import ProjectionFilter

DEFAULT_ENGINE = {"@misc": "spacy_xlt.LinkProjector.v1"}
DIRECTIONS = ("source_to_target", "target_to_source")


@Language.factory(
    "xlt_projector",
    # Towards the source it also sets doc.ents and doc.spans; what the config makes of it, analyze_pipes cannot know
    requires=["doc._.xlt"],
    assigns=["doc._.xlt"],
    default_config={
        "engine": DEFAULT_ENGINE,
        "targets": None,
        "direction": "source_to_target",
        "on_lost": "keep",
        "missing_flags": [],
        "filters": {},
        "on_filtered": "drop",
        "labels": None,
        "cats": True,
    },
)
def make_projector(
    nlp: Language,
    name: str,
    engine: Any,
    targets: list[str] | None,
    direction: str,
    on_lost: str,
    missing_flags: list[str],
    filters: dict[str, Any],
    on_filtered: str,
    labels: list[str] | None,
    cats: bool,
) -> ProjectorPipe:
    """Make the component.

    engine (Projector): What carries the spans.
    targets (list[str] | None): Which bitexts of `doc._.xlt` to work on, by language code; all where left out.
    direction (str): "source_to_target" annotates the translations (translate-train), "target_to_source" takes the
        annotation of the translation back to the document itself (translate-test).
    on_lost (str): What becomes of a sentence that a span was lost for: "keep" leaves it as it is, "missing" makes its
        tokens outside entities missing instead of "no entity", "drop" flags it with "lost_span" and to be left out.
    missing_flags (list[str]): Sentences with one of these flags of the translator's, such as "looping", are treated as
        with "missing". Those that have no translation at all always have missing entities in the direction
        "target_to_source".
    filters (dict[str, ProjectionFilter]): What a sentence must pass, for example CompleteSourceFilter. The names are
        flags of the sentences that do not.
    on_filtered (str): What becomes of those: "keep" flags them only, "missing" also makes the entities that were not
        accepted and all tokens outside entities missing, "drop" also flags them to be left out.
    labels (list[str] | None): The labels that may occur; a document with another one is an error. Left out: any.
    cats (bool): Copy the text categories, too.
    RAISES (XltError): E103 for another direction or way, or a filter that is none.
    """
    return ProjectorPipe(
        name,
        engine,
        targets=targets,
        direction=direction,
        on_lost=on_lost,
        missing_flags=missing_flags,
        filters=filters,
        on_filtered=on_filtered,
        labels=labels,
        cats=cats,
    )


class ProjectorPipe(BitextPipe):
    """Annotates one side of the documents' Bitexts with what the other side has.

    name (str): The component's name.
    engine (Projector): What carries the spans.
    targets, direction, on_lost, missing_flags, filters, on_filtered, labels, cats: See `make_projector`.
    """

    required_method = "project"

    def __init__(
        self,
        name: str,
        engine: Any,
        *,
        targets: list[str] | None = None,
        direction: str = "source_to_target",
        on_lost: str = "keep",
        missing_flags: Sequence[str] = (),
        filters: Mapping[str, ProjectionFilter] | None = None,
        on_filtered: str = "drop",
        labels: list[str] | None = None,
        cats: bool = True,
    ):
        super().__init__(name, engine, targets=targets)
        ways = (("direction", direction, DIRECTIONS), ("on_lost", on_lost, WAYS), ("on_filtered", on_filtered, WAYS))
        for setting, value, known in ways:
            if value not in known:
                raise error("E103", name=name, setting=setting, value=value, expected=" or ".join(known))
        for key, one_filter in (filters or {}).items():
            if not isinstance(one_filter, ProjectionFilter):
                expected = "a filter such as spacy_xlt.CompleteSourceFilter.v1"
                raise error("E103", name=name, setting=f"filters.{key}", value=one_filter, expected=expected)
        if isinstance(missing_flags, str):
            raise error("E103", name=name, setting="missing_flags", value=missing_flags, expected="a list of flags")
        self.direction = direction
        self.on_lost = on_lost
        self.missing_flags = tuple(missing_flags)
        self.filters = dict(filters or {})
        self.on_filtered = on_filtered
        self.allowed_labels = None if labels is None else frozenset(labels)
        self.cats = cats

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with projected annotation, by language code; towards the source, seen from the other side.

        RAISES (XltError): E402 where the annotation of several translations would land on the one document.
        """
        found = [self.bitexts_of(doc) for doc in docs]
        if self.direction == "target_to_source":
            found = [self._transposed(of_doc) for of_doc in found]
        self.project([bitext for of_doc in found for bitext in of_doc.values()])
        return found

    def project(self, bitexts: list[Bitext]) -> list[Bitext]:
        """Project onto the targets of bitexts, and treat what was lost or is doubtful as the settings say.

        RAISES (XltError): E105 where the engine returns another number of bitexts than it got, E404 for a label that
            `labels` does not have.
        """
        for bitext in bitexts:
            self._check_labels(bitext)
        projected = list(self.engine.project(bitexts))
        if len(projected) != len(bitexts):
            raise error("E105", name=self.name, found=len(projected), expected=len(bitexts))
        for bitext in projected:
            mark_lost(bitext, way=self.on_lost)
            mark_unknown(bitext, flags=self.missing_flags)
            if self.filters:
                filter_sentences(bitext, self.filters, way=self.on_filtered)
            if self.cats and bitext.source.cats:
                bitext.target.cats = dict(bitext.source.cats)
        return projected

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Towards the source, the scores of the documents' entities, as for spaCy's `ner`."""
        if self.direction != "target_to_source":
            return {}
        return get_ner_prf(examples)

    def _check_labels(self, bitext: Bitext) -> None:
        if self.allowed_labels is None:
            return
        groups = [bitext.source.ents, *(group for key, group in bitext.source.spans.items() if key != ENTS_GROUP)]
        for span in (span for group in groups for span in group):
            if span.label_ not in self.allowed_labels:
                known = ", ".join(sorted(self.allowed_labels))
                raise error("E404", name=self.name, label=span.label_, text=span.text, known=known)

    def set_annotations(self, docs: list[Doc], predictions: list[dict[str, Bitext]]) -> None:
        """Store the Bitexts on the docs; towards the source, annotate the docs themselves."""
        if self.direction == "target_to_source":
            predictions = [
                {lang: _annotate(doc, bitext) for lang, bitext in bitexts.items()}
                for doc, bitexts in zip(docs, predictions, strict=True)
            ]
        super().set_annotations(docs, predictions)

    def _transposed(self, bitexts: dict[str, Bitext]) -> dict[str, Bitext]:
        if len(bitexts) > 1:
            raise error("E402", name=self.name, known=", ".join(bitexts))
        # A copy of the document, as predicting must not change it
        return {lang: replace(b.transpose(), target=b.source.copy()) for lang, b in bitexts.items()}


def _annotate(doc: Doc, transposed: Bitext) -> Bitext:
    """Copy the annotation from the target of a transposed bitext to the doc it is a copy of.

    RETURNS (Bitext): The bitext of the doc, the right way round.
    """
    copy = transposed.target
    if copy.has_annotation("ENT_IOB"):
        missing = [doc[start:end] for start, end in missing_ranges(copy)]
        doc.set_ents([_span(doc, ent) for ent in copy.ents], missing=missing, default="outside")
    else:
        clear_entities(doc)
    for key in {*transposed.source.spans, ENTS_GROUP}:
        if key in copy.spans:
            group = copy.spans[key]
            spans = [_span(doc, span) for span in group]
            doc.spans[key] = SpanGroup(doc, name=key, attrs=dict(group.attrs), spans=spans)
    if copy.cats:
        doc.cats = dict(copy.cats)
    bitext = replace(transposed, target=doc).transpose()
    bitext.projector = transposed.projector
    bitext.lost = [replace(span, side="target") for span in transposed.lost]
    return bitext


def _span(doc: Doc, span: Span) -> Span:
    return Span(doc, span.start, span.end, label=span.label, kb_id=span.kb_id, span_id=span.id)
