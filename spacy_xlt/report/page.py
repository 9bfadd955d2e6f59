"""Pages of reports that need nothing from elsewhere: one base template, one style sheet, one palette."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..view.colors import label_colors
from ..view.page import digest, variables
from .plots import short
from .table import Table, percent, share


def render_page(template: str, *, title: str, labels: Iterable[str] = (), **context: Any) -> str:
    """A page as text. Only its own script runs, and nothing is loaded: the policy in its head allows no more.

    Args:
        template: File name of a template that extends `base.html.j2`.
        title: Plain text.
        labels: Those that get the colours `.label-0`, `.label-1` and so on.
        **context: What the template names. Text is escaped.
    """
    colors = variables(list(label_colors(labels, distinct=True).values()))
    style = "\n".join([colors, read_static("report.css"), read_static("plots.css")])
    page = (
        _environment()
        .get_template(template)
        .render(title=title, style=style, script=read_static("report.js"), **context)
    )
    # half of a surrogate pair has no place in UTF-8
    return page.encode("utf8", "replace").decode("utf8")


def render_plot(plot: Any) -> str:
    """A plot as the text of an SVG file, with the colours of light and dark pages in it."""
    macros: Any = _environment().get_template("svg.html.j2").module
    style = f"{variables([])}\n{read_static('plots.css')}\n.xlt-plot {{ background: var(--page); }}"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{macros.panels(plot, style)}\n'


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Surrounding space of blocks stays out of the page: words of a sentence stand in lines of the template
    environment = Environment(
        loader=PackageLoader("spacy_xlt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(short=short, share=share, percent=percent)
    environment.globals["digest"] = digest
    return environment


def read_static(name: str) -> str:
    """A file of the folder `static`."""
    return (files(__package__) / "static" / name).read_text(encoding="utf8")


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
