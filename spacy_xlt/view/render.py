"""`spacy_xlt.render`: bitexts as a page, or shown in a notebook, as `displacy.render` behaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from spacy.tokens import Doc

from ..bitext import Bitext
from ..errors import error
from .data import payload
from .page import page_of
from .reading import Readable


def render(
    bitexts: Bitext | Doc | Iterable[Bitext | Doc],
    *,
    page: bool = True,
    jupyter: bool | None = None,
    title: str = "spacy_xlt",
    colors: Mapping[str, str] | None = None,
    height: int = 600,
    review: bool = False,
) -> str | None:
    """Show bitexts side by side: shown right away in a Jupyter notebook, returned as HTML anywhere else.

    Args:
        bitexts: What to show; of a Doc all the bitexts stored on it.
        page: Return a whole page. If False, a frame with that page in it, to place into a page of your own.
        jupyter: Whether this is a notebook; found out where left out.
        title: The page's title.
        colors: Colours by label (`#7aecec`) that go before displaCy's.
        height: Of the frame, in pixels.
        review: Spans can be corrected, and the corrections saved as JSON lines for `spacy xlt build --corrections`.

    Returns:
        HTML; None where it was displayed.

    Raises:
        XltError: E510 for a height, E561 for a colour that is none, E562 where there is no bitext to show.
    """
    if not isinstance(height, int) or isinstance(height, bool) or height < 1:
        raise error("E510", setting="height", value=height, expected="a number of pixels, such as 600")
    html = page_of(payload(enumerate(_bitexts(bitexts)), title=title, review=review), colors=colors)
    from spacy.util import is_in_jupyter

    if jupyter or (jupyter is None and is_in_jupyter()):
        from IPython.display import HTML, display

        display(HTML(_frame(html, title=title, height=height)))
        return None
    return html if page else _frame(html, title=title, height=height)


def _bitexts(given: Bitext | Doc | Iterable[Bitext | Doc]) -> Iterator[Bitext]:
    items = [given] if isinstance(given, Bitext | Doc) else given
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise error("E562", value=repr(given))
    found = False
    for item in items:
        if isinstance(item, Bitext):
            found = True
            yield item
        elif isinstance(item, Doc):
            readable = Readable()
            for _, bitext in readable.read([item]):
                found = True
                yield bitext
            if readable.n_failed:
                raise error("E560", n=readable.n_failed, path="the document", reason=readable.reason)
        else:
            raise error("E562", value=repr(item))
    if not found:
        raise error("E562", value="these documents")


def _frame(html: str, *, title: str, height: int) -> str:
    """The page in a frame of its own, in which its script cannot reach the page around it."""
    # Something around the frame: IPython takes a lone one for a slip
    return (
        f'<div><iframe title="{escape(title)}" sandbox="allow-scripts allow-downloads" '
        f'style="width:100%;height:{height}px;border:1px solid #8888" srcdoc="{escape(html)}"></iframe></div>'
    )
