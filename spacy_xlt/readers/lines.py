"""Plain text line by line: documents, files that say the same, or one with `source ||| target` on each line."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..errors import error
from ..languages import blank
from ..limits import MARKS, check_size, marks_in_a_row
from ..textfiles import text_lines
from .settings import ReadNotes, ReadSettings

# What fast_align puts between both sides
SEPARATOR = "|||"
# Characters that both lines are taken to be longer, so that short ones may differ more
_SLACK = 15
# Standard errors by which the lengths of lines fit worse behind a place than before it, where it is told
_STANDS_OUT = 8


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
    # Characters of the first two
    lengths = array("L"), array("L")
    for rows in zip_longest(*streams):
        counts = [count if row is None else row[0] for count, row in zip(counts, rows, strict=True)]
        # Where one has ended, the others are only counted
        if None not in rows:
            for of_file, row in zip(lengths, rows, strict=False):
                of_file.append(len(row[1]))
            yield tuple(row[1] for row in rows)
    if len(set(counts)) > 1:
        sizes = " and ".join(f"{path} has {count}" for path, count in zip(paths, counts, strict=True))
        line = first_misfit(*map(np.asarray, lengths))
        raise error("E234", found=sizes, place=f"; they stop fitting each other near line {line}" if line else "")


def first_misfit(first: NDArray[np.integer], second: NDArray[np.integer]) -> int | None:
    """From about which line on two texts are no longer each other's translation, by their lengths alone.

    It is the split after which the lengths differ more from their usual ratio than before it, by the most standard
    errors (Page 1954, a single change of the mean).

    Args:
        first: The characters of each line, (n,).
        second: The same, (n,).

    Returns:
        The number of the line, from 1; None where no split stands out, as where the last lines alone are missing.
    """
    n = len(first)
    if n < 2:
        return None
    ratio = np.log((first + _SLACK) / (second + _SLACK))
    misfit = np.abs(ratio - np.median(ratio))
    before = np.arange(1, n)
    sums = np.cumsum(misfit)
    rise = (sums[-1] - sums[:-1]) / (n - before) - sums[:-1] / before
    errors = misfit.std() * np.sqrt(1 / before + 1 / (n - before))
    standing_out = np.divide(rise, errors, out=np.zeros(n - 1), where=errors > 0)
    split = int(standing_out.argmax())
    return split + 2 if standing_out[split] > _STANDS_OUT else None


def split_tokens(line: str) -> list[str]:
    """The tokens of a line: what spaces and tabs separate. No-break and ideographic spaces are part of a token."""
    return [token for token in line.replace("\t", " ").split(" ") if token]


def _existing(paths: Sequence[Path]) -> Sequence[Path]:
    for path in paths:
        if not path.is_file():
            raise error("E502", what="file", path=path)
    return paths
