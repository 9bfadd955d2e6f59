"""Files of text, compressed or not, in any encoding: one way to read them, and one set of errors."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from .errors import error, missing_package, warn
from .limits import LINE, check_size, unpacked_limit

# The byte order mark, as text
MARK = "\ufeff"
_PIECE = 1 << 16
# The mark of UTF-32 begins with that of UTF-16. None of these encodings takes the mark away
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# ISO 8859 has control characters there that no text has, and Windows has quotes and dashes
_C1 = re.compile(rb"[\x80-\x9f]")
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
        XltError: E535 for what cannot be read, also while it is open; E106 for Zstandard where no package reads it;
            E542 for what unpacks to far more than there is in it.
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
            is_packed = suffix in _OPENERS or suffix == _ZSTD
            yield cast(BinaryIO, io.BufferedReader(_Bounded(path, file), _PIECE) if is_packed else file)
    except broken as err:
        raise error("E535", path=path, reason=f"it is damaged or cut short ({err})") from err
    except OSError as err:
        raise error("E535", path=path, reason=err.strerror or str(err)) from err


class _Bounded(io.RawIOBase):
    """What is unpacked from a file, up to a limit."""

    def __init__(self, path: Path, file: Any):
        self._path, self._file, self._n_read = path, file, 0
        self._limit = unpacked_limit(path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._n_read += len(data)
        check_size(self._path, "bytes unpacked", self._n_read, self._limit)
        buffer[: len(data)] = data
        return len(data)


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, unpacked.

    Raises:
        XltError: As `open_bytes`.
    """
    with open_bytes(path) as file:
        return file.read()


def text_lines(path: Path, encoding: str = "utf8", *, cr_ends: bool = True) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without the line end.

    A line feed, a carriage return or both end a line; other characters that may end one occur inside tokens, such as
    U+0085. A byte order mark at the start of a line is no text: files are joined, too.

    Args:
        path: The file, compressed or not.
        encoding: The file's own byte order mark says more.
        cr_ends: Whether a carriage return alone ends a line in a file that has line feeds as well. It does not in text
            that is parallel line by line: that is counted in line feeds.

    Raises:
        XltError: E510 for an unknown encoding, E513 for what is not in it, E106 and E535 as `open_bytes`.

    Warns:
        XltWarning: W513 for a file whose mark names another encoding, W514 for one that looks like UTF-8.
    """
    number = 0
    # Of a line that goes on in the next piece; to join them once takes a time that is linear in its length
    parts: list[str] = []
    length = 0
    for piece in _line_feeds(_decoded(path, encoding), cr_ends):
        first, *lines = piece.split("\n")
        parts.append(first)
        length = len(lines[-1]) if lines else length + len(first)
        check_size(path, f"line {number + len(lines) + 1} in characters", length, LINE)
        for line in lines:
            number += 1
            yield number, "".join(parts).lstrip(MARK)
            parts = [line]
    if last := "".join(parts).lstrip(MARK):
        yield number + 1, last


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


def _line_feeds(pieces: Iterator[str], cr_ends: bool) -> Iterator[str]:
    """The pieces of a text with a line feed for each line end."""
    universal = io.IncrementalNewlineDecoder(None, translate=True)
    first = next(pieces, "")
    if cr_ends or "\n" not in first:
        yield universal.decode(first)
        for piece in pieces:
            yield universal.decode(piece)
        yield universal.decode("", final=True)
        return
    held = ""
    for piece in chain([first], pieces):
        text = held + piece
        # The line feed may come with the next piece
        held = "\r" if text.endswith("\r") else ""
        yield text.removesuffix("\r").replace("\r\n", "\n")
    yield held


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    check_encoding(encoding)
    n_read = n_feeds = n_returns = 0
    with open_bytes(path) as file:
        first = piece = file.read(_PIECE)
        used = _encoding_of(path, first, encoding)
        decoder = codecs.getincrementaldecoder(used)()
        try:
            while piece:
                n_read += len(piece)
                text = decoder.decode(piece)
                # Some encodings of Python give halves of characters, which are no text
                text.encode("utf8")
                n_feeds += text.count("\n")
                n_returns += text.count("\r")
                yield text
                piece = file.read(_PIECE)
            yield decoder.decode(b"", final=True)
        except UnicodeError as err:
            position, line = 0, 1 + max(n_feeds, n_returns)
            if isinstance(err, UnicodeDecodeError):
                # What the decoder holds ends where reading has come to
                position = n_read - len(err.object) + err.start
                before = err.object[: err.start]
                line += max(before.count(b"\n"), before.count(b"\r"))
            hint = _guess(first, used)
            raise error("E513", path=path, encoding=used, position=position, line=line, hint=hint) from err


def _encoding_of(path: Path, first: bytes, encoding: str) -> str:
    """The encoding that a file's first bytes name, else the one that was asked for."""
    asked = codecs.lookup(encoding).name
    used = next((name for mark, name in _MARKS.items() if first.startswith(mark)), None)
    if used is not None:
        if asked.removesuffix("-sig") not in (used, used[:6]):
            warn("W513", path=path, found=used, encoding=encoding, stacklevel=4)
        return used
    wide = asked.startswith(("utf-16", "utf-32"))
    if not wide and first.count(0) > len(first) // 4:
        raise error("E513", path=path, encoding=encoding, position=first.index(0), line=1, hint=_guess(first, asked))
    # Where every byte is a character, all text can be read, and wrong: "SÃ£o"
    if not first.isascii() and _has_bytes_for_letters(asked):
        looks = "utf-8" if _reads(first, "utf-8") else "cp1252" if _C1.search(first) else ""
        if looks == "utf-8" or (looks and asked.startswith("iso8859")):
            warn("W514", path=path, encoding=encoding, found=looks, stacklevel=4)
    return encoding


def _has_bytes_for_letters(encoding: str) -> bool:
    try:
        return not encoding.startswith("utf") and len(bytes(range(128, 256)).decode(encoding, "replace")) == 128
    except UnicodeError:
        return False


def _guess(first: bytes, but: str) -> str:
    """An encoding in which these bytes may be text."""
    # Letters of Europe have a byte 0, the first one where the order is "be"
    order = ("be", "le") if first[::2].count(0) > first[1::2].count(0) else ("le", "be")
    wide = [f"utf-{bits}-{end}" for bits in (32, 16) for end in order] if 0 in first else []
    return next(
        (name for name in ("utf-8", *wide) if name != but and _reads(first, name)),
        "cp1252" if _C1.search(first) else "latin-1",
    )


def _reads(first: bytes, encoding: str) -> bool:
    """Whether bytes can be read in an encoding, to somewhere in a character, as text without U+0000."""
    try:
        return "\0" not in codecs.getincrementaldecoder(encoding)().decode(first)
    except UnicodeDecodeError:
        return False
