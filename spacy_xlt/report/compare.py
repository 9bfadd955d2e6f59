"""The report of a comparison: the same tables for Markdown, a page and the terminal, and the plot."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from .page import table
from .plots import Panel, Row, plot_panels

SIGNIFICANT = 0.05
CAPTION = (
    "F1 of every strategy: the mean over seeds and its 95% interval. Rings are single seeds; squares and lines "
    "are the strategies to compare with."
)
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#c9ced6;--soft:#f3f5f7}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--paper:#16181c;--line:#454b54;--soft:#21252b}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;
margin:0 auto;padding:1rem}
.wide,figure{overflow-x:auto}figure{margin:0}figcaption{font-size:.9rem}table{border-collapse:collapse;margin:.5rem 0}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{background:var(--soft)}
td.text{text-align:left;white-space:normal}code{font-size:.8rem;overflow-wrap:anywhere}
"""


class Table(NamedTuple):
    """A table of a report.

    note (str): What a reader has to know, below it.
    text (frozenset[int]): Columns that hold words, not figures.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    note: str = ""
    text: frozenset[int] = frozenset((0,))


def tables(result: Mapping[str, Any]) -> list[Table]:
    """The tables of a result, as `collect` gives it."""
    if not result["runs"]:
        return []
    made = [_scores(result)]
    made += [_against_baseline(result, name) for name in result["sets"]]
    made += [_per_label(result, name) for name in result["sets"]]
    return [*(one for one in made if one.rows), _cost(result), _selection(result)]


def plot(result: Mapping[str, Any]) -> str | None:
    """The picture of a result as an SVG element; None where there is nothing to draw.

    RAISES (XltError): E670 where matplotlib is not installed.
    """
    panels = []
    for set_name in result["sets"]:
        rows, lines = [], {}
        for name, one in _scored(result, set_name):
            low, high = one["interval"]
            special = name in (result["baseline"], result["ceiling"])
            points = [100 * value for value in one["f"]["values"]]
            mean = 100 * one["f"]["mean"]
            note = _mean_sd(one["f"]) + _star(one)
            rows.append(Row(name, mean, 100 * low, 100 * high, points if len(points) > 1 else (), note, special))
            if special:
                lines[name] = mean
        if rows:
            panels.append(Panel(set_name, rows, lines))
    if not panels:
        return None
    title = "F1 of every strategy on " + ", ".join(panel.title for panel in panels)
    return plot_panels(panels, unit="F1, with 95% intervals", title=title)


def to_markdown(result: Mapping[str, Any], *, picture: str | None = None) -> str:
    """The report as Markdown.

    picture (str | None): File name of the plot.
    """
    parts = ["# Comparison", *([f"![F1 of every strategy]({picture})", CAPTION] if picture else [])]
    for one in tables(result):
        rule = [":--" if n in one.text else "--:" for n in range(len(one.head))]
        lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (one.head, *one.rows)]
        lines.insert(1, f"| {' | '.join(rule)} |")
        parts += [f"## {one.title}", "\n".join(lines), *([one.note] if one.note else [])]
    if missing := missing_lines(result):
        parts += ["## Missing", "\n".join(f"- {line}" for line in missing)]
    parts += ["## Sets", "\n".join(f"- {line}" for line in set_lines(result))]
    parts += ["## Signatures", "\n".join(f"- `{name}`: `{run['signature']}`" for name, run in result["runs"].items())]
    return "\n\n".join(parts) + "\n"


def to_html(result: Mapping[str, Any], *, picture: str | None = None) -> str:
    """The report as one page that needs nothing from elsewhere.

    picture (str | None): The plot as an SVG element.
    """
    parts = ["<h1>Comparison</h1>"]
    if picture:
        parts.append(f"<figure>{picture}<figcaption>{CAPTION}</figcaption></figure>")
    for one in tables(result):
        note = f"<p>{escape(one.note)}</p>" if one.note else ""
        parts.append(f"<h2>{escape(one.title)}</h2>{table(one.head, one.rows, text=one.text)}{note}")
    for title, lines in (("Missing", missing_lines(result)), ("Sets", set_lines(result))):
        if lines:
            parts.append(f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
    signatures = "".join(
        f"<li>{escape(name)}: <code>{escape(run['signature'])}</code></li>" for name, run in result["runs"].items()
    )
    parts.append(f"<h2>Signatures</h2><ul>{signatures}</ul>")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>Comparison</title><style>{_STYLE}</style></head>\n'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def missing_lines(result: Mapping[str, Any]) -> list[str]:
    """The runs that are not there, and why."""
    return [f"{name}: {reason}" for name, reason in result["missing"].items()]


def set_lines(result: Mapping[str, Any]) -> list[str]:
    """What the evaluation sets are."""
    lines = []
    for name, one in result["sets"].items():
        entities = ", ".join(f"{label} {n}" for label, n in one["entities"].items())
        lines.append(f"{name}: {one['docs']} documents, {one['words']} words, {entities}; SHA-256 {one['digest'][:12]}")
    return lines


def _scores(result: Mapping[str, Any]) -> Table:
    sets = list(result["sets"])
    has_ceiling = bool(result["ceiling"])
    head = ["strategy", "seeds"]
    for name in sets:
        head += [f"{name} F1", *(["closed"] if has_ceiling else [])]
    rows = []
    for strategy, data in result["strategies"].items():
        row = [strategy, f"{data['runs']} of {data['runs_wanted']}"]
        for name in sets:
            one = data["sets"].get(name)
            row.append("missing" if one is None else _mean_sd(one["f"]) + _star(one))
            if has_ceiling:
                row.append("" if one is None or one["closed"] is None else f"{100 * one['closed']:.0f}%")
        rows.append(row)
    note = f"F1 of exact spans, mean ± standard deviation over seeds. *: differs from {result['baseline']}, "
    note += f"p < {SIGNIFICANT} ({result['bootstrap']['method']}; corrected: {result['bootstrap']['correction']})."
    if has_ceiling:
        note += f" Closed: the share of the way from {result['baseline']} to {result['ceiling']}."
    return Table("F1", head, rows, note)


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
    return Table(f"{set_name}: against {result['baseline']}", head, rows, note)


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
    return Table(f"{set_name}: precision, recall, and F1 by label", ["strategy", "P", "R", "F1", *labels], rows)


def _cost(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, data in result["strategies"].items():
        figures = ("seconds", "train_words_per_second", "words_per_second", "peak_mib")
        needs, devices = ", ".join(data["needs"]), ", ".join(data["devices"])
        rows.append([name, data["type"], needs, *(_figure(data[key]) for key in figures), devices])
    head = ["strategy", "type", "needs", "seconds", "trained words/s", "words/s", "peak MiB", "device"]
    note = "Means over seeds; the highest memory of any of its processes. Seconds are without those of what it needs."
    return Table("Cost", head, rows, note, frozenset((0, 1, 2, 7)))


def _selection(result: Mapping[str, Any]) -> Table:
    rows = [[name, data["selected_by"]] for name, data in result["strategies"].items()]
    note = "The evaluation sets choose nothing."
    return Table("What chose the checkpoints", ["strategy", "chosen by"], rows, note, frozenset((0, 1)))


def _scored(result: Mapping[str, Any], set_name: str) -> list[tuple[str, Mapping[str, Any]]]:
    strategies = result["strategies"].items()
    return [(name, data["sets"][set_name]) for name, data in strategies if set_name in data["sets"]]


def _mean_sd(value: Mapping[str, Any]) -> str:
    sd = "" if value["sd"] is None else f" ± {100 * value['sd']:.1f}"
    return f"{100 * value['mean']:.1f}{sd}"


def _star(one: Mapping[str, Any]) -> str:
    return "*" if one["p_holm"] is not None and one["p_holm"] < SIGNIFICANT else ""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
