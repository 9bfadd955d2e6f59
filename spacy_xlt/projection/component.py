"""`xlt_projector`: carry annotation across Bitexts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import ENTS_GROUP, Bitext, missing_ranges
from ..errors import error
from ..pipe import BitextPipe
from .carry import clear_entities, mark_lost

DEFAULT_ENGINE = {"@misc": "spacy_xlt.LinkProjector.v1"}
DIRECTIONS = ("source_to_target", "target_to_source")
ON_LOST = ("keep", "missing", "drop")


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
    },
)
def make_projector(
    nlp: Language,
    name: str,
    engine: Any,
    targets: list[str] | None,
    direction: str,
    on_lost: str,
) -> ProjectorPipe:
    """Make the component.

    engine (Projector): What carries the spans.
    targets (list[str] | None): Which bitexts of `doc._.xlt` to work on, by language code; all where left out.
    direction (str): "source_to_target" annotates the translations (translate-train), "target_to_source" takes the
        annotation of the translation back to the document itself (translate-test).
    on_lost (str): What becomes of a sentence that a span was lost for: "keep" leaves it as it is, "missing" makes its
        tokens outside entities missing instead of "no entity", "drop" flags it with "lost_span" to be left out.
    RAISES (XltError): E103 for another direction or way.
    """
    return ProjectorPipe(name, engine, targets=targets, direction=direction, on_lost=on_lost)


class ProjectorPipe(BitextPipe):
    """Annotates one side of the documents' Bitexts with what the other side has.

    name (str): The component's name.
    engine (Projector): What carries the spans.
    targets, direction, on_lost: See `make_projector`.
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
    ):
        super().__init__(name, engine, targets=targets)
        for setting, value, known in (("direction", direction, DIRECTIONS), ("on_lost", on_lost, ON_LOST)):
            if value not in known:
                raise error("E103", name=name, setting=setting, value=value, expected=" or ".join(known))
        self.direction = direction
        self.on_lost = on_lost

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
        """Project onto the targets of bitexts, and treat what was lost as `on_lost` says.

        RAISES (XltError): E105 where the engine returns another number of bitexts than it got.
        """
        projected = list(self.engine.project(bitexts))
        if len(projected) != len(bitexts):
            raise error("E105", name=self.name, found=len(projected), expected=len(bitexts))
        if self.on_lost != "keep":
            for bitext in projected:
                mark_lost(bitext, missing=self.on_lost == "missing", drop=self.on_lost == "drop")
        return projected

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
    bitext = replace(transposed, target=doc).transpose()
    bitext.projector = transposed.projector
    bitext.lost = [replace(span, side="target") for span in transposed.lost]
    return bitext


def _span(doc: Doc, span: Span) -> Span:
    return Span(doc, span.start, span.end, label=span.label, kb_id=span.kb_id, span_id=span.id)
