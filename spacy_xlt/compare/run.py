"""Doing the jobs: each in processes of its own, in order, some at once."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from ..errors import XltError, error
from ..io import inside, write_json
from .jobs import Job
from .plan import AVERAGE, TRAIN, Plan
from .processes import Children, n_cores, tail
from .status import DONE, STATE, Status, prediction_digest, predictions_folder, read_json

LOG = "log.txt"


@dataclass(frozen=True)
class Failure:
    """Why a job has no result, in a line, and the end of what it printed."""

    reason: str
    log: str = ""


class _Failed(Exception):
    """Has a Failure as its argument."""


@dataclass
class Runner:
    """Does jobs, each after those that it needs.

    Attributes:
        plan: What they are from.
        sets: Checksums of the evaluation sets.
        gpu_id: GPU of all of them, or -1.
        n_at_once: Processes at once; the cores are shared out.
        say: Gets "start", "done" or "failed", and a line for people.

    Raises:
        XltError: E510 for a number of processes below one.
    """

    plan: Plan
    sets: Mapping[str, str]
    gpu_id: int = -1
    n_at_once: int = 1
    say: Callable[[str, str], object] = lambda kind, text: None
    failures: dict[str, Failure] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.n_at_once < 1:
            raise error("E510", setting="--jobs", value=self.n_at_once, expected="a number from 1")
        self._children = Children(threads=max(1, n_cores() // self.n_at_once))

    def run(self, jobs: Sequence[Job], found: Mapping[str, Status]) -> dict[str, Failure]:
        """Do what is not done yet; why jobs have no result, by name."""
        todo = {job.name: job for job in jobs if found[job.name].state != DONE}
        sorter = TopologicalSorter({name: {n.name for n in job.needs} & {*todo} for name, job in todo.items()})
        sorter.prepare()
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(self.n_at_once) as pool:
            try:
                while sorter.is_active():
                    running |= {
                        pool.submit(self._do, todo[name], make=found[name].make): name for name in sorter.get_ready()
                    }
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        future.result()
                        sorter.done(running.pop(future))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._children.end()
        return self.failures

    def _do(self, job: Job, *, make: bool) -> None:
        try:
            if make:
                self._make(job)
            self._step(job, "run on the sets", self._predict_command(job))
        except _Failed as err:
            (self.failures[job.name],) = err.args
        except XltError as err:
            self.failures[job.name] = Failure(err.message)
        failure = self.failures.get(job.name)
        if failure is not None and not self._children.ended:
            self.say("failed", "\n".join(filter(None, (f"{job.name}: {failure.reason}", failure.log))))

    def _make(self, job: Job) -> None:
        for need in job.needs:
            if (read_json(need.folder / STATE) or {}).get("parts") != need.parts:
                raise error("E673", name=need.name)
        # What says that it is finished goes first
        (job.folder / STATE).unlink(missing_ok=True)
        if job.folder.exists():
            shutil.rmtree(job.folder)
        job.folder.mkdir(parents=True)
        seconds = sum(self._step(job, what, command) for what, command in self._commands(job))
        if not job.model.is_dir():
            raise _Failed(Failure(f"{job.strategy.type}: it wrote no {job.model.name}", tail(job.folder / LOG)))
        # What the logger of the training wrote, where there is one
        training = read_json(job.folder / "training.json")
        state = {"parts": job.parts, "seconds": round(seconds, 1), "training": training}
        write_json(job.folder / STATE, state)

    def _step(self, job: Job, what: str, command: Sequence[str]) -> float:
        """Run a command; the seconds it took."""
        self.say("start", f"{job.name}: {what}")
        start, log = time.perf_counter(), inside(job.folder, LOG)
        code = self._children.run(command, log)
        if code:
            reason = f"it ended with {code}" if code > 0 else f"it was ended by signal {-code}"
            raise _Failed(Failure(f"{what}: {reason}; see {log}", tail(log)))
        seconds = time.perf_counter() - start
        self.say("done", f"{job.name}: {what} took {seconds:.1f} s")
        return seconds

    def _commands(self, job: Job) -> Iterator[tuple[str, list[str]]]:
        """What makes a job's model, one after the other, and what each is called."""
        if job.strategy.label:
            yield "label", self._label_command(job)
        if job.strategy.adapt:
            yield "adapt", self._adapt_command(job)
        yield job.strategy.type, self._make_command(job)

    def _label_command(self, job: Job) -> list[str]:
        settings = {key: value for key, value in job.strategy.label.items() if key not in ("pipelines", "raw")}
        options = [part for key, value in settings.items() for part in _option(key, value)]
        options += [part for path in self.plan.sets.values() for part in ("--exclude", str(path))]
        paths = [*job.models(), job.strategy.label["raw"], job.labelled]
        return ["spacy", "xlt", "label", *map(str, paths), *options, "--gpu-id", str(self.gpu_id)]

    def _adapt_command(self, job: Job) -> list[str]:
        config = job.folder / "adapting.cfg"
        job.adapting().to_disk(config, interpolate=False)
        return ["spacy", "xlt", "adapt", str(config), str(job.adapted), "--gpu-id", str(self.gpu_id)]

    def _make_command(self, job: Job) -> list[str]:
        if job.strategy.type == AVERAGE:
            return ["spacy", "xlt", "average", str(job.model), *map(str, job.models())]
        config = job.folder / "config.cfg"
        job.config().to_disk(config, interpolate=False)
        if job.strategy.type == TRAIN:
            return ["spacy", "train", str(config), "--output", str(job.folder), "--gpu-id", str(self.gpu_id)]
        return ["spacy", "assemble", str(config), str(job.model)]

    def _predict_command(self, job: Job) -> list[str]:
        request = {
            "model": str(job.model),
            "gpu_id": self.gpu_id,
            "sets": {name: str(path) for name, path in self.plan.sets_of(job.strategy).items()},
            "folder": str(predictions_folder(job)),
            "digest": prediction_digest(job, self.sets),
        }
        return ["spacy_xlt.compare.predict", json.dumps(request)]


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}", str(value)]
