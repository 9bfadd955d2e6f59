"""What is compared: a config file that names strategies, seeds and evaluation sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from thinc.api import Config

from ..config import find_config, merge_configs, read_config, with_parents
from ..errors import XltError, error
from ..languages import LANG
from .languages import each_language, expand_lists, expand_sections, expand_sets, languages_of

TRAIN, ASSEMBLE, AVERAGE = "train", "assemble", "average"
# The settings of a strategy of each type
_SETTINGS = {
    TRAIN: {"configs", "overrides", "model", "spans_key", "label", "adapt"},
    ASSEMBLE: {"configs", "overrides", "spans_key"},
    AVERAGE: {"models", "spans_key"},
}
# What the teachers of a training do, as the options of `spacy xlt label`
_LABEL = {"pipelines", "raw", "sure", "doubtful", "soft", "agree", "either", "lang", "format", "encoding"}
_COMPARE = {"extends", "strategies", "seeds", "baseline", "ceiling", "labels", "n_bootstrap"}
MODELS = ("model-best", "model-last")
RUN, SEED = "run", "seed"
# What stands in braces for other things than a strategy
_RESERVED = (RUN, SEED, LANG.strip("{}"))
# The name of the evaluation set where there is no gold in the target language: it is the development set of the source
SOURCE_DEV = "source-dev"
# A strategy's name is a folder's name, and stands in braces in the settings of others
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_REFERENCE = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_.-]*)(:\*)?\}")
_OVERRIDE = re.compile(r"(?:strategies\.([^.]+)\.(adapt\.)?)?overrides\.(.+)")
# Sections of settings in a strategy: one that extends another changes some of them
_MERGED = ("overrides", "label", "adapt")
# Below the run folder: what `label` and `adapt` write
LABELLED, ADAPTED = "labelled", "adapted"


class Reference(NamedTuple):
    """A strategy that another one needs, with all seeds (`{NAME:*}`) or with the same seed alone (`{NAME}`)."""

    name: str
    all_seeds: bool


@dataclass(frozen=True)
class Strategy:
    """One way to get a pipeline.

    Attributes:
        type: "train" (spacy train), "assemble" (spacy assemble) or "average" (spacy xlt average).
        configs: Config files that are merged, the base first.
        overrides: Settings by dotted name. `{NAME}` stands for the model of another strategy with the same seed,
            `{NAME}/snapshots` for something below its run folder, `{run}` for the own run folder, `{seed}` for the
            seed.
        models: What to average: `{NAME}`, patterns below a run folder (`{NAME}/snapshots/*`), or `{NAME:*}` for the
            models of all seeds.
        model: Which model of a training counts: "model-best" or "model-last".
        spans_key: The span group that the pipeline writes to; None for `doc.ents`.
        label: What is labelled before a training, to `{run}/labelled`: `pipelines` (as `models`) annotate `raw`, and
            the other options of `spacy xlt label`. The sentences of the evaluation sets are left out.
        adapt: How an encoder is adapted before a training, to `{run}/adapted`: the `config` of `spacy xlt adapt`, and
            `overrides` of it, as those of a training. Both are there or none.
        lang: The language that it is for, where there is one for each: it is run on the sets of this language.
        pattern: The name of all of these, with "{lang}".
    """

    name: str
    type: str
    configs: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    model: str = MODELS[0]
    spans_key: str | None = None
    label: Mapping[str, Any] = field(default_factory=dict)
    adapt: Mapping[str, Any] = field(default_factory=dict)
    lang: str = ""
    pattern: str = ""

    @property
    def group(self) -> str:
        """The name that it is reported under."""
        return self.pattern or self.name

    def references(self) -> list[Reference]:
        """The strategies that this one names in its settings, each once."""
        references: dict[Reference, None] = {}

        def collect(name: str, all_seeds: bool, rest: str) -> str:
            if name not in _RESERVED:
                references[Reference(name, all_seeds)] = None
            return ""

        substitute([self.overrides, self.models, self.label, self.adapt], collect)
        return list(references)

    @property
    def patterns(self) -> tuple[str, ...]:
        """What names models of other strategies, all seeds among them."""
        return (*self.models, *self.label.get("pipelines", ()))


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
        n_bootstrap: Samples of the bootstrap.
        langs: The target languages, where the plan has something for each.
        set_langs: The languages of the sets that there are for each.
    """

    strategies: Mapping[str, Strategy]
    sets: Mapping[str, Path]
    seeds: tuple[int, ...]
    baseline: str
    ceiling: str | None = None
    compared: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    n_bootstrap: int = 5000
    langs: tuple[str, ...] = ()
    set_langs: Mapping[str, str] = field(default_factory=dict)

    @property
    def no_gold(self) -> list[str]:
        """The languages without a set, where others have one."""
        return [lang for lang in self.langs if self.set_langs and lang not in self.set_langs.values()]

    def sets_of(self, strategy: Strategy) -> dict[str, Path]:
        """The sets that a strategy is measured on."""
        return {name: path for name, path in self.sets.items() if strategy.lang in ("", self.set_langs.get(name))}


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

    Where `[compare] extends` names another plan (a path from the plan's own folder, or one of the package), what is
    not said here is as there. Where a strategy has `extends = "NAME"`, its settings and overrides stand over those of
    that strategy.

    Args:
        path: The config file; see `find_config`.
        overrides: Settings of the plan by dotted name, as `spacy train` takes them.

    Raises:
        XltError: E502 where there is no such file, E660 for what is no config or has invalid values.
    """
    path = find_config(path)
    if not path.is_file():
        raise error("E502", what="plan", path=path)
    try:
        return _plan(_read(path, overrides or {}))
    except (OSError, ValueError, KeyError) as err:
        reason = err.message if isinstance(err, XltError) else " ".join(str(err).split())[:300]
        raise error("E660", path=path, reason=reason) from err


def _read(path: Path, overrides: Mapping[str, Any]) -> Config:
    """A plan over those that it extends, with overrides and without variables."""
    files = [path.resolve()]
    while extended := read_config(files[0]).get("compare", {}).get("extends"):
        beside = files[0].parent / extended
        files.insert(0, (beside if beside.exists() else find_config(extended)).resolve())
        if files[0] in files[1:]:
            raise ValueError(f"{extended} extends itself")
    text = merge_configs(files).to_str(interpolate=False)
    # The settings of trainings have dots in their own names, which the parser would take for sections
    of_trainings = {name: value for name, value in overrides.items() if _OVERRIDE.match(name)}
    others = {name: value for name, value in overrides.items() if name not in of_trainings}
    config = Config().from_str(with_parents(text), overrides=others)
    for name, value in of_trainings.items():
        strategy, of_adapting, setting = _OVERRIDE.match(name).groups()  # type: ignore[union-attr]
        section = config["strategies"][strategy] if strategy else config
        section = section.setdefault("adapt", {}) if of_adapting else section
        kept = {k: v for k, v in _flat(section.get("overrides", {})).items() if not k.startswith(f"{setting}.")}
        section["overrides"] = {**kept, setting: value}
    return config


def _plan(config: Config) -> Plan:
    for name in ("compare", "strategies", "sets"):
        section = config.get(name)
        _check(isinstance(section, dict) and section, name, section, "a section with something in it")
    head, common = config["compare"], _flat(config.get("overrides", {}))
    _check_keys("compare", head, _COMPARE)
    langs = languages_of(targets := common.get("languages.targets"))
    for where in ("strategies", "sets"):
        for name in config[where]:
            expected = f"languages with commas between, as there is [{where}] {name}"
            _check(langs or LANG not in name, "overrides.languages.targets", targets, expected)
            valid = _NAME.fullmatch(name.replace(LANG, "x")) and name not in _RESERVED
            expected = f"a name of letters, digits, '-' and '_' other than {', '.join(_RESERVED)}"
            _check(valid, f"{where}.{name}", name, expected)
    for name, value in config["sets"].items():
        _check(isinstance(value, str), f"sets.{name}", value, "a .spacy file or a folder")
        _check((LANG in name) == (LANG in value), f"sets.{name}", value, f"{LANG} in the name and in the path")
    sets, set_langs = expand_sets(config["sets"], langs)
    sections, patterns = expand_sections(config["strategies"], langs)
    strategies = {}
    for name, (lang, pattern) in patterns.items():
        strategy = _strategy(name, sections, common)
        overrides, adapt = expand_lists(strategy.overrides, langs), strategy.adapt
        if adapt:
            adapt = {**adapt, "overrides": expand_lists(adapt["overrides"], langs)}
        strategies[name] = replace(strategy, overrides=overrides, adapt=adapt, lang=lang, pattern=pattern)
    one_of = f"one of: {', '.join(strategies)}"
    compared = _texts("compare.strategies", head["strategies"]) if head.get("strategies") else ()
    compared = tuple(each_language(compared, langs))
    for name in compared:
        _check(name in strategies, "compare.strategies", name, one_of)
    seeds = head.get("seeds")
    each_once = isinstance(seeds, list) and seeds and len(set(map(str, seeds))) == len(seeds)
    numbers = each_once and all(type(seed) is int for seed in seeds)
    _check(numbers, "compare.seeds", seeds, "a list of numbers, each once")
    baseline, ceiling = head.get("baseline"), head.get("ceiling")
    _check(baseline in strategies, "compare.baseline", baseline, one_of)
    _check(ceiling is None or ceiling in strategies, "compare.ceiling", ceiling, f"null or {one_of}")
    _check(ceiling != baseline, "compare.ceiling", ceiling, "another strategy than the baseline")
    samples = head.get("n_bootstrap", Plan.n_bootstrap)
    _check(type(samples) is int and samples >= 100, "compare.n_bootstrap", samples, "a number from 100")
    return Plan(
        strategies=strategies,
        sets=sets,
        seeds=tuple(seeds),
        baseline=baseline,
        ceiling=ceiling,
        compared=compared,
        labels=None if head.get("labels") is None else _texts("compare.labels", head["labels"]),
        n_bootstrap=samples,
        langs=langs,
        set_langs=set_langs,
    )


def _strategy(name: str, sections: Mapping[str, Any], common: Mapping[str, Any]) -> Strategy:
    where = f"strategies.{name}"
    data = _extended(name, sections)
    kind = str(data.get("type"))
    _check(kind in _SETTINGS, f"{where}.type", kind, ", ".join(_SETTINGS))
    _check_keys(where, data, {"type", *_SETTINGS[kind]})
    model, spans_key = data.get("model", MODELS[0]), data.get("spans_key")
    _check(model in MODELS, f"{where}.model", model, " or ".join(MODELS))
    _check(spans_key is None or isinstance(spans_key, str), f"{where}.spans_key", spans_key, "null or a name")
    label = dict(data.get("label", {}))
    _check_keys(f"{where}.label", label, _LABEL)
    if label:
        pipelines, raw = label.get("pipelines"), label.get("raw")
        label["pipelines"] = _texts(
            f"{where}.label.pipelines", [pipelines] if isinstance(pipelines, str) else pipelines
        )
        _check(isinstance(raw, str), f"{where}.label.raw", raw, "a file or folder of text")
    files = "models" if kind == AVERAGE else "configs"
    values = data.get(files)
    named: dict[str, Any] = {files: _texts(f"{where}.{files}", [values] if isinstance(values, str) else values)}
    overrides = {**(common if kind == TRAIN else {}), **data.get("overrides", {})}
    adapt = _adaptation(f"{where}.adapt", data["adapt"]) if data.get("adapt") else {}
    used = f"{{{RUN}}}/{ADAPTED}"
    expected = f'one that takes what was adapted, as "paths.encoder": "{used}"'
    _check(not adapt or used in str(overrides), f"{where}.overrides", list(overrides), expected)
    return Strategy(
        name=name,
        type=kind,
        overrides=overrides,
        model=model,
        spans_key=spans_key,
        label=label,
        adapt=adapt,
        **named,
    )


def _adaptation(where: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The `config` and the `overrides` of a section `adapt` that was flattened."""
    overrides = {name.removeprefix("overrides."): v for name, v in settings.items() if name.startswith("overrides.")}
    for name, value in settings.items():
        good = name == "config" or name.startswith("overrides.") or (name, value) == ("overrides", {})
        _check(good, f"{where}.{name}", value, "only the settings config, overrides (a section)")
    config = settings.get("config")
    _check(config and isinstance(config, str), f"{where}.config", config, "the config of an adaptation")
    return {"config": config, "overrides": overrides}


def _extended(name: str, sections: Mapping[str, Any], extending: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings of a strategy over those of the strategies that it extends, with overrides by dotted name."""
    where, section = f"strategies.{name}", sections[name]
    _check(isinstance(section, dict), where, section, "a section")
    data = dict(section)
    for key in _MERGED:
        if key in data:
            _check(isinstance(data[key], dict), f"{where}.{key}", data[key], "a section of settings")
            data[key] = _flat(data[key])
    parent, extending = data.pop("extends", None), (*extending, name)
    if parent is None:
        return data
    others = [other for other in sections if other not in extending]
    _check(parent in others, f"{where}.extends", parent, f"another strategy: {', '.join(others)}")
    base = _extended(parent, sections, extending)
    merged = {key: {**base.get(key, {}), **data.get(key, {})} for key in _MERGED}
    return {**base, **data, **{key: settings for key, settings in merged.items() if settings}}


def _flat(overrides: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name, whether they were written so or as sections."""
    flat: dict[str, Any] = {}
    for key, value in overrides.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _check(good: object, setting: str, value: Any, expected: str) -> None:
    if not good:
        raise ValueError(f"`{setting}` is {value!r}; expected {expected}")


def _check_keys(where: str, data: Mapping[str, Any], known: set[str]) -> None:
    for key in data:
        _check(key in known, f"{where}.{key}", data[key], f"only the settings {', '.join(sorted(known))}")


def _texts(setting: str, value: Any) -> tuple[str, ...]:
    good = isinstance(value, list) and value and all(isinstance(text, str) for text in value)
    _check(good, setting, value, "a list of names or paths")
    return tuple(value)
