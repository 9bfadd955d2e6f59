"""Writing an encoder as a model folder of Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_encoder(model: Any, tokenizer: Any, folder: str | Path) -> None:
    """Write an encoder and its tokenizer into a folder that AutoModel and AutoTokenizer load without a warning.

    With a head, AutoModelForMaskedLM says of the same folder that it does not use the pooler.

    Args:
        model: A transformers model: an encoder, or one with a head around it. Its weights are written as float32.
        tokenizer: Of transformers.
        folder: Is made where it is not there. What must appear whole is written inside `io.replacing_folder`.
    """
    import torch

    folder = Path(folder)
    written: dict[Any, Any] = {}
    # Weights that are tied stay so: transformers writes them once
    state = {
        name: written.setdefault((tensor.data_ptr(), tensor.shape), _as_written(tensor))
        for name, tensor in model.state_dict().items()
    }
    if model.config.model_type == "bert" and getattr(model.base_model, "pooler", None) is None:
        # AutoModel makes a pooler for every BERT, and warns where the folder has none
        size = int(model.config.hidden_size)
        prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
        state |= {f"{prefix}pooler.dense.weight": torch.eye(size), f"{prefix}pooler.dense.bias": torch.zeros(size)}
    model.save_pretrained(folder, state_dict=state, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        # safetensors leaves its file readable by the owner alone
        weights.chmod((folder / "config.json").stat().st_mode)


def _as_written(tensor: Any) -> Any:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor
