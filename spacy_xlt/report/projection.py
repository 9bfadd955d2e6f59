"""The page of `eval-projection --report`: configs on the same bitext, as plots with intervals beside the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .page import Part, page_of_parts
from .plots import Curve, Panel, Panels, Row, short
from .table import Table, percent

PLOTTED_LABELS = 8
_CURVE_NOTE = (
    "Each ring is a tenth of the spans, from the least to the most sure. On the broken line a score is the share of "
    "spans that are right. Calibration error: the mean distance from it."
)
Systems = Mapping[str, Mapping[str, Any]]


def projection_page(result: Mapping[str, Any], *, title: str = "Projection") -> str:
    """The page as text, of what `compare_projections` gives of one config or several."""
    first = result["systems"][result["baseline"]]
    intro = f"{first['pairs']:,} pairs of documents, {first['spans_in']:,} spans to project. "
    intro += "Exact spans: the same label and both ends."
    return page_of_parts(projection_parts(result), title=title, intro=intro)


def projection_parts(result: Mapping[str, Any]) -> list[Part]:
    """The parts of the page. The terminal shows their tables."""
    systems: Systems = result["systems"]
    lengths = list(dict.fromkeys(length for scores in systems.values() for length in scores["ents_per_length"]))
    seconds = [(name, f"{s['seconds']:.1f}", f"{s['pairs_per_second'] or 0:,.1f}") for name, s in systems.items()]
    times = Table(["config", "seconds", "pairs a second"], seconds, note="Without loading the models.")
    signatures = [(name, s["signature"]) for name, s in systems.items()]
    return [
        _scores(result),
        _labels(result),
        Part("lengths", "By length", tables=[_f_table(systems, "ents_per_length", lengths, "Tokens of a span.")]),
        _reliability(systems),
        Part("lost", "Lost spans", tables=[_lost(systems)]),
        *_tasks(systems),
        Part("time", "Time", tables=[times]),
        Part("signatures", "Signatures", lines=signatures, code=True),
    ]


def _scores(result: Mapping[str, Any]) -> Part:
    systems: Systems = result["systems"]
    baseline = result["baseline"]
    rows = [
        Row(short(name), 100 * s["ents_f"], *_percents(s["ents_f_interval"]), hollow=name == baseline)
        for name, s in systems.items()
    ]
    lines = {short(baseline): rows[0].mean} if len(rows) > 1 else {}
    title = "F1 of every config: " + ", ".join(f"{row.name} {row.mean:.1f}" for row in rows)
    cells = []
    for name, s in systems.items():
        low, high = _percents(s["ents_f_interval"])
        is_first = name == baseline
        difference = ("", "") if is_first else (f"{100 * s['difference']:+.2f}", f"{s['p_value']:.4f}")
        cells.append((name, *(percent(s[f"ents_{key}"]) for key in "prf"), f"{low:.1f} to {high:.1f}", *difference))
    note = f"Ceiling: the annotations of the two sides agree to F1 {percent(systems[baseline]['ceiling_f'])}. "
    note += f"Intervals and p are of a bootstrap over documents with {result['bootstrap']['samples']:,} samples"
    note += f", paired with {baseline}, the hollow square." if len(systems) > 1 else "."
    table = Table(["config", "P", "R", "F1", "95%", "difference", "p"], cells, note=note)
    plot = Panels(title, [Panel("All labels", rows, lines)], "F1, with 95% intervals")
    return Part("f1", "F1", plots=[plot], whole=True, tables=[table])


def _labels(result: Mapping[str, Any]) -> Part:
    systems: Systems = result["systems"]
    order = [systems[result["baseline"]], *systems.values()]
    labels = list(dict.fromkeys(label for scores in order for label in scores["ents_per_type"] or {}))
    panels = []
    for label in labels:
        scored = {name: (s["ents_per_type"] or {}).get(label) for name, s in systems.items()}
        rows = [
            Row(short(name), 100 * one["f"], *_percents(one["f_interval"]), hollow=name == result["baseline"])
            for name, one in scored.items()
            if one is not None and "f_interval" in one
        ]
        if rows:
            panels.append(Panel(short(label), rows))
    shown = panels[:PLOTTED_LABELS]
    title = "F1 by label: " + ", ".join(panel.title for panel in shown)
    plots = [Panels(title, shown, "F1, with 95% intervals")] if shown else []
    return Part("labels", "By label", plots=plots, whole=True, tables=[_f_table(systems, "ents_per_type", labels)])


def _f_table(systems: Systems, key: str, names: Sequence[str], note: str = "") -> Table:
    rows = [
        (system, *(percent((scores[key] or {}).get(name, {}).get("f")) for name in names))
        for system, scores in systems.items()
    ]
    return Table(["config", *names], rows if names else [], note=note)


def _reliability(systems: Systems) -> Part:
    curves = {name: s["reliability"]["curve"] for name, s in systems.items() if s["reliability"]["curve"]}
    keys = ("precision", "precision_of_surest", "calibration_error")
    rows = [(name, *(percent(s["reliability"][key]) for key in keys)) for name, s in systems.items()]
    points = [
        Table([name, "precision", "spans"], [(f"{p['score']:.3f}", f"{p['precision']:.3f}", p["spans"]) for p in curve])
        for name, curve in curves.items()
    ]
    return Part(
        "reliability",
        "Whether scores mean something",
        plots=[Curve(name, curve) for name, curve in curves.items()],
        note=_CURVE_NOTE,
        tables=[Table(["config", "precision", "without the least sure tenth", "calibration error"], rows)],
        folded=points,
        folded_summary="The curves as tables: precision by score",
    )


def _lost(systems: Systems) -> Table:
    reasons = sorted({reason for scores in systems.values() for reason in scores["lost_reasons"]})
    rows = []
    for name, scores in systems.items():
        counts = [scores[key] for key in ("spans_in", "spans_projected", "spans_lost")]
        counts += [scores["lost_reasons"].get(reason, 0) for reason in reasons]
        rows.append((name, *(f"{count:,}" for count in counts)))
    return Table(["config", "in", "projected", "lost", *reasons], rows)


def _tasks(systems: Systems) -> list[Part]:
    """Links, answers and intents, where the gold has them."""
    columns = {
        "links F1": "links_f",
        "links with both ends": "links_ends_r",
        "answers exact": "answers_exact",
        "answers F1": "answers_f",
        "intents": "intent_accuracy",
        "intents and slots": "intents_and_slots",
    }
    there = {
        name: key for name, key in columns.items() if any(scores.get(key) is not None for scores in systems.values())
    }
    rows = [(name, *(percent(scores.get(key)) for key in there.values())) for name, scores in systems.items()]
    return [Part("tasks", "Links, answers and intents", tables=[Table(["config", *there], rows)])] if there else []


def _percents(interval: Sequence[float]) -> tuple[float, float]:
    return 100 * interval[0], 100 * interval[1]
