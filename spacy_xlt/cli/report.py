"""`spacy xlt report`: what a workflow reached, from the files that its commands wrote."""

from __future__ import annotations

from pathlib import Path

import typer
from wasabi import msg

from ..errors import error
from ._app import app, friendly_errors


@app.command("report")
@friendly_errors
def report_cli(
    output_dir: Path = typer.Argument(..., help="Folder for report.md and report.json", metavar="OUTPUT_DIR"),
    scores: list[str] = typer.Option([], help="NAME=FILE of spacy evaluate; may be repeated"),
    training: list[str] = typer.Option([], help="NAME=FILE of the logger spacy_xlt.Logger.v1; may be repeated"),
    train_corpus: list[str] = typer.Option([], help="NAME=CORPUS of a training, to count sentences; may be repeated"),
    test_corpus: Path | None = typer.Option(None, help="Corpus of the scores, to count sentences"),
    build: Path | None = typer.Option(None, help="summary.json of spacy xlt build"),
    projection: Path | None = typer.Option(None, help="FILE of spacy xlt eval-projection --json"),
    package: Path | None = typer.Option(None, help="Folder in which spacy package wrote"),
    trial: Path | None = typer.Option(None, help="FILE of spacy xlt try-package --json"),
) -> None:
    """Show what a workflow reached as a table, and write it as Markdown and JSON.

    Every figure is taken from a file that another command wrote.
    """
    from ..evaluation.report import Report
    from ..io import write_bytes, write_json

    report = Report()
    corpora = dict(_named(item, "--train-corpus") for item in train_corpus)
    if build is not None:
        report.add_build(build)
    for item in training:
        name, path = _named(item, "--training")
        report.add_training(name, path, corpora.get(name))
    for item in scores:
        report.add_scores(*_named(item, "--scores"), corpus=test_corpus)
    if projection is not None:
        report.add_projection(projection)
    if package is not None:
        report.add_package(package)
    if trial is not None:
        report.add_trial(trial)
    write_bytes(output_dir / "report.md", report.to_markdown().encode("utf8"))
    write_json(output_dir / "report.json", report.to_json())
    for title, head, rows in report.tables():
        msg.divider(title)
        msg.table(rows, header=head, aligns=["l", *("r" for _ in head[1:])], divider=True, max_col=60)
    for line in report.lines():
        msg.info(line)
    msg.good("Report", str(output_dir / "report.md"))


def _named(item: str, option: str) -> tuple[str, Path]:
    name, separator, path = item.partition("=")
    if not (separator and name and path):
        raise error("E601", setting=option, value=item, expected="NAME=PATH")
    return name, Path(path)
