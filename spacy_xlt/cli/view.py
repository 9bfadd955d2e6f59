"""`spacy xlt view`: a page that shows bitexts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import typer
from wasabi import msg

from ._app import app, friendly_errors


@app.command("view")
@friendly_errors
def view_cli(
    input_path: Path = typer.Argument(..., help="Build folder, or .spacy file with bitexts", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Page to write (.html)", metavar="OUT.html"),
    limit: int = typer.Option(500, "--limit", "-n", help="Documents to show"),
) -> None:
    """Write one self-contained HTML page with source and target side by side."""
    from ..corpus.reading import read_docs
    from ..corpus.writing import write_bytes
    from ..errors import error
    from ..evaluation.view import page

    folder = input_path / "bitext"
    docs = islice(read_docs(folder if folder.is_dir() else input_path), limit)
    bitexts = [bitext for doc in docs for bitext in doc._.xlt.values()]
    if not bitexts:
        raise error("E515", path=input_path)
    write_bytes(output_path, page(bitexts, title=input_path.name).encode("utf8"))
    msg.good(f"{len(bitexts)} documents", str(output_path))
