"""Files of text, compressed or not, in any encoding: one way to read them, and one set of errors."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from .errors import error, missing_package

# The byte order mark, as text
MARK = "\ufeff"
_PIECE = 1 << 16
_WIDE_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_ZSTD = ".zst"
SUFFIXES = (*_OPENERS, _ZSTD)


def plain_name(name: str) -> str:
    """A file's name without what says that it is compressed: "a.jsonl.gz" → "a.jsonl"."""
    return next((name[: -len(end)] for end in SUFFIXES if name.lower().endswith(end)), name)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; one whose name ends with .gz, .bz2, .xz or .zst is unpacked on the way.

    Raises:
        XltError: E535 for what cannot be read, also while it is open; E106 for Zstandard where no package reads it.
    """
    suffix = path.suffix.lower()
    broken: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError)
    opener: Callable[[Path], Any] = _OPENERS.get(suffix, lambda path: path.open("rb"))
    if suffix == _ZSTD:
        try:
            from backports import zstd
        except ImportError as err:
            raise missing_package(f"Reading {path}", "backports.zstd", "zstd") from err
        opener, broken = zstd.open, (*broken, zstd.ZstdError)
    try:
        with opener(path) as file:
            yield cast(BinaryIO, file)
    except broken as err:
        raise error("E535", path=path, reason=f"it is damaged or cut short ({err})") from err
    except OSError as err:
        raise error("E535", path=path, reason=err.strerror or str(err)) from err


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, unpacked.

    Raises:
        XltError: As `open_bytes`.
    """
    with open_bytes(path) as file:
        return file.read()


def text_lines(path: Path, encoding: str = "utf8") -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without the line end.

    Only a line feed, with or without a carriage return before it, ends a line: other characters that may end one occur
    inside tokens, such as U+0085. A byte order mark at the start of a line is no text: files are joined, too.

    Raises:
        XltError: E510 for an unknown encoding, E513 for what is not in it, E106 and E535 as `open_bytes`.
    """
    number, rest = 0, ""
    for piece in _decoded(path, encoding):
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            number += 1
            yield number, line.removesuffix("\r").removeprefix(MARK)
    if rest:
        yield number + 1, rest.removeprefix(MARK)


def read_text(path: Path, encoding: str = "utf8") -> str:
    """A whole text as it is, with its line ends and its byte order mark.

    Raises:
        XltError: As `text_lines`.
    """
    return "".join(_decoded(path, encoding))


def check_encoding(encoding: str) -> None:
    """Make sure that Python knows an encoding of text.

    Raises:
        XltError: E510 where it does not.
    """
    try:
        codec = codecs.lookup(encoding)
        if codec.incrementaldecoder is None or not getattr(codec, "_is_text_encoding", True):
            raise LookupError
    except LookupError as err:
        raise error("E510", setting="--encoding", value=encoding, expected="an encoding of Python") from err


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    check_encoding(encoding)
    decoder = codecs.getincrementaldecoder(encoding)()
    n_read = n_lines = 0
    with open_bytes(path) as file:
        first = piece = file.read(_PIECE)
        try:
            while piece:
                n_read += len(piece)
                text = decoder.decode(piece)
                n_lines += text.count("\n")
                yield text
                piece = file.read(_PIECE)
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as err:
            hint = next((name for mark, name in _WIDE_MARKS.items() if first.startswith(mark)), "latin-1")
            # What the decoder holds ends where reading has come to
            position = n_read - len(err.object) + err.start
            line = n_lines + 1 + err.object[: err.start].count(b"\n")
            raise error("E513", path=path, encoding=encoding, position=position, line=line, hint=hint) from err
        except UnicodeError as err:  # UTF-16 without its first mark
            raise error("E513", path=path, encoding=encoding, position=0, line=1, hint="utf-8") from err
