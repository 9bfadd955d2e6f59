"""What is compared: a config file that names strategies, seeds and evaluation sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from thinc.api import Config

from ..config import merge_configs
from ..errors import XltError, error

TRAIN, ASSEMBLE, AVERAGE = "train", "assemble", "average"
# The settings of a strategy of each type
_SETTINGS = {
    TRAIN: {"configs", "overrides", "model", "spans_key"},
    ASSEMBLE: {"configs", "overrides", "spans_key"},
    AVERAGE: {"models", "spans_key"},
}
_COMPARE = {"extends", "strategies", "seeds", "baseline", "ceiling", "labels", "gold_tokens", "n_bootstrap"}
MODELS = ("model-best", "model-last")
RUN, SEED = "run", "seed"
# A strategy's name is a folder's name, and stands in braces in the settings of others
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_REFERENCE = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_.-]*)(:\*)?\}")
_OVERRIDE = re.compile(r"(?:strategies\.([^.]+)\.)?overrides\.(.+)")


class Reference(NamedTuple):
    """A strategy that another one needs.

    Attributes:
        name: Its name.
        all_seeds: Whether it is needed with all seeds, not with the same seed alone.
    """

    name: str
    all_seeds: bool


@dataclass(frozen=True)
class Strategy:
    """One way to get a pipeline.

    Attributes:
        name: What the tables call it.
        type: "train" (spacy train), "assemble" (spacy assemble) or "average" (spacy xlt average).
        configs: Config files that are merged, the base first.
        overrides: Settings by dotted name. `{NAME}` stands for the model of another strategy with the same seed,
            `{NAME}/snapshots` for something below its run folder, `{run}` for the own run folder, `{seed}` for the
            seed.
        models: What to average: `{NAME}`, patterns below a run folder (`{NAME}/snapshots/*`), or `{NAME:*}` for the
            models of all seeds.
        model: Which model of a training counts: "model-best" or "model-last".
        spans_key: The span group that the pipeline writes to; None for `doc.ents`.
    """

    name: str
    type: str
    configs: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    model: str = MODELS[0]
    spans_key: str | None = None

    def references(self) -> list[Reference]:
        """The strategies that this one names in its settings, each once."""
        references: dict[Reference, None] = {}

        def collect(name: str, all_seeds: bool, rest: str) -> str:
            if name not in (RUN, SEED):
                references[Reference(name, all_seeds)] = None
            return ""

        substitute([self.overrides, self.models], collect)
        return list(references)


@dataclass(frozen=True)
class Plan:
    """A whole comparison.

    Attributes:
        strategies: All strategies, by name.
        sets: The evaluation sets: paths, by name.
        seeds: Of every strategy that is trained.
        baseline: The strategy that the others are compared with.
        ceiling: The strategy that was trained on gold in the target language: what there is to reach.
        compared: The strategies that are run, with what they need; all where empty.
        labels: The labels that count; None for all.
        gold_tokens: Whether the pipelines get the sets' own tokens. Else they get the text, as in `spacy evaluate`.
        n_bootstrap: Samples of the bootstrap.
    """

    strategies: Mapping[str, Strategy]
    sets: Mapping[str, Path]
    seeds: tuple[int, ...]
    baseline: str
    ceiling: str | None = None
    compared: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    gold_tokens: bool = False
    n_bootstrap: int = 5000


def substitute(value: Any, replace: Callable[[str, bool, str], str]) -> Any:
    """A setting with its references replaced.

    Args:
        value: Text, or a list or mapping with text in it; anything else stays as it is.
        replace: Gets the name in braces, whether all seeds are meant, and what follows in the text.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: replace(match[1], bool(match[2]), value[match.end() :]), value)
    if isinstance(value, Mapping):
        return {key: substitute(inner, replace) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(inner, replace) for inner in value]
    return value


def read_plan(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Read and check a plan: [compare], [sets], [strategies], and [overrides], settings of all trainings.

    Where `[compare] extends` names another plan (a path from the plan's own folder), what is not said here is as there.
    Where a strategy has `extends = "NAME"`, its settings and overrides stand over those of that strategy.

    Args:
        path: The config file.
        overrides: Settings of the plan by dotted name, as `spacy train` takes them.

    Raises:
        XltError: E502 where there is no such file, E660 for what is no config or has invalid values.
    """
    path = Path(path)
    if not path.is_file():
        raise error("E502", what="plan", path=path)
    try:
        config = _read(path, overrides or {})
    except (OSError, ValueError, KeyError) as err:
        reason = err.message if isinstance(err, XltError) else " ".join(str(err).split())[:300]
        raise error("E660", path=path, reason=reason) from err
    check = _Checker(path)
    head = check.section(config, "compare")
    check.keys("compare", head, _COMPARE)
    written = check.section(config, "strategies")
    common = _flat(config.get("overrides", {}))
    strategies = {name: _strategy(check, name, written, common) for name in written}
    sets = check.section(config, "sets")
    for name, value in sets.items():
        check.name(f"sets.{name}", name)
        check.that(isinstance(value, str), f"sets.{name}", value, "a .spacy file or a folder")
    compared = check.list_of(str, "compare.strategies", head["strategies"]) if head.get("strategies") else ()
    known = ", ".join(strategies)
    for name in compared:
        check.that(name in strategies, "compare.strategies", name, f"some of: {known}")
    seeds = check.list_of(int, "compare.seeds", head.get("seeds"))
    check.that(len(set(seeds)) == len(seeds), "compare.seeds", list(seeds), "each seed once")
    baseline, ceiling = head.get("baseline"), head.get("ceiling")
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
        compared=compared,
        labels=None if labels is None else check.list_of(str, "compare.labels", labels),
        gold_tokens=gold_tokens,
        n_bootstrap=samples,
    )


def _read(path: Path, overrides: Mapping[str, Any]) -> Config:
    """A plan over those that it extends, with overrides and without variables."""
    files = [path.resolve()]
    while extended := Config().from_disk(files[0], interpolate=False).get("compare", {}).get("extends"):
        files.insert(0, (files[0].parent / extended).resolve())
        if files[0] in files[1:]:
            raise ValueError(f"{extended} extends itself")
    text = merge_configs(files).to_str(interpolate=False)
    # The settings of trainings have dots in their own names, which the parser would take for sections
    of_trainings = {name: value for name, value in overrides.items() if _OVERRIDE.match(name)}
    others = {name: value for name, value in overrides.items() if name not in of_trainings}
    config = Config().from_str(text, overrides=others)
    for name, value in of_trainings.items():
        strategy, setting = _OVERRIDE.match(name).groups()  # type: ignore[union-attr]
        section = config["strategies"][strategy] if strategy else config
        section["overrides"] = {**_flat(section.get("overrides", {})), setting: value}
    return config


def _strategy(check: _Checker, name: str, written: Mapping[str, Any], common: Mapping[str, Any]) -> Strategy:
    where = f"strategies.{name}"
    check.name(where, name)
    data = _extended(check, name, written)
    kind = str(data.get("type"))
    check.that(kind in _SETTINGS, f"{where}.type", kind, ", ".join(_SETTINGS))
    check.keys(where, data, {"type", "extends", *_SETTINGS[kind]})
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
        overrides={**(common if kind == TRAIN else {}), **data.get("overrides", {})},
        model=model,
        spans_key=spans_key,
    )


def _extended(check: _Checker, name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a strategy over those of the strategies that it extends, with overrides by dotted name."""
    names = [name]
    while (extended := written[names[0]].get("extends") if isinstance(written[names[0]], dict) else None) is not None:
        good = extended in written and extended not in names
        others = ", ".join(other for other in written if other not in names)
        check.that(good, f"strategies.{names[0]}.extends", extended, f"another strategy: {others}")
        names.insert(0, extended)
    data: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for name in names:
        where = f"strategies.{name}"
        check.that(isinstance(written[name], dict), where, written[name], "a section")
        own = written[name].get("overrides") or {}
        check.that(isinstance(own, dict), f"{where}.overrides", own, "a section of settings")
        data |= written[name]
        overrides |= _flat(own)
    return {**data, "overrides": overrides} if overrides else {k: v for k, v in data.items() if k != "overrides"}


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
            raise error("E660", path=self.path, reason=f"`{setting}` is {value!r}; expected {expected}")

    def section(self, config: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = config.get(name)
        self.that(isinstance(value, dict) and bool(value), name, value, "a section with something in it")
        return dict(value)  # type: ignore[arg-type]

    def keys(self, where: str, data: Mapping[str, Any], known: set[str]) -> None:
        for key in data:
            self.that(key in known, f"{where}.{key}", data[key], f"only the settings {', '.join(sorted(known))}")

    def name(self, where: str, name: str) -> None:
        good = bool(_NAME.fullmatch(name)) and name not in (RUN, SEED)
        self.that(good, where, name, f"a name of letters, digits, '-' and '_' other than {RUN} and {SEED}")

    def list_of(self, kind: type, setting: str, value: Any) -> tuple[Any, ...]:
        good = isinstance(value, (list, tuple)) and bool(value)
        good = good and all(_is_int(v) if kind is int else isinstance(v, kind) for v in value)
        self.that(good, setting, value, f"a list of {'numbers' if kind is int else 'names or paths'}")
        return tuple(value)
