"""Files as they are or compressed: gzip, bzip2, xz and Zstandard, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from .errors import error

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
# bzip2's signature goes on after the size of its blocks, with a block or the end; text may begin with its first letters
_BZIP2, _BZIP2_NEXT = b"BZh", (b"1AY&SY", b"\x17rE8P\x90")
_STARTS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# What a file that is cut short or damaged raises while it is read
_BROKEN = (EOFError, zlib.error, lzma.LZMAError)


class Damaged(OSError):
    """Compressed data that is broken or cut short."""


def plain_name(name: str) -> str:
    """A file's name without what says that it is compressed: "a.jsonl.gz" → "a.jsonl"."""
    return next((name[: -len(end)] for end in SUFFIXES if name.lower().endswith(end)), name)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked on the way where it is compressed.

    RAISES (XltError): E534 for Zstandard where no package reads it.
    RAISES (OSError): For what goes wrong while it is open, `Damaged` where it is the compressed data; `reason_of` says
        it in words.
    """
    with path.open("rb") as file:
        kind = _kind(file.read(10))
        file.seek(0)
        if not kind:
            yield file
            return
        zstd = _zstd(path) if kind == "zstd" else None
        broken = _BROKEN if zstd is None else (*_BROKEN, zstd.ZstdError)
        unpacked = _unpacking(kind, file, zstd)
        try:
            with unpacked:
                yield cast(BinaryIO, unpacked)
        except broken as err:
            raise Damaged(f"it is damaged or cut short ({err})") from err
        except OSError as err:
            # bzip2 and gzip raise plain ones, without the number that those of the disk have
            if err.errno is None and not isinstance(err, Damaged):
                raise Damaged(str(err)) from err
            raise


def reason_of(err: OSError) -> str:
    """Why a file cannot be read, without its path."""
    return err.strerror or str(err)


def _kind(head: bytes) -> str:
    if head.startswith(_BZIP2) and head[4:10] in _BZIP2_NEXT:
        return "bzip2"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), "")


def _unpacking(kind: str, file: BinaryIO, zstd: ModuleType | None) -> Any:
    if zstd is not None:
        return zstd.ZstdFile(file)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file)
    return bz2.BZ2File(file) if kind == "bzip2" else lzma.LZMAFile(file)


def _zstd(path: Path) -> ModuleType:
    try:
        from backports import zstd
    except ImportError as err:
        raise error("E534", path=path) from err
    return zstd
