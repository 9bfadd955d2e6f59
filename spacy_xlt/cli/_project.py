"""The options that `init` and `transfer` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import echo

Source = Annotated[str, typer.Option("--source", help="Language code of the annotated text", show_default=False)]
Target = Annotated[str, typer.Option("--target", help="Language code to make a pipeline for", show_default=False)]
Dev = Annotated[Path | None, typer.Option(help="Annotated text in the source language; a part of the data if left out")]
Test = Annotated[Path | None, typer.Option(help="Annotated text in the target language, to measure with")]
Format = Annotated[str, typer.Option("--format", "-f", help="Of these files, if their names do not tell it")]
Translator = Annotated[
    str, typer.Option(help="auto, bundled, bergamot:FOLDER, opus:en-de, nllb:600M, llm:MODEL@URL, …")
]
Parallel = Annotated[
    tuple[Path, Path] | None,
    typer.Option(help="Translations that are there: two files, line by line the same", metavar="SRC TGT"),
]
Encoder = Annotated[str, typer.Option(help="bundled:encoder, bundled:encoder-en-pt, a folder or a Hugging Face name")]
Labels = Annotated[str, typer.Option(help="Labels to keep, with commas between; all if left out")]
Task = Annotated[str, typer.Option(help="ner, or spancat for spans that may overlap")]
Gpu = Annotated[int, typer.Option("--gpu-id", "-g", help="GPU, or -1 for the CPU")]
Steps = Annotated[int | None, typer.Option("--max-steps", help="Updates of a training")]
Licence = Annotated[str, typer.Option("--licence", "--license", help="Of the pipeline, for its card")]


def request_of(options: dict[str, Any]) -> Any:
    """The `Request` of a command's options."""
    from ..workflow.choices import Request
    from ._app import names_in

    values = {name: options[name] for name in Request.__dataclass_fields__}
    return Request(**{**values, "labels": tuple(names_in(options["labels"])), "parallel": options["parallel"] or ()})


def show_choices(said: dict[str, str]) -> None:
    """Print what was chosen and why."""
    for what, choice in said.items():
        echo(f"{what}: {choice}")
