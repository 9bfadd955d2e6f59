"""Which models and predictions of a comparison are finished and still fit the plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..io import check_own_folder, fingerprint, write_json
from .jobs import Job
from .predict import RECORD

MARKER, STATE = "comparison.json", "state.json"
DONE, TO_DO, STALE = "done", "to do", "stale"
# What a model depends on, as people call it
_PARTS = {"settings": "settings", "inputs": "input files", "code": "package versions", "needs": "what it is made from"}


@dataclass(frozen=True)
class Status:
    """How far a job is.

    Attributes:
        state: "done", "to do", or "stale" where there is a result of other settings, files or versions.
        reason: What has changed, or is missing.
        make: Whether its model has to be made.
    """

    state: str
    reason: str = ""
    make: bool = False


def open_folder(folder: Path) -> None:
    """Make a folder for a comparison, or make sure that it is one, as `check_folder`."""
    check_folder(folder)
    if not (folder / MARKER).exists():
        write_json(folder / MARKER, {})


def check_folder(folder: Path) -> None:
    """Make sure that a folder is a comparison's, or may become one.

    Raises:
        XltError: E506 where it holds something else.
    """
    check_own_folder(folder, what="comparison", marker=MARKER, is_ours=lambda: read_json(folder / MARKER) == {})


def statuses(jobs: Sequence[Job], sets: Mapping[str, str]) -> dict[str, Status]:
    """How far the jobs are, by name. Each job comes after those that it needs; `sets` as `set_digests` gives them."""
    result: dict[str, Status] = {}
    models_needed: set[str] = set()
    for job in reversed(jobs):
        result[job.name] = _status(job, prediction_digest(job, sets), model_needed=job.name in models_needed)
        if result[job.name].make:
            models_needed |= {need.name for need in job.needs}
    return {job.name: result[job.name] for job in jobs}


def _status(job: Job, predictions: str, *, model_needed: bool) -> Status:
    state = read_json(job.folder / STATE)
    if state is None:
        begun = job.folder.exists() and any(job.folder.iterdir())
        return Status(TO_DO, "was not finished" if begun else "", make=True)
    changed = [name for part, name in _PARTS.items() if state.get("parts", {}).get(part) != job.parts[part]]
    if changed:
        return Status(STALE, f"changed: {', '.join(changed)}", make=True)
    predicted = (read_json(predictions_folder(job) / RECORD) or {}).get("digest") == predictions
    if not job.model.is_dir() and (model_needed or not predicted):
        return Status(TO_DO, f"its model {job.model.name} is gone", make=True)
    return Status(DONE) if predicted else Status(TO_DO, "to be run on the evaluation sets")


def prediction_digest(job: Job, sets: Mapping[str, str]) -> str:
    """Checksum of what predictions depend on: the model and the sets."""
    return fingerprint({"model": job.digest, "sets": dict(sets)})


def predictions_folder(job: Job) -> Path:
    """The folder with what a pipeline found in each set."""
    return job.folder / "predictions"


def read_json(path: Path) -> dict[str, Any] | None:
    """Plain data from a file; None where there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
