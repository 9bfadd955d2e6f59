"""Encoders whole, with other rows in their embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..bundled import PREFIX
from ..device import loading, quiet
from ..errors import error
from ..hub import located
from ..io import check_new_folder, replacing_folder, write_json
from ..modelfolder import write_encoder
from .pieces import Pieces, names_by_id

# What a written folder says of itself
FILE_NAME = "vocabulary.json"


def load(name: str) -> tuple[Any, Pieces]:
    """Load an encoder and its tokenizer, on the CPU.

    Args:
        name: A model folder, a Hugging Face name, or "bundled:NAME".

    Raises:
        XltError: E303 where it cannot be loaded, E860 for a tokenizer and E861 for a model that cannot be changed, 7xx
            for a bundled one.
    """
    if name.startswith(PREFIX):
        from ..bundled import encoder

        model, tokenizer = encoder.load(name[len(PREFIX) :])
    else:
        model, tokenizer = _load_pretrained(name)
    pieces = Pieces(tokenizer, name)
    n_rows = len(embeddings(model))
    if len(names_by_id(pieces.backend)) > n_rows:
        raise error("E861", model=name, reason=f"its tokenizer has more pieces than the {n_rows} that it has rows for")
    return model, pieces


def _load_pretrained(name: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    place = located(name, "E303", setting="model")
    with loading("E303", model=name, setting="model"), quiet():
        model, info = AutoModel.from_pretrained(place, output_loading_info=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    if model.config.is_encoder_decoder or model.config.vocab_size != len(embeddings(model)):
        raise error("E861", model=name, reason=f"it is a {type(model).__name__}")
    parameters = dict(model.named_parameters())
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if missing:
        raise error("E303", model=name, setting="model", reason=f"it lacks the weights {', '.join(missing[:3])}")
    for key in info["missing_keys"]:
        # What is drawn by chance would be another one each time
        _set_trivial(parameters[key].data)
    return model.eval(), tokenizer


def _set_trivial(tensor: Any) -> None:
    tensor.zero_()
    if tensor.ndim == 2:
        tensor.fill_diagonal_(1)


def embeddings(model: Any) -> NDArray[np.float32]:
    """The vectors of a model's pieces: float32, (n_pieces, dim)."""
    return np.asarray(model.get_input_embeddings().weight.detach().float().numpy())


def place_of_padding(model: Any) -> int | None:
    """The id that the padding must keep, as RoBERTa counts positions from it; None where it may be any."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx)
    return None


def write(
    model: Any, tokenizer: Any, vectors: NDArray[np.float32], output: str | Path, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a model with another tokenizer and its vectors as a model folder, which appears when it is complete.

    Args:
        model: It is changed.
        tokenizer: A `PreTrainedTokenizerFast`.
        vectors: Of its pieces by id: (n_pieces, dim).
        output: The folder.
        summary: What was done, for the folder and for people.

    Returns:
        The summary with pieces and megabytes of weights, both before and after.

    Raises:
        XltError: E553 where the folder is there already.
    """
    check_new_folder(output)
    before = {"pieces_before": len(embeddings(model)), "mb_before": _megabytes(model)}
    _exchange(model, tokenizer, vectors)
    after = {"pieces_after": len(vectors), "mb_after": _megabytes(model)}
    summary = {**summary, **before, **after, "version": __version__}
    with replacing_folder(output) as folder:
        write_encoder(model, tokenizer, folder)
        write_json(folder / FILE_NAME, summary)
    return summary


def _exchange(model: Any, tokenizer: Any, vectors: NDArray[np.float32]) -> None:
    import torch

    config = model.config
    for key, value in config.to_dict().items():
        if key.endswith("_token_id") and isinstance(value, int):
            setattr(config, key, getattr(tokenizer, key, None))
    weight = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
    padding = None if model.get_input_embeddings().padding_idx is None else tokenizer.pad_token_id
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=padding))
    config.vocab_size = len(vectors)


def _megabytes(model: Any) -> float:
    return round(4 * sum(parameter.numel() for parameter in model.parameters()) / 1e6, 3)
