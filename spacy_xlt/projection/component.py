"""`xlt_projector`: carry annotation across Bitexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from ..bitext import ENTS, ENTS_GROUP, Bitext
from ..docs import copy_entities, copy_span
from ..engine import check_arguments
from ..errors import error, warn
from ..pipe import BitextPipe
from ..protocols import Outcome
from ..span_links import LINKS_GROUP
from .annotations import clear_entities, score_of, spans_to_project, write
from .carried_links import carry_links, cut_links
from .filters import ProjectionFilter
from .sentences import (
    POLICIES,
    clear_flags,
    drop_flagged,
    drop_lost_links,
    filter_sentences,
    flag_outcomes,
    mark_lost,
    mark_unknown,
)

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
        "ents": True,
        "spans_keys": None,
        "min_score": 0.0,
        "on_lost": "missing",
        "on_lost_link": "keep",
        "missing_flags": [],
        "drop_flags": [],
        "filters": {},
        "on_filtered": "drop",
        "labels": None,
        "cats": True,
    },
)
class ProjectorPipe(BitextPipe):
    """Annotates one side of the documents' Bitexts with what the other side has.

    Args:
        name: The component's name.
        engine: What finds the places of the spans, a `Projector`.
        nlp: The pipeline; not used.
        targets: Which bitexts of `doc._.xlt` to work on, by language code; all where left out.
        direction: "source_to_target" annotates the translations (translate-train), "target_to_source" takes the
            annotation of the translation back to the document itself (translate-test).
        ents: Project the entities.
        spans_keys: The span groups to project; all of the source where left out.
        min_score: Spans that the engine is less sure of than this are lost, from 0 (keep all) to 1.
        on_lost: What becomes of a sentence that a span was lost for: "missing" makes its tokens outside entities
            missing instead of "no entity", "drop" flags it with "lost_span" and to be left out, "keep" leaves it as it
            is.
        on_lost_link: What becomes of the sentences of a link between spans that was lost: "keep" says of the document
            that its links are not complete (`SpanLinks.complete`), so that none teaches "no link"; "drop" also flags
            them with "lost_link" and to be left out.
        missing_flags: Sentences with one of these flags of the translator's, such as "looping", are treated as with
            "missing". Those that have no translation at all always have missing entities in the direction
            "target_to_source".
        drop_flags: Sentences with one of these flags are flagged to be left out of the projected corpus, in the
            direction "source_to_target".
        filters: What a sentence must pass, for example CompleteSourceFilter. The names are flags of the sentences that
            do not.
        on_filtered: What becomes of those: "keep" flags them only, "missing" also makes the entities that were not
            accepted and all tokens outside entities missing, "drop" also flags them to be left out.
        labels: The labels that may occur; a document with another one is an error. Left out: any.
        cats: Copy the text categories, too.

    Raises:
        XltError: E101 for an engine that is no projector, E150 for an invalid setting.
    """

    required_method = "place"

    def __init__(
        self,
        name: str,
        engine: Any,
        *,
        nlp: Language | None = None,
        targets: list[str] | None = None,
        direction: str = "source_to_target",
        ents: bool = True,
        spans_keys: list[str] | None = None,
        min_score: float = 0.0,
        on_lost: str = "missing",
        on_lost_link: str = "keep",
        missing_flags: Sequence[str] = (),
        drop_flags: Sequence[str] = (),
        filters: Mapping[str, Any] | None = None,
        on_filtered: str = "drop",
        labels: list[str] | None = None,
        cats: bool = True,
    ):
        check_arguments(name, ProjectorPipe.__init__, locals())
        super().__init__(name, engine, targets=targets)
        for setting, value, is_valid, expected in (
            ("direction", direction, direction in DIRECTIONS, " or ".join(DIRECTIONS)),
            ("on_lost", on_lost, on_lost in POLICIES, " or ".join(POLICIES)),
            ("on_lost_link", on_lost_link, on_lost_link in ("keep", "drop"), "keep or drop"),
            ("on_filtered", on_filtered, on_filtered in POLICIES, " or ".join(POLICIES)),
            ("ents", ents, isinstance(ents, bool), "true or false"),
            ("spans_keys", spans_keys, spans_keys is None or _is_texts(spans_keys), "a list of span group names"),
            ("min_score", min_score, _is_share(min_score), "a number from 0 to 1"),
            ("missing_flags", missing_flags, _is_texts(missing_flags), "a list of flags"),
            ("drop_flags", drop_flags, _is_texts(drop_flags), "a list of flags"),
            *(
                (f"filters.{key}", value, isinstance(value, ProjectionFilter), "a filter such as CompleteSourceFilter")
                for key, value in (filters or {}).items()
            ),
        ):
            if not is_valid:
                raise error("E150", owner=name, setting=setting, value=value, expected=expected)
        self.direction = direction
        self._warned = False
        self.ents = ents
        self.spans_keys = None if spans_keys is None else list(spans_keys)
        self.min_score = float(min_score)
        self.on_lost = on_lost
        self.on_lost_link = on_lost_link
        self.missing_flags = tuple(missing_flags)
        self.drop_flags = tuple(drop_flags)
        self.filters = dict(filters or {})
        self.on_filtered = on_filtered
        self.allowed_labels = None if labels is None else frozenset(labels)
        self.cats = cats

    @property
    def signature(self) -> str:
        """The engine's signature, and which spans are projected."""
        keys = "all" if self.spans_keys is None else ",".join(self.spans_keys)
        ents = "yes" if self.ents else "no"
        return f"{super().signature}|ents:{ents}|spans_keys:{keys}|min_score:{self.min_score:g}"

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with projected annotation, by language code; towards the source, seen from the other side.

        Raises:
            XltError: E402 where the annotation of several translations would land on the one document.
        """
        by_doc = [self.bitexts_of(doc) for doc in docs]
        if self.direction == "target_to_source":
            by_doc = [self._transposed(bitexts) for bitexts in by_doc]
        self.project([bitext for bitexts in by_doc for bitext in bitexts.values()])
        return by_doc

    def project(self, bitexts: list[Bitext]) -> list[Bitext]:
        """Project onto the targets of bitexts, and treat what was lost or is doubtful as the settings say.

        Returns:
            The same bitexts, with annotated target docs.

        Raises:
            XltError: E105 where the engine returns another number of results than it got, E404 for a label that
                `labels` does not have.
        """
        for bitext in bitexts:
            self._check_labels(bitext)
        work = [(b, spans_to_project(b, ents=self.ents, spans_keys=self.spans_keys)) for b in bitexts]
        results = self.engine.place(work) if work else []
        if len(results) != len(work):
            raise error("E105", name=self.name, found=len(results), expected=len(work))
        signature = self.signature
        for (bitext, groups), outcomes in zip(work, results, strict=True):
            self._annotate(bitext, groups, outcomes)
            bitext.projector = signature
        return bitexts

    def _annotate(
        self, bitext: Bitext, groups: Mapping[str, Sequence[Span]], outcomes: Mapping[str, Sequence[Outcome]]
    ) -> None:
        """Write what the engine says of a bitext."""
        sizes = [(len(outcomes.get(key, ())), len(spans)) for key, spans in groups.items()]
        for n_outcomes, n_spans in sizes:
            if n_outcomes != n_spans:
                raise error("E105", name=self.name, found=n_outcomes, expected=n_spans)
        if self.ents and ENTS not in groups:
            self._warn_of_direction(bitext)
            clear_entities(bitext.target)
        clear_flags(bitext)
        flag_outcomes(bitext, groups, outcomes)
        write(bitext, groups, {key: [self._limited(o) for o in of_group] for key, of_group in outcomes.items()})
        mark_lost(bitext, policy=self.on_lost)
        mark_unknown(bitext, flags=self.missing_flags)
        if self.filters:
            filter_sentences(bitext, self.filters, policy=self.on_filtered)
        # Behind the filters, which take entities away
        carry_links(bitext, {*groups, ENTS} if self.ents else groups)
        if self.on_lost_link == "drop":
            drop_lost_links(bitext)
        if self.direction == "source_to_target":
            drop_flagged(bitext, self.drop_flags)
            cut_links(bitext)
        if self.cats and bitext.source.cats:
            bitext.target.cats = dict(bitext.source.cats)

    def _warn_of_direction(self, bitext: Bitext) -> None:
        """Warn once where only the side that is to be annotated has entities, as in a pipeline for translate-test."""
        if bitext.target.ents and self.direction == "source_to_target" and not self._warned:
            self._warned = True
            warn("W401", name=self.name, lang=bitext.target_lang, stacklevel=5)

    def _limited(self, outcome: Outcome) -> Outcome:
        return outcome if isinstance(outcome, str) or score_of(outcome) >= self.min_score else "low_score"

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
                {lang: _annotate_source(doc, bitext) for lang, bitext in bitexts.items()}
                for doc, bitexts in zip(docs, predictions, strict=True)
            ]
        super().set_annotations(docs, predictions)

    def _transposed(self, bitexts: dict[str, Bitext]) -> dict[str, Bitext]:
        if len(bitexts) > 1:
            raise error("E402", name=self.name, known=", ".join(bitexts))
        # A copy of the document, as predicting must not change it
        return {lang: replace(b.transpose(), target=b.source.copy()) for lang, b in bitexts.items()}


def _annotate_source(doc: Doc, transposed: Bitext) -> Bitext:
    """Copy the annotation from the target of a transposed bitext to the doc it is a copy of.

    Returns the bitext of the doc, the right way round.
    """
    copy = transposed.target
    if copy.has_annotation("ENT_IOB"):
        copy_entities(copy, doc)
    else:
        clear_entities(doc)
    for key in {*transposed.source.spans, ENTS_GROUP, LINKS_GROUP}:
        if key in copy.spans:
            group = copy.spans[key]
            spans = [copy_span(span, doc) for span in group]
            doc.spans[key] = SpanGroup(doc, name=key, attrs=dict(group.attrs), spans=spans)
    if copy.cats:
        doc.cats = dict(copy.cats)
    bitext = replace(transposed, target=doc).transpose()
    bitext.projector = transposed.projector
    bitext.lost = [replace(span, side="target") for span in transposed.lost]
    bitext.lost_links = [replace(link, side="target") for link in transposed.lost_links]
    return bitext


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
