"""What a project reached, from the JSON files that its commands wrote. It computes no score."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ..errors import error
from ..printing import markdown
from ..report.compare import tables as comparison_tables
from ..report.table import Table, percent


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        XltError: E502 where there is no such file, E535 for something else in it.
    """
    if not path.is_file():
        raise error("E502", what="report (run the command that writes it first)", path=path)
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except ValueError as err:
        raise error("E535", path=path, reason=f"it is not JSON ({err})") from err
    if not isinstance(data, dict):
        raise error("E535", path=path, reason="it holds no JSON object")
    return data


def newest_wheel(folder: Path) -> Path:
    """The wheel below a folder that was made last.

    Raises:
        XltError: E502 where there is none.
    """
    wheels = sorted(folder.rglob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise error("E502", what="wheel (run the command `package` first) below", path=folder)
    return wheels[-1]


def how_to_use(wheel: Path) -> str:
    """What to do with a wheel, in a line."""
    return f"Use it: pip install {shlex.quote(str(wheel))}   and in Python: spacy.load({wheel.name.split('-')[0]!r})"


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
    if "wheel" in results:
        path = Path(results["wheel"]["path"])
        lines += [f"Wheel: {path}", how_to_use(path)]
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
        raise error("E535", path=f"The file of --{name}", reason=f"it has no {key!r}, so another command wrote it")
    return results[name][key]
