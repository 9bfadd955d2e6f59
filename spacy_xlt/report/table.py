"""Tables of reports: the same rows for a page, for Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import wasabi

from ..printing import markdown, plain


class Table:
    """A table.

    Args:
        rows: Cells of each row; they are shown as text.
        text: Columns that hold words and not figures.
    """

    def __init__(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        title: str = "",
        note: str = "",
        text: Iterable[int] = (0,),
    ):
        self.head = [plain(name) for name in head]
        self.rows = [[plain(str(cell)) for cell in row] for row in rows]
        self.title = title
        self.note = note
        self.text = frozenset(text) | {0}

    def markdown(self) -> str:
        """The table in GitHub's Markdown, without title and note."""
        rule = [":--" if n in self.text else "--:" for n in range(len(self.head))]
        escaped = [[markdown(cell).replace("|", "\\|") for cell in row] for row in (self.head, *self.rows)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (escaped[0], rule, *escaped[1:]))

    def terminal(self) -> str:
        """The table as text for the terminal, with title and note."""
        aligns: Any = ["l" if n in self.text else "r" for n in range(len(self.head))]
        body = wasabi.table(self.rows, header=self.head, aligns=aligns, divider=True, max_col=60)
        return "\n".join(part for part in (self.title, body.rstrip(), self.note) if part)


def share(part: float, whole: float) -> str:
    """A percentage; "-" of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def percent(value: float | None) -> str:
    """A fraction as a percentage without its sign; "-" for None."""
    return "-" if value is None else f"{100 * value:.1f}"
