"""Reading line-parallel plain text: two files with a sentence a line, or one with `source ||| target` on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import error
from ..translation.parallel.reading import numbered_lines, read_parallel

# What fast_align puts between both sides
SEPARATOR = "|||"


def read_line_pairs(
    source: str | Path, target: str | Path | None = None, *, encoding: str = "utf8"
) -> Iterator[tuple[str, str]]:
    """Read sentence pairs one by one; gzipped files are unpacked on the way.

    source (str | Path): File of source sentences, or where `target` is left out of `source ||| target` lines.
    target (str | Path | None): File of target sentences.
    YIELDS (tuple[str, str]): Both sides, without line ends. An empty line gives empty sides.
    RAISES (XltError): E502 where a file is missing, E232 where one cannot be read, E234 with both counts where they
        have not as many lines; E236 for what is not in the encoding and E350 for a line without one `|||`, both with
        the number of the line.
    """
    paths = [Path(path) for path in (source, target) if path is not None]
    for path in paths:
        if not path.is_file():
            raise error("E502", what="file", path=path)
    if target is None:
        yield from _read_joined(paths[0], encoding)
        return
    for (_, first), (_, second) in read_parallel(paths, languages=("source", "target"), encoding=encoding):
        yield first, second


def split_tokens(line: str) -> list[str]:
    """The tokens of a line: what spaces and tabs separate. No-break and ideographic spaces are part of a token."""
    return [token for token in line.replace("\t", " ").split(" ") if token]


def _read_joined(path: Path, encoding: str) -> Iterator[tuple[str, str]]:
    for number, line in numbered_lines(path, encoding):
        if not line.strip():
            yield "", ""
            continue
        sides = line.split(SEPARATOR)
        if len(sides) != 2:
            raise error("E350", path=path, line=number, found=len(sides) - 1)
        yield sides[0].strip(" \t"), sides[1].strip(" \t")
