"""The result of a comparison as plain data: every run, and every strategy over its seeds, and how sure that is."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

from .. import __version__
from ..errors import XltError
from ..evaluation.bootstrap import SEED, holm, interval, multi_bootstrap, p_value
from ..training.selection import selection_of
from .inputs import fingerprint
from .jobs import Job
from .plan import AVERAGE, TRAIN, Plan
from .scoring import SetScore, read_gold, score_predictions
from .state import DONE, STATE, Status, prediction_record, predictions, read_json

METHOD = "paired multi-bootstrap over sentences and seeds (Sellam et al. 2022)"
CORRECTION = "Holm 1979, over the strategies of a set"
Scores = dict[str, dict[int | None, SetScore]]


def collect(
    plan: Plan, jobs: Sequence[Job], found: Mapping[str, Status], sets: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Score what is finished and put it together.

    plan (Plan): The plan.
    jobs (Sequence[Job]): Its jobs.
    found (Mapping[str, Status]): How far they are.
    sets (Mapping[str, Mapping[str, Any]]): What a prediction of each set depends on besides the model.
    RETURNS (dict[str, Any]): "strategies", "runs", "sets", "bootstrap", "baseline", "ceiling" and "missing". Scores are
        fractions, times seconds, memory MiB.
    RAISES (XltError): E503 and E669 for a set without documents or entities.
    """
    finished = [job for job in jobs if found[job.name].state == DONE]
    runs: dict[str, Any] = {job.name: _run(plan, job) for job in finished}
    strategies = {
        name: _summary(plan, name, [job for job in jobs if job.strategy.name == name], runs)
        for name in plan.strategies
        if any(job.strategy.name == name for job in jobs)
    }
    described = {}
    for name, path in plan.sets.items():
        golds = read_gold(path, name=name, labels=plan.labels)
        described[name] = {"path": str(path), **_describe(golds), **sets[name]}
        scores: Scores = {}
        for job in finished:
            score = score_predictions(
                predictions(job, name), golds, name=name, labels=plan.labels, spans_key=job.strategy.spans_key
            )
            scores.setdefault(job.strategy.name, {})[job.seed] = score
            runs[job.name]["sets"][name] = {"p": score.p, "r": score.r, "f": score.f, "per_label": score.per_label}
        for strategy, of_set in _compare(plan, scores).items():
            strategies[strategy]["sets"][name] = of_set
    return {
        "baseline": plan.baseline,
        "ceiling": plan.ceiling,
        "labels": plan.labels,
        "gold_tokens": plan.gold_tokens,
        "sets": described,
        "strategies": strategies,
        "runs": runs,
        "missing": {job.name: found[job.name].reason or "not done" for job in jobs if job not in finished},
        "bootstrap": {"method": METHOD, "correction": CORRECTION, "samples": plan.n_bootstrap, "seed": SEED},
        "version": __version__,
    }


def _run(plan: Plan, job: Job) -> dict[str, Any]:
    """What is known of one run besides its scores."""
    state = read_json(job.folder / STATE) or {}
    records = {name: read_json(prediction_record(job, name)) or {} for name in plan.sets}
    training = state.get("training") or {}
    device = next((record["device"] for record in records.values() if record.get("device")), "?")
    return {
        "strategy": job.strategy.name,
        "seed": job.seed,
        "signature": signature(job, device),
        "device": device,
        "seconds": state.get("seconds"),
        "peak_mib": state.get("peak_mib"),
        "train_words_per_second": training.get("words_per_second"),
        "words_per_second": _words_per_second(records.values()),
        "predict_peak_mib": max((r["peak_mib"] for r in records.values() if r.get("peak_mib")), default=None),
        "sets": {},
    }


def signature(job: Job, device: str) -> str:
    """A short line that lets another person see whether a run is the same."""
    versions = "|".join(f"{name}:{version}" for name, version in job.identity["versions"].items())
    parts = [f"strategy:{job.strategy.name}", f"type:{job.strategy.type}"]
    if job.seed is not None:
        parts.append(f"seed:{job.seed}")
    if "config" in job.identity:
        parts.append(f"config:{fingerprint(job.identity['config'])[:12]}")
    if job.identity.get("files"):
        parts.append(f"data:{fingerprint(job.identity['files'])[:12]}")
    if job.needs:
        parts.append(f"needs:{fingerprint(job.identity['needs'])[:12]}")
    return "|".join([*parts, f"device:{device}", versions])


def _words_per_second(records: Any) -> float | None:
    words = seconds = 0.0
    for record in records:
        words += record.get("words") or 0
        seconds += record.get("seconds") or 0
    return round(words / seconds, 1) if seconds else None


def _summary(plan: Plan, name: str, jobs: Sequence[Job], runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a strategy is and costs; its scores come later."""
    done = [runs[job.name] for job in jobs if job.name in runs]

    def mean(key: str) -> float | None:
        values = [run[key] for run in done if run[key] is not None]
        return round(statistics.fmean(values), 1) if values else None

    peaks = [run[key] for run in done for key in ("peak_mib", "predict_peak_mib") if run[key] is not None]
    return {
        "type": jobs[0].strategy.type,
        "selected_by": selected_by(jobs[0]),
        "needs": sorted({need.strategy.name for job in jobs for need in job.needs}),
        "runs": len(done),
        "runs_wanted": len(jobs),
        "seconds": mean("seconds"),
        "train_words_per_second": mean("train_words_per_second"),
        "words_per_second": mean("words_per_second"),
        "peak_mib": max(peaks, default=None),
        "devices": sorted({run["device"] for run in done}),
        "sets": {},
    }


def selected_by(job: Job) -> str:
    """What the checkpoint of a job was chosen by, in words; of what is put together, that of its parts."""
    if job.strategy.type == TRAIN:
        try:
            selection = str(selection_of(job.config()))
        except XltError as err:
            selection = f"unknown ({err.message})"
        if job.strategy.model != "model-best":
            return f"no choice: {job.strategy.model}"
        return selection
    parts = {need.strategy.name: selected_by(need) for need in job.needs}
    if job.strategy.type == AVERAGE:
        below = any("/" in model for model in job.strategy.models)
        names = ", ".join(parts)
        return f"no choice: average of {'snapshots of ' if below else ''}{names}" if below else _of_parts(parts)
    return _of_parts(parts) if parts else "nothing was chosen"


def _of_parts(parts: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {selection}" for name, selection in parts.items())


def _describe(golds: Sequence[Doc]) -> dict[str, Any]:
    labels = Counter(ent.label_ for doc in golds for ent in doc.ents)
    return {"docs": len(golds), "words": sum(map(len, golds)), "entities": dict(sorted(labels.items()))}


def _compare(plan: Plan, scores: Scores) -> dict[str, dict[str, Any]]:
    """Every strategy on one set: means over seeds, intervals, and the difference to the baseline."""
    sampled = {
        name: multi_bootstrap(np.stack([score.counts for score in by_seed.values()]), samples=plan.n_bootstrap)
        for name, by_seed in scores.items()
    }
    result = {name: _over_seeds(by_seed.values()) for name, by_seed in scores.items()}
    base, top = result.get(plan.baseline), result.get(plan.ceiling or "")
    p_values = {}
    for name, one in result.items():
        one["interval"] = list(interval(sampled[name]))
        one |= {"difference": None, "difference_interval": None, "p_value": None, "p_holm": None, "closed": None}
        if base is None or name == plan.baseline:
            continue
        one["difference"] = round(one["f"]["mean"] - base["f"]["mean"], 6)
        one["difference_interval"] = list(interval(sampled[name] - sampled[plan.baseline]))
        one["p_value"] = p_values[name] = p_value(sampled[name], sampled[plan.baseline])
        if top is not None:
            one["closed"] = _closed(one["f"]["mean"], base["f"]["mean"], top["f"]["mean"])
    for name, p in holm(p_values).items():
        result[name]["p_holm"] = p
    return result


def _closed(score: float, baseline: float, ceiling: float) -> float | None:
    """The share of the way from the baseline to the ceiling. No such thing where the ceiling is not above."""
    return round((score - baseline) / (ceiling - baseline), 4) if ceiling > baseline else None


def _over_seeds(scores: Any) -> dict[str, Any]:
    scores = list(scores)
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
