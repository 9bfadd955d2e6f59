"""What is there already: which models and predictions of a comparison are finished and still fit the plan."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..build.manifest import difference
from ..errors import error
from ..io import file_digest, write_json
from .jobs import Job

MARKER = "comparison.json"
STATE = "state.json"
FORMAT = 1
DONE, TO_DO, STALE = "done", "to do", "stale"


@dataclass(frozen=True)
class Status:
    """How far a job is.

    state (str): "done", "to do", or "stale" where there is a result of other settings, files or versions.
    reason (str): What has changed, or is missing.
    make (bool): Whether its model has to be made.
    predict (tuple[str, ...]): The sets that it has to be run on.
    """

    state: str
    reason: str = ""
    make: bool = False
    predict: tuple[str, ...] = ()


def open_folder(folder: Path) -> None:
    """Make a folder for a comparison, or make sure that it is one.

    RAISES (XltError): E668 where the folder holds something else.
    """
    marker = folder / MARKER
    if not marker.exists():
        if folder.exists() and (not folder.is_dir() or any(path.name != ".lock" for path in folder.iterdir())):
            raise error("E668", path=folder, marker=MARKER)
        write_json(marker, {"format": FORMAT})


def statuses(jobs: Sequence[Job], sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Status]:
    """How far the jobs are, by name.

    jobs (Sequence[Job]): Each after those that it needs.
    sets (Mapping[str, Mapping[str, Any]]): What a prediction of each set depends on besides the model.
    """
    found: dict[str, Status] = {}
    wanted_models: set[str] = set()
    for job in reversed(jobs):
        status = _status(job, sets, wanted=job.name in wanted_models)
        if status.make:
            wanted_models |= {need.name for need in job.needs}
        found[job.name] = status
    return {job.name: found[job.name] for job in jobs}


def _status(job: Job, sets: Mapping[str, Mapping[str, Any]], *, wanted: bool) -> Status:
    state = read_json(job.folder / STATE)
    if state is None:
        begun = job.folder.exists() and any(job.folder.iterdir())
        return Status(TO_DO, "was not finished" if begun else "", make=True, predict=tuple(sets))
    if state.get("hash") != job.hash:
        return Status(STALE, _changes(state.get("identity", {}), job.identity), make=True, predict=tuple(sets))
    predict = tuple(name for name, depends in sets.items() if not is_predicted(job, name, depends))
    if (predict or wanted) and not job.model.is_dir():
        return Status(TO_DO, f"its model {job.model.name} is gone", make=True, predict=tuple(sets))
    return Status(TO_DO, "to be run on " + ", ".join(predict), predict=predict) if predict else Status(DONE)


def is_predicted(job: Job, name: str, depends: Mapping[str, Any]) -> bool:
    """Whether a job's model has been run on a set, with nothing changed since."""
    record, path = read_json(prediction_record(job, name)), predictions(job, name)
    if record is None or record.get("depends") != prediction_identity(job, depends) or not path.is_file():
        return False
    return file_digest(path) == record["digest"]


def prediction_identity(job: Job, depends: Mapping[str, Any]) -> dict[str, Any]:
    """What a prediction depends on: the model and the set."""
    return {"model": job.hash, **depends}


def predictions(job: Job, name: str) -> Path:
    """The file with what a pipeline found in a set."""
    return job.folder / "predictions" / f"{name}.spacy"


def prediction_record(job: Job, name: str) -> Path:
    """The file that says what made a prediction and how fast."""
    return job.folder / "predictions" / f"{name}.json"


def clear(job: Job) -> None:
    """Take away what an earlier run left in a job's folder, what says that it is finished first."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / STATE).unlink(missing_ok=True)
    for path in job.folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def finish(job: Job, **values: Any) -> None:
    """Note that a job's model is made. Everything else of it must be on the disk by now."""
    write_json(job.folder / STATE, {"format": FORMAT, "hash": job.hash, **values, "identity": job.identity})


def read_json(path: Path) -> dict[str, Any] | None:
    """Plain data from a file; None where there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What is different, with checksums left out: only that they are."""
    parts = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if key in ("files", "needs") and isinstance(before, dict) and isinstance(after, dict):
            names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
            parts.append(f"{', '.join(names)}: {'other content' if key == 'files' else 'will be made again'}")
        else:
            parts.append(difference({key: before}, {key: after}))
    text = "; ".join(parts)
    return text if len(text) <= 300 else f"{text[:300]} …"
