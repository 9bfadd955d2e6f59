"""Pages made of parts with plots, tables and lines, as the projection and comparison reports are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .page import render_page
from .table import Table


@dataclass
class Part:
    """A part of a page.

    Attributes:
        name: Its name in the address.
        plots: Plots of `report.plots`.
        whole: Whether the plots are wide, and scroll in their frame on a narrow screen.
        folded: Tables to open with a click.
        folded_summary: What is written on what is clicked.
        code: Whether the texts of the lines are code.
    """

    name: str
    heading: str
    plots: Sequence[Any] = ()
    whole: bool = False
    note: str = ""
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()
    folded_summary: str = ""
    lines: Sequence[tuple[str, str]] = ()
    code: bool = False

    @property
    def has_content(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.plots or self.lines or any(table.rows for table in self.tables))


def page_of_parts(parts: Sequence[Part], *, title: str, intro: str = "") -> str:
    """A page as text. Parts without content are left out."""
    shown = [part for part in parts if part.has_content]
    sections = {part.name: part.heading for part in shown}
    return render_page("report.html.j2", title=title, intro=intro, parts=shown, sections=sections)
