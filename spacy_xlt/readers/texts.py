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

    A label with commas or bars between is several ("sports|politics"). The other labels of the file are categories with
    the score 0.0, by which a classifier for several labels learns that the document does not have them. A first line
    that names the columns may have them in the other order. Entities are missing.

    Raises:
        XltError: E503 for a file without a text; E574 for a line that has no two columns, or an empty one.
    """
    known = dict.fromkeys((label for _, labels in _rows(path, settings) for label in labels), 0.0)
    if not known:
        raise error("E503", path=path)
    for text, labels in _rows(path, settings):
        check_size(path, "marks in a row", marks_in_a_row(text), MARKS)
        doc = blank(settings.lang).tokenizer(text)
        doc.cats = known | dict.fromkeys(labels, 1.0)
        yield doc


def _rows(path: Path, settings: ReadSettings) -> Iterator[tuple[str, list[str]]]:
    """Each text with its labels."""
    is_first, order = True, (0, 1)
    for number, line in text_lines(path, settings.encoding):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 2 or not all(cells):
            reason = f"{line[:60]!r} has {sum(map(bool, cells))} columns with text, not two"
            raise error("E574", format="texts", path=path, line=number, reason=reason)
        if is_first and tuple(cell.lower() for cell in cells) in _HEADERS:
            order = (1, 0) if cells[0].lower() == "label" else (0, 1)
        else:
            text, label = (cells[place] for place in order)
            yield text, [one.strip() for one in label.replace(",", "|").split("|") if one.strip()]
        is_first = False
