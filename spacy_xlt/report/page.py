"""Pages of reports that need nothing from elsewhere: one base template, one style sheet, one palette."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from ..view.colors import label_colors
from ..view.page import digest, variables
from .plots import short
from .table import percent, share


def render_page(template: str, *, title: str, labels: Iterable[str] = (), **context: Any) -> str:
    """A page as text. Only its own script runs, and nothing is loaded: the policy in its head allows no more.

    Args:
        template: File name of a template that extends `base.html.j2`.
        title: Plain text.
        labels: Those that get the colours `.label-0`, `.label-1` and so on.
        **context: What the template names. Text is escaped.
    """
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
    colors = variables(list(label_colors(labels).values()))
    style = "\n".join([colors, read_static("report.css"), read_static("plots.css")])
    page = environment.get_template(template).render(
        title=title, style=style, script=read_static("report.js"), **context
    )
    # half of a surrogate pair has no place in UTF-8
    return page.encode("utf8", "replace").decode("utf8")


def render_plot(plot: Any) -> str:
    """A plot as the text of an SVG file, with the colours of light and dark pages in it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("spacy_xlt.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters["short"] = short
    macros: Any = environment.get_template("svg.html.j2").module
    style = f"{variables([])}\n{read_static('plots.css')}\n.xlt-plot {{ background: var(--page); }}"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{macros.panels(plot, style)}\n'


def read_static(name: str) -> str:
    """A file of the folder `static`."""
    return (files(__package__) / "static" / name).read_text(encoding="utf8")
