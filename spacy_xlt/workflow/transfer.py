"""The whole way from annotated text to a wheel: a project, written and run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import srsly
from weasel.util import load_project_config, working_dir

from ..config import difference
from ..device import use_device
from ..errors import error
from ..io import check_own_folder, lock_folder, path_digest, write_json
from .choices import Choices, Request
from .estimate import estimate
from .render import check_place, write_project
from .report import newest_wheel
from .run import duration, give_back, printing_to, run_steps

# In the output folder: what says that it is ours, the project, what its steps printed, and how long they will take
MARKER, PROJECT, LOG, EXPECTED = "transfer.json", "project", "log.txt", "expected.json"
_PREPARATION = ("convert", "encoder")


def transfer(request: Request, choices: Choices, output: Path, say: Callable[[str], object]) -> Path:
    """Write a project into a folder, or go on with it, and run it to its end.

    Args:
        request: What was asked for, which a folder that is gone on with must agree with.
        choices: What follows from it.
        output: Gets the wheel, report.md, and the project.
        say: Gets lines for people.

    Returns:
        The wheel.

    Raises:
        XltError: E510 for a GPU that is not there, E553 for a folder in the data, E505 where the folder is of another
            request or other data, E506 where it is of something else, E571 where another process works there, E596 for
            a step that fails.
        KeyboardInterrupt: The same call goes on.
    """
    if request.gpu_id >= 0:
        use_device(request.gpu_id)
    check_place(output, choices)
    check_own_folder(output, marker=MARKER, what="transfer", is_ours=lambda: _is_ours(output))
    with lock_folder(output):
        folder, log = output / PROJECT, output / LOG
        _open(request, choices, output)
        steps = srsly.read_yaml(folder / "project.yml")["workflows"]["all"]
        first = [step for step in steps if step in _PREPARATION]
        say("Preparing: the data are converted, then a few documents and updates are timed.")
        run_steps(folder, first, log)
        expected = _expected(output, log)
        times = ", ".join(f"{step} {duration(seconds)}" for step, seconds in expected.items())
        say(f"It will take about {duration(sum(expected.values()))} if nothing is done yet ({times}).")
        say("Ctrl-C stops it, and the same command goes on from there.")
        run_steps(folder, [step for step in steps if step not in first], log, expected)
        wheel = newest_wheel(folder / "packages")
        shutil.copyfile(folder / "metrics" / "report.md", output / "report.md")
        return Path(shutil.copyfile(wheel, output / wheel.name))


def _is_ours(output: Path) -> bool:
    try:
        return "request" in json.loads((output / MARKER).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return False


def _open(request: Request, choices: Choices, output: Path) -> None:
    """Write the project, unless it is there and of the same request and data."""
    texts = {name: _plain(value) for name, value in asdict(request).items()}
    data = {place: path_digest(path) for place, path in choices.files.items()}
    wanted, marker, folder = {"request": texts, "data": data}, output / MARKER, output / PROJECT
    if marker.exists():
        before = json.loads(marker.read_text(encoding="utf8"))
        if before != wanted:
            raise error("E505", path=output, difference=difference(before, wanted))
    write_json(marker, wanted)
    # project.yml is written last
    if not (folder / "project.yml").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_project(folder, choices)


def _plain(value: Any) -> Any:
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else str(value)


def _expected(output: Path, log: Path) -> dict[str, float]:
    path = output / EXPECTED
    if not path.exists():
        vars = load_project_config(output / PROJECT)["vars"]
        log = log.resolve()
        with working_dir(output / PROJECT), printing_to(log):
            seconds = estimate(vars)
        give_back()
        write_json(path, {step: round(value, 1) for step, value in seconds.items()})
    return json.loads(path.read_text(encoding="utf8"))
