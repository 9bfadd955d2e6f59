"""The plots of a report, small enough for a narrow screen: histograms, bars and the reliability curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .plots import INK, MARK, PAPER, bare, picture

# Inches; in a page 400 pixels
WIDTH, HEIGHT = 4.2, 2.3
_LONGEST_NAME = 28


def histogram(
    counts: Sequence[int], *, title: str, unit: str, ticks: Mapping[float, str], y_unit: str, log: bool = False
) -> str:
    """Bars side by side, without room between.

    counts (Sequence[int]): One for each bin.
    unit, y_unit (str): What the axes measure.
    log (bool): Whether the heights are logarithmic, so that small bars beside a very large one can be seen.
    ticks (Mapping[float, str]): What to write below the bars, by place: 0 is the start of the first bin.
    RETURNS (str): An SVG element.
    """

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        bare(axis)
        axis.bar(range(len(counts)), counts, width=1, align="edge", color=MARK, edgecolor=PAPER, linewidth=0.8)
        axis.set_xlim(0, len(counts))
        if log:
            axis.set_yscale("symlog", linthresh=1)
            # Its own labels are formulas, and "$" is not read as one here
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        else:
            axis.locator_params(axis="y", nbins=4, integer=True)
        axis.set_ylim(0, max(1, *counts) * (2 if log else 1.05))
        axis.set_xticks(list(ticks), list(ticks.values()))
        axis.grid(axis="y", color=INK, alpha=0.15, linewidth=0.8)
        axis.set_title(short(title), loc="left", fontweight="bold")
        axis.set_xlabel(unit)
        axis.set_ylabel(y_unit)

    return picture(draw, width=WIDTH, height=HEIGHT, title=title)


def bars(rows: Sequence[tuple[str, float, str]], *, title: str, unit: str) -> str:
    """One bar a row.

    rows (Sequence[tuple[str, float, str]]): Name, value, and the text at the end of the bar.
    """

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        bare(axis)
        axis.barh(range(len(rows)), [value for _, value, _ in rows], color=MARK, height=0.6)
        axis.set_yticks(range(len(rows)), [short(name) for name, _, _ in rows])
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.set_xlim(0, max(1e-9, *(value for _, value, _ in rows)) * 1.6)
        for n, (_, value, text) in enumerate(rows):
            axis.annotate(text, (value, n), xytext=(5, 0), textcoords="offset points", va="center")
        axis.locator_params(axis="x", nbins=4)
        axis.set_title(short(title), loc="left", fontweight="bold")
        axis.set_xlabel(unit)

    return picture(draw, width=WIDTH, height=0.3 * len(rows) + 0.9, title=title)


def reliability_chart(curve: Sequence[Mapping[str, float]], *, title: str) -> str:
    """Precision by score, beside the line on which a score is the share of right spans.

    curve (Sequence[Mapping[str, float]]): "score", "precision" and "spans" of each point, as `reliability` gives them.
    """

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        bare(axis)
        axis.plot([0, 1], [0, 1], color=INK, alpha=0.6, linewidth=1, linestyle="--")
        axis.plot(
            [point["score"] for point in curve], [point["precision"] for point in curve],
            color=MARK, linewidth=2, marker="o", markersize=6, mec=MARK, mfc=PAPER, mew=1.8, clip_on=False,
        )  # fmt: skip
        axis.set_xlim(0, 1.02)
        axis.set_ylim(0, 1.02)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axis.grid(color=INK, alpha=0.15, linewidth=0.8)
        axis.set_title(short(title), loc="left", fontweight="bold")
        axis.set_xlabel("score")
        axis.set_ylabel("share right")

    return picture(draw, width=WIDTH, height=2.8, title=title)


def short(name: str) -> str:
    """A name that fits on a plot, in one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
