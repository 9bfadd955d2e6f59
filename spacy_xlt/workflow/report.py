"""What the project reached, from the JSON files that its commands wrote. It computes no score.

python scripts/report.py metrics --build corpus/projected/summary.json --compare training/report.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from spacy_xlt.cli._app import msg, prepare_streams
from spacy_xlt.io import write_bytes, write_json
from spacy_xlt.printing import markdown
from spacy_xlt.report.compare import tables as comparison_tables
from spacy_xlt.report.table import Table, percent


def main(
    output: Annotated[Path, typer.Argument(help="Folder for report.md and report.json")],
    build: Annotated[Path | None, typer.Option(help="summary.json of spacy xlt build")] = None,
    compare: Annotated[Path | None, typer.Option(help="report.json of spacy xlt compare")] = None,
    projection: Annotated[Path | None, typer.Option(help="FILE of spacy xlt eval-projection --json")] = None,
    trial: Annotated[Path | None, typer.Option(help="FILE of scripts/try_package.py --json")] = None,
) -> None:
    """Show what the commands of a project measured, and write it as Markdown and JSON."""
    prepare_streams()
    paths = {"build": build, "compare": compare, "projection": projection, "trial": trial}
    try:
        results = {name: read(path) for name, path in paths.items() if path is not None}
        tables, lines = tables_of(results), lines_of(results)
    except ValueError as err:
        msg.fail("There is no report yet", str(err), exits=1)
    write_bytes(output / "report.md", to_markdown(tables, lines).encode("utf8"))
    write_json(output / "report.json", results)
    for table in tables:
        typer.echo(f"\n{table.terminal()}")
    for line in lines:
        msg.info(line)
    msg.good("Report", str(output / "report.md"))


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: There is no such file, or something else in it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as err:
        raise ValueError(f"There is no {path}; run the command that writes it first") from err
    except ValueError as err:
        raise ValueError(f"{path} is not JSON ({err})") from err
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds no JSON object")
    return data


def tables_of(results: dict[str, dict[str, Any]]) -> list[Table]:
    """Scores and speeds."""
    tables = comparison_tables(results["compare"]) if "compare" in results else []
    if "projection" in results:
        row = [percent(_get(results, "projection", key)) for key in ("ents_p", "ents_r", "ents_f", "ceiling_f")]
        tables.append(Table(["P", "R", "F1", "ceiling"], [row], title="Projection onto given translations"))
    stages = []
    if "build" in results:
        speeds = results["build"].get("sentences_per_second", {})
        stages += [(name, n, speeds.get(name)) for name, n in results["build"].get("seconds", {}).items()]
    if "projection" in results:
        seconds, speed = (results["projection"].get(key) for key in ("seconds", "pairs_per_second"))
        stages.append(("eval-projection", seconds, speed))
    if stages:
        rows = [[name, *("" if value is None else f"{value:.1f}" for value in values)] for name, *values in stages]
        tables.append(Table(["stage", "seconds", "sentences/s"], rows, title="Speed"))
    return tables


def lines_of(results: dict[str, dict[str, Any]]) -> list[str]:
    """What is not a table."""
    lines = []
    if "build" in results:
        projected, lost = _get(results, "build", "spans_projected"), _get(results, "build", "lost_reasons")
        reasons = ", ".join(f"{reason} {n}" for reason, n in lost.items())
        counts = f"{sum(projected.values())} entities projected, {sum(lost.values())} lost"
        lines.append(f"Built: {counts}" + (f" ({reasons})" if reasons else ""))
    if "trial" in results:
        lines.append(f"Packaged pipeline: {_get(results, 'trial', 'wheel')}")
        for item in _get(results, "trial", "found"):
            entities = ", ".join(f"{text} {label}" for text, label in item["ents"]) or "nothing"
            lines.append(f"Without spacy_xlt it finds in {item['text']!r}: {entities}")
    signatures = {name: results[name].get("signature") for name in ("build", "projection") if name in results}
    return [*lines, *(f"{name}: {signature}" for name, signature in signatures.items() if signature)]


def to_markdown(tables: list[Table], lines: list[str]) -> str:
    """The report as a page of Markdown."""
    parts = ["# Report"]
    for table in tables:
        parts += [f"## {table.title}", table.markdown(), *([table.note] if table.note else [])]
    return "\n\n".join([*parts, *map(markdown, lines)]) + "\n"


def _get(results: dict[str, dict[str, Any]], name: str, key: str) -> Any:
    if key not in results[name]:
        raise ValueError(f"The file of --{name} has no {key!r}, so another command wrote it")
    return results[name][key]


if __name__ == "__main__":
    typer.run(main)
