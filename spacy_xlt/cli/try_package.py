"""`spacy xlt try-package`: run a packaged pipeline in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import typer
from wasabi import msg

from ._app import app, existing, friendly_errors


@app.command("try-package")
@friendly_errors
def try_package_cli(
    path: Path = typer.Argument(..., help="A wheel, or a folder in which spacy package wrote one", metavar="WHEEL"),
    text: list[str] = typer.Option(..., "--text", "-t", help="Text to find entities in; may be repeated"),
    json_path: Path | None = typer.Option(None, "--json", help="Also write what was found to this file"),
    with_spacy_xlt: bool = typer.Option(False, "--with-spacy-xlt", help="Beside spacy_xlt, for pipelines that need it"),
) -> None:
    """Install a packaged pipeline where there is spaCy and spacy-transformers but no spacy_xlt, and run it there.

    The environment is a temporary one, with links to the packages of this one. Fails where the pipeline needs
    anything of spacy_xlt, unless it may have it.
    """
    from ..evaluation.packaged import newest_wheel, try_package
    from ..io import write_json

    existing(path, what="package")
    result = try_package(newest_wheel(path) if path.is_dir() else path, text, with_spacy_xlt=with_spacy_xlt)
    if json_path is not None:
        write_json(json_path, result)
    msg.good(f"Installed and run {'beside' if with_spacy_xlt else 'without'} spacy_xlt", result["wheel"])
    for item in result["found"]:
        msg.text(item["text"])
        msg.text("  " + (", ".join(f"{ent} {label}" for ent, label in item["ents"]) or "no entities"))
