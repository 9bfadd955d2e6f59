"""The config of the pipeline that is saved: it names spacy-transformers alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thinc.api import Config

ARCHITECTURE = "spacy_xlt.PeftTransformerModel.v1"
PLAIN_ARCHITECTURE = "spacy-transformers.TransformerModel.v3"
_KEPT = ("name", "get_spans", "tokenizer_config", "transformer_config", "mixed_precision", "grad_scaler_config")


def plain_model(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block of a config that makes the model without spacy_xlt.

    block (Mapping): A block whose architecture is `spacy_xlt.PeftTransformerModel.v1`. Any other is returned as it is.
    RETURNS (dict): A block of `spacy-transformers.TransformerModel.v3`.
    """
    if block.get("@architectures") != ARCHITECTURE:
        return dict(block)
    plain = {"@architectures": PLAIN_ARCHITECTURE, **{key: block[key] for key in _KEPT if key in block}}
    plain["mixed_precision"] = _predicts_in_half(block)
    if block.get("layers") is not None:
        plain["transformer_config"] = {**block.get("transformer_config", {}), "num_hidden_layers": block["layers"]}
    return plain


def _predicts_in_half(block: Mapping[str, Any]) -> bool:
    """Whether the saved pipeline uses half precision, which is float16 there: not where training was in bfloat16, for
    which float16 may be too small, nor on a CPU, where it would warn at every batch."""
    from thinc.api import get_torch_default_device

    return block.get("mixed_precision", True) in (True, "float16") and get_torch_default_device().type == "cuda"


def plain_config(config: Config) -> Config:
    """A pipeline's config as `nlp.to_disk` leaves it: with the bytes of `nlp.to_bytes` it makes the pipeline again
    where there is no spacy_xlt.

    config (Config): The config of a pipeline (`nlp.config`). It is not changed.
    RETURNS (Config): The config, the models of its components plain.
    """
    plain = config.copy()
    for component in plain.get("components", {}).values():
        if isinstance(component.get("model"), dict):
            component["model"] = plain_model(component["model"])
    return plain


def write_plain_config(path: Path) -> None:
    """Change a pipeline's config file so that it fits the model that was just written beside it.

    path (Path): A `config.cfg`. Left as it is where it is not there, or names no architecture of ours.
    """
    if not path.is_file():
        return
    config = Config().from_disk(path, interpolate=False)
    plain = plain_config(config)
    if plain != config:
        plain.to_disk(path, interpolate=False)
