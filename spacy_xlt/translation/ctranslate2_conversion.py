"""Hugging Face models converted for CTranslate2 and kept in a cache folder, each whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ..device import first_line, loading, quiet
from ..errors import XltError, error
from ..hub import located
from .huggingface import load_weights, read_files

ENGINE = "CTranslate2Translator"
# Beside CTranslate2's own files: the tokenizer and the settings of the model
HF_FOLDER = "hf"
_WEIGHTS = "model.bin"
_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}
# To be raised where what is written here changes
_FORMAT = 2


def converted(model: str, *, quantization: str, cache: Path) -> Path:
    """The folder of a model converted for CTranslate2; converts it where that was not done before.

    The conversion goes into a folder of another name and is renamed when it is whole. Other processes that want the
    same model wait for it; what a killed one left is removed first.

    Args:
        model: A Hugging Face name or folder.
        quantization: As CTranslate2 names them, such as "int8".
        cache: Where converted models are kept.

    Raises:
        XltError: E221 where the model cannot be loaded, E245 where it cannot be converted, E247 where the cache
            folder cannot be written.
    """
    final = cache / _entry_name(model, quantization)
    if (final / _WEIGHTS).is_file():
        return final
    with _locked(final):
        # Another process may have been faster
        if not (final / _WEIGHTS).is_file():
            for leftover in cache.glob(f".{final.name}.*.part"):
                shutil.rmtree(leftover, ignore_errors=True)
            beside = cache / f".{final.name}.{uuid4().hex}.part"
            try:
                convert(model, beside, quantization=quantization)
                beside.rename(final)
            except OSError as err:
                raise error("E247", path=cache, reason=err.strerror or str(err)) from err
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return final


def _entry_name(model: str, quantization: str) -> str:
    """Named by everything that decides what is in it, readable in part."""
    parts = [str(_FORMAT), version("ctranslate2"), quantization, *_identity(model)]
    key = hashlib.sha256("\n".join(parts).encode("utf8", "surrogateescape")).hexdigest()[:16]
    readable = re.sub(r"[^\w.-]+", "-", Path(model).name or model)[-60:]
    return f"{readable}-{quantization}-{key}"


def _identity(model: str) -> list[str]:
    """What changes when the model does: sizes and times of a folder's files, the commit of a name on the hub."""
    place = located(model, "E221", engine=ENGINE)
    folder = Path(place)
    if place != model:
        return [model, folder.name]
    if folder.is_dir():
        stats = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
        return [str(folder.resolve()), *(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)]
    from transformers import AutoConfig

    with loading("E221", engine=ENGINE, model=model):
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    return [model, str(getattr(config, "_commit_hash", None))]


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    """One process at a time; the system opens the lock of one that dies."""
    from filelock import FileLock

    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(final.with_name(f".{final.name}.lock"))
        lock.acquire()
    except (OSError, NotImplementedError) as err:
        raise error("E247", path=final.parent, reason=getattr(err, "strerror", None) or str(err)) from err
    try:
        yield
    finally:
        lock.release()


def convert(model: str, folder: Path, *, quantization: str) -> None:
    """Write a whole converted model with its tokenizer.

    Args:
        model: A Hugging Face name or folder.
        folder: Where to; it must not be there.
        quantization: As CTranslate2 names them.

    Raises:
        XltError: E221 where the model cannot be loaded, E245 where CTranslate2 cannot convert it.
        OSError: Where the folder cannot be written.
    """
    place = located(model, "E221", engine=ENGINE)
    with loading("E221", engine=ENGINE, model=model):
        config, _, tokenizer = files = read_files(place)
    try:
        with quiet():
            _make_converter(place, files).convert(str(folder), quantization=quantization)
    # CTranslate2 and transformers name what they cannot do in many ways
    except Exception as err:
        if isinstance(err, OSError) and err.errno in _CANNOT_WRITE:
            raise
        reason = err.message if isinstance(err, XltError) else first_line(err)
        raise error("E245", model=model, quantization=quantization, reason=reason) from err
    tokenizer.save_pretrained(folder / HF_FOLDER)
    config.save_pretrained(folder / HF_FOLDER)


def _make_converter(model: str, files: tuple[Any, dict[str, Any], Any]) -> Any:
    """CTranslate2's converter, made to load models as Seq2SeqTranslator does and to read its attention."""
    from ctranslate2.converters import TransformersConverter

    config, settings, tokenizer = files

    class Converter(TransformersConverter):
        """Runs no pickled code, and no code that comes with the model."""

        def _load(self) -> Any:
            spec = super()._load()
            # The attention to read as an alignment, as Seq2SeqTranslator chooses it: OPUS-MT's models are trained to
            # align with the first head of their last layer, of others it is all heads of the last layer but one
            if config.model_type != "marian":
                spec.decoder.alignment_heads = spec.decoder.num_heads
                if len(spec.decoder.layer) > 1:
                    spec.decoder.alignment_layer = np.dtype("int16").type(-2)
            return spec

        def load_model(self, model_class: Any, name: str, **kwargs: Any) -> Any:
            loaded = load_weights(ENGINE, name, kwargs["config"], "auto")
            if loaded.config.model_type == "mbart":
                # What the code does anyway; the converter asks for settings that only old files have
                loaded.config.normalize_before = loaded.config.normalize_embedding = True
                loaded.config.tokenizer_class = str(settings.get("tokenizer_class")).removesuffix("Fast")
            return loaded

        def load_tokenizer(self, tokenizer_class: Any, name: str, **kwargs: Any) -> Any:
            again = type(tokenizer).from_pretrained(name)
            # CTranslate2 wants a name for it and translation does not use it
            again.bos_token = again.bos_token or again.eos_token
            if getattr(again, "lang_token_to_id", None):
                # M2M100's language tokens; the files do not always list them
                again.additional_special_tokens = list(again.lang_token_to_id)
            return again

    return Converter(model)
