"""Texts with a label each, in two columns: for text classification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import Doc

from ..errors import error
from ..languages import blank
from ..limits import MARKS, check_size, marks_in_a_row
from ..textfiles import text_lines
from .settings import ReadNotes, ReadSettings

# What a first line is called that names its columns
_HEADERS = frozenset({("text", "label"), ("label", "text"), ("sentence", "label"), ("text", "category")})


def read_texts(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read lines `text<TAB>label`, a document each with the label as its category.

    A label with commas or bars between is several ("sports|politics"). A first line that names the columns may have
    them in the other order. Entities are missing.

    Raises:
        XltError: E503 for a file without a text; E574 for a line that has no two columns, or an empty one.
    """
    n_docs, order = 0, (0, 1)
    for number, line in text_lines(path, settings.encoding):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 2 or not all(cells):
            reason = f"{line[:60]!r} has {sum(map(bool, cells))} columns with text, not two"
            raise error("E574", format="texts", path=path, line=number, reason=reason)
        if not n_docs and tuple(cell.lower() for cell in cells) in _HEADERS:
            order = (1, 0) if cells[0].lower() == "label" else (0, 1)
            continue
        n_docs += 1
        text, label = (cells[place] for place in order)
        check_size(path, "marks in a row", marks_in_a_row(text), MARKS)
        doc = blank(settings.lang).tokenizer(text)
        doc.cats = {one.strip(): 1.0 for one in label.replace(",", "|").split("|") if one.strip()}
        yield doc
    if not n_docs:
        raise error("E503", path=path)
