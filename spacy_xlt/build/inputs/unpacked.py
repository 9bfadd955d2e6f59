"""What is inside a `.spacy` file, unpacked beside the memory: where its columns are, and pieces of them.

A `.spacy` file is one msgpack map, compressed with zlib as a whole: see `DocBin.to_bytes` of spaCy.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from srsly.msgpack import Unpacker

from ...compression import Damaged, opened, reason_of
from ...errors import XltError, error

_PIECE = 1 << 18
# Smaller ones stay in memory, larger ones go to a file without a name that ends with the process
_IN_MEMORY = 1 << 23
# First bytes of msgpack's byte strings, with the format of the length that follows
_BYTES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_ARRAYS = {*range(0x90, 0xA0), 0xDC, 0xDD}
_COLUMNS = ("tokens", "spaces", "lengths")


class NotACorpus(Exception):
    """What is in a file is no DocBin."""


class Region:
    """A part of the unpacked bytes.

    start, stop (int): Its place.
    """

    def __init__(self, file: IO[bytes], start: int, stop: int):
        self._file = file
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return self.stop - self.start

    def piece(self, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)`, counted from where the region begins."""
        self._file.seek(self.start + start)
        return self._file.read(min(stop, len(self)) - start)


class Cursor:
    """Goes through the values of a msgpack array one by one.

    n (int): How many there are.
    """

    def __init__(self, file: IO[bytes], start: int):
        self._start = start
        self._unpacker = _unpacker(file, start, _PIECE)
        self.n = self._unpacker.read_array_header()
        self._next = 0

    @property
    def position(self) -> int:
        """Where the next value begins, in the whole file."""
        return self._start + self._unpacker.tell()

    def skip_to(self, number: int) -> None:
        """Pass over values, so that the one with this number comes next."""
        for _ in range(self._next, min(number, self.n)):
            self._unpacker.skip()
        self._next = max(self._next, number)

    def values(self) -> Iterator[Any]:
        """All values that follow; `position` is always after the last one."""
        unpack = self._unpacker.unpack
        while self._next < self.n:
            self._next += 1
            yield unpack()

    def take(self, count: int) -> list[Any]:
        """The next values; fewer at the end."""
        count = max(0, min(count, self.n - self._next))
        values = [self._unpacker.unpack() for _ in range(count)]
        self._next += count
        return values


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The msgpack bytes of a `.spacy` file, compressed once more or not. They are never in memory as a whole.

    RAISES (XltError): E503 for an empty file, E540 where there is no room.
    RAISES (NotACorpus): For a file that is damaged, cut short or of another kind.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        n_read = 0
        inflate = zlib.decompressobj()
        try:
            with opened(path) as packed:
                while piece := packed.read(_PIECE):
                    n_read += len(piece)
                    _unpack_into(file, inflate, piece, path)
        except Damaged as err:
            raise NotACorpus(str(err)) from err
        if not n_read:
            raise error("E503", path=path)
        if not inflate.eof:
            raise NotACorpus("it is cut short")
        if inflate.unused_data:
            raise NotACorpus("there are bytes after its end")
        yield file


def columns_of(file: IO[bytes]) -> dict[str, Any]:
    """What the map in a `.spacy` file has: a `Region` for what is in bytes, the place of each array of values, and
    `attrs` as it is.

    RAISES (NotACorpus): Where it is no such map.
    """
    size = file.seek(0, 2)
    found: dict[str, Any] = {}
    at, n_keys = _map_header(file)
    for _ in range(n_keys):
        key, at = _value(file, at)
        if key in _COLUMNS:
            region = _bytes_region(file, at)
            if region.stop > size:
                raise NotACorpus(f"its {key} are cut short")
            found[key], at = region, region.stop
        elif key == "attrs":
            found[key], at = _value(file, at)
        else:
            found[key], at = at, _after(file, at)
    missing = [name for name in (*_COLUMNS, "attrs", "strings", "cats") if name not in found]
    if missing:
        raise NotACorpus(f"it has no {missing[0]}")
    return found


def _unpack_into(file: IO[bytes], inflate: Any, piece: bytes, path: Path) -> None:
    while piece and not inflate.eof:
        try:
            data = inflate.decompress(piece, _PIECE * 4)
        except zlib.error as err:
            raise NotACorpus(str(err)) from err
        try:
            file.write(data)
        except OSError as err:
            reason = reason_of(err)
            raise error("E540", path=path, folder=tempfile.gettempdir(), reason=reason) from err
        piece = inflate.unconsumed_tail


def _map_header(file: IO[bytes]) -> tuple[int, int]:
    """Where the first key is, and how many there are."""
    unpacker = _unpacker(file, 0)
    n_keys = unpacker.read_map_header()
    return unpacker.tell(), n_keys


def _value(file: IO[bytes], at: int) -> tuple[Any, int]:
    """The value at a place, and the place after it."""
    unpacker = _unpacker(file, at)
    value = unpacker.unpack()
    return value, at + unpacker.tell()


def _after(file: IO[bytes], at: int) -> int:
    """The place after the value at a place, which may be large and is not unpacked as a whole."""
    if _first(file, at) in _ARRAYS:
        values = Cursor(file, at)
        values.skip_to(values.n)
        return values.position
    unpacker = _unpacker(file, at)
    unpacker.skip()
    return at + unpacker.tell()


def _bytes_region(file: IO[bytes], at: int) -> Region:
    form = _BYTES.get(_first(file, at))
    if form is None:
        raise NotACorpus("a column is not in bytes")
    file.seek(at + 1)
    head = file.read(struct.calcsize(form))
    (n,) = struct.unpack(form, head)
    start = at + 1 + len(head)
    return Region(file, start, start + n)


def _first(file: IO[bytes], at: int) -> int:
    file.seek(at)
    return (file.read(1) or b"\xc1")[0]


class _From:
    """Reads on from a place, whoever else moves the file."""

    def __init__(self, file: IO[bytes], at: int):
        self._file, self._at = file, at

    def read(self, n: int) -> bytes:
        self._file.seek(self._at)
        piece = self._file.read(n)
        self._at += len(piece)
        return piece


def _unpacker(file: IO[bytes], at: int, read_size: int = 1 << 12) -> Unpacker:
    return Unpacker(_From(file, at), raw=False, read_size=read_size, max_buffer_size=2**31 - 1)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever broken bytes run into into one error.

    RAISES (XltError): E504 with the file and the reason.
    """
    try:
        yield
    except (XltError, OSError, MemoryError):
        raise
    except Exception as err:  # NotACorpus, msgpack's, struct's and numpy's errors
        reason = str(err) if isinstance(err, NotACorpus) else f"{type(err).__name__}: {err}"
        raise error("E504", path=path, reason=reason) from err
