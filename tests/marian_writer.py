"""Write Marian binary models: small ones for the tests, in the layout that `marian.read_model` reads."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray

from spacy_xlt.translation.bergamot.folders import ModelFolder

CONFIG = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-heads": 2,
    "enc-depth": 2,
    "dec-depth": 1,
}


def float_item(values: NDArray[np.float32]) -> tuple[int, tuple[int, ...], bytes]:
    """A tensor of type float32, as it goes into the file."""
    return 0x0404, values.shape, values.astype("<f4").tobytes()


def int8_item(values: NDArray[np.int8], multiplier: float) -> tuple[int, tuple[int, ...], bytes]:
    """A matrix of type intgemm8: stored transposed, with its multiplier at the end."""
    return 0x4101, values.shape, values.T.tobytes() + struct.pack("<f", multiplier)


def write_model(path: Path, items: Mapping[str, tuple[int, tuple[int, ...], bytes]], config: Mapping[str, Any]) -> None:
    """Write a model file."""
    text = srsly.yaml_dumps(dict(config)).encode() + b"\0"
    everything = {**items, "special:model.yml": (0x0101, (len(text),), text)}
    names = [name.encode() + b"\0" for name in everything]
    data = struct.pack("<2Q", 1, len(everything))
    for name, (kind, shape, content) in zip(names, everything.values(), strict=True):
        data += struct.pack("<4Q", len(name), kind, len(shape), len(content))
    data += b"".join(names)
    data += b"".join(struct.pack(f"<{len(shape)}i", *shape) for _, shape, _ in everything.values())
    data += struct.pack("<Q", 5) + b"\0" * 5
    path.write_bytes(data + b"".join(content for *_, content in everything.values()))


def random_tensors(*, dim: int, ffn: int, n_vocab: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """All tensors of a model of `CONFIG` with tied embeddings."""
    random = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}

    def add(name: str, rows: int, columns: int, spread: float) -> None:
        tensors[name] = (random.standard_normal((rows, columns)) * spread).astype(np.float32)

    def norm(name: str) -> None:
        tensors[f"{name}_ln_scale"] = np.ones((1, dim), np.float32)
        add(f"{name}_ln_bias", 1, dim, 0.1)

    add("Wemb", n_vocab, dim, dim**-0.5)
    add("decoder_ff_logit_out_b", 1, n_vocab, 0.5)
    parts = [(f"encoder_l{i}", "self") for i in (1, 2)] + [("decoder_l1", "context")]
    for layer, attention in parts:
        for x in "qkvo":
            add(f"{layer}_{attention}_W{x}", dim, dim, dim**-0.5)
            add(f"{layer}_{attention}_b{x}", 1, dim, 0.1)
        norm(f"{layer}_{attention}_Wo")
        add(f"{layer}_ffn_W1", dim, ffn, dim**-0.5)
        add(f"{layer}_ffn_b1", 1, ffn, 0.1)
        add(f"{layer}_ffn_W2", ffn, dim, ffn**-0.5)
        add(f"{layer}_ffn_b2", 1, dim, 0.1)
        norm(f"{layer}_ffn_ffn")
    add("decoder_l1_rnn_W", dim, dim, dim**-0.5)
    add("decoder_l1_rnn_Wf", dim, dim, dim**-0.5)
    add("decoder_l1_rnn_bf", 1, dim, 0.1)
    norm("decoder_l1_rnn_ffn")
    return tensors


def write_folder(
    folder: Path,
    bundled: ModelFolder,
    tensors: Mapping[str, NDArray[np.float32]],
    *,
    config: Mapping[str, Any] | None = None,
    separate: bool = False,
) -> Path:
    """Write a model folder with the vocabulary of a bundled model, without a shortlist.

    separate (bool): Whether to give each side its own vocabulary file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("srcvocab.ende.spm", "trgvocab.ende.spm") if separate else ("vocab.ende.spm",):
        shutil.copy(bundled.source_vocab, folder / name)
    items = {name: float_item(values) for name, values in tensors.items()}
    write_model(folder / "model.ende.bin", items, {**CONFIG, **(config or {})})
    return folder
