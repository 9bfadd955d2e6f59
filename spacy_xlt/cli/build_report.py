"""`spacy xlt build-report`: the report of a build that is there."""

from __future__ import annotations

from pathlib import Path

import typer

from ._app import app, check_outputs, existing, friendly_errors, msg


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
    # The page that the build itself wrote is written anew
    if output_path is not None and output_path.resolve() != (build_path / REPORT_HTML).resolve():
        check_outputs(output_path, inputs=[build_path], may_be_inside=True)
    write_build_report(build_path, html=output_path, view=view)
    msg.good("Report", str(output_path or build_path / REPORT_HTML))
