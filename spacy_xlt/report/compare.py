"""The report of a comparison: the same tables for Markdown, a page and the terminal, and a forest plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..compare.plan import SOURCE_DEV
from ..io import inside, write_bytes, write_json
from ..printing import markdown, markdown_code
from .page import Part, page_of_parts, render_plot
from .plots import Panel, Panels, Row
from .table import Table

SIGNIFICANT = 0.05
# What stands in the place of a set's name for the mean of all
OVER_SETS = "mean of all sets"
# From so many on, sets are rows
MANY_SETS = 3
MISSING = "missing"
CAPTION = (
    "F1 of every strategy: the mean over seeds and its 95% interval. Rings are single seeds; squares and lines "
    "are the strategies to compare with."
)


def write_comparison(result: Mapping[str, Any], folder: Path) -> None:
    """Write report.json, report.md, report.html and, where there is something to draw, report.svg."""
    plot = comparison_plot(result)
    write_json(inside(folder, "report.json"), result)
    write_bytes(inside(folder, "report.md"), to_markdown(result, picture="report.svg" if plot else None).encode("utf8"))
    write_bytes(inside(folder, "report.html"), comparison_page(result).encode("utf8"))
    if plot is not None:
        write_bytes(inside(folder, "report.svg"), render_plot(plot).encode("utf8"))


def tables(result: Mapping[str, Any]) -> list[Table]:
    """The tables of a result."""
    if not result["runs"]:
        return []
    made = [_scores(result), _by_set(result)]
    made += [_against_baseline(result, name) for name in result["sets"]]
    made += [_per_label(result, name) for name in result["sets"]]
    return [*(table for table in made if table.rows), _cost(result), _selection(result)]


def comparison_plot(result: Mapping[str, Any]) -> Panels | None:
    """The forest plot of a result; None where there is nothing to draw.

    Of many sets it shows the mean, and of each strategy the difference to the baseline by set, on one axis.
    """
    over, sets = _over_sets(result), list(result["sets"])
    gains = _gains(result) if _is_many(result) else []
    of_sets = [] if gains else [_f1_panel(result, name, _scored(result, name)) for name in sets]
    made = [_f1_panel(result, OVER_SETS, over), *of_sets, *gains]
    panels = [panel for panel in made if panel.rows]
    title = "F1 of every strategy on " + ", ".join([OVER_SETS, *sets] if over else sets)
    return Panels(title, panels, "F1, with 95% intervals") if panels else None


def _f1_panel(result: Mapping[str, Any], title: str, scored: Sequence[tuple[str, Mapping[str, Any]]]) -> Panel:
    rows, lines = [], {}
    for name, scores in scored:
        low, high = scores["interval"]
        special = name in (result["baseline"], result["ceiling"])
        points = [100 * value for value in scores["f"]["values"]]
        mean = 100 * scores["f"]["mean"]
        note = _mean_sd(scores["f"]) + _star(scores)
        rows.append(Row(name, mean, 100 * low, 100 * high, points if len(points) > 1 else (), note, special))
        if special:
            lines[name] = mean
    return Panel(title, rows, lines)


def _gains(result: Mapping[str, Any]) -> list[Panel]:
    """A panel for each strategy but the baseline: its differences to that, a row for each set."""
    panels = []
    for strategy, data in result["strategies"].items():
        rows = []
        for name, one in data["sets"].items():
            if one["difference"] is not None:
                mean, low, high = (100 * value for value in (one["difference"], *one["difference_interval"]))
                f = 100 * one["f"]["mean"]
                note = f"{mean:+.1f}{_star(one)} ({f - mean:.1f} → {f:.1f})"
                rows.append(Row(name, mean, low, high, note=note))
        if rows:
            unit = f"F1 of {strategy} less that of {result['baseline']}, with 95% intervals"
            panels.append(Panel(strategy, rows, {result["baseline"]: 0.0}, unit))
    return panels


def to_markdown(result: Mapping[str, Any], *, picture: str | None = None) -> str:
    """The report as Markdown."""
    parts = ["# Comparison", *([f"![F1 of every strategy]({picture})", CAPTION] if picture else [])]
    for table in tables(result):
        parts += [f"## {table.title}", table.markdown(), *([table.note] if table.note else [])]
    lists = {"Missing": result["missing"], "Sets": _sets(result)}
    for title, lines in lists.items():
        if lines:
            parts += [f"## {title}", "\n".join(f"- {markdown(name)}: {markdown(text)}" for name, text in lines.items())]
    runs = (f"- {markdown_code(name)}: {markdown_code(run['signature'])}" for name, run in result["runs"].items())
    parts += ["## Signatures", "\n".join(runs)]
    return "\n\n".join(parts) + "\n"


def comparison_page(result: Mapping[str, Any]) -> str:
    """The report as one page that needs nothing from elsewhere."""
    plot = comparison_plot(result)
    made = tables(result)
    signatures = [(name, run["signature"]) for name, run in result["runs"].items()]
    parts = [
        Part("f1", "F1", plots=[plot] if plot else [], whole=True, note=CAPTION if plot else "", tables=made[:1]),
        Part("details", "In detail", tables=made[1:]),
        Part("missing", "Missing", lines=list(result["missing"].items())),
        Part("sets", "Sets", lines=list(_sets(result).items())),
        Part("signatures", "Signatures", lines=signatures, code=True),
    ]
    return page_of_parts(parts, title="Comparison")


def _sets(result: Mapping[str, Any]) -> dict[str, str]:
    """What the evaluation sets are, by name."""
    lines = {}
    for name, one in result["sets"].items():
        entities = ", ".join(f"{label} {n}" for label, n in one["entities"].items())
        lines[name] = f"{one['docs']} documents, {one['words']} words, {entities}; SHA-256 {one['digest'][:12]}"
    return lines


def _scores(result: Mapping[str, Any]) -> Table:
    """A row for each strategy. Many sets are rows of the next table, and their mean stands here."""
    sets = [OVER_SETS] if _is_many(result) else list(result["sets"])
    has_ceiling = bool(result["ceiling"])
    head = ["strategy", "seeds"]
    for name in sets:
        head += [f"{name} F1" if name != OVER_SETS else f"F1, {name}", *(["gap closed (%)"] if has_ceiling else [])]
    rows = []
    for strategy, data in result["strategies"].items():
        row = [strategy, f"{data['runs']} of {data['runs_wanted']}"]
        for name in sets:
            one = data.get("over_sets") if name == OVER_SETS else data["sets"].get(name)
            row.append(_cell(one))
            if has_ceiling:
                row.append("" if one is None or one["gap_closed"] is None else f"{100 * one['gap_closed']:.0f}")
        rows.append(row)
    note = f"F1 of exact spans, mean ± standard deviation over seeds. *: differs from {result['baseline']}, "
    note += f"p < {SIGNIFICANT} ({result['bootstrap']['method']}; corrected: {result['bootstrap']['correction']})."
    if has_ceiling:
        note += f" Gap closed: the share of the way from {result['baseline']} to {result['ceiling']}."
    if result.get("no_gold"):
        note += f" No gold: {', '.join(result['no_gold'])}."
    if SOURCE_DEV in result["sets"]:
        note += f" {SOURCE_DEV} is text in the source language that chose the checkpoints:"
        note += " no measure of the target language."
    return Table(head, rows, title="F1", note=note)


def _by_set(result: Mapping[str, Any]) -> Table:
    """A row for each set and a column for each strategy; without rows where there are few sets."""
    strategies = result["strategies"]
    sets = list(result["sets"]) if _is_many(result) else []
    rows = [[name, *(_cell(data["sets"].get(name)) for data in strategies.values())] for name in sets]
    if rows:
        over = [data.get("over_sets") for data in strategies.values()]
        rows.append([OVER_SETS, *map(_cell, over)])
        worst = (f"{_mean_sd(one['worst']['f'])} ({one['worst']['set']})" if one else MISSING for one in over)
        rows.append(["worst", *worst])
    return Table(["set", *strategies], rows, title="F1 by set")


def _against_baseline(result: Mapping[str, Any], set_name: str) -> Table:
    rows = []
    for name, one in _scored(result, set_name):
        low, high = (f"{100 * value:.1f}" for value in one["interval"])
        row = [name, _mean_sd(one["f"]), f"{low} to {high}", "", "", "", ""]
        if one["difference"] is not None:
            first, last = one["difference_interval"]
            row[3:] = [f"{100 * one['difference']:+.1f}", f"{100 * first:+.1f} to {100 * last:+.1f}"]
            row += [f"{one['p_value']:.4f}", f"{one['p_holm']:.4f}"]
        rows.append(row)
    head = ["strategy", "F1", "95%", "difference", "95%", "p", "p (Holm)"]
    few = max((one["seeds"] for _, one in _scored(result, set_name)), default=0) < 5
    method = result["bootstrap"]
    note = f"Differences to {result['baseline']}: {method['method']}, {method['samples']} samples."
    note += " With fewer than five seeds the intervals are on the narrow side." if few else ""
    return Table(head, rows, title=f"{set_name}: against {result['baseline']}", note=note)


def _per_label(result: Mapping[str, Any], set_name: str) -> Table:
    labels = sorted({label for _, one in _scored(result, set_name) for label in one["per_label"]})
    rows = [
        [
            name,
            *(_mean_sd(one[key]) for key in "prf"),
            *(_mean_sd(one["per_label"][label]["f"]) if label in one["per_label"] else "" for label in labels),
        ]
        for name, one in _scored(result, set_name)
    ]
    title = f"{set_name}: precision, recall, and F1 by label"
    return Table(["strategy", "P", "R", "F1", *labels], rows, title=title)


def _cost(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, data in result["strategies"].items():
        figures = ("seconds", "train_words_per_second", "words_per_second")
        needs, devices = ", ".join(data["needs"]), ", ".join(data["devices"])
        rows.append([name, data["type"], needs, *(_figure(data[key]) for key in figures), devices])
    head = ["strategy", "type", "needs", "seconds", "trained words/s", "words/s", "device"]
    note = "Means over seeds. Seconds are without those of what it needs."
    return Table(head, rows, title="Cost", note=note, text=(1, 2, 6))


def _selection(result: Mapping[str, Any]) -> Table:
    rows = [[name, data["selected_by"]] for name, data in result["strategies"].items()]
    note = "" if SOURCE_DEV in result["sets"] else "The evaluation sets choose nothing."
    return Table(["strategy", "chosen by"], rows, title="What chose the checkpoints", note=note, text=(1,))


def _scored(result: Mapping[str, Any], set_name: str) -> list[tuple[str, Mapping[str, Any]]]:
    strategies = result["strategies"].items()
    return [(name, data["sets"][set_name]) for name, data in strategies if set_name in data["sets"]]


def _is_many(result: Mapping[str, Any]) -> bool:
    return len(result["sets"]) >= MANY_SETS


def _over_sets(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The strategies that were scored on all of several sets, with their means."""
    return [(name, data["over_sets"]) for name, data in result["strategies"].items() if "over_sets" in data]


def _mean_sd(value: Mapping[str, Any]) -> str:
    sd = "" if value["sd"] is None else f" ± {100 * value['sd']:.1f}"
    return f"{100 * value['mean']:.1f}{sd}"


def _cell(one: Mapping[str, Any] | None) -> str:
    return MISSING if one is None else _mean_sd(one["f"]) + _star(one)


def _star(one: Mapping[str, Any]) -> str:
    return "*" if one["p_holm"] is not None and one["p_holm"] < SIGNIFICANT else ""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
