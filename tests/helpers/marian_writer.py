"""Write Marian binary models: small ones for the tests, in the layout that `files.read_model` reads."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray

from spacy_xlt.translation.bergamot.files import ModelFolder

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


def random_tensors(
    *, dim: int, ffn: int, n_vocab: int, encoder: int = 2, decoder: int = 1, n_target: int | None = None, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """All tensors of a model with an SSRU decoder.

    encoder, decoder (int): Numbers of layers.
    n_target (int | None): Size of a target vocabulary of its own; one vocabulary for both sides where left out.
    """
    random = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}

    def add(name: str, rows: int, columns: int, spread: float) -> None:
        tensors[name] = (random.standard_normal((rows, columns)) * spread).astype(np.float32)

    def norm(name: str) -> None:
        tensors[f"{name}_ln_scale"] = np.ones((1, dim), np.float32)
        add(f"{name}_ln_bias", 1, dim, 0.1)

    if n_target is None:
        add("Wemb", n_vocab, dim, dim**-0.5)
    else:
        add("encoder_Wemb", n_vocab, dim, dim**-0.5)
        add("decoder_Wemb", n_target, dim, dim**-0.5)
    add("decoder_ff_logit_out_b", 1, n_target or n_vocab, 0.5)
    encoders = [(f"encoder_l{i}", "self") for i in range(1, encoder + 1)]
    decoders = [(f"decoder_l{i}", "context") for i in range(1, decoder + 1)]
    for layer, attention in encoders + decoders:
        for x in "qkvo":
            add(f"{layer}_{attention}_W{x}", dim, dim, dim**-0.5)
            add(f"{layer}_{attention}_b{x}", 1, dim, 0.1)
        norm(f"{layer}_{attention}_Wo")
        add(f"{layer}_ffn_W1", dim, ffn, dim**-0.5)
        add(f"{layer}_ffn_b1", 1, ffn, 0.1)
        add(f"{layer}_ffn_W2", ffn, dim, ffn**-0.5)
        add(f"{layer}_ffn_b2", 1, dim, 0.1)
        norm(f"{layer}_ffn_ffn")
    for layer, _ in decoders:
        add(f"{layer}_rnn_W", dim, dim, dim**-0.5)
        add(f"{layer}_rnn_Wf", dim, dim, dim**-0.5)
        add(f"{layer}_rnn_bf", 1, dim, 0.1)
        norm(f"{layer}_rnn_ffn")
    return tensors


def quantised(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, tuple[int, tuple[int, ...], bytes]]:
    """The items of a file with matrices in 8-bit integers and the scales of their inputs, as Firefox has them."""
    items, scale = {}, 127 / 6
    for name, values in tensors.items():
        if ("_W" not in name and "Wemb" not in name) or "_ln_" in name:
            items[name] = float_item(values)
            continue
        multiplier = 127 / float(np.abs(values).max())
        whole = np.rint(values * multiplier).astype(np.int8)
        # The embeddings are not stored transposed
        items[name] = int8_item(whole.T if name.endswith("Wemb") else whole, multiplier)
        items[name] = (0x4101, whole.shape, items[name][2])
        items[f"{name}_QuantMultA"] = float_item(np.full((1, 1), scale, np.float32))
    if "Wemb" in tensors:
        items["none_QuantMultA"] = float_item(np.full((1, 1), scale, np.float32))
    else:
        # In models with two vocabularies it is quantised as if it were a matrix
        items["decoder_Wemb_QuantMultA"] = int8_item(np.full((1, 1), 127, np.int8), 127 / scale)
    return items


def _positions(n: int, dim: int) -> NDArray[np.float64]:
    angles = np.arange(n)[:, None] * 10000.0 ** -(np.arange(dim // 2) / (dim // 2 - 1))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def plain_log_probs(
    tensors: Mapping[str, NDArray[np.float32]],
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    *,
    heads: int,
    encoder: int,
    decoder: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same network written down plainly in NumPy, one pair at a time and in 64-bit floats.

    source, target (int64, (n,)): Pieces with their end marks.
    RETURNS: Log-probability of each target piece, and what each looked at, (n_target, n_source).
    """
    t = {name: values.astype(np.float64) for name, values in tensors.items()}
    read = t.get("Wemb", t.get("encoder_Wemb"))
    written = t.get("Wemb", t.get("decoder_Wemb"))
    assert read is not None and written is not None
    dim = read.shape[1]

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-9)
        return x * t[f"{name}_ln_scale"] + t[f"{name}_ln_bias"]

    def attend(x: NDArray[np.float64], y: NDArray[np.float64], name: str) -> tuple[Any, Any]:
        q, k, v = (
            np.stack(np.split(z @ t[f"{name}_W{c}"] + t[f"{name}_b{c}"], heads, axis=1))
            for c, z in zip("qkv", (x, y, y), strict=True)
        )
        weights = _softmax(q @ k.transpose(0, 2, 1) / np.sqrt(dim // heads))
        mixed = np.concatenate(list(weights @ v), axis=1)
        return norm(x + mixed @ t[f"{name}_Wo"] + t[f"{name}_bo"], f"{name}_Wo"), weights[0]

    def feed_forward(x: NDArray[np.float64], layer: str) -> NDArray[np.float64]:
        inner = np.maximum(0, x @ t[f"{layer}_ffn_W1"] + t[f"{layer}_ffn_b1"])
        return norm(x + inner @ t[f"{layer}_ffn_W2"] + t[f"{layer}_ffn_b2"], f"{layer}_ffn_ffn")

    memory = read[source] * np.sqrt(dim) + _positions(len(source), dim)
    for i in range(1, encoder + 1):
        memory, _ = attend(memory, memory, f"encoder_l{i}_self")
        memory = feed_forward(memory, f"encoder_l{i}")
    x = _positions(len(target), dim)
    x[1:] += written[target[:-1]] * np.sqrt(dim)
    weights = np.zeros((len(target), len(source)))
    for i in range(1, decoder + 1):
        candidate = x @ t[f"decoder_l{i}_rnn_W"]
        forget = 1 / (1 + np.exp(-(x @ t[f"decoder_l{i}_rnn_Wf"] + t[f"decoder_l{i}_rnn_bf"])))
        cell, cells = np.zeros(dim), []
        for c, f in zip(candidate, forget, strict=True):
            cell = f * cell + (1 - f) * c
            cells.append(np.maximum(0, cell))
        x = norm(x + np.stack(cells), f"decoder_l{i}_rnn_ffn")
        x, weights = attend(x, memory, f"decoder_l{i}_context")
        x = feed_forward(x, f"decoder_l{i}")
    logits = x @ written.T + t["decoder_ff_logit_out_b"]
    return np.log(_softmax(logits))[np.arange(len(target)), target], weights


def train_vocabulary(path: Path, lines: list[str], size: int) -> Path:
    """Write a small SentencePiece model with the special pieces of Firefox's: the end mark is 0, the unknown one 1."""
    from sentencepiece import SentencePieceTrainer

    ids = {"eos_id": 0, "unk_id": 1, "bos_id": -1, "pad_id": -1}
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(path.with_suffix("")), vocab_size=size, minloglevel=2, **ids
    )
    path.with_suffix(".model").rename(path)
    path.with_suffix(".vocab").unlink()
    return path


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
