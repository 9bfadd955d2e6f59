"""The result of a comparison as plain data: every run, and every strategy over its seeds, and how sure that is."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from .. import __version__
from ..errors import XltError
from ..evaluation.bootstrap import SEED, holm, interval, multi_bootstrap, p_value
from ..training.selection import selection_of
from .jobs import Job, versions
from .plan import AVERAGE, TRAIN, Plan
from .predict import RECORD
from .score import SetScore, read_gold, score_predictions
from .status import DONE, STATE, Status, predictions_folder, read_json

METHOD = "paired multi-bootstrap over sentences and seeds (Sellam et al. 2022)"
CORRECTION = "Holm 1979, over the strategies of a set"
Scores = dict[str, dict[int | None, SetScore]]


def collect(
    plan: Plan,
    jobs: Sequence[Job],
    found: Mapping[str, Status],
    sets: Mapping[str, str],
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Score what is finished and put it together.

    Args:
        plan: The plan.
        jobs: Its jobs.
        found: How far they are, by name.
        sets: Checksums of the evaluation sets.
        reasons: Why jobs failed, by name.

    Returns:
        `strategies`, `runs`, `sets`, `bootstrap`, `baseline`, `ceiling`, `missing` and `no_gold` (languages without a
        set). Scores are fractions, times seconds. Strategies that there are for each language are one.

    Raises:
        XltError: E503 and E669 for a set without documents or entities.
    """
    finished = [job for job in jobs if found[job.name].state == DONE]
    missing = {job.name: found[job.name].reason or "not done" for job in jobs if job not in finished}
    missing |= {name: reason for name, reason in (reasons or {}).items() if name in missing}
    runs: dict[str, Any] = {job.name: _run(job) for job in finished}
    groups = dict.fromkeys(strategy.group for strategy in plan.strategies.values())
    strategies = {
        name: _summary(of_group, runs)
        for name in groups
        if (of_group := [job for job in jobs if job.strategy.group == name])
    }
    described, scored = {}, {}
    for name, path in plan.sets.items():
        golds = read_gold(path, name=name, labels=plan.labels)
        described[name] = {"path": str(path), "digest": sets[name], **_describe(golds)}
        scores: Scores = {}
        for job in (job for job in finished if name in plan.sets_of(job.strategy)):
            file, spans_key = predictions_folder(job) / f"{name}.spacy", job.strategy.spans_key
            score = score_predictions(file, golds, name=name, labels=plan.labels, spans_key=spans_key)
            scores.setdefault(job.strategy.group, {})[job.seed] = score
            runs[job.name]["sets"][name] = {"p": score.p, "r": score.r, "f": score.f, "per_label": score.per_label}
        scored[name] = scores
    for strategy, compared in compare_strategies(plan, scored).items():
        strategies[strategy] |= compared
    return {
        "baseline": plan.baseline,
        "ceiling": plan.ceiling,
        "labels": plan.labels,
        "sets": described,
        "strategies": strategies,
        "runs": runs,
        "missing": missing,
        "no_gold": plan.no_gold,
        "bootstrap": {"method": METHOD, "correction": CORRECTION, "samples": plan.n_bootstrap, "seed": SEED},
        "version": __version__,
    }


def _run(job: Job) -> dict[str, Any]:
    """A run without its scores."""
    state = read_json(job.folder / STATE) or {}
    record = read_json(predictions_folder(job) / RECORD) or {}
    speeds = record.get("sets", {}).values()
    seconds = sum(speed["seconds"] for speed in speeds)
    device = record.get("device", "?")
    return {
        "strategy": job.strategy.name,
        "seed": job.seed,
        "signature": signature(job, device),
        "device": device,
        "seconds": state.get("seconds"),
        "train_words_per_second": (state.get("training") or {}).get("words_per_second"),
        "words_per_second": round(sum(s["words"] for s in speeds) / seconds, 1) if seconds else None,
        "sets": {},
    }


def signature(job: Job, device: str) -> str:
    """A short line that lets another person see whether a run is the same."""
    parts = [f"strategy:{job.strategy.name}", f"type:{job.strategy.type}"]
    if job.seed is not None:
        parts.append(f"seed:{job.seed}")
    parts.append(f"config:{job.parts['settings'][:12]}")
    if job.inputs:
        parts.append(f"data:{job.parts['inputs'][:12]}")
    if job.needs:
        parts.append(f"needs:{job.parts['needs'][:12]}")
    return "|".join([*parts, f"device:{device}", *(f"{name}:{version}" for name, version in versions().items())])


def _summary(jobs: Sequence[Job], runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a strategy is and costs; its scores come later."""
    done = [runs[job.name] for job in jobs if job.name in runs]

    def mean(key: str) -> float | None:
        values = [run[key] for run in done if run[key] is not None]
        return round(statistics.fmean(values), 1) if values else None

    return {
        "type": jobs[0].strategy.type,
        "selected_by": selected_by(jobs[0]),
        "needs": sorted({need.strategy.name for job in jobs for need in job.needs}),
        "runs": len(done),
        "runs_wanted": len(jobs),
        **{key: mean(key) for key in ("seconds", "train_words_per_second", "words_per_second")},
        "devices": sorted({run["device"] for run in done}),
        "sets": {},
    }


def selected_by(job: Job) -> str:
    """What the checkpoint of a job was chosen by, in words; of what is put together, that of its parts."""
    if job.strategy.type == TRAIN:
        if job.strategy.model != "model-best":
            return f"no choice: {job.strategy.model}"
        try:
            return str(selection_of(job.config()))
        except XltError as err:
            return f"unknown ({err.message})"
    parts = {need.strategy.name: selected_by(need) for need in job.needs}
    if job.strategy.type == AVERAGE and any("/" in model for model in job.strategy.models):
        return f"no choice: average of snapshots of {', '.join(parts)}"
    return "; ".join(f"{name}: {selection}" for name, selection in parts.items()) or "nothing was chosen"


def _describe(golds: Sequence[Doc]) -> dict[str, Any]:
    labels = Counter(ent.label_ for doc in golds for ent in doc.ents)
    return {"docs": len(golds), "words": sum(map(len, golds)), "entities": dict(sorted(labels.items()))}


def compare_strategies(plan: Plan, scores: Mapping[str, Scores]) -> dict[str, dict[str, Any]]:
    """Every strategy: on each of the `sets` means over seeds, intervals, and the difference to the baseline; with
    several sets, of those that have all of them, the mean `over_sets` as well.

    Args:
        plan: The plan.
        scores: Set → strategy → seed → score.
    """
    result: dict[str, dict[str, Any]] = {}
    sampled = {}
    for set_name, of_set in scores.items():
        means = {name: over_seeds(list(by_seed.values())) for name, by_seed in of_set.items()}
        sampled[set_name] = {
            name: multi_bootstrap(np.stack([score.counts for score in by_seed.values()]), samples=plan.n_bootstrap)
            for name, by_seed in of_set.items()
        }
        for name, one in _against_baseline(plan, means, sampled[set_name]).items():
            result.setdefault(name, {"sets": {}})["sets"][set_name] = one
    if len(scores) > 1:
        for name, one in _over_sets(plan, result, sampled).items():
            result[name]["over_sets"] = one
    return result


def _against_baseline(
    plan: Plan, scores: Mapping[str, dict[str, Any]], sampled: Mapping[str, NDArray[np.float64]]
) -> dict[str, dict[str, Any]]:
    """How sure the F1 of every strategy is, and its difference to the baseline.

    Args:
        plan: The plan.
        scores: What `f` is over seeds, by strategy.
        sampled: float64, `(samples,)` of the bootstrap, by strategy.
    """
    base, top = scores.get(plan.baseline), scores.get(plan.ceiling or "")
    p_values, result = {}, {}
    for name, score in scores.items():
        result[name] = score | {"interval": list(interval(sampled[name]))}
        result[name] |= dict.fromkeys(("difference", "difference_interval", "p_value", "p_holm", "gap_closed"))
        if base is None or name == plan.baseline:
            continue
        difference = score["f"]["mean"] - base["f"]["mean"]
        result[name]["difference"] = round(difference, 6)
        result[name]["difference_interval"] = list(interval(sampled[name] - sampled[plan.baseline]))
        result[name]["p_value"] = p_values[name] = p_value(sampled[name], sampled[plan.baseline])
        # The share of the way from the baseline to the ceiling; there is none where the ceiling is not above
        if top is not None and (gap := top["f"]["mean"] - base["f"]["mean"]) > 0:
            result[name]["gap_closed"] = round(difference / gap, 4)
    for name, p in holm(p_values).items():
        result[name]["p_holm"] = p
    return result


def _over_sets(
    plan: Plan, strategies: Mapping[str, Any], by_set: Mapping[str, Mapping[str, NDArray[np.float64]]]
) -> dict[str, dict[str, Any]]:
    """The mean of every strategy over all sets, which count the same whatever their size, and its worst set.

    The samples of a set draw the same seeds as those of another, so that what differs between seeds counts once.
    """
    # A strategy that has one pipeline for each language may have other seeds for another
    scored = [
        name
        for name, data in strategies.items()
        if len(data["sets"]) == len(plan.sets) and len({one["seeds"] for one in data["sets"].values()}) == 1
    ]
    means, sampled = {}, {}
    for name in scored:
        of_sets = {key: one["f"] for key, one in strategies[name]["sets"].items()}
        worst = min(of_sets, key=lambda key: of_sets[key]["mean"])
        by_seed = zip(*(f["values"] for f in of_sets.values()), strict=True)
        f = _mean_sd([statistics.fmean(values) for values in by_seed])
        means[name] = {"f": f, "worst": {"set": worst, "f": of_sets[worst]}}
        sampled[name] = np.mean([samples[name] for samples in by_set.values()], axis=0)
    return _against_baseline(plan, means, sampled)


def over_seeds(scores: Sequence[SetScore]) -> dict[str, Any]:
    """Means and standard deviations of the scores of a strategy on one set."""
    labels = sorted({label for score in scores for label in score.per_label})
    return {
        "seeds": len(scores),
        **{key: _mean_sd([getattr(score, key) for score in scores]) for key in "prf"},
        "per_label": {
            label: {key: _mean_sd([s.per_label.get(label, {}).get(key, 0.0) for s in scores]) for key in "prf"}
            for label in labels
        },
    }


def _mean_sd(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation of a sample; None for the latter where there is one value only."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {
        "mean": round(statistics.fmean(values), 6),
        "sd": sd if sd is None else round(sd, 6),
        "values": list(values),
    }
