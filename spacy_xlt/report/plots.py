"""Figures with error bars as static SVG, readable on light and dark pages and without colours. Drawn by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..errors import error

# Colours on a light page, and what takes their place on a dark one. The one of the marks is legible on both.
INK, PAPER, MARK = "#1b1f24", "#ffffff", "#2f7bbd"
_DARK = {INK: "#e8eaed", PAPER: "#16181c", MARK: "#62a8e5"}
_WIDTH_INCHES = 8.0
_SHAPE = re.compile(r'(<path id="[^"]+" d="[^"]*") style="[^"]*"')


@dataclass(frozen=True)
class Row:
    """One figure of a panel.

    mean, low, high (float): The figure and the ends of its error bar.
    points (Sequence[float]): Single values that the mean is of, drawn as small rings.
    note (str): Text beside the mark; the mean with one decimal where left out.
    hollow (bool): Whether to draw a square that is not filled, to set it apart from the others.
    """

    name: str
    mean: float
    low: float
    high: float
    points: Sequence[float] = ()
    note: str = ""
    hollow: bool = False


@dataclass(frozen=True)
class Panel:
    """Figures that are on one axis.

    lines (Mapping[str, float]): Vertical lines to compare with, and what to call them.
    """

    title: str
    rows: Sequence[Row]
    lines: Mapping[str, float] = field(default_factory=dict)


def plot_panels(panels: Sequence[Panel], *, unit: str, title: str) -> str:
    """Draw panels one above the other.

    unit (str): What the axes measure, such as "F1".
    title (str): What the picture shows, for those who do not see it.
    RETURNS (str): An SVG element that stands in a page or, with `svg_file`, in a file.
    RAISES (XltError): E670 where matplotlib is not installed.
    """
    heights = [0.34 * len(panel.rows) + 0.95 for panel in panels]

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for panel, axis in zip(panels, axes, strict=True):
            _draw(axis, panel, unit)

    return picture(draw, width=_WIDTH_INCHES, height=sum(heights), title=title)


def picture(draw: Callable[[Any], None], *, width: float, height: float, title: str) -> str:
    """A matplotlib figure as an SVG element in the colours INK, PAPER and MARK, which a dark page exchanges.

    draw (Callable[[Figure], None]): Draws on the empty figure.
    width, height (float): In inches, of 96 pixels each.
    title (str): What the picture shows, for those who do not see it.
    RAISES (XltError): E670 where matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as err:
        raise error("E670") from err
    style: Any = {
        "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
        "svg.hashsalt": "spacy_xlt",  # the same figures give the same file
        "font.family": "sans-serif",
        "font.size": 10,
        "text.parse_math": False,  # a name with two dollar signs is no formula
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), INK),
    }
    with rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _element(buffer.getvalue(), title)


def bare(axis: Any) -> None:
    """An axis as all plots have it: no frame, faint lines behind the marks."""
    axis.set_facecolor(PAPER)
    axis.tick_params(length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.set_axisbelow(True)


def svg_file(element: str) -> str:
    """The element as the text of a file."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{element}\n'


def _draw(axis: Any, panel: Panel, unit: str) -> None:
    bare(axis)
    axis.set_title(panel.title, loc="left", fontweight="bold", pad=18 if panel.lines else 8)
    axis.set_yticks(range(len(panel.rows)), [row.name for row in panel.rows])
    axis.set_ylim(len(panel.rows) - 0.4, -0.6)
    axis.set_xlabel(unit)
    axis.grid(axis="x", color=INK, alpha=0.15, linewidth=0.8)
    low, high = _limits(panel)
    axis.set_xlim(low, high)
    for n, (name, value) in enumerate(panel.lines.items()):
        axis.axvline(value, color=INK, alpha=0.6, linewidth=1, linestyle=("--", ":")[n % 2])
        side = "right" if value > (low + high) / 2 else "left"
        axis.annotate(
            name, (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha=side, va="bottom", fontsize=9,
        )  # fmt: skip
    for n, row in enumerate(panel.rows):
        axis.plot([row.low, row.high], [n, n], color=MARK, linewidth=2, solid_capstyle="butt")
        for end in (row.low, row.high):
            axis.plot([end, end], [n - 0.12, n + 0.12], color=MARK, linewidth=2)
        axis.plot(row.points, [n + 0.24] * len(row.points), "o", markersize=3.5, mec=INK, mfc=PAPER, mew=0.8)
        shape = {"marker": "s", "mfc": PAPER} if row.hollow else {"marker": "o", "mfc": MARK}
        axis.plot([row.mean], [n], mec=MARK, mew=1.8, markersize=8, **shape)
        axis.annotate(
            row.note or f"{row.mean:.1f}", (max(row.high, row.mean, *row.points), n), xytext=(7, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip


def _limits(panel: Panel) -> tuple[float, float]:
    """Ends of the axis, with room on the right for the text beside the marks."""
    values = [v for row in panel.rows for v in (row.low, row.high, row.mean, *row.points)] + [*panel.lines.values()]
    low, high = min(values), max(values)
    span = max(high - low, 1e-6 if high == low == 0 else abs(high) * 0.02, 1e-6)
    return low - 0.05 * span, high + 0.22 * span


def _element(text: str, title: str) -> str:
    """The svg element alone, with a title and colours for dark pages."""
    svg = text[text.index("<svg") :].rstrip()
    # A mark's shape has its colours from where it is used: a rule for the whole picture does not reach into shapes
    svg = _SHAPE.sub(r"\1", svg)
    end = svg.index(">")
    dark = "".join(
        f'.xlt-plot [style*="{kind}: {light}"]{{{kind}:{color} !important}}'
        for light, color in _DARK.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>.xlt-plot{{max-width:100%;height:auto}}@media (prefers-color-scheme:dark){{{dark}}}</style>"
    head = svg[:end] + ' class="xlt-plot" role="img"'
    return f"{head}><title>{escape(title)}</title>{style}{svg[end + 1 :]}"
