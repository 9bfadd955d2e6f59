"""`spacy xlt init`: write a project of one's own."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ._app import app, friendly_errors, msg
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


@app.command("init")
@friendly_errors
def init_cli(
    folder: Annotated[Path, typer.Argument(help="Folder to write, new or empty", metavar="DIR")],
    source: Source,
    target: Target,
    data: Annotated[
        Path | None, typer.Option(help="Annotated text: a file or a folder; left out, a small sample for en and pt")
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
    """Write a project: project.yml, configs, a README, and the data in assets/.

    It asks nothing, chooses what was not asked for, and says what it chose and why. `python -m spacy project run all`
    in the folder then ends with a table and a wheel. For example: spacy xlt init mine --source en --target de --data
    mine.jsonl --parallel mine.en mine.de
    """
    options = dict(locals())
    from ..workflow.choices import choose
    from ..workflow.render import write_project

    choices = choose(request_of(options))
    write_project(folder, choices)
    show_choices(choices.said)
    msg.good("Project written", str(folder))
    where = "" if os.path.realpath(folder) == os.getcwd() else f"cd {shlex.quote(str(folder))} && "
    msg.info(f"Next: {where}python -m spacy project run all")
