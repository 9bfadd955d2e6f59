"""Plots as data; `templates/svg.html.j2` draws them, readable on light and dark pages and without colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log1p, log10

_LONGEST_NAME = 28


def short(name: str) -> str:
    """A name that fits on a plot, in one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most`."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    return [n * step for n in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Histogram:
    """Bars side by side, without room between.

    Attributes:
        unit: What the bins are of.
        ticks: What to write below the bars, by place: 0 is the start of the first bin.
        log: Whether the heights are logarithmic, so that small bars beside a very large one can be seen.
    """

    title: str
    counts: Sequence[int]
    unit: str
    y_unit: str
    ticks: Mapping[float, str]
    log: bool = False
    kind: str = "histogram"

    def height(self, count: float) -> float:
        """Height of a bar, from 0 to 1."""
        most = max(1, *self.counts)
        return log1p(count) / log1p(most) if self.log else count / most

    @property
    def levels(self) -> list[int]:
        """Counts to draw lines at."""
        most = max(1, *self.counts)
        if self.log:
            return [10**n for n in range(len(str(most)))]
        return sorted({round(level) for level in nice_ticks(0, most, 4)})


@dataclass(frozen=True)
class Curve:
    """Precision by score, beside the line on which a score is the share of right spans.

    Attributes:
        points: "score" and "precision" of each point, from 0 to 1.
    """

    title: str
    points: Sequence[Mapping[str, float]]
    kind: str = "curve"


@dataclass(frozen=True)
class Row:
    """One figure of a panel.

    Attributes:
        points: Single values that the mean is of, drawn as small rings.
        note: Text beside the mark; the mean with one decimal where left out.
        hollow: Whether to draw a square that is not filled, to set it apart from the others.
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

    Attributes:
        lines: Vertical lines to compare with: name → value.
        unit: What is below its axis; that of all panels where left out.
    """

    title: str
    rows: Sequence[Row]
    lines: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the axis, with room on the right for the text beside the marks."""
        values = [v for row in self.rows for v in (row.low, row.high, row.mean, *row.points)] + [*self.lines.values()]
        low, high = min(values), max(values)
        span = max(high - low, abs(high) * 0.02, 1e-6)
        return low - 0.05 * span, high + 0.05 * span

    def place(self, value: float) -> float:
        """Where a value is on the axis, from 0 to 1."""
        low, high = self.limits
        return (value - low) / (high - low)

    @property
    def ticks(self) -> list[float]:
        """Values to draw lines at."""
        return nice_ticks(*self.limits)


@dataclass(frozen=True)
class Panels:
    """Panels one above the other: a forest plot."""

    title: str
    panels: Sequence[Panel]
    unit: str
    kind: str = "panels"
