"""`spacy xlt transfer`: from annotated text to a wheel in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._app import app, echo, msg, resumable
from ._project import (
    Dev,
    Encoder,
    Format,
    Gpu,
    Labels,
    Licence,
    Parallel,
    Source,
    Steps,
    Target,
    Task,
    Test,
    Translator,
    request_of,
    show_choices,
)


@app.command("transfer")
@resumable
def transfer_cli(
    source: Source,
    target: Target,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the wheel, the report and the project")],
    data: Annotated[
        Path | None, typer.Argument(help="Annotated text: a file or a folder; left out, a small sample for en and pt")
    ] = None,
    dev: Dev = None,
    test: Test = None,
    format: Format = "auto",
    translator: Translator = "auto",
    parallel: Parallel = None,
    encoder: Encoder = "",
    labels: Labels = "",
    task: Task = "ner",
    gpu_id: Gpu = -1,
    max_steps: Steps = None,
    licence: Licence = "",
) -> None:
    """Do the whole job: translate, align, project, train, evaluate and package as a wheel.

    It writes the project of `spacy xlt init` into OUTPUT/project and runs it, so that it can be changed and run by
    itself afterwards. It says before what it will do and how long that takes, and goes on where it was stopped when the
    same command is given again. For example: spacy xlt transfer mine.jsonl --source en --target pt --output pt_ner
    """
    options = dict(locals())
    from ..workflow.choices import choose
    from ..workflow.report import how_to_use, read, tables_of
    from ..workflow.transfer import PROJECT, transfer

    request = request_of(options)
    choices = choose(request)
    show_choices(choices.said)
    wheel = transfer(request, choices, output, echo)
    scores, *_ = tables_of({"compare": read(output / PROJECT / "training" / "report.json")})
    echo(f"\n{scores.terminal()}\n")
    echo(f"More tables: {output / 'report.md'}. The project, to change and to run by itself: {output / PROJECT}")
    msg.good("Wheel", str(wheel))
    echo(how_to_use(wheel))
