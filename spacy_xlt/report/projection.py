"""The page of `eval-projection --report`: configs on the same bitext, as plots with intervals beside the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape
from typing import Any

from .charts import bars, reliability_chart, short
from .page import Plots, page, table
from .plots import Panel, Row, plot_panels

PLOTTED_LABELS = 8
Systems = Mapping[str, Mapping[str, Any]]


def projection_page(result: Mapping[str, Any], *, title: str = "Projection") -> str:
    """The page as text.

    result (Mapping[str, Any]): What `compare_projections` gives, of one config or several.
    """
    systems: Systems = result["systems"]
    first = systems[result["baseline"]]
    plots = Plots()
    intro = (
        f"<p>{first['pairs']:,} pairs of documents, {first['spans_in']:,} spans to project. Exact spans: the same "
        "label and both ends.</p>"
    )
    sections = [
        ("f1", "F1", _scores(result, plots)),
        ("labels", "By label", _labels(result, plots)),
        ("lengths", "By length", _lengths(systems)),
        ("reliability", "Whether scores mean something", _reliability(systems, plots)),
        ("lost", "Lost spans", _lost(systems)),
        ("time", "Time", _time(systems, plots)),
        ("signatures", "Signatures", _signatures(systems)),
    ]
    return page(title, intro, sections)


def _scores(result: Mapping[str, Any], plots: Plots) -> str:
    systems: Systems = result["systems"]
    baseline = result["baseline"]
    ceiling = 100 * systems[baseline]["ceiling_f"]
    rows = [
        Row(short(name), 100 * scores["ents_f"], *_percents(scores["ents_f_interval"]), hollow=name == baseline)
        for name, scores in systems.items()
    ]
    lines = {short(baseline): rows[0].mean} if len(rows) > 1 else {}
    drawn = plots(
        plot_panels,
        [Panel("All labels", rows, lines)],
        unit="F1, with 95% intervals",
        title="F1 of every config: " + ", ".join(f"{row.name} {row.mean:.1f}" for row in rows),
        whole=True,
    )
    figures = []
    for name, scores in systems.items():
        low, high = _percents(scores["ents_f_interval"])
        row = [name, *(_percent(scores[f"ents_{key}"]) for key in "prf"), f"{low:.1f} to {high:.1f}", "", ""]
        if name != baseline:
            row[5:] = [f"{100 * scores['difference']:+.2f}", f"{scores['p_value']:.4f}"]
        figures.append(row)
    settings = result["bootstrap"]
    note = f"Ceiling: the annotations of the two sides agree to F1 {ceiling:.1f}. Intervals"
    note += f" and p are of a bootstrap over documents with {settings['samples']:,} samples"
    note += f", paired with {baseline}, the hollow square." if len(systems) > 1 else "."
    head = ["config", "P", "R", "F1", "95%", "difference", "p"]
    return drawn + table(head, figures) + f'<p class="note">{escape(note)}</p>'


def _labels(result: Mapping[str, Any], plots: Plots) -> str:
    systems: Systems = result["systems"]
    sizes: dict[str, dict[str, Any]] = systems[result["baseline"]]["ents_per_type"] or {}
    labels = list(dict.fromkeys([*sizes, *(label for s in systems.values() for label in s["ents_per_type"] or {})]))
    panels = []
    for label in labels:
        rows = []
        for name, scores in systems.items():
            one = (scores["ents_per_type"] or {}).get(label)
            if one is not None and "f_interval" in one:
                interval = _percents(one["f_interval"])
                rows.append(Row(short(name), 100 * one["f"], *interval, hollow=name == result["baseline"]))
        if rows:
            panels.append(Panel(short(label), rows))
    drawn = ""
    if panels:
        shown = panels[:PLOTTED_LABELS]
        title = "F1 by label: " + ", ".join(panel.title for panel in shown)
        drawn = plots(plot_panels, shown, unit="F1, with 95% intervals", title=title, whole=True)
    return drawn + _parts(systems, "ents_per_type", labels)


def _lengths(systems: Systems) -> str:
    lengths = list(dict.fromkeys(length for scores in systems.values() for length in scores["ents_per_length"]))
    found = _parts(systems, "ents_per_length", lengths)
    return found + '<p class="note">F1 by the number of tokens of a span.</p>' if found else ""


def _parts(systems: Systems, key: str, parts: list[str]) -> str:
    rows = [
        (name, *(_percent((scores[key] or {}).get(part, {}).get("f")) for part in parts))
        for name, scores in systems.items()
    ]
    return table(["config", *parts], rows) if parts else ""


def _reliability(systems: Systems, plots: Plots) -> str:
    drawn = "".join(
        plots(reliability_chart, scores["reliability"]["curve"], title=name)
        for name, scores in systems.items()
        if scores["reliability"]["curve"]
    )
    rows = []
    for name, scores in systems.items():
        sure = scores["reliability"]
        figures = (sure["precision"], sure["precision_of_surest"], sure["calibration_error"])
        rows.append((name, *map(_percent, figures)))
    note = (
        '<p class="note">Each ring is a tenth of the spans, from the least to the most sure. On the broken line a '
        "score is the share of spans that are right. Calibration error: the mean distance from it.</p>"
    )
    points = "".join(
        table(
            [name, "precision", "spans"],
            [(f"{point['score']:.3f}", f"{point['precision']:.3f}", point["spans"]) for point in curve],
        )
        for name, scores in systems.items()
        if (curve := scores["reliability"]["curve"])
    )
    found = table(["config", "precision", "without the least sure tenth", "calibration error"], rows)
    folded = f"<details><summary>The curves as tables: precision by score</summary>{points}</details>" if points else ""
    return (f'<div class="plots">{drawn}</div>' if drawn else "") + note + found + folded


def _lost(systems: Systems) -> str:
    reasons: Counter[str] = Counter()
    for scores in systems.values():
        reasons.update(scores["lost_reasons"])
    rows = [
        (
            name, f"{scores['spans_in']:,}", f"{scores['spans_projected']:,}", f"{scores['spans_lost']:,}",
            *(f"{scores['lost_reasons'].get(reason, 0):,}" for reason in sorted(reasons)),
        )
        for name, scores in systems.items()
    ]  # fmt: skip
    return table(["config", "in", "projected", "lost", *sorted(reasons)], rows)


def _time(systems: Systems, plots: Plots) -> str:
    speeds = {name: scores["pairs_per_second"] or 0.0 for name, scores in systems.items()}
    rows = [(name, speed, f"{speed:,.0f}") for name, speed in speeds.items()]
    drawn = plots(bars, rows, title="Speed", unit="pairs a second")
    figures = [(name, f"{s['seconds']:.1f}", f"{speeds[name]:,.1f}") for name, s in systems.items()]
    note = '<p class="note">Aligning and projecting, without loading the models.</p>'
    plotted = f'<div class="plots">{drawn}</div>' if drawn else ""
    return plotted + table(["config", "seconds", "pairs a second"], figures) + note


def _signatures(systems: Systems) -> str:
    return "".join(f"<p>{escape(name)}: <code>{escape(s['signature'])}</code></p>" for name, s in systems.items())


def _percents(interval: list[float]) -> tuple[float, float]:
    return 100 * interval[0], 100 * interval[1]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
