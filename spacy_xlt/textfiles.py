"""Text read line by line, in any encoding, with the line and the byte where one is not in it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from .compression import opened, reason_of
from .errors import XltError, error

_PIECE = 1 << 16
_UTF8_MARK = codecs.BOM_UTF8


def text_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without the line end. Only a line feed, with or without a carriage return
    before it, ends a line: other characters that may end one occur inside tokens, such as U+0085.

    path (Path): The file, plain or compressed.
    RAISES (XltError): E510 for an unknown encoding, E513 for what is not in it, E535 for a file that cannot be read.
    """
    number, rest = 0, ""
    for piece in _decoded(path, encoding):
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            number += 1
            yield number, line.removesuffix("\r")
    if rest:
        yield number + 1, rest


def read_text(path: Path, encoding: str, *, keep_mark: bool = False) -> str:
    """A whole text, with its line ends as they are.

    keep_mark (bool): With the byte order mark of UTF-8, where there is one.
    RAISES (XltError): As `text_lines`.
    """
    return "".join(_decoded(path, encoding, keep_mark=keep_mark))


def check_encoding(encoding: str) -> None:
    """RAISES (XltError): E510 for an encoding that Python does not know, or that is not one of text."""
    try:
        known = codecs.lookup(encoding)
    except LookupError as err:
        raise _unknown(encoding) from err
    if known.incrementaldecoder is None or not getattr(known, "_is_text_encoding", True):
        raise _unknown(encoding)


def _unknown(encoding: str) -> XltError:
    return error("E510", setting="--encoding", value=encoding, expected="an encoding of Python")


def _decoded(path: Path, encoding: str, *, keep_mark: bool = False) -> Iterator[str]:
    check_encoding(encoding)
    decoder = codecs.getincrementaldecoder(encoding)()
    n_read, n_lines = 0, 0
    try:
        with opened(path) as file:
            piece = file.read(_PIECE)
            n_read = len(piece)
            if codecs.lookup(encoding).name == "utf-8" and not keep_mark:
                piece = piece.removeprefix(_UTF8_MARK)
            while piece:
                text = decoder.decode(piece)
                n_lines += text.count("\n")
                yield text
                piece = file.read(_PIECE)
                n_read += len(piece)
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as err:
        # What the decoder holds ends where reading has come to
        position = n_read - len(err.object) + err.start
        line = n_lines + 1 + err.object[: err.start].count(b"\n")
        raise error("E513", path=path, encoding=encoding, position=position, line=line) from err
    except OSError as err:
        raise error("E535", path=path, reason=reason_of(err)) from err
