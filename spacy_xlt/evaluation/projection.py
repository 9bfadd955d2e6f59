"""Scoring projection: gold spans of the source, projected onto the target's own tokens, against the target's gold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spacy
from numpy.typing import NDArray
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from .. import __version__
from ..alignment.component import AlignerPipe
from ..bitext import DROP_FLAG, Bitext, SentencePair, training_target
from ..docs import without
from ..errors import error
from ..languages import MULTI
from ..projection.component import ProjectorPipe
from ..readers.docbin import read_docs
from ..review.evaluation import reviewed_pairs
from .agreement import count_agreement
from .reliability import reliability
from .spans import counts_by_doc, counts_by_label, judge, keep_entities, per_length, prf

# Documents aligned and projected at a time.
BATCH = 256
# A bootstrap for each of hundreds of labels would take longer than projecting.
LABELS_WITH_INTERVAL = 12


class Scored(NamedTuple):
    """Scores, and the counts to draw samples of.

    scores (dict[str, Any]): See `evaluate_projection`.
    counts (int64, (n_docs, 3)): See counts_by_doc.
    by_label (dict[str, NDArray[np.int64]]): The same for the most frequent labels.
    """

    scores: dict[str, Any]
    counts: NDArray[np.int64]
    by_label: dict[str, NDArray[np.int64]]


def evaluate_projection(
    nlp: Language,
    source: Path,
    gold: Path,
    *,
    labels: Sequence[str] | None = None,
    target_lang: str = MULTI,
    config: str | Path = "config",
) -> dict[str, Any]:
    """Project the entities of one corpus onto the tokens of another, and score them there.

    nlp (Language): A pipeline with an aligner and a projector; its other components are not used.
    source, gold (Path): Corpora of the same documents in the same order, both with entities; or as gold the sentences
        of a build of `source` that were reviewed (`.jsonl`, see reviewed_pairs).
    labels (Sequence[str] | None): The labels to keep on both sides; all where left out.
    target_lang (str): Language of the gold corpus, for aligners that need to know.
    config (str | Path): What to call the pipeline in errors.
    RETURNS (dict[str, Any]): `ents_p`, `ents_r`, `ents_f` (fractions, as spaCy's Scorer gives them), `ents_per_type`,
        `ents_per_length` (see per_length), `reliability` (see reliability), `ceiling_f` (what the annotations of the
        two sides allow, see count_agreement), `spans_in`, `spans_projected`, `spans_lost`, `lost_reasons`, `filtered`
        (sentences, those that the projector's filters drop, by reason, and `ents_p`, `ents_r`, `ents_f` of the rest),
        `seconds`, `pairs`, `pairs_per_second`, `signature`. Seconds are those of aligning and projecting, without
        loading.
    RAISES (XltError): E509 where the pipeline lacks a component; E502, E503, E504 for the corpora; E520 where they
        differ in length, E521 where one has no entities, E522 where one has none of the labels.
    """
    return project_and_score(nlp, source, gold, labels=labels, target_lang=target_lang, config=config).scores


def project_and_score(
    nlp: Language,
    source: Path,
    gold: Path,
    *,
    labels: Sequence[str] | None = None,
    target_lang: str = MULTI,
    config: str | Path = "config",
) -> Scored:
    """As `evaluate_projection`, with what F1 is made of in each document."""
    aligner, projector = find_component(nlp, AlignerPipe, config), find_component(nlp, ProjectorPipe, config)
    pairs = _read_pairs(nlp, source, gold, target_lang)
    for path, docs in ((source, [pair[0] for pair in pairs]), (gold, [pair[1] for pair in pairs])):
        _check_labels(path, docs, labels)
    for doc in (doc for pair in pairs for doc in pair):
        keep_entities(doc, labels)
    bitexts = [make_bitext(first, second) for first, second in pairs]
    # Loads the model
    aligner.align([next((b for b in bitexts if len(b.source) and len(b.target)), bitexts[0])])
    start = time.perf_counter()
    for first in range(0, len(bitexts), BATCH):
        batch = bitexts[first : first + BATCH]
        aligner.align(batch)
        projector.project(batch)
    seconds = time.perf_counter() - start
    golds = [second for _, second in pairs]
    found, wanted = judge([bitext.target for bitext in bitexts], golds)
    kept = "all" if labels is None else ",".join(sorted(labels))
    result = {
        **_scores(bitexts, golds),
        "ents_per_length": per_length(found, wanted),
        "reliability": reliability(found),
        "ceiling_f": round(count_agreement(pairs), 4),
        **_fates(bitexts),
        "filtered": _filtered(bitexts, golds),
        "seconds": round(seconds, 3),
        "pairs": len(bitexts),
        "pairs_per_second": round(len(bitexts) / seconds, 2) if seconds else None,
        "signature": f"exact span F1|labels:{kept}|{aligner.signature}|{projector.signature}"
        f"|spacy:{spacy.__version__}|spacy_xlt:{__version__}",
    }
    n_docs = len(pairs)
    by_label = counts_by_label(found, wanted, n_docs, most=LABELS_WITH_INTERVAL)
    return Scored(result, counts_by_doc(found, wanted, n_docs), by_label)


def _scores(bitexts: Sequence[Bitext], golds: Sequence[Doc]) -> dict[str, Any]:
    """spaCy's own scores of the entities."""
    examples = [Example(bitext.target, gold) for bitext, gold in zip(bitexts, golds, strict=True)]
    scores = Scorer.score_spans(examples, "ents", has_annotation=lambda doc: doc.has_annotation("ENT_IOB"))
    return {key: scores[key] for key in ("ents_p", "ents_r", "ents_f", "ents_per_type")}


def _fates(bitexts: Sequence[Bitext]) -> dict[str, Any]:
    """What became of the source's entities."""
    spans_in = sum(len(bitext.source.ents) for bitext in bitexts)
    lost = Counter(span.reason for bitext in bitexts for span in bitext.lost if span.key == "ents")
    return {
        "spans_in": spans_in,
        "spans_projected": spans_in - lost.total(),
        "spans_lost": lost.total(),
        "lost_reasons": dict(sorted(lost.items())),
    }


def _filtered(bitexts: Sequence[Bitext], golds: Sequence[Doc]) -> dict[str, Any]:
    """What the projector's filters refuse, and the scores of the sentences that are not left out."""
    pairs = [pair for bitext in bitexts for pair in bitext.sentences]
    reasons = Counter(flag for pair in pairs for flag in pair.flags if flag != DROP_FLAG)
    dropped = sum(DROP_FLAG in pair.flags for pair in pairs)
    result = {"sentences": len(pairs), "dropped": dropped, "reasons": dict(sorted(reasons.items()))}
    if dropped:
        ranges = [[pair.target for pair in bitext.sentences if DROP_FLAG in pair.flags] for bitext in bitexts]
        kept = [without(gold, gone) for gold, gone in zip(golds, ranges, strict=True)]
        result |= {f"ents_{key}": value for key, value in prf(*judge(map(training_target, bitexts), kept)).items()}
    return result


def find_component(nlp: Language, kind: type, config: str | Path) -> Any:
    """The first component of a class in a pipeline.

    config (str | Path): What to call the pipeline in the error.
    RAISES (XltError): E509 where there is none.
    """
    for _, pipe in nlp.pipeline:
        if isinstance(pipe, kind):
            return pipe
    name = {"AlignerPipe": "xlt_aligner", "ProjectorPipe": "xlt_projector"}[kind.__name__]
    raise error("E509", path=config, component=name, known=", ".join(nlp.pipe_names) or "none")


def make_bitext(source: Doc, gold: Doc) -> Bitext:
    """A bitext of a source doc and a bare copy of a gold doc, sentence by sentence where both have equally many."""
    words, spaces = [token.text for token in gold], [bool(token.whitespace_) for token in gold]
    bitext = Bitext(source, Doc(gold.vocab, words=words, spaces=spaces))
    if source.has_annotation("SENT_START") and gold.has_annotation("SENT_START"):
        firsts, seconds = list(source.sents), list(gold.sents)
        if len(firsts) == len(seconds):
            pairs = zip(firsts, seconds, strict=True)
            bitext.sentences = [SentencePair(a.start, a.end, b.start, b.end) for a, b in pairs]
    return bitext


def _read_pairs(nlp: Language, source: Path, gold: Path, target_lang: str) -> list[tuple[Doc, Doc]]:
    if gold.suffix == ".jsonl":
        return reviewed_pairs(source, gold, vocab=nlp.vocab, target_lang=target_lang)
    firsts = list(read_docs(source, vocab=nlp.vocab))
    seconds = list(read_docs(gold, lang=target_lang))
    for path, docs in ((source, firsts), (gold, seconds)):
        if not docs:
            raise error("E503", path=path)
    if len(firsts) != len(seconds):
        raise error("E520", source=source, gold=gold, n_source=len(firsts), n_gold=len(seconds))
    return list(zip(firsts, seconds, strict=True))


def _check_labels(path: Path, docs: Sequence[Doc], labels: Sequence[str] | None) -> None:
    found = {ent.label_ for doc in docs for ent in doc.ents}
    if not found:
        raise error("E521", path=path)
    if labels is not None and not found.intersection(labels):
        raise error("E522", labels=",".join(labels), path=path, known=", ".join(sorted(found)))
