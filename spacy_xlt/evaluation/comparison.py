"""Several configs on the same bitext, side by side: scores, how sure they are, and what each costs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..config import load_pipeline_config
from ..errors import error
from ..languages import MULTI
from .bootstrap import SAMPLES, SEED, interval, p_value, resampled_f1
from .projection import project_and_score


def compare_projections(
    configs: Sequence[Path],
    source: Path,
    gold: Path,
    *,
    labels: Sequence[str] | None = None,
    target_lang: str = MULTI,
    overrides: dict[str, Any] | None = None,
    progress: Callable[[str], object] = lambda name: None,
) -> dict[str, Any]:
    """Project one corpus onto another with several configs, and compare their F1 with the first one's.

    configs (Sequence[Path]): The configs; the first is what the others are compared with.
    source, gold, labels, target_lang: As for `evaluate_projection`.
    overrides (dict[str, Any] | None): Settings for all of the configs.
    progress (Callable[[str], object]): Called with the name of each config before its turn.
    RETURNS (dict[str, Any]): "baseline"; "systems", by the config's name, with the scores of `evaluate_projection` and
        `ents_f_interval` (95%; `ents_per_type` has `f_interval` for the most frequent labels), `difference` (of F1, to
        the first) and `p_value` (paired bootstrap over documents); "bootstrap", its settings. Scores are fractions.
    RAISES (XltError): E523 where two configs have the same name; the rest as `evaluate_projection`.
    """
    names = _names(configs)
    systems: dict[str, dict[str, Any]] = {}
    baseline = None
    for name, config in zip(names, configs, strict=True):
        progress(name)
        nlp = load_pipeline_config(config, overrides or {})
        scores, counts, by_label = project_and_score(
            nlp, source, gold, labels=labels, target_lang=target_lang, config=config
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
    return {
        "baseline": names[0],
        "systems": systems,
        "bootstrap": {"unit": "document", "samples": SAMPLES, "seed": SEED},
    }


def _names(configs: Sequence[Path]) -> list[str]:
    """Short names for configs: without folders where that is enough to tell them apart."""
    short = [config.stem for config in configs]
    names = short if len(set(short)) == len(short) else [str(config) for config in configs]
    if len(set(names)) < len(names):
        raise error("E523", name=next(name for name in names if names.count(name) > 1))
    return names
