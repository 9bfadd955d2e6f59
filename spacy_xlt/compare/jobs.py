"""Jobs: one strategy with one seed each, with the folder it works in and what its result depends on."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..config import merge_configs
from ..errors import error, warn
from ..readers.docbin import corpus_files
from .inputs import SECTIONS, Digests, fingerprint, input_paths, versions
from .plan import AVERAGE, TRAIN, Plan, Strategy
from .references import fill_in, in_order, references, seeded
from .scoring import read_gold

ALL_SEEDS = "all"
RUN, SEED = "run", "seed"


@dataclass
class Job:
    """One strategy with one seed.

    seed (int | None): None for a strategy that has one result, not one for each seed.
    folder (Path): Where it works.
    needs (list[Job]): The jobs whose models it uses.
    identity (dict[str, Any]): What its model depends on, as plain data: settings, files, versions, and needs.
    """

    strategy: Strategy
    seed: int | None
    folder: Path
    needs: list[Job] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For example "zero-shot/0"."""
        return f"{self.strategy.name}/{ALL_SEEDS if self.seed is None else self.seed}"

    @property
    def model(self) -> Path:
        """The folder of its pipeline."""
        return self.folder / (self.strategy.model if self.strategy.type == TRAIN else "model")

    @property
    def hash(self) -> str:
        """Checksum of the identity."""
        return fingerprint(self.identity)

    def config(self) -> Config:
        """The config to run, with paths in place of what it needs."""
        return _merged(self.strategy, self.seed, self.fill_in(self.strategy.overrides), run=self.folder)

    def models(self) -> list[Path]:
        """The models to average.

        RAISES (XltError): E665 for a pattern that fits nothing.
        """
        found: dict[str, None] = {}
        for pattern in self.strategy.models:
            starred = [need for need in self.needs if f"{{{need.strategy.name}:*}}" in pattern]
            filled = [self.fill_in(pattern, [need], in_pattern=True) for need in starred]
            for text in filled or [self.fill_in(pattern, in_pattern=True)]:
                paths = sorted(path for path in glob.glob(text) if Path(path).is_dir())
                if not paths:
                    raise error("E665", strategy=self.strategy.name, pattern=text)
                found |= dict.fromkeys(paths)
        return [Path(path) for path in found]

    def fill_in(self, value: Any, needs: Sequence[Job] | None = None, *, in_pattern: bool = False) -> Any:
        """A value of the plan with paths in place of the names in braces.

        needs (Sequence[Job] | None): The jobs that the names stand for; those of this job where left out.
        in_pattern (bool): Whether the value is a pattern of paths: brackets in a folder's name mean nothing then.
        """
        jobs = {job.strategy.name: job for job in (self.needs if needs is None else needs)}

        def replace(name: str, all_seeds: bool, rest: str) -> str:
            if name == SEED:
                return str(self.seed)
            # What follows the name lies below the run folder; the name alone is the model.
            job = self if name == RUN else jobs[name]
            path = str(job.folder if name == RUN or rest.startswith("/") else job.model)
            return glob.escape(path) if in_pattern else path

        return fill_in(value, replace)


def make_jobs(plan: Plan, folder: Path, seeds: Sequence[int] | None = None, only: Sequence[str] = ()) -> list[Job]:
    """The jobs of a plan, each after those that it needs.

    folder (Path): The comparison's folder.
    seeds (Sequence[int] | None): Only these seeds.
    only (Sequence[str]): Only these strategies, and what they need.
    RAISES (XltError): E664 for seeds or strategies that the plan does not have; as `in_order` and `merge_configs`.
    """
    ordered = in_order(plan)
    seeds = plan.seeds if seeds is None else seeds
    _check_known("--seeds", seeds, plan.seeds)
    _check_known("--only", only, list(plan.strategies))
    wanted = set(only or plan.strategies)
    for strategy in reversed(ordered):
        if strategy.name in wanted:
            wanted |= {reference.name for reference in references(strategy)}
    jobs: dict[tuple[str, int | None], Job] = {}
    digests, found_versions = Digests(), versions()
    for strategy in (strategy for strategy in ordered if strategy.name in wanted):
        own_seeds: Sequence[int | None] = seeds if seeded(strategy, plan) else [None]
        for seed in own_seeds:
            path = folder / "runs" / strategy.name / (ALL_SEEDS if seed is None else str(seed))
            job = Job(strategy, seed, path, _needs(strategy, seed, seeds, jobs))
            job.identity = _identity(job, digests, found_versions)
            jobs[strategy.name, seed] = job
    _warn_of_leaks(plan, jobs.values(), digests)
    return list(jobs.values())


def _needs(
    strategy: Strategy, seed: int | None, seeds: Sequence[int], jobs: Mapping[tuple[str, int | None], Job]
) -> list[Job]:
    found = {}
    for reference in references(strategy):
        for wanted in (None, *seeds) if reference.all_seeds else (None, seed):
            job = jobs.get((reference.name, wanted))
            if job is not None:
                found[job.name] = job
    return list(found.values())


def _merged(strategy: Strategy, seed: int | None, overrides: Mapping[str, Any], *, run: str | Path) -> Config:
    config = merge_configs(strategy.configs, overrides)
    if strategy.type != TRAIN:
        return config
    config.setdefault("system", {})["seed"] = seed
    logger = config.get("training", {}).get("logger", {})
    if logger.get("@loggers") == "spacy_xlt.Logger.v1":
        logger["output_file"] = f"{run}/training.json"
    return config


def _identity(job: Job, digests: Digests, found_versions: Mapping[str, str]) -> dict[str, Any]:
    strategy = job.strategy
    identity: dict[str, Any] = {
        "type": strategy.type,
        "seed": job.seed,
        "needs": {need.name: need.hash for need in job.needs},
        "versions": dict(found_versions),
    }
    if strategy.type == AVERAGE:
        return identity | {"models": list(strategy.models)}
    # Names in braces stay as they are, so that the comparison can be moved to another folder
    config = _merged(strategy, job.seed, strategy.overrides, run=f"{{{RUN}}}")
    try:
        interpolated = config.interpolate()
    except ValueError as err:
        raise error("E666", strategy=strategy.name, reason=" ".join(str(err).split())[:300]) from err
    used = {name: section for name, section in interpolated.items() if name in SECTIONS}
    files = {name: digests.of(path) for name, path in input_paths(used, paths=interpolated.get("paths", {}))}
    model = {"model": strategy.model} if strategy.type == TRAIN else {}
    return identity | model | {"config": used, "files": files}


def _warn_of_leaks(plan: Plan, jobs: Iterable[Job], digests: Digests) -> None:
    """Say where a strategy reads an evaluation set for another purpose than leaving its sentences out."""
    sets = {digests.of(file): name for name, path in plan.sets.items() for file in corpus_files(path)}
    sets |= {digests.of(path): name for name, path in plan.sets.items()}
    said = set()
    for job in jobs:
        for setting, digest in job.identity.get("files", {}).items():
            leak = (job.strategy.name, sets.get(digest))
            is_read = setting.startswith("corpora.") and ".exclude" not in setting
            if leak[1] is not None and is_read and leak not in said:
                said.add(leak)
                warn("W660", strategy=leak[0], setting=setting, set=leak[1])


def _check_known(setting: str, values: Sequence[Any], known: Sequence[Any]) -> None:
    for value in values:
        if value not in known:
            raise error("E664", setting=setting, value=value, known=", ".join(map(str, known)))


def set_identities(plan: Plan) -> dict[str, dict[str, Any]]:
    """What a prediction of each evaluation set depends on besides the model.

    RAISES (XltError): E502 and E503 for a set that is missing or empty, E669 for one without entities.
    """
    digests = Digests()
    found = {}
    for name, path in plan.sets.items():
        read_gold(path, name=name, labels=plan.labels)
        found[name] = {"digest": digests.of(path), "gold_tokens": plan.gold_tokens}
    return found
