"""A report as one page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from ..errors import XltError, warn
from ..view.colors import label_colors
from ..view.page import digest, variables


class Plots:
    """Plots of a report, or nothing where matplotlib is not installed, which is said once."""

    def __init__(self) -> None:
        self.missing = False

    def __call__(self, draw: Callable[..., str], *args: Any, whole: bool = False, **settings: Any) -> str:
        """The plot that a function draws, in a `<figure>`; "" where there are none.

        whole (bool): Whether the plot is wide, and scrolls in its frame on a narrow screen.
        """
        if self.missing:
            return ""
        try:
            svg = draw(*args, **settings)
        except XltError as err:
            if err.code != "E670":
                raise
            self.missing = True
            warn("W580", reason=err.message)
            return ""
        return f'<figure class="whole" tabindex="0">{svg}</figure>' if whole else f"<figure>{svg}</figure>"


def page(title: str, intro: str, sections: Sequence[tuple[str, str, str]], *, labels: Iterable[str] = ()) -> str:
    """The page as text. Only its own script runs, and nothing is loaded.

    title (str): Plain text.
    intro (str): HTML below the title.
    sections (Sequence[tuple[str, str, str]]): For each its name in the address, its heading, and its HTML. Sections
        without content are left out.
    labels (Iterable[str]): Those that get the colours `.label-0`, `.label-1` and so on.
    """
    script, style = _static("report.js"), _static("report.css")
    style = f"{variables(list(label_colors(labels).values()))}\n{style}"
    # Plots are styled where they stand, which no checksum covers. A style can do no harm where nothing can be loaded.
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )
    kept = [section for section in sections if section[2]]
    links = "".join(f'<li><a href="#{name}">{escape(heading)}</a></li>' for name, heading, _ in kept)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-heading"><h2 id="{name}-heading">{escape(heading)}</h2>{content}'
        "</section>\n"
        for name, heading, content in kept
    )
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>{escape(title)}</title>\n<style>{style}</style>\n'
        f'</head>\n<body>\n<header><h1>{escape(title)}</h1>{intro}</header>\n<nav aria-label="Parts of the report">'
        f"<ul>{links}</ul></nav>\n<main>\n{body}</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )
    # half of a surrogate pair has no place in UTF-8
    return text.encode("utf8", "replace").decode("utf8")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, text: frozenset[int] = frozenset()) -> str:
    """A table with headings of columns and rows, in a frame that scrolls.

    text (frozenset[int]): Columns besides the first that hold words, not figures.
    """

    def kind(n: int) -> str:
        return ' class="text"' if n in text else ""

    first = "".join(f'<th scope="col"{kind(n)}>{escape(cell)}</th>' for n, cell in enumerate(head))
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td{kind(n)}>{escape(str(cell))}</td>" for n, cell in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table></div>'
        if body
        else ""
    )


def totals(values: Iterable[tuple[str, Any]]) -> str:
    """Single figures in large print."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in values)
    return f'<dl class="totals">{items}</dl>'


def folded(summary: str, content: str, *, kind: str = "", opened: bool = False) -> str:
    """Content to open with a click.

    summary, content (str): HTML.
    """
    attributes = (f' class="{kind}"' if kind else "") + (" open" if opened else "")
    return f"<details{attributes}><summary>{summary}</summary>{content}</details>" if content else ""


def share(part: float, whole: float) -> str:
    """As a percentage; "-" of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def _static(name: str) -> str:
    return (files(__package__) / "static" / name).read_text(encoding="utf8")
