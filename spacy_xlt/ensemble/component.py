"""`xlt_ensemble`: the entities of several pipelines, combined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spacy.language import Language
from spacy.pipeline.spancat import spancat_score
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from ..docs import links_follow, runs_of
from ..engine import check_arguments
from ..errors import error, warn
from ..pipe import XltPipe
from ..probabilities import Scores, labels_of
from .combining import METHODS, Combined, MemberSpans, combine, mapped_labels, renamed
from .members import Members, PipelineMember

# The combined spans, and the tokens that no member says anything of
Prediction = tuple[list[Combined], frozenset[int]]
# The span group that mirrors the combined entities, because `doc.ents` has no room for scores
ENSEMBLE_GROUP = "xlt_ensemble"


@Language.factory(
    "xlt_ensemble",
    assigns=["doc.ents", "doc.spans"],
    default_config={
        "members": {},
        "own": None,
        "weights": {},
        "method": "mean",
        "threshold": 0.4,
        "beam_width": 8,
        "labels": {},
        "spans_key": None,
    },
)
class EnsemblePipe(XltPipe[Prediction]):
    """Combines what several pipelines find in the documents.

    The result is in `doc.ents`, and with scores in `doc.spans["xlt_ensemble"]`: `attrs["scores"]`, and
    `attrs["members"]`, for each span the score of each member that found it. Tokens that no member says anything of
    are missing, not "no entity". With `spans_key` the result is in that span group, with the same attributes.

    Args:
        name: The component's name.
        nlp: The pipeline; not used.
        members: Pipelines by a name for each: the name of an installed one, or a path. They are saved with the
            component. None only for a config that is to be filled in.
        own: A name for what the components before this one find, where that is a member, too.
        weights: By member; 1 for those left out.
        method: "mean", "union", "intersection" or "priority"; see `combine`.
        threshold: For "mean": the least combined score. Where probabilities are right, the threshold with the best F1
            is half of that F1 (Lipton et al. 2014), so that 0.4 fits where 80 is within reach. It should be higher for
            members that are too sure of themselves. To choose another, projected development data will do; it takes no
            gold in the target language.
        beam_width: How many analyses the members' `ner` components keep to tell how probable entities are. `xlt_ner`
            tells it without a search.
        labels: For members whose labels have other names, by member: its label → the label to use; "" to leave out
            spans with it.
        spans_key: Combine this span group instead of the entities; its spans may overlap.

    Raises:
        XltError: E150 for an invalid setting.
    """

    def __init__(
        self,
        name: str,
        *,
        nlp: Language | None = None,
        members: dict[str, str | None],
        own: str | None,
        weights: dict[str, float],
        method: str,
        threshold: float,
        beam_width: int,
        labels: dict[str, dict[str, str]],
        spans_key: str | None,
    ):
        check_arguments(name, EnsemblePipe.__init__, locals())
        every = [*members, *([own] if own is not None else [])]
        for setting, value, is_valid, expected in (
            ("members", every, len(set(every)) == len(every) > 0, "one pipeline or more, and `own` by another name"),
            ("members", every, all(key.isidentifier() for key in every), "names of letters, digits and _"),
            ("weights", weights, weights.keys() <= set(every), f"members: {', '.join(every)}"),
            ("weights", weights, all(w >= 0 for w in weights.values()), "numbers from 0"),
            ("labels", labels, labels.keys() <= set(every), f"members: {', '.join(every)}"),
            ("method", method, method in METHODS, " or ".join(METHODS)),
            ("threshold", threshold, not isinstance(threshold, bool) and 0 <= threshold <= 1, "a number from 0 to 1"),
            ("beam_width", beam_width, not isinstance(beam_width, bool) and beam_width >= 1, "a number from 1"),
        ):
            if not is_valid:
                raise error("E150", owner=name, setting=setting, value=value, expected=expected)
        pipelines = {
            key: PipelineMember(path, name=name, setting=f"members.{key}", beam_width=beam_width, spans_key=spans_key)
            for key, path in members.items()
        }
        super().__init__(name, Members(pipelines, own=own, spans_key=spans_key))
        self.weights = {key: float(weights.get(key, 1.0)) for key in every}
        self.method = method
        self.threshold = float(threshold)
        self.mappings = {key: dict(mapping) for key, mapping in labels.items()}
        self.spans_key = spans_key

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Load the members, and warn (W160) where they know other labels than one another.

        Raises:
            XltError: E160 or E104 where a member cannot be loaded, E161 where one finds no entities.
        """
        super().initialize(get_examples, nlp=nlp)
        if nlp is not None and self.engine.own is not None:
            self.engine.own_labels = _labels_before(nlp, self.name, self.spans_key)
        labels = {
            key: mapped_labels(known, self.mappings.get(key, {}))
            for key, known in self.engine.labels.items()
            if known is not None
        }
        every = frozenset().union(*labels.values())
        lacking = [f"{key} lacks {', '.join(sorted(every - known))}" for key, known in labels.items() if every - known]
        if lacking:
            warn("W160", name=self.name, lacking="; ".join(lacking))

    def inner_pipelines(self) -> list[Language]:
        """The members' pipelines."""
        return [member.nlp for member in self.engine.pipelines.values()]

    @property
    def found_labels(self) -> tuple[str, ...] | None:
        """The labels that some member knows; None where one does not say."""
        labels = list(self.engine.labels.values())
        return None if None in labels else tuple(sorted({label for known in labels for label in known}))

    def predict(self, docs: list[Doc]) -> list[Prediction]:
        """The combined spans of each doc."""
        return [self._combine(by_member) for by_member in self.engine.find(docs)]

    def span_scores(self, docs: list[Doc], *, least: float) -> list[tuple[Scores, frozenset[int]]]:
        """The mean scores of all spans that have this much, chosen or not, and the tokens that no member speaks of."""
        found = []
        for by_member in self.engine.find(docs):
            combined, silent = self._combine(by_member, method="mean", threshold=least, overlapping=True)
            found.append(({item.span: min(1.0, item.score) for item in combined}, silent))
        return found

    def set_annotations(self, docs: list[Doc], predictions: list[Prediction]) -> None:
        """Write the combined spans with their scores."""
        key = ENSEMBLE_GROUP if self.spans_key is None else self.spans_key
        for doc, (combined, silent) in zip(docs, predictions, strict=True):
            spans = [Span(doc, item.span.start, item.span.end, label=item.span.label) for item in combined]
            attrs = {"scores": [item.score for item in combined], "members": [dict(item.members) for item in combined]}
            with links_follow(doc):
                doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=spans)
                if self.spans_key is None:
                    unknown = silent.difference(*(range(span.start, span.end) for span in spans))
                    doc.set_ents(spans, missing=runs_of(doc, unknown), default="outside")

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """The scores of the entities as for spaCy's `ner`, or of the spans as for `spancat`."""
        if self.spans_key is None:
            return get_ner_prf(examples)
        return spancat_score(examples, spans_key=self.spans_key, allow_overlap=True)

    def _combine(self, by_member: Mapping[str, MemberSpans], **otherwise: Any) -> Prediction:
        how = {"method": self.method, "threshold": self.threshold, "overlapping": self.spans_key is not None}
        combined = combine(
            {key: renamed(spans, self.mappings.get(key, {})) for key, spans in by_member.items()},
            weights=self.weights,
            **{**how, **otherwise},
        )
        return combined, frozenset.intersection(*(spans.silent for spans in by_member.values()))


def _labels_before(nlp: Language, name: str, spans_key: str | None) -> frozenset[str] | None:
    """The labels of the components before one."""
    after = nlp.pipe_names[nlp.pipe_names.index(name) :] if name in nlp.pipe_names else []
    with nlp.select_pipes(disable=after):
        return labels_of(nlp, spans_key)
