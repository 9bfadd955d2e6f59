"""Reading line-parallel files and tab-separated memories, plain or compressed, with the line where one is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from ...compression import opened, plain_name, reason_of
from ...errors import error
from .tmx import read_tmx

# How files begin whose lines cannot be told by the byte 10
_WIDE_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
_UTF8_MARK = b"\xef\xbb\xbf"

Unit = list[tuple[str, str]]


def read_memory(path: Path, *, languages: Sequence[str], encoding: str) -> Iterator[Unit]:
    """The units of a memory: a TMX file, or else lines with a text in each column.

    languages (Sequence[str]): What the columns of a tab-separated file hold, in order; a TMX file says itself.
    RAISES (XltError): E231 where `languages` is needed and missing, E232, E233, E236 for a file that is broken.
    """
    if plain_name(path.name).lower().endswith(".tmx"):
        with _opened(path) as file:
            yield from read_tmx(file, path)
        return
    if not languages:
        expected = f"a language for each column of {path.name}, such as [en, pt]"
        raise error("E231", setting="languages", value=None, expected=expected)
    n_columns = 0
    for line, text in numbered_lines(path, encoding):
        if not text.strip():
            continue
        fields = text.split("\t")
        n_columns = n_columns or len(fields)
        if len(fields) < len(languages) or len(fields) != n_columns:
            expected = f"{n_columns} as above" if n_columns >= len(languages) else f"at least {len(languages)}"
            raise error("E233", path=path, line=line, reason=f"{len(fields)} columns; expected {expected}")
        yield list(zip(languages, fields, strict=False))


def read_parallel(paths: Sequence[Path], *, languages: Sequence[str], encoding: str) -> Iterator[Unit]:
    """The lines of files that say the same thing line by line.

    RAISES (XltError): E232, E236 for a file that is broken, E234 where one has more lines than the other.
    """
    streams = [numbered_lines(path, encoding) for path in paths]
    counts = [0] * len(paths)
    for rows in zip_longest(*streams):
        for side, row in enumerate(rows):
            counts[side] = row[0] if row is not None else counts[side]
        # Where one has ended, the others are only counted
        if None not in rows:
            yield [(language, row[1]) for language, row in zip(languages, rows, strict=True)]
    if len(set(counts)) > 1:
        found = " and ".join(f"{path} has {count}" for path, count in zip(paths, counts, strict=True))
        raise error("E234", found=found)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where it is compressed.

    RAISES (XltError): E232 for what goes wrong while it is open.
    """
    try:
        with opened(path) as file:
            yield file
    except OSError as err:
        raise error("E232", path=path, reason=reason_of(err)) from err


def numbered_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without the line end. Only a line feed ends a line: a text may hold the
    separators that Unicode has besides.

    RAISES (XltError): E232 for a file that cannot be read, E236 for a line that is not in the encoding.
    """
    with _opened(path) as file:
        for number, raw in enumerate(file, start=1):
            if number == 1:
                wide = next((name for mark, name in _WIDE_MARKS.items() if raw.startswith(mark)), None)
                if wide is not None:
                    raise error("E232", path=path, reason=f"it is {wide}; save it as UTF-8")
                raw = raw.removeprefix(_UTF8_MARK)
            try:
                yield number, raw.decode(encoding).rstrip("\r\n")
            except UnicodeDecodeError as err:
                raise error("E236", path=path, line=number, encoding=encoding, position=err.start + 1) from err
