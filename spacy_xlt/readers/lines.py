"""Plain text line by line: documents, files that say the same, or one with `source ||| target` on each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from spacy.tokens import Doc

from ..errors import error
from ..languages import blank
from ..limits import MARKS, check_size, marks_in_a_row
from ..textfiles import text_lines
from .settings import ReadNotes, ReadSettings

# What fast_align puts between both sides
SEPARATOR = "|||"


def read_line_pairs(
    source: str | Path, target: str | Path | None = None, *, encoding: str = "utf8"
) -> Iterator[tuple[str, str]]:
    """Read sentence pairs one by one; compressed files are unpacked on the way.

    Args:
        source: File of source sentences, or where `target` is left out of `source ||| target` lines.
        target: File of target sentences.
        encoding: Of both.

    Yields:
        Both sides, without line ends. An empty line gives empty sides.

    Raises:
        XltError: E502 where a file is missing; E234 where they have not as many lines, with both counts; E350 for a
            line without one `|||`; E513, E106, E535 as `text_lines`.
    """
    if target is not None:
        for lines in read_parallel([Path(source), Path(target)], encoding=encoding):
            yield lines[0], lines[1]
        return
    (path,) = _existing([Path(source)])
    for number, line in text_lines(path, encoding, cr_ends=False):
        if not line.strip(" \t"):
            yield "", ""
            continue
        sides = line.split(SEPARATOR)
        if len(sides) != 2:
            raise error("E350", path=path, line=number, found=len(sides) - 1)
        yield sides[0].strip(" \t"), sides[1].strip(" \t")


def read_lines(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read a document from each line that is not blank; see `readers.read_file`. Nothing is annotated."""
    for _, line in text_lines(path, settings.encoding):
        if text := line.strip():
            check_size(path, "marks in a row", marks_in_a_row(text), MARKS)
            yield blank(settings.lang).tokenizer(text)


def read_parallel(paths: Sequence[Path], *, encoding: str = "utf8") -> Iterator[tuple[str, ...]]:
    """The lines of files that say the same line by line, one of each at a time.

    Raises:
        XltError: E502, E234, E513, E106 and E535, as `read_line_pairs`.
    """
    streams = [text_lines(path, encoding, cr_ends=False) for path in _existing(paths)]
    counts = [0] * len(paths)
    for rows in zip_longest(*streams):
        counts = [count if row is None else row[0] for count, row in zip(counts, rows, strict=True)]
        # Where one has ended, the others are only counted
        if None not in rows:
            yield tuple(row[1] for row in rows)
    if len(set(counts)) > 1:
        sizes = " and ".join(f"{path} has {count}" for path, count in zip(paths, counts, strict=True))
        raise error("E234", found=sizes)


def split_tokens(line: str) -> list[str]:
    """The tokens of a line: what spaces and tabs separate. No-break and ideographic spaces are part of a token."""
    return [token for token in line.replace("\t", " ").split(" ") if token]


def _existing(paths: Sequence[Path]) -> Sequence[Path]:
    for path in paths:
        if not path.is_file():
            raise error("E502", what="file", path=path)
    return paths
