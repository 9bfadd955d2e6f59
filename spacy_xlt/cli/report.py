"""`spacy xlt report`: what the commands of a project reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import app, check_outputs, echo, friendly_errors, msg


@app.command("report")
@friendly_errors
def report_cli(
    output: Annotated[Path, typer.Argument(help="Folder for report.md and report.json")],
    build: Annotated[Path | None, typer.Option(help="summary.json of spacy xlt build")] = None,
    compare: Annotated[Path | None, typer.Option(help="report.json of spacy xlt compare")] = None,
    projection: Annotated[Path | None, typer.Option(help="FILE of spacy xlt eval-projection --json")] = None,
    trial: Annotated[Path | None, typer.Option(help="FILE of scripts/try_package.py --json")] = None,
    packages: Annotated[Path | None, typer.Option(help="Folder in which spacy package wrote a wheel")] = None,
) -> None:
    """Show what the commands of a project measured, and where the wheel is. Also as Markdown and JSON.

    It is the last step of the project that `spacy xlt init` writes.
    """
    from ..io import write_bytes, write_json
    from ..workflow.report import lines_of, newest_wheel, read, tables_of, to_markdown

    paths = {"build": build, "compare": compare, "projection": projection, "trial": trial}
    check_outputs(output / "report.md", output / "report.json", inputs=paths.values())
    results: dict[str, Any] = {name: read(path) for name, path in paths.items() if path is not None}
    if packages is not None:
        results["wheel"] = {"path": str(newest_wheel(packages))}
    tables, lines = tables_of(results), lines_of(results)
    write_bytes(output / "report.md", to_markdown(tables, lines).encode("utf8"))
    write_json(output / "report.json", results)
    for table in tables:
        echo(f"\n{table.terminal()}")
    echo("")
    for line in lines:
        echo(line)
    msg.good("Report", str(output / "report.md"))
