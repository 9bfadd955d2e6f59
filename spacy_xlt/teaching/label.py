"""Annotating raw text with trained pipelines: the surest entities are labels, doubtful words are missing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spacy
from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import ENTS_GROUP, span_scores
from ..build.builder import build
from ..build.shard import KEPT_TEXT, READ, TARGET, WRITE, Shard, ShardCounts, ShardResult
from ..docs import missing_ranges, runs_of, sentence_ranges, slice_doc, with_vocab
from ..ensemble.combining import best_set
from ..errors import error, is_document_error
from ..io import docs_bytes, path_digest
from ..languages import MULTI, vocab_of
from ..ner.xlt_ner import set_soft_labels
from ..probabilities import MIN_SCORE, Scores, SpanKey
from ..projection.annotations import overlapping
from ..readers import ReadSettings, corpus_files, read_file
from ..readers.docbin import read_docs
from ..span_links import ENTS, LINKS_GROUP, End, SpanLinks, end_of, get_links, set_links, span_at
from ..tokens import has_text
from ..training.duplicates import NearDuplicates, distinct_ranges, sentences_of
from ..training.readers import MixedCorpus
from .teachers import Found, Teacher

LABEL = "label"
DOUBTFUL, NOT_FOUND, NOT_PROJECTED = "doubtful", "not found", "not projected"
# In `summary["kept"]`: entities of both views, and of either alone; and words whose annotation is missing
BOTH, ONLY_PROJECTED, ONLY_FOUND, MISSING = "both", "only projected", "only found", "missing words"
# Documents in a shard: what is done again after a kill
_DOCS_PER_SHARD = 200


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """What becomes a label.

    Attributes:
        sure: The least probability of an entity that is kept. At 0.5 and above no two of them overlap.
        doubtful: A word that is in no such entity, and in others with this probability, is missing.
        soft: Whether to store the probabilities of tags, too.
        agree: Whether the text is annotated already, by another view: what both find is a label, and what one of them
            finds is missing (co-training: Blum & Mitchell 1998).
        either: The same, and what one of them finds is a label, too; see `combine_views`.
    """

    sure: float
    doubtful: float
    soft: bool = False
    agree: bool = False
    either: bool = False

    @property
    def two_views(self) -> bool:
        """Whether the text is annotated already."""
        return self.agree or self.either

    @classmethod
    def of(
        cls,
        *,
        sure: float | None,
        doubtful: float | None,
        soft: bool = False,
        agree: bool = False,
        either: bool = False,
    ) -> LabelSettings:
        """Settings with the defaults of what is left out.

        One pipeline alone has to be sure, the more so as across languages it is surer than it should be. Where another
        view agrees, the pipeline's own choice is enough. A word is outside of entities with the same certainty.

        Raises:
            XltError: E510 for a number out of range, and for both ways of putting two views together.
        """
        if agree and either:
            raise error("E510", setting="--either", value=True, expected="nothing beside --agree")
        sure = (0.5 if agree else 0.9) if sure is None else sure
        doubtful = 1 - sure if doubtful is None else doubtful
        if not 0.5 <= sure <= 1:
            raise error("E510", setting="--sure", value=sure, expected="a probability from 0.5 to 1")
        if not 0 <= doubtful <= sure:
            raise error("E510", setting="--doubtful", value=doubtful, expected=f"a probability up to --sure ({sure})")
        return cls(sure=sure, doubtful=max(MIN_SCORE, doubtful), soft=soft, agree=agree, either=either)


class Decision(NamedTuple):
    """What a document is labelled with.

    Attributes:
        kept: Entities and their scores, in order.
        missing: Tokens whose annotation is missing.
        lost: Spans that are not kept, with the reason.
        views: Entities that are kept, by the views that have them.
    """

    kept: list[tuple[SpanKey, float]]
    missing: set[int]
    lost: dict[SpanKey, str]
    views: Counter[str] = Counter()


def decide(doc: Doc, found: Found, settings: LabelSettings) -> Decision:
    """Tell sure entities from doubtful words.

    Args:
        doc: With the annotation of the other view, where there are two.
        found: What the teacher found in it.
    """
    scores = _without_spaces(doc, found.scores)
    sure = sorted(span for span, score in scores.items() if score >= settings.sure)
    chosen = {sure[i] for i in best_set([span[:2] for span in sure], [scores[span] for span in sure])}
    kept = {span: scores[span] for span in chosen}
    lost = {span: DOUBTFUL for span, score in scores.items() if score >= settings.doubtful and span not in chosen}
    silent = set(found.silent)
    views: Counter[str] = Counter()
    if settings.two_views:
        by_key = span_scores(doc, ENTS_GROUP)
        keys = [SpanKey(ent.start, ent.end, ent.label_) for ent in doc.ents]
        projected = {key: by_key.get(key, 1.0) for key in keys}
        kept, apart = combine_views(kept, projected, either=settings.either)
        lost = {span: why for span, why in {**lost, **apart}.items() if span not in kept}
        silent.update(i for start, end in missing_ranges(doc) for i in range(start, end))
        views.update(
            BOTH if span in chosen and span in projected else ONLY_FOUND if span in chosen else ONLY_PROJECTED
            for span in kept
        )
    inside = np.zeros(len(doc))
    for span, score in scores.items():
        inside[span.start : span.end] += score
    taken = {i for span in kept for i in range(span.start, span.end)}
    unclear = np.flatnonzero(inside >= settings.doubtful).tolist()
    missing = silent.union(unclear, *(range(span.start, span.end) for span in lost)) - taken
    return Decision(sorted(kept.items()), missing, lost, views)


def combine_views(found: Scores, projected: Scores, *, either: bool) -> tuple[Scores, dict[SpanKey, str]]:
    """Put the entities of two views together.

    Args:
        found: What a pipeline finds, with probabilities; none overlap.
        projected: What was projected, with the projector's scores; none overlap.
        either: Whether to keep what one of them has, too. Where two overlap, what both have stays, else what has the
            higher score. Of two labels for the same words none is kept.

    Returns:
        What is kept, with the scores of the pipeline where it has it; and the others, with who does not have them.
    """
    both = found.keys() & projected.keys()
    apart = {
        **dict.fromkeys(found.keys() - both, NOT_PROJECTED),
        **dict.fromkeys(projected.keys() - both, NOT_FOUND),
    }
    kept = {span: found[span] for span in both}
    if either:
        labels = Counter(span[:2] for span in apart)
        wanted = sorted(both.union(span for span in apart if labels[span[:2]] == 1))
        scores = {**projected, **found}
        ranks = [scores[span] + (span in both) for span in wanted]
        beaten = overlapping(ranks, [span[:2] for span in wanted])
        kept = {span: scores[span] for i, span in enumerate(wanted) if i not in beaten}
    return kept, {span: why for span, why in apart.items() if span not in kept}


def _without_spaces(doc: Doc, scores: Scores) -> Scores:
    """Spans without white space at their ends, which no entity may have; of those that become one, the sum."""
    trimmed: Scores = {}
    for (start, end, label), score in scores.items():
        places = [i for i in range(start, end) if not doc[i].is_space]
        if places:
            span = SpanKey(places[0], places[-1] + 1, label)
            trimmed[span] = min(1.0, trimmed.get(span, 0.0) + score)
    return trimmed


class Labeller:
    """Labels the shards of a corpus; see `build.builder`.

    Args:
        teacher: Finds entities.
        settings: Which of them become labels.
        lang: The language of the text.
        exclude: Sentences that are left out.
    """

    def __init__(self, teacher: Teacher, settings: LabelSettings, *, lang: str, exclude: NearDuplicates | None):
        self.teacher = teacher
        self.settings = settings
        self.lang = lang
        self.exclude = exclude

    def __call__(self, shard: Shard) -> ShardResult:
        """Label a shard. A document that fails is set aside.

        Raises:
            XltError: What is wrong with a setting.
        """
        counts = ShardCounts(docs=shard.n_docs)
        start = time.perf_counter()
        parts = [part for doc in shard.docs(vocab_of(self.lang)) for part in self._parts(doc, counts)]
        counts.spend(READ, time.perf_counter() - start)
        start = time.perf_counter()
        with self.teacher.memory_zone():
            labelled = [self._labelled(doc, found, counts) for doc, found in self._find(parts, counts)]
        counts.spend(LABEL, time.perf_counter() - start)
        start = time.perf_counter()
        data = docs_bytes(labelled, store_user_data=True)
        counts.spend(WRITE, time.perf_counter() - start)
        return ShardResult(shard.name, {f"{TARGET}/{self.lang}-{shard.name}.spacy": data}, counts.to_json())

    def _parts(self, doc: Doc, counts: ShardCounts) -> list[Doc]:
        """What is left of a document without the sentences of evaluation sets."""
        counts.sentences += len(sentence_ranges(doc))
        if not any(has_text(token.text) for token in doc):
            counts.sentences_dropped["no text"] += 1
            return []
        if self.exclude is None:
            return [doc]
        ranges, duplicates, near = distinct_ranges(doc, self.exclude)
        counts.sentences_dropped.update({"duplicate": duplicates, "near-duplicate": near})
        return [doc] if ranges == [(0, len(doc))] else [slice_doc(doc, *place) for place in ranges]

    def _find(self, docs: Sequence[Doc], counts: ShardCounts) -> Iterator[tuple[Doc, Found]]:
        try:
            yield from zip(docs, self.teacher.find(list(docs)) if docs else (), strict=True)
        except Exception as err:
            if not is_document_error(err):
                raise
            if len(docs) == 1:
                reason = f"{type(err).__name__}: {err}"
                counts.failed.append({"text": docs[0].text[:KEPT_TEXT], "error": reason})
                return
            for doc in docs:
                yield from self._find([doc], counts)

    def _labelled(self, doc: Doc, found: Found, counts: ShardCounts) -> Doc:
        decision = decide(doc, found, self.settings)
        new = with_vocab(doc, vocab_of(self.lang))
        ents = [Span(new, span.start, span.end, label=span.label) for span, _ in decision.kept]
        new.set_ents(ents, missing=runs_of(new, decision.missing), default="outside")
        attrs = {"scores": [score for _, score in decision.kept]}
        new.spans[ENTS_GROUP] = SpanGroup(new, name=ENTS_GROUP, attrs=attrs, spans=ents)
        if self.settings.two_views and LINKS_GROUP in doc.spans:
            set_links(new, _links_of_kept(doc, new))
        if self.settings.soft:
            soft = found.soft
            if self.settings.two_views:
                soft = soft.copy()
                soft[sorted(decision.missing)] = 0
            set_soft_labels(new, self.teacher.tags, soft)
        counts.spans_projected.update(span.label for span, _ in decision.kept)
        counts.lost_reasons.update(decision.lost.values())
        counts.kept.update({**decision.views, MISSING: len(decision.missing)})
        counts.spans_in.update([span.label for span, _ in decision.kept] + [span.label for span in decision.lost])
        return new


def _links_of_kept(doc: Doc, new: Doc) -> SpanLinks:
    """The links of the other view between entities that were kept."""
    before = get_links(doc)

    def place(end: End) -> End | None:
        span = span_at(doc, end)
        return end_of(new, ENTS, span.start, span.end, span.label_) if end.key == ENTS else None

    after = before.moved(place)
    after.complete = before.complete and Counter(after.labels()) == Counter(before.labels())
    return after


def label(
    teacher: Teacher,
    raw: Path,
    output: Path,
    *,
    settings: LabelSettings,
    reading: ReadSettings,
    exclude: Sequence[Path] = (),
    silent: bool = True,
) -> dict[str, Any]:
    """Annotate raw text, shard by shard, into a folder that can be gone on with: a source of a training.

    Args:
        teacher: Annotates it; see `load_teacher`.
        raw: Text: a file of any known format or a folder of them, whose annotation counts where there are two views.
        output: A folder: new, empty, or one of the same settings to go on with.
        settings: What becomes a label.
        reading: How the text is read.
        exclude: Evaluation sets, whose sentences are left out, with those that are nearly the same.
        silent: No bar.

    Returns:
        The summary, as of a build: `spans_projected` are the entities that were kept.

    Raises:
        XltError: As `build`; E510 for soft labels of pipelines that do not say their labels; E592 where nothing is
            left of the text, E593 where the other view has no annotation.
    """
    if settings.two_views and not _has_entities(raw, reading):
        raise error("E593", path=raw)
    if settings.soft and len(teacher.tags) == 1:
        raise error("E510", setting="--soft", value=True, expected="pipelines that say which labels they give")
    known = None
    if exclude:
        sentences = (text for path in exclude for doc in read_docs(path) for _, text in sentences_of(doc))
        known = NearDuplicates(sentences, threshold=MixedCorpus.near_duplicates)
    summary = build(
        spacy.blank(MULTI),
        raw,
        output,
        docs_per_shard=_DOCS_PER_SHARD,
        process=Labeller(teacher, settings, lang=reading.lang, exclude=known),
        made_from={
            "label": asdict(settings),
            "pipelines": teacher.digests,
            "exclude": [path_digest(path) for path in exclude],
        },
        reading=reading,
        silent=silent,
    )
    left_out = Counter(summary["sentences_dropped"])
    if left_out.total() >= summary["sentences"]:
        raise error("E592", path=raw, reasons=", ".join(f"{reason} {n}" for reason, n in left_out.items() if n))
    return summary


def _has_entities(raw: Path, reading: ReadSettings) -> bool:
    files = corpus_files(raw, reading)
    return any(doc.ents for file in files for doc in read_file(file, reading, quiet=True))
