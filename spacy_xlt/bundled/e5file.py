"""Reading a 4-bit encoder file: header, vocabulary, normalisation and weights, with numpy alone."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import error

_MAGIC = b"E5S1"
_VERSION = 1
_FLOAT32, _Q4_0 = 0, 1
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


class Tensor(NamedTuple):
    """Where a tensor lies in the file; its kind is 0 for float32, 1 for blocks of 32 four-bit weights."""

    kind: int
    size: int
    offset: int
    n_bytes: int


class Header(NamedTuple):
    """The sizes of a BERT encoder and the ids of its special pieces."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    token_types: int
    eps: float
    pieces: int
    bos: int
    eos: int
    pad: int
    unk: int


class E5File:
    """A 4-bit encoder file, mapped into memory. The weights are decoded when asked for.

    Args:
        path: The file.

    Attributes:
        header: Sizes and special ids.
        pieces: Each piece and its log-probability, in order of ids.
        normalisation: Code points that are replaced, and what by.
        tensors: Where each tensor lies.

    Raises:
        XltError: E702 where it is truncated or something else.
    """

    def __init__(self, path: Path):
        self.path = path
        with path.open("rb") as file:
            try:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as err:
                raise error("E702", path=path, reason="it is empty") from err
        try:
            self._read()
        # A cut or altered file shows as a number that points outside, or as text that is none
        except (struct.error, ValueError, IndexError, OverflowError) as err:
            raise error("E702", path=path, reason=f"it is truncated or damaged ({err})") from err

    def _read(self) -> None:
        cursor = _Cursor(self._data)
        if bytes(cursor.take(4)) != _MAGIC:
            raise error("E702", path=self.path, reason="it does not start with 'E5S1'")
        (version,) = cursor.unpack("<I")
        if version != _VERSION:
            raise error("E702", path=self.path, reason=f"it has version {version}, known is {_VERSION}")
        sizes = cursor.unpack("<7i")
        eps, block = cursor.unpack("<fi")
        if block != 32:
            raise error("E702", path=self.path, reason=f"its weights come in blocks of {block}, known is 32")
        # The layer-norm epsilon is stored as the float32 next to 1e-12
        special = cursor.unpack("<5i")
        self.header = Header(*(*sizes, float(f"{eps:.6g}"), *special))
        self.pieces = list(self._read_pieces(cursor))
        self.normalisation = dict(self._read_normalisation(cursor))
        self.tensors = dict(self._read_tensors(cursor))
        for name, tensor in self.tensors.items():
            if tensor.offset + tensor.n_bytes > len(self._data):
                raise ValueError(f"tensor {name} ends after the file")

    def _read_pieces(self, cursor: _Cursor) -> Iterator[tuple[str, float]]:
        n_pieces = self.header.pieces
        (blob_length,) = cursor.unpack("<Q")
        offsets = np.frombuffer(cursor.take(4 * (n_pieces + 1)), "<u4").tolist()
        scores = np.frombuffer(cursor.take(4 * n_pieces), "<f4").tolist()
        blob = bytes(cursor.take(blob_length))
        for i, score in enumerate(scores):
            yield blob[offsets[i] : offsets[i + 1]].decode("utf8"), score

    def _read_normalisation(self, cursor: _Cursor) -> Iterator[tuple[int, str]]:
        n_entries, n_bytes = cursor.unpack("<iI")
        start = cursor.position
        for _ in range(n_entries):
            code_point, count = cursor.unpack("<IB")
            yield code_point, "".join(map(chr, cursor.unpack(f"<{count}I")))
        if cursor.position - start != n_bytes:
            raise ValueError("the normalisation table has another length than stated")

    def _read_tensors(self, cursor: _Cursor) -> Iterator[tuple[str, Tensor]]:
        (n_tensors,) = cursor.unpack("<i")
        for _ in range(n_tensors):
            (length,) = cursor.unpack("<H")
            name = bytes(cursor.take(length)).decode("utf8")
            yield name, Tensor(*cursor.unpack("<BIQQ"))

    def weights(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Decode one tensor.

        Args:
            name: For example "emb.word" or "l0.q.w".
            shape: What it must have; matrices are (out, in).

        Returns:
            A copy of that shape: float32.

        Raises:
            XltError: E702 where the file has no such tensor or another size.
        """
        tensor = self.tensors.get(name)
        size = int(np.prod(shape))
        if tensor is None or tensor.size != size:
            found = "none" if tensor is None else tensor.size
            raise error("E702", path=self.path, reason=f"tensor {name} has {found} of {size} elements")
        raw = memoryview(self._data)[tensor.offset : tensor.offset + tensor.n_bytes]
        try:
            return _decode(raw, tensor.kind).reshape(shape)
        except ValueError as err:
            raise error("E702", path=self.path, reason=f"tensor {name}: {err}") from err


class _Cursor:
    """Takes one value after the other from a buffer."""

    def __init__(self, data: mmap.mmap):
        self._view = memoryview(data)
        self.position = 0

    def take(self, n_bytes: int) -> memoryview:
        part = self._view[self.position : self.position + n_bytes]
        if n_bytes < 0 or len(part) != n_bytes:
            raise ValueError(f"{n_bytes} bytes expected at {self.position}")
        self.position += n_bytes
        return part

    def unpack(self, pattern: str) -> tuple[Any, ...]:
        return struct.unpack(pattern, self.take(struct.calcsize(pattern)))


def _decode(raw: memoryview, kind: int) -> NDArray[np.float32]:
    """Plain float32, or Q4_0: 32 weights share a scale; byte j holds weights j (low half) and j + 16 (high half)."""
    if kind == _FLOAT32:
        return np.frombuffer(raw, "<f4").astype(np.float32)
    if kind != _Q4_0:
        raise ValueError(f"unknown type {kind}")
    blocks = np.frombuffer(raw, _BLOCK)
    values = np.empty((len(blocks), 32), np.float32)
    values[:, :16] = blocks["nibbles"] & 0x0F
    values[:, 16:] = blocks["nibbles"] >> 4
    values -= 8
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values.ravel()
