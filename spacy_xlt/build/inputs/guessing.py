"""The format of a file whose name does not tell it, from its first lines."""

from __future__ import annotations

import codecs
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from ...compression import opened, reason_of
from ...errors import error
from ..doccano import is_annotated
from .old_conll import TAG
from .settings import JSONL, SPACY, InputSettings

_HEAD = 1 << 16
_N_ROWS = 200
_MAPS = range(0x80, 0x90)


def guess_format(path: Path, settings: InputSettings) -> str:
    """The format, "" where it is none that is known.

    RAISES (XltError): E535 where the file cannot be read.
    """
    try:
        with opened(path) as file:
            head = file.read(_HEAD)
    except OSError as err:
        raise error("E535", path=path, reason=reason_of(err)) from err
    if _is_spacy(head):
        return SPACY
    text = codecs.getincrementaldecoder(settings.encoding)("replace").decode(head).removeprefix("\ufeff")
    lines = text.split("\n")
    if len(head) == _HEAD:
        # The last one may have been cut
        lines.pop()
    lines = [line.rstrip("\r") for line in lines if line.strip()][:_N_ROWS]
    if lines and lines[0].lstrip().startswith("{"):
        return JSONL if _is_annotation(lines[0]) else ""
    return _columns(lines, settings)


def _is_spacy(head: bytes) -> bool:
    try:
        inside = zlib.decompressobj().decompress(head, 64)
    except zlib.error:
        return False
    return bool(inside) and inside[0] in _MAPS and (b"version" in inside or b"attrs" in inside)


def _is_annotation(line: str) -> bool:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(data, dict):
        return False
    return is_annotated(data) or (isinstance(data.get("text"), str) and ("spans" in data or "tokens" in data))


def _columns(lines: Sequence[str], settings: InputSettings) -> str:
    """ "iob2" for numbered tokens, "conll" for tags in the last column and "tsv" for tags in the second one."""
    rows = [
        line.split("\t") if "\t" in line else line.split()
        for line in lines
        if not line.startswith("-DOCSTART-") and not (line.startswith("#") and "\t" not in line)
    ]
    if not rows:
        return ""
    numbered = all(row[0][:1].isdigit() and row[0].replace("-", "").replace(".", "").isdigit() for row in rows)
    if settings.tag_col is not None:
        column = settings.tag_col - (settings.tag_col > 0)
        return ("iob2" if numbered else "conll") if _tagged(rows, column) else ""
    if numbered and _tagged([row for row in rows if row[0].isdigit()], 2):
        return "iob2"
    return "conll" if _tagged(rows, -1) else "tsv" if _tagged(rows, 1) else ""


def _tagged(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether each row has a tag there, and a token elsewhere; and some of them more than a dash."""
    if not all(len(row) > max(1, column) and TAG.fullmatch(row[column]) for row in rows):
        return False
    return any(row[column] != "-" for row in rows)
