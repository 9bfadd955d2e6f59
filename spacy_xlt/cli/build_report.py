"""`spacy xlt build-report`: the report of a build that is there."""

from __future__ import annotations

from pathlib import Path

import typer
from wasabi import msg

from ._app import app, existing, friendly_errors


@app.command("build-report")
@friendly_errors
def build_report_cli(
    build_path: Path = typer.Argument(..., help="Folder that spacy xlt build wrote", metavar="BUILD_DIR"),
    output_path: Path | None = typer.Argument(None, help="Page to write; report.html in BUILD_DIR", metavar="OUT.html"),
    view: Path | None = typer.Option(
        None, help="Page of spacy xlt view that examples link to, as seen from the report, for example view.html"
    ),
) -> None:
    """Write the report of a build: report.json with the figures in BUILD_DIR, and a page with plots and examples.

    What went in and came out by label and language, lost spans by reason, scores, lengths, flags and speed. Of a build
    that is not finished, what is done so far.
    """
    from ..report.build import REPORT_HTML, write_build_report

    existing(build_path, what="build folder")
    write_build_report(build_path, html=output_path, view=view)
    msg.good("Report", str(output_path or build_path / REPORT_HTML))
