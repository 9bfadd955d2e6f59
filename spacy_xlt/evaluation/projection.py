"""Scoring projection: gold spans of the source, projected onto the target's own tokens, against the target's gold."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import spacy
from numpy.typing import NDArray
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from .. import __version__
from ..bitext import DROP_FLAG, ENTS, Bitext, is_annotation, training_target
from ..config import find_component, load_pipeline_config
from ..docs import without
from ..errors import error
from ..languages import MULTI
from ..readers.docbin import read_docs
from ..span_links import get_links, score_links
from .answers import has_answers, score_answers
from .bootstrap import SAMPLES, SEED, interval, p_value, resampled_f1
from .intents import score_intents
from .spans import (
    counts_by_doc,
    counts_by_label,
    keep_entities,
    label_count_f1,
    match_entities,
    per_length,
    prf,
    reliability,
    spans_of,
)

# Documents aligned and projected at a time.
BATCH = 256
# A bootstrap for each of hundreds of labels would take longer than projecting.
LABELS_WITH_INTERVAL = 12


class ReadPairs(Protocol):
    """Reads documents of the source, each with its translation; both have gold entities."""

    def __call__(self, source: Path, gold: Path, *, vocab: Vocab, target_lang: str) -> list[tuple[Doc, Doc]]: ...


class ProjectionScores(NamedTuple):
    """Scores, and the counts to draw samples of.

    Attributes:
        scores: See `evaluate_projection`.
        counts: int64, `(n_docs, 3)`, see `counts_by_doc`.
        by_label: The same for the most frequent labels.
    """

    scores: dict[str, Any]
    counts: NDArray[np.int64]
    by_label: dict[str, NDArray[np.int64]]


def corpus_pairs(source: Path, gold: Path, *, vocab: Vocab, target_lang: str) -> list[tuple[Doc, Doc]]:
    """Read two `.spacy` corpora of the same documents in the same order.

    Args:
        source: File or folder.
        gold: The same for the translations.
        vocab: Of the source documents.
        target_lang: Language of the gold documents.

    Raises:
        XltError: E502, E503, E504 for what is missing, empty or no corpus; E520 where the corpora differ in length.
    """
    firsts, seconds = list(read_docs(source, vocab=vocab)), list(read_docs(gold, lang=target_lang))
    for path, docs in ((source, firsts), (gold, seconds)):
        if not docs:
            raise error("E503", path=path)
    if len(firsts) != len(seconds):
        raise error("E520", source=source, gold=gold, n_source=len(firsts), n_gold=len(seconds))
    return list(zip(firsts, seconds, strict=True))


def evaluate_projection(
    nlp: Language,
    source: Path,
    gold: Path,
    *,
    labels: Sequence[str] | None = None,
    key: str = ENTS,
    target_lang: str = MULTI,
    config: str | Path = "config",
    read_pairs: ReadPairs = corpus_pairs,
) -> ProjectionScores:
    """Project the entities of one corpus onto the tokens of another, and score them there.

    Args:
        nlp: A pipeline with a projector, and an aligner unless there are to be no links; its other components are not
            used.
        source: The corpus whose entities are projected.
        gold: Its translation, with entities of its own.
        labels: The labels to keep on both sides; None for all.
        key: "ents", or the span group that is scored in their place.
        target_lang: Language of the gold corpus, for aligners that need to know.
        config: What to call the pipeline in errors.
        read_pairs: What reads the two corpora.

    Returns:
        The counts, and as `scores`: `ents_p`, `ents_r`, `ents_f` (fractions, as spaCy's Scorer gives them),
        `ents_per_type`, `ents_per_length` (see `per_length`), `reliability` (see there), `ceiling_f` (what the
        annotations of the two sides allow, see `label_count_f1`), `spans_in`, `spans_projected`, `spans_lost`,
        `lost_reasons`, `filtered` (`sentences`, those that the projector's filters drop, by reason, and `ents_p`,
        `ents_r`, `ents_f` of the rest), `seconds` of aligning and projecting without loading, `pairs`,
        `pairs_per_second`, `signature`; what `score_links` gives where the gold documents have links between spans,
        `score_answers` where they have answers with ids, and `score_intents` where both sides have categories.

    Raises:
        XltError: E509 where the pipeline has no projector; E521 where a corpus has no entities, E522 where one has
            none of the labels; what `read_pairs` raises.
    """
    projector = find_component(nlp, "xlt_projector", config)
    # Some projectors do without links
    has_aligner = "xlt_aligner" in nlp.pipe_factories.values()
    aligner = find_component(nlp, "xlt_aligner", config) if has_aligner else None
    pairs = read_pairs(source, gold, vocab=nlp.vocab, target_lang=target_lang)
    for path, docs in ((source, [pair[0] for pair in pairs]), (gold, [pair[1] for pair in pairs])):
        _check_labels(path, docs, labels, key)
    for doc in (doc for pair in pairs for doc in pair):
        keep_entities(doc, labels, key)
    bitexts = [Bitext.of_docs(first, second) for first, second in pairs]
    if aligner:
        # Loads the model
        aligner.align([next((b for b in bitexts if len(b.source) and len(b.target)), bitexts[0])])
    start = time.perf_counter()
    for first in range(0, len(bitexts), BATCH):
        batch = bitexts[first : first + BATCH]
        if aligner:
            aligner.align(batch)
        projector.project(batch)
    seconds = time.perf_counter() - start
    golds = [second for _, second in pairs]
    projected, wanted = match_entities([bitext.target for bitext in bitexts], golds, key)
    links = aligner.signature if aligner else "no links"
    kept = "all" if labels is None else ",".join(sorted(labels))
    of_group = "" if key == ENTS else f"spans:{key}|"
    scores = {
        **_spacy_scores(bitexts, golds, key),
        "ents_per_length": per_length(projected, wanted),
        "reliability": reliability(projected),
        "ceiling_f": round(label_count_f1(pairs, key), 4),
        **_span_outcomes(bitexts, key),
        "filtered": _filtered(bitexts, golds, key),
        **_task_scores(bitexts, golds, key),
        "seconds": round(seconds, 3),
        "pairs": len(bitexts),
        "pairs_per_second": round(len(bitexts) / seconds, 2) if seconds else None,
        "signature": f"exact span F1|labels:{kept}|{of_group}{links}|{projector.signature}"
        f"|spacy:{spacy.__version__}|spacy_xlt:{__version__}",
    }
    by_label = counts_by_label(projected, wanted, len(pairs), most=LABELS_WITH_INTERVAL)
    return ProjectionScores(scores, counts_by_doc(projected, wanted, len(pairs)), by_label)


def compare_projections(
    configs: Sequence[Path],
    source: Path,
    gold: Path,
    *,
    labels: Sequence[str] | None = None,
    key: str = ENTS,
    target_lang: str = MULTI,
    overrides: dict[str, Any] | None = None,
    read_pairs: ReadPairs = corpus_pairs,
    progress: Callable[[str], object] = lambda name: None,
) -> dict[str, Any]:
    """Project one corpus onto another with several configs, and compare their F1 with that of the first one.

    Args:
        configs: The configs; the first is what the others are compared with.
        source: As for `evaluate_projection`, like `gold`, `labels`, `key`, `target_lang` and `read_pairs`.
        overrides: Settings for all of the configs.
        progress: Called with the name of each config before its turn.

    Returns:
        `baseline`; `systems`, by the config's name, with the scores of `evaluate_projection` and `ents_f_interval`
        (95%; `ents_per_type` has `f_interval` for the most frequent labels), `difference` (of F1, to the first) and
        `p_value` (paired bootstrap over documents); `bootstrap`, its settings. Scores are fractions.

    Raises:
        XltError: E523 where two configs have the same name; what `evaluate_projection` raises.
    """
    names = _names(configs)
    systems: dict[str, dict[str, Any]] = {}
    baseline: NDArray[np.float64] | None = None
    for name, config in zip(names, configs, strict=True):
        progress(name)
        nlp = load_pipeline_config(config, overrides or {})
        scores, counts, by_label = evaluate_projection(
            nlp, source, gold, labels=labels, key=key, target_lang=target_lang, config=config, read_pairs=read_pairs
        )
        # One model in memory at a time
        del nlp
        gc.collect()
        sampled = resampled_f1(counts)
        scores["ents_f_interval"] = list(interval(sampled))
        for label, of_label in by_label.items():
            if label in (scores["ents_per_type"] or {}):
                scores["ents_per_type"][label]["f_interval"] = list(interval(resampled_f1(of_label)))
        if baseline is None:
            baseline = sampled
            scores |= {"difference": 0.0, "p_value": 1.0}
        else:
            difference = scores["ents_f"] - systems[names[0]]["ents_f"]
            scores |= {"difference": round(difference, 4), "p_value": p_value(sampled, baseline)}
        systems[name] = scores
    bootstrap = {"unit": "document", "samples": SAMPLES, "seed": SEED}
    return {"baseline": names[0], "systems": systems, "bootstrap": bootstrap}


def _spacy_scores(bitexts: Sequence[Bitext], golds: Sequence[Doc], key: str) -> dict[str, Any]:
    examples = [Example(bitext.target, gold) for bitext, gold in zip(bitexts, golds, strict=True)]
    if key == ENTS:
        scores = Scorer.score_spans(examples, ENTS, has_annotation=lambda doc: doc.has_annotation("ENT_IOB"))
    else:
        # Under the same names, whatever the group is called
        scores = Scorer.score_spans(
            examples,
            ENTS,
            getter=lambda doc, _: spans_of(doc, key),
            has_annotation=lambda doc: key in doc.spans,
            allow_overlap=True,
        )
    return {name: scores[name] for name in ("ents_p", "ents_r", "ents_f", "ents_per_type")}


def _task_scores(bitexts: Sequence[Bitext], golds: Sequence[Doc], key: str) -> dict[str, Any]:
    """The scores of what is more than spans, where the gold documents have it."""
    targets = [bitext.target for bitext in bitexts]
    has_intents = any(gold.cats and bitext.source.cats for bitext, gold in zip(bitexts, golds, strict=True))
    return {
        **(score_links(targets, golds) if any(map(get_links, golds)) else {}),
        **(score_answers(targets, golds) if any(map(has_answers, golds)) else {}),
        **(score_intents(targets, golds, key) if has_intents else {}),
    }


def _span_outcomes(bitexts: Sequence[Bitext], key: str) -> dict[str, Any]:
    """How many of the source's entities were projected, and why the others were lost."""
    spans_in = sum(len(spans_of(bitext.source, key)) for bitext in bitexts)
    lost = Counter(span.reason for bitext in bitexts for span in bitext.lost if span.key == key)
    return {
        "spans_in": spans_in,
        "spans_projected": spans_in - lost.total(),
        "spans_lost": lost.total(),
        "lost_reasons": dict(sorted(lost.items())),
    }


def _filtered(bitexts: Sequence[Bitext], golds: Sequence[Doc], key: str) -> dict[str, Any]:
    """What the projector's filters refuse, and the scores of the sentences that are not left out."""
    pairs = [pair for bitext in bitexts for pair in bitext.sentences]
    reasons = Counter(flag for pair in pairs for flag in pair.flags if flag != DROP_FLAG)
    dropped = sum(DROP_FLAG in pair.flags for pair in pairs)
    result = {"sentences": len(pairs), "dropped": dropped, "reasons": dict(sorted(reasons.items()))}
    if dropped:
        ranges = [[pair.target for pair in bitext.sentences if DROP_FLAG in pair.flags] for bitext in bitexts]
        kept = [without(gold, gone) for gold, gone in zip(golds, ranges, strict=True)]
        rest = prf(*match_entities(map(training_target, bitexts), kept, key))
        result |= {f"ents_{name}": value for name, value in rest.items()}
    return result


def _names(configs: Sequence[Path]) -> list[str]:
    """Short names for configs: without folders where that is enough to tell them apart."""
    short = [config.stem for config in configs]
    names = short if len(set(short)) == len(short) else [str(config) for config in configs]
    if len(set(names)) < len(names):
        raise error("E523", name=next(name for name in names if names.count(name) > 1))
    return names


def _check_labels(path: Path, docs: Sequence[Doc], labels: Sequence[str] | None, key: str) -> None:
    in_corpus = {span.label_ for doc in docs for span in spans_of(doc, key)}
    if not in_corpus:
        what = "entities" if key == ENTS else f"spans in the group {key!r}"
        groups = {name for doc in docs for name, spans in doc.spans.items() if is_annotation(name) and len(spans)}
        hint = f" (it has spans in {', '.join(sorted(groups))}: set --spans-key)" if groups else ""
        raise error("E521", path=path, what=what + hint)
    if labels is not None and not in_corpus.intersection(labels):
        raise error("E522", labels=",".join(labels), path=path, known=", ".join(sorted(in_corpus)))
