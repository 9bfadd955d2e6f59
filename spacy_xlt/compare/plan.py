"""What is compared: a config file that names strategies, seeds and evaluation sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy import util

from ..errors import error

TRAIN, ASSEMBLE, AVERAGE = "train", "assemble", "average"
# What a strategy of each type may say of itself
_SETTINGS = {
    TRAIN: {"configs", "overrides", "model", "spans_key"},
    ASSEMBLE: {"configs", "overrides", "spans_key"},
    AVERAGE: {"models", "spans_key"},
}
MODELS = ("model-best", "model-last")
# A strategy's name is a folder's name, and stands in braces in the settings of others
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
RESERVED = ("run", "seed")
_DOTTED = re.compile(r"(?:strategies\.([^.]+)\.)?overrides\.(.+)")


@dataclass(frozen=True)
class Strategy:
    """One way to get a pipeline.

    name (str): What the tables call it.
    type (str): "train" (spacy train), "assemble" (spacy assemble) or "average" (spacy xlt average).
    configs (tuple[str, ...]): Config files that are merged, the base first.
    overrides (Mapping[str, Any]): Settings by dotted name. `{NAME}` stands for the model of another strategy with the
        same seed, `{NAME}/snapshots` for something below its run folder, `{run}` for the own run folder and `{seed}`
        for the seed.
    models (tuple[str, ...]): What to average: `{NAME}`, patterns below a run folder (`{NAME}/snapshots/*`), or
        `{NAME:*}` for the models of all seeds.
    model (str): Which model of a training counts: "model-best" or "model-last".
    spans_key (str | None): The span group that the pipeline writes to; None for `doc.ents`.
    """

    name: str
    type: str
    configs: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    model: str = MODELS[0]
    spans_key: str | None = None


@dataclass(frozen=True)
class Plan:
    """A whole comparison.

    baseline (str): The strategy that the others are compared with.
    ceiling (str | None): The strategy that was trained on gold in the target language: what there is to reach.
    labels (tuple[str, ...] | None): The labels that count; None for all.
    gold_tokens (bool): Give the pipelines the sets' own tokens. Else they get the text, as in `spacy evaluate`.
    n_bootstrap (int): Samples of the bootstrap.
    """

    strategies: Mapping[str, Strategy]
    sets: Mapping[str, Path]
    seeds: tuple[int, ...]
    baseline: str
    ceiling: str | None = None
    labels: tuple[str, ...] | None = None
    gold_tokens: bool = False
    n_bootstrap: int = 5000


def read_plan(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Read and check a plan: [compare], [sets], [strategies], and [overrides], settings of all trainings.

    overrides (Mapping[str, Any] | None): Settings by dotted name, as `spacy train` takes them.
    RAISES (XltError): E502 for no such file, E660 for what is no config or has values that cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise error("E502", what="plan", path=path)
    # The settings of trainings have dots in their own names, which the parser would take for sections
    dotted = {name: value for name, value in (overrides or {}).items() if _DOTTED.match(name)}
    others = {name: value for name, value in (overrides or {}).items() if name not in dotted}
    try:
        config = util.load_config(path, overrides=others, interpolate=True)
        for name, value in dotted.items():
            strategy, setting = _DOTTED.match(name).groups()  # type: ignore[union-attr]
            section = config["strategies"][strategy] if strategy else config
            section["overrides"] = {**_flat(section.get("overrides", {})), setting: value}
    except (ValueError, KeyError) as err:
        raise error("E660", path=path, reason=" ".join(str(err).split())[:300]) from err
    check = _Checker(path)
    head = check.section(config, "compare")
    common = _flat(config.get("overrides", {}))
    check.keys("compare", head, {"seeds", "baseline", "ceiling", "labels", "gold_tokens", "n_bootstrap"})
    strategies = {n: _strategy(check, n, data, common) for n, data in check.section(config, "strategies").items()}
    sets = check.section(config, "sets")
    for name, value in sets.items():
        check.name(f"sets.{name}", name)
        check.that(isinstance(value, str), f"sets.{name}", value, "a .spacy file or a folder")
    seeds = check.list_of(int, "compare.seeds", head.get("seeds"))
    check.that(len(set(seeds)) == len(seeds), "compare.seeds", list(seeds), "each seed once")
    baseline, ceiling = head.get("baseline"), head.get("ceiling")
    known = ", ".join(strategies)
    check.that(baseline in strategies, "compare.baseline", baseline, f"one of: {known}")
    check.that(ceiling is None or ceiling in strategies, "compare.ceiling", ceiling, f"null or one of: {known}")
    check.that(ceiling != baseline, "compare.ceiling", ceiling, "another strategy than the baseline")
    labels = head.get("labels")
    gold_tokens, samples = head.get("gold_tokens", False), head.get("n_bootstrap", Plan.n_bootstrap)
    check.that(isinstance(gold_tokens, bool), "compare.gold_tokens", gold_tokens, "true or false")
    check.that(_is_int(samples) and samples >= 100, "compare.n_bootstrap", samples, "a number from 100")
    return Plan(
        strategies=strategies,
        sets={name: Path(value) for name, value in sets.items()},
        seeds=seeds,
        baseline=str(baseline),
        ceiling=ceiling,
        labels=None if labels is None else check.list_of(str, "compare.labels", labels),
        gold_tokens=gold_tokens,
        n_bootstrap=samples,
    )


def _strategy(check: _Checker, name: str, data: Any, common: Mapping[str, Any]) -> Strategy:
    where = f"strategies.{name}"
    check.name(where, name)
    check.that(isinstance(data, dict), where, data, "a section")
    kind = data.get("type")
    check.that(kind in _SETTINGS, f"{where}.type", kind, ", ".join(_SETTINGS))
    check.keys(where, data, {"type", *_SETTINGS[kind]})
    overrides = data.get("overrides") or {}
    check.that(isinstance(overrides, dict), f"{where}.overrides", overrides, "a section of settings")
    model = data.get("model", MODELS[0])
    check.that(model in MODELS, f"{where}.model", model, " or ".join(MODELS))
    spans_key = data.get("spans_key")
    check.that(spans_key is None or isinstance(spans_key, str), f"{where}.spans_key", spans_key, "null or a name")
    files = "models" if kind == AVERAGE else "configs"
    values = data.get(files)
    values = check.list_of(str, f"{where}.{files}", [values] if isinstance(values, str) else values)
    return Strategy(
        name=name,
        type=kind,
        configs=values if files == "configs" else (),
        models=values if files == "models" else (),
        overrides={**(common if kind == TRAIN else {}), **_flat(overrides)},
        model=model,
        spans_key=spans_key,
    )


def _flat(overrides: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name, whether they were written so or as sections."""
    flat: dict[str, Any] = {}
    for key, value in overrides.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class _Checker:
    """Checks values and says which setting of which file is wrong."""

    def __init__(self, path: Path):
        self.path = path

    def that(self, good: bool, setting: str, value: Any, expected: str) -> None:
        if not good:
            reason = f"`{setting}` is {value!r}; expected {expected}"
            raise error("E660", path=self.path, reason=reason)

    def section(self, config: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = config.get(name)
        self.that(isinstance(value, dict) and bool(value), name, value, "a section with something in it")
        return dict(value)  # type: ignore[arg-type]

    def keys(self, where: str, data: Mapping[str, Any], known: set[str]) -> None:
        for key in data:
            self.that(key in known, f"{where}.{key}", data[key], f"no such setting, only {', '.join(sorted(known))}")

    def name(self, where: str, name: str) -> None:
        good = bool(_NAME.fullmatch(name)) and name not in RESERVED
        self.that(good, where, name, f"a name of letters, digits, '-' and '_' other than {', '.join(RESERVED)}")

    def list_of(self, kind: type, setting: str, value: Any) -> tuple[Any, ...]:
        good = isinstance(value, (list, tuple)) and bool(value)
        good = good and all(_is_int(v) if kind is int else isinstance(v, kind) for v in value)
        self.that(good, setting, value, f"a list of {'numbers' if kind is int else 'names or paths'}")
        return tuple(value)
