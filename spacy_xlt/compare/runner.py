"""Doing the jobs: each in processes of its own, in order, some at once, and what is finished not again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import XltError, error
from ..io import write_json
from ..locks import FolderLock
from .jobs import Job
from .plan import AVERAGE, TRAIN, Plan
from .processes import Process, n_cores
from .state import (
    DONE,
    Status,
    clear,
    finish,
    is_predicted,
    prediction_identity,
    prediction_record,
    predictions,
    read_json,
)

MAKE, PREDICT = "make", "predict"
_POLL_SECONDS = 0.1
LOG = "log.txt"
Say = Callable[[str, str], object]


@dataclass(frozen=True)
class Failure:
    """Why a job has no result.

    log (str): The end of what it printed, or "".
    """

    reason: str
    log: str = ""


@dataclass
class _Running:
    job: Job
    step: str
    process: Process


def locked(folder: Path) -> FolderLock:
    """Keep a comparison's folder for this process: `with locked(folder):`.

    RAISES (XltError): E667, on entering, where another process has it.
    """
    return FolderLock(folder, busy="E667")


class Runner:
    """Does jobs, each after those that it needs.

    plan (Plan): What they are from.
    sets (Mapping[str, Mapping[str, Any]]): What a prediction of each set depends on besides the model.
    gpu_id (int): GPU of all of them, or -1.
    n_at_once (int): Processes at once; the cores are shared out.
    say (Say): Gets "start", "done" or "failed", and a line for people.
    RAISES (XltError): E671 for a number of processes below one.
    """

    def __init__(
        self,
        plan: Plan,
        sets: Mapping[str, Mapping[str, Any]],
        *,
        gpu_id: int = -1,
        n_at_once: int = 1,
        say: Say = lambda kind, text: None,
    ):
        if n_at_once < 1:
            raise error("E671", value=n_at_once)
        self.plan = plan
        self.sets = sets
        self.gpu_id = gpu_id
        self.n_at_once = n_at_once
        self.threads = max(1, n_cores() // n_at_once)
        self.say = say

    def run(self, jobs: Sequence[Job], found: Mapping[str, Status]) -> dict[str, Failure]:
        """Do what is to be done.

        jobs (Sequence[Job]): Each after those that it needs.
        found (Mapping[str, Status]): How far they are.
        RETURNS (dict[str, Failure]): Why jobs have no result, by name.
        """
        waiting = [job for job in jobs if found[job.name].state != DONE]
        steps = {job.name: _steps(found[job.name]) for job in waiting}
        failures: dict[str, Failure] = {}
        running: list[_Running] = []
        try:
            while waiting or running:
                for job in list(waiting):
                    if len(running) < self.n_at_once:
                        self._try_to_start(job, waiting, running, steps, failures)
                time.sleep(_POLL_SECONDS)
                for one in list(running):
                    code = one.process.poll()
                    if code is not None:
                        running.remove(one)
                        self._end_step(one, code, waiting, steps, failures)
        finally:
            for one in running:
                one.process.end()
        return failures

    def _try_to_start(
        self,
        job: Job,
        waiting: list[Job],
        running: list[_Running],
        steps: Mapping[str, list[str]],
        failures: dict[str, Failure],
    ) -> None:
        step = steps[job.name][0]
        missing = [need.name for need in job.needs if step == MAKE and MAKE in steps.get(need.name, ())]
        failed = next((name for name in missing if name in failures), None)
        if missing and failed is None:
            return
        waiting.remove(job)
        try:
            if failed is not None:
                raise error("E673", name=failed)
            running.append(_Running(job, step, self._start(job, step)))
        except XltError as err:
            failures[job.name] = Failure(err.message)
            self.say("failed", f"{job.name}: {err.message}")

    def _start(self, job: Job, step: str) -> Process:
        self.say("start", f"{job.name}: {job.strategy.type if step == MAKE else 'run on the sets'}")
        if step == MAKE:
            clear(job)
            command = self._make_command(job)
        else:
            command = self._predict_command(job)
        return Process([sys.executable, "-m", *command], job.folder / LOG, threads=self.threads)

    def _make_command(self, job: Job) -> list[str]:
        if job.strategy.type == AVERAGE:
            return ["spacy", "xlt", "average", str(job.model), *map(str, job.models())]
        config = job.folder / "config.cfg"
        job.config().to_disk(config, interpolate=False)
        if job.strategy.type == TRAIN:
            return ["spacy", "train", str(config), "--output", str(job.folder), "--gpu-id", str(self.gpu_id)]
        return ["spacy", "assemble", str(config), str(job.model)]

    def _predict_command(self, job: Job) -> list[str]:
        wanted = []
        for name, depends in self.sets.items():
            if not is_predicted(job, name, depends):
                identity = prediction_identity(job, depends)
                output, record = str(predictions(job, name)), str(prediction_record(job, name))
                path = str(self.plan.sets[name])
                wanted.append({"path": path, "output": output, "record": record, "depends": identity})
        request = {"model": str(job.model), "gpu_id": self.gpu_id, "gold_tokens": self.plan.gold_tokens, "sets": wanted}
        return ["spacy_xlt.compare.predicting", json.dumps(request)]

    def _end_step(
        self,
        one: _Running,
        code: int,
        waiting: list[Job],
        steps: Mapping[str, list[str]],
        failures: dict[str, Failure],
    ) -> None:
        job, process = one.job, one.process
        what = job.strategy.type if one.step == MAKE else "run on the sets"
        if code == 0 and one.step == MAKE and not job.model.is_dir():
            code, reason = 1, f"it wrote no {job.model.name}"
        else:
            reason = f"it ended with {code}" if code >= 0 else f"it was ended by signal {-code}"
        if code:
            failures[job.name] = Failure(f"{what}: {reason}", process.tail())
            self.say("failed", f"{job.name}: {what}: {reason}; see {process.log}\n{failures[job.name].log}")
            return
        if one.step == MAKE:
            # What the logger of the training wrote, where there is one
            training = read_json(job.folder / "training.json")
            gpu_id = self.gpu_id if job.strategy.type == TRAIN else -1
            values = {"seconds": round(process.seconds, 1), "peak_mib": process.peak_mib, "gpu_id": gpu_id}
            finish(job, **values, training=training)
        steps[job.name].remove(one.step)
        self.say("done", f"{job.name}: {what} took {process.seconds:.1f} s")
        if steps[job.name]:
            # Before others: its model is as good as in use
            waiting.insert(0, job)


def write_failures(folder: Path, failures: Mapping[str, Failure]) -> None:
    """Write why jobs failed, for whoever looks later; nothing where none did."""
    path = folder / "failed.json"
    if failures:
        write_json(path, {name: vars(failure) for name, failure in failures.items()})
    else:
        path.unlink(missing_ok=True)


def _steps(status: Status) -> list[str]:
    return [*([MAKE] if status.make else []), *([PREDICT] if status.predict else [])]
