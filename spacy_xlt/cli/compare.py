"""`spacy xlt compare`: every strategy with several seeds on every evaluation set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import error
from ._app import WITH_OVERRIDES, app, check_outputs, echo, msg, names_in, overrides_of, resumable

if TYPE_CHECKING:
    from ..compare.jobs import Job
    from ..compare.status import Status


@app.command("compare", context_settings=WITH_OVERRIDES)
@resumable
def compare_cli(
    ctx: typer.Context,
    plan_path: Path = typer.Argument(..., help="Config with [compare], [sets] and [strategies]", metavar="PLAN"),
    output_path: Path = typer.Argument(..., help="Folder for runs and report", metavar="OUTPUT_DIR"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    jobs: int = typer.Option(1, "--jobs", "-j", help="Processes at once; the cores are shared out among them"),
    only: str | None = typer.Option(None, help="Only these strategies (A,B) and what they need; or all"),
    seeds: str | None = typer.Option(None, help="Only these seeds of the plan, for example 0,1"),
    dry_run: bool = typer.Option(False, "--dry-run", help="List what would be done, and do nothing"),
) -> None:
    """Train every strategy of a plan with several seeds, run each on the evaluation sets, and compare them.

    OUTPUT_DIR gets report.md, report.json, report.html and report.svg, and a folder for each run. A comparison that was
    interrupted goes on where it stopped when the same command is given again; a run whose config, data or versions
    have changed is done again. Settings of the plan can be overridden as in spacy train: --compare.n_bootstrap 1000
    """
    from ..compare.jobs import check_inputs, make_jobs, set_digests
    from ..compare.plan import read_plan
    from ..compare.results import collect
    from ..compare.run import Runner
    from ..compare.status import check_folder, open_folder, statuses
    from ..io import lock_folder
    from ..report.compare import write_comparison

    check_folder(output_path)
    plan = read_plan(plan_path, overrides_of(ctx))
    check_outputs(output_path, inputs=[plan_path, *plan.sets.values()])
    sets = set_digests(plan)
    todo = make_jobs(plan, output_path, _seeds(seeds), [] if only == "all" else names_in(only))
    check_inputs(todo)
    if dry_run:
        _show_statuses(todo, statuses(todo, sets))
        return
    runner = Runner(plan, sets, gpu_id=gpu_id, n_at_once=jobs, say=_say)
    with lock_folder(output_path):
        open_folder(output_path)
        before = statuses(todo, sets)
        _show_statuses(todo, before)
        failures = runner.run(todo, before)
        reasons = {name: failure.reason for name, failure in failures.items()}
        result = collect(plan, todo, statuses(todo, sets), sets, reasons)
        write_comparison(result, output_path)
    _show(result)
    msg.good("Report", str(output_path / "report.md"))
    if n_missing := len(result["missing"]):
        msg.fail(f"{n_missing} of {len(todo)} runs are missing; the same command tries them again", exits=1)


def _seeds(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise error("E510", setting="--seeds", value=text, expected="numbers with commas between") from None


def _say(kind: str, text: str) -> None:
    if kind == "failed":
        title, _, log = text.partition("\n")
        msg.fail(title)
        # Not folded: a traceback could not be read
        echo(log)
    else:
        (msg.info if kind == "start" else msg.good)(text)


def _show_statuses(jobs: Sequence[Job], found: Mapping[str, Status]) -> None:
    rows = [(job.name, job.strategy.type, found[job.name].state, found[job.name].reason) for job in jobs]
    msg.table(rows, header=("run", "type", "state", "why"), divider=True, max_col=100)


def _show(result: Mapping[str, Any]) -> None:
    from ..report.compare import tables

    for table in tables(result):
        echo(f"\n{table.terminal()}")
    for name, reason in result["missing"].items():
        msg.warn(f"{name}: {reason}")
