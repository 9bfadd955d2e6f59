"""Entities and spans with probabilities, from pipelines that give only their best guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from spacy.language import Language
from spacy.pipeline import EntityRecognizer, SpanCategorizer
from spacy.tokens import Doc

from .device import one_thread_after_fork

# Below this a span is noise: it would be carried and combined at a cost, and could not win.
MIN_SCORE = 0.05


class SpanKey(NamedTuple):
    """What tells spans apart: tokens `[start, end)` and the label."""

    start: int
    end: int
    label: str


# Span → probability, from 0 to 1
Scores = dict[SpanKey, float]


def annotate_scored(
    nlp: Language, docs: Sequence[Doc], *, beam_width: int, spans_key: str | None = None
) -> tuple[list[Doc], list[Scores]]:
    """Run a pipeline, and find out how probable what it finds is, and what else could have been found.

    An entity recogniser (`ner`, `beam_ner`) decides word by word; a beam search with the same weights keeps its best
    analyses of the whole document. A span categoriser (`spancat`) scores all spans that it looks at, and `xlt_ner`
    knows the probability of any. What other components add, such as an entity ruler, is certain.

    Args:
        docs: With its vocabulary, not annotated yet.
        beam_width: How many analyses the search of `ner` keeps.
        spans_key: A key of `doc.spans`; the entities where left out.

    Returns:
        The annotated docs, and for each its spans of `MIN_SCORE` and more.
    """
    one_thread_after_fork()
    names = nlp.pipe_names
    by_doc: list[Scores] = [{} for _ in docs]
    done = 0
    for i, name in enumerate(names):
        pipe = nlp.get_pipe(name)
        scored = _scores_of(pipe, spans_key)
        if scored is None:
            continue
        # Up to here first: a recogniser takes entities that are there already as given
        docs = _run(nlp, docs, names[done:i])
        done = i
        for scores, new in zip(by_doc, scored(pipe, docs, beam_width), strict=True):
            scores.update(new)
    docs = _run(nlp, docs, names[done:])
    for doc, scores in zip(docs, by_doc, strict=True):
        for span in doc.ents if spans_key is None else doc.spans.get(spans_key, ()):
            scores.setdefault(SpanKey(span.start, span.end, span.label_), 1.0)
    return list(docs), by_doc


def beam_scores(recogniser: EntityRecognizer, docs: Sequence[Doc], beam_width: int) -> list[Scores]:
    """Probabilities of entities: for each, the sum over the analyses of a beam search that have it.

    The recogniser was trained to choose each step among all, so that it is the logarithms of the probabilities of the
    steps that are added up, and not the scores of the steps as in spaCy's own beam search.
    """
    from spacy.pipeline._parser_internals._beam_utils import BeamBatch

    by_doc: list[Scores] = [{} for _ in docs]
    filled = [doc for doc in docs if len(doc)]
    if not filled:
        return by_doc
    moves, ops = recogniser.moves, recogniser.model.ops
    batch = BeamBatch(moves, moves.init_batch(filled), None, beam_width, density=0.0)
    step_model = recogniser.model.predict(filled)
    while not batch.is_done:
        states = batch.get_unfinished_states()
        if not states:
            break
        batch.advance(_log_softmax(ops.to_numpy(step_model.predict(states))))
    step_model.clear_memory()
    of_filled = iter(recogniser.scored_ents(list(batch)))
    for doc, scores in zip(docs, by_doc, strict=True):
        if len(doc):
            for (start, end, label), probability in next(of_filled).items():
                if probability >= MIN_SCORE:
                    scores[SpanKey(start, end, label)] = min(1.0, float(probability))
    return by_doc


def categoriser_scores(categoriser: SpanCategorizer, docs: Sequence[Doc], beam_width: int = 0) -> list[Scores]:
    """The scores of all spans that a span categoriser looks at."""
    indices, scores = categoriser.predict(docs)
    ops = categoriser.model.ops
    rows, values = ops.to_numpy(indices.dataXd), ops.to_numpy(scores)
    by_doc: list[Scores] = []
    at = 0
    for length in indices.lengths:
        probabilities: dict[SpanKey, float] = defaultdict(float)
        for (start, end), row in zip(rows[at : at + length], values[at : at + length], strict=True):
            # With a label of its own for "none", spancat_singlelabel has a column more
            for label, value in zip(categoriser.labels, row, strict=False):
                if value >= MIN_SCORE:
                    probabilities[SpanKey(int(start), int(end), label)] = float(value)
        by_doc.append(dict(probabilities))
        at += int(length)
    return by_doc


def tagger_scores(tagger: Any, docs: Sequence[Doc], beam_width: int = 0) -> list[Scores]:
    """The probabilities that `xlt_ner` gives to spans, exact without a search."""
    return [span_keys(spans) for spans in tagger.span_probabilities(docs, least=MIN_SCORE)]


def span_keys(spans: Iterable[tuple[int, int, str, float]]) -> Scores:
    """The probabilities of spans by place and label."""
    return {SpanKey(start, end, label): probability for start, end, label, probability in spans}


def finds(nlp: Language, spans_key: str | None) -> bool:
    """Whether a pipeline has a component that may find entities, or spans of a group."""
    wanted = "doc.ents" if spans_key is None else "doc.spans"
    return any(wanted in assigned(nlp, name) for name in nlp.pipe_names)


def assigned(nlp: Language, name: str) -> frozenset[str]:
    """What a component may write: what its factory says, and what its settings make of it."""
    pipe = nlp.get_pipe(name)
    more = getattr(pipe, "assigns", ())
    if getattr(pipe, "direction", "") == "target_to_source":
        more = ("doc.ents", "doc.spans")
    return frozenset((*nlp.get_pipe_meta(name).assigns, *more))


def labels_of(nlp: Language, spans_key: str | None = None) -> frozenset[str] | None:
    """The labels that a pipeline's components can give to entities, or spans; None where one of them does not say."""
    known: set[str] = set()
    wanted = "doc.ents" if spans_key is None else "doc.spans"
    for name in nlp.pipe_names:
        pipe = nlp.get_pipe(name)
        if wanted not in nlp.get_pipe_meta(name).assigns and not hasattr(pipe, "found_labels"):
            continue
        labels = getattr(pipe, "found_labels", getattr(pipe, "labels", None))
        if labels is None:
            return None
        known.update(labels)
    return frozenset(known)


def _scores_of(pipe: Any, spans_key: str | None) -> Any:
    # By its method: a package may bring an `xlt_ner` of its own
    if hasattr(pipe, "span_probabilities"):
        return tagger_scores if pipe.key == spans_key else None
    if spans_key is None:
        return beam_scores if isinstance(pipe, EntityRecognizer) else None
    return categoriser_scores if isinstance(pipe, SpanCategorizer) and pipe.key == spans_key else None


def _run(nlp: Language, docs: Sequence[Doc], names: Sequence[str]) -> list[Doc]:
    return list(nlp.pipe(docs, disable=[name for name in nlp.pipe_names if name not in names]))


def _log_softmax(scores: Any) -> Any:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.ascontiguousarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)
