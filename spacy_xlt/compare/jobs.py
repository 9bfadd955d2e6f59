"""Jobs: one strategy with one seed each, with the folder it works in and what its result depends on."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from importlib import metadata
from pathlib import Path
from typing import Any

from thinc.api import Config

from .. import __version__
from ..adapting.config import resolve_adapting
from ..config import merge_configs
from ..errors import error, warn
from ..io import fingerprint, inside, path_digest
from ..languages import LANG
from ..readers.docbin import corpus_files
from ..training.selection import check_corpora, without_unused_sources
from .languages import each_language
from .plan import ADAPTED, AVERAGE, LABELLED, RUN, SEED, SOURCE_DEV, TRAIN, Plan, Strategy, substitute
from .score import read_gold

ALL_SEEDS = "all"
# What spaCy reads of a config. Other sections hold variables, which count where they are used.
_SECTIONS = ("system", "nlp", "components", "corpora", "training", "pretraining", "initialize")
# What `spacy xlt adapt` reads
_OF_ADAPTING = ("adapting", "objectives")
_PACKAGES = ("spacy", "thinc", "spacy-transformers", "transformers", "torch", "numpy")


@dataclass
class Job:
    """One strategy with one seed.

    Attributes:
        seed: None for a strategy that has one result, not one for each seed.
        needs: The jobs whose models it uses.
        inputs: Checksums of the files that its config names, by the name of the setting.
        parts: Checksums of what its model depends on: "settings", "inputs", "code" (versions of packages), "needs".
    """

    strategy: Strategy
    seed: int | None
    folder: Path
    needs: list[Job] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For example "zero-shot/0"."""
        return f"{self.strategy.name}/{ALL_SEEDS if self.seed is None else self.seed}"

    @property
    def model(self) -> Path:
        """The folder of its pipeline."""
        return self.folder / (self.strategy.model if self.strategy.type == TRAIN else "model")

    @property
    def digest(self) -> str:
        """Checksum of all that its model depends on."""
        return fingerprint(self.parts)

    def config(self) -> Config:
        """The config to run, with paths in place of what it needs."""
        return _merged(self.strategy, self.seed, self.substitute(self.strategy.overrides), run=self.folder)

    @property
    def labelled(self) -> Path:
        """The folder of what its teachers have labelled."""
        return self.folder / LABELLED

    @property
    def adapted(self) -> Path:
        """The folder of the encoder that it adapts."""
        return self.folder / ADAPTED

    def adapting(self) -> Config:
        """The config of its adaptation, with paths in place of what it needs."""
        return _adapting(self.strategy, self.seed, self.substitute(self.strategy.adapt["overrides"]))

    def models(self) -> list[Path]:
        """The models to average, or to label with.

        Raises:
            XltError: E665 for a pattern that fits nothing.
        """
        paths: dict[str, None] = {}
        for pattern in self.strategy.patterns:
            starred = [need for need in self.needs if f"{{{need.strategy.name}:*}}" in pattern]
            for needs in [[need] for need in starred] or [self.needs]:
                text = self.substitute(pattern, needs, in_pattern=True)
                matches = sorted(path for path in glob.glob(text) if Path(path).is_dir())
                if not matches:
                    raise error("E665", strategy=self.strategy.name, pattern=text)
                paths |= dict.fromkeys(matches)
        return [Path(path) for path in paths]

    def substitute(self, value: Any, needs: Sequence[Job] | None = None, *, in_pattern: bool = False) -> Any:
        """A setting of the plan with paths in place of the names in braces, which stand for jobs that this one needs.

        In a pattern of paths, brackets in a folder's name are escaped.
        """
        jobs = {job.strategy.name: job for job in (self.needs if needs is None else needs)}

        def replace(name: str, all_seeds: bool, rest: str) -> str:
            if name == SEED:
                return str(self.seed)
            if name == LANG.strip("{}"):
                return LANG
            # What follows the name lies below the run folder; the name alone is the model.
            job = self if name == RUN else jobs[name]
            path = str(job.folder if name == RUN or rest.startswith("/") else job.model)
            return glob.escape(path) if in_pattern else path

        return substitute(value, replace)


def check_inputs(jobs: Iterable[Job]) -> None:
    """Make sure that the corpora of all trainings are there, but for what is made by other jobs.

    Raises:
        XltError: E502 for one that is not there.
    """
    for job in (job for job in jobs if job.strategy.type == TRAIN):
        config = without_unused_sources(job.config().interpolate())
        made = tuple(str(one.folder) for one in (job, *job.needs))
        check_corpora(config, "train_corpus", "dev_corpus", whose=f" of the strategy {job.strategy.name}", made_in=made)
        if (raw := job.strategy.label.get("raw")) and not Path(raw).exists():
            raise error("E502", what=f"text (label.raw of the strategy {job.strategy.name})", path=raw)


def make_jobs(plan: Plan, folder: Path, seeds: Sequence[int] | None = None, only: Sequence[str] = ()) -> list[Job]:
    """The jobs of a plan, each after those that it needs.

    Args:
        plan: The plan.
        folder: The comparison's folder.
        seeds: Those of the plan to take; all where left out.
        only: Only these strategies, and what they need; "{lang}" in a name stands for each language.

    Raises:
        XltError: E664 for seeds or strategies that the plan does not have; E557 for a link that
            leads elsewhere; as `in_order` and `merge_configs`.
    """
    ordered = in_order(plan)
    seeds = plan.seeds if seeds is None else seeds
    _check_known("--seeds", seeds, plan.seeds)
    only = each_language(only, plan.langs)
    _check_known("--only", only, list(plan.strategies))
    wanted = set(only or plan.compared or plan.strategies)
    for strategy in reversed(ordered):
        if strategy.name in wanted:
            wanted |= {reference.name for reference in strategy.references()}
    jobs: dict[tuple[str, int | None], Job] = {}
    for strategy in (strategy for strategy in ordered if strategy.name in wanted):
        for seed in seeds if seeded(strategy, plan) else [None]:
            path = inside(folder, "runs", strategy.name, ALL_SEEDS if seed is None else str(seed))
            job = Job(strategy, seed, path, _needs(strategy, seed, seeds, jobs))
            _describe(job, plan)
            jobs[strategy.name, seed] = job
    _warn_of_leaks(plan, jobs.values())
    return list(jobs.values())


def in_order(plan: Plan) -> list[Strategy]:
    """The strategies, each after those that it needs.

    Raises:
        XltError: E661 for a name that is no strategy, E662 for strategies that need each other, E663 for all seeds
            where one model is needed.
    """
    needed: dict[str, list[str]] = {}
    for strategy in plan.strategies.values():
        for reference in strategy.references():
            if reference.name not in plan.strategies:
                raise error("E661", strategy=strategy.name, name=reference.name, known=", ".join(plan.strategies))
            if reference.all_seeds and not any(f"{{{reference.name}:*}}" in text for text in strategy.patterns):
                raise error("E663", strategy=strategy.name, name=reference.name)
        needed[strategy.name] = [reference.name for reference in strategy.references()]
    try:
        return [plan.strategies[name] for name in TopologicalSorter(needed).static_order()]
    except CycleError as err:
        raise error("E662", names=" → ".join(reversed(err.args[1]))) from err


def seeded(strategy: Strategy, plan: Plan) -> bool:
    """Whether a strategy has a result for each seed: it is trained, or needs one that has."""
    return strategy.type == TRAIN or any(
        not reference.all_seeds and seeded(plan.strategies[reference.name], plan) for reference in strategy.references()
    )


def set_digests(plan: Plan) -> dict[str, str]:
    """Checksums of the evaluation sets, by name.

    Raises:
        XltError: E502 and E503 for a set that is missing or empty, E669 for one without entities.
    """
    for name, path in plan.sets.items():
        read_gold(path, name=name, labels=plan.labels)
    return {name: path_digest(path) for name, path in plan.sets.items()}


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a pipeline learns."""
    result = {"spacy_xlt": __version__}
    for name in _PACKAGES:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return result


def _needs(
    strategy: Strategy, seed: int | None, seeds: Sequence[int], jobs: Mapping[tuple[str, int | None], Job]
) -> list[Job]:
    keys = [
        (reference.name, wanted)
        for reference in strategy.references()
        for wanted in (None, *(seeds if reference.all_seeds else (seed,)))
    ]
    return [jobs[key] for key in dict.fromkeys(keys) if key in jobs]


def _merged(strategy: Strategy, seed: int | None, overrides: Mapping[str, Any], *, run: str | Path) -> Config:
    config = merge_configs(strategy.configs, overrides)
    if strategy.type == TRAIN:
        config.setdefault("system", {})["seed"] = seed
        logger = config.get("training", {}).get("logger", {})
        if logger.get("@loggers") == "spacy_xlt.Logger.v1":
            logger["output_file"] = f"{run}/training.json"
    return config


def _adapting(strategy: Strategy, seed: int | None, overrides: Mapping[str, Any]) -> Config:
    settings: dict[str, Any] = {"adapting.seed": seed}
    for name, value in overrides.items():
        section, _, rest = name.partition(".")
        setting, _, lang = rest.partition(".")
        if section == "paths" and lang:
            # Files by language are one setting: they take the place of those in the config
            settings.setdefault(f"paths.{setting}", {})[lang] = value
        else:
            settings[name] = value
    return merge_configs([strategy.adapt["config"]], settings)


def _describe(job: Job, plan: Plan) -> None:
    """Note what a job's model depends on."""
    strategy = job.strategy
    settings: dict[str, Any] = {"type": strategy.type, "seed": job.seed, "model": strategy.model}
    if strategy.type == AVERAGE:
        settings["models"] = list(strategy.models)
    else:
        # Names in braces stay as they are, so that the comparison can be moved to another folder
        config = _merged(strategy, job.seed, strategy.overrides, run=f"{{{RUN}}}")
        plain = without_unused_sources(_interpolated(config, strategy))
        settings["config"] = used = {name: section for name, section in plain.items() if name in _SECTIONS}
        job.inputs = {name: path_digest(path) for name, path in _input_paths(used, paths=_paths_of(plain))}
        if strategy.label:
            settings["label"] = {**strategy.label, "exclude": sorted(map(str, plan.sets.values()))}
            job.inputs |= {name: path_digest(path) for name, path in _labelled_from(strategy, plan)}
        if strategy.adapt:
            plain = _interpolated(_adapting(strategy, job.seed, strategy.adapt["overrides"]), strategy)
            # Before the first training, not in the middle
            resolve_adapting(plain, strategy.adapt["config"])
            settings["adapt"] = used = {name: section for name, section in plain.items() if name in _OF_ADAPTING}
            paths = _input_paths(used, paths=_paths_of(plain), name="adapt")
            job.inputs |= {name: path_digest(path) for name, path in paths}
    job.parts = {
        "settings": fingerprint(settings),
        "inputs": fingerprint(job.inputs),
        "code": fingerprint(versions()),
        "needs": fingerprint({need.name: need.digest for need in job.needs}),
    }


def _interpolated(config: Config, strategy: Strategy) -> Config:
    """A config without variables.

    Raises:
        XltError: E666 for one that names what it does not have.
    """
    try:
        return config.interpolate()
    except ValueError as err:
        raise error("E666", strategy=strategy.name, reason=" ".join(str(err).split())[:300]) from err


def _paths_of(config: Mapping[str, Any]) -> list[str]:
    return [value for value in config.get("paths", {}).values() if isinstance(value, str)]


def _labelled_from(strategy: Strategy, plan: Plan) -> list[tuple[str, Path]]:
    """The text that a strategy labels, and the sets that it leaves out, where they are there."""
    sets = [(f"label.exclude.{name}", path) for name, path in plan.sets.items()]
    return [(name, path) for name, path in (("label.raw", Path(strategy.label["raw"])), *sets) if path.exists()]


def _input_paths(value: Any, *, paths: Sequence[str], name: str = "") -> Iterator[tuple[str, Path]]:
    """The files and folders that settings name, by the dotted name of the setting.

    Text counts as a path where something of that name is there, and where it stands in [paths] too or looks like a
    path: "en" is a language even beside a folder of that name.
    """
    if isinstance(value, (Mapping, list, tuple)):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _input_paths(inner, paths=paths, name=f"{name}.{key}".removeprefix("."))
    elif isinstance(value, str) and value and (value in paths or _looks_like_path(value)):
        # False, too, for text that is too long for a path
        if os.path.exists(value):
            yield name, Path(value)


def _looks_like_path(value: str) -> bool:
    return "/" in value or os.sep in value or Path(value).suffix in (".spacy", ".jsonl", ".json", ".cfg")


def _warn_of_leaks(plan: Plan, jobs: Iterable[Job]) -> None:
    """Warn of strategies that read an evaluation set for another purpose than leaving its sentences out."""
    sets = {path_digest(file): name for name, path in plan.sets.items() for file in corpus_files(path)}
    sets |= {path_digest(path): name for name, path in plan.sets.items()}
    leaks: dict[tuple[str, str], str] = {}
    for job in jobs:
        for setting, digest in job.inputs.items():
            if digest in sets and setting.startswith(("corpora.", "adapt.")) and ".exclude" not in setting:
                leaks.setdefault((job.strategy.name, sets[digest]), setting)
    for (strategy, name), setting in leaks.items():
        # That it chooses checkpoints is what it is for, and the report says so
        if name == SOURCE_DEV and setting.startswith("corpora.dev."):
            continue
        warn("W660", strategy=strategy, setting=setting, set=name)


def _check_known(setting: str, values: Sequence[Any], known: Sequence[Any]) -> None:
    for value in values:
        if value not in known:
            raise error("E664", setting=setting, value=value, known=", ".join(map(str, known)))
