"""The thinc model of an encoder that is trained with adapters. Imports torch: import it inside functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from spacy_transformers.data_classes import HFObjects
from spacy_transformers.layers._util import replace_listener_cfg
from spacy_transformers.layers.transformer_model import (
    TransformerModel,
    _convert_transformer_outputs,
    init,
    set_pytorch_transformer,
)
from transformers import AutoConfig

from ...errors import XltError, error
from ..freezing import encoder_layers
from .plain import plain_model, write_plain_config
from .settings import PeftSettings
from .shim import PeftShim


class PeftTransformer(TransformerModel):
    """spacy-transformers' model, trained as PeftSettings says. Saved, it is a TransformerModel.

    settings (PeftSettings): How the encoder is trained.
    name, get_spans, tokenizer_config, transformer_config, grad_scaler_config: As in
        `spacy-transformers.TransformerModel.v3`.
    """

    def __init__(
        self,
        settings: PeftSettings,
        *,
        name: str,
        get_spans: Callable,
        tokenizer_config: Mapping[str, Any],
        transformer_config: Mapping[str, Any],
        grad_scaler_config: Mapping[str, Any],
    ):
        tokenizer_config, transformer_config = dict(tokenizer_config), dict(transformer_config)
        if settings.layers is not None:
            # Then the other layers are not even loaded.
            transformer_config["num_hidden_layers"] = settings.layers
        super().__init__(name, get_spans, tokenizer_config, transformer_config)
        objects = HFObjects(None, None, None, tokenizer_config, transformer_config)
        wrapper = self.layers[0]
        wrapper.shims[0] = PeftShim(settings, name=name, hf_model=objects, grad_scaler_config=grad_scaler_config)
        wrapper.attrs["convert_outputs"] = _convert_outputs
        self.init = _initialize
        self.attrs["set_transformer"] = _set_transformer
        self.attrs["replace_listener_cfg"] = _replace_listener_cfg

    def to_disk(self, path: str | Path) -> None:
        """Write the plain model, and see to it that the pipeline's config beside it says so.

        path (str | Path): A file. Where it is one that `nlp.to_disk` writes, PIPELINE/COMPONENT/model, the config is
            PIPELINE/config.cfg, written before.
        """
        super().to_disk(path)
        write_plain_config(Path(path).parent.parent / "config.cfg")

    def copy(self) -> Any:
        """A copy, with weights of its own, for a component that is to have the model to itself."""
        copied = super().copy()
        copied.attrs.update(self.attrs)
        return copied


def _initialize(model: PeftTransformer, X: Any = None, Y: Any = None) -> None:
    """Load the encoder.

    RAISES (XltError): E630 for an encoder without a fast tokenizer, E634 for one that is not there, E604 for more
        layers than it has.
    """
    if model.attrs["has_transformer"]:
        return
    name, layers = model.attrs["name"], _shim(model).settings.layers
    try:
        if layers is not None:
            known = getattr(AutoConfig.from_pretrained(name), "num_hidden_layers", 0)
            if layers > known:
                raise error("E604", setting="layers", layers=layers, known=known)
        init(model, X=X, Y=Y)
    except XltError:
        raise
    except (OSError, ValueError) as err:
        raise error("E634", encoder=str(name), reason=" ".join(str(err).split())[:300]) from err


def _set_transformer(model: PeftTransformer, hf_model: HFObjects) -> None:
    """Take over a loaded encoder and prepare it for training."""
    shim, encoder = _shim(model), hf_model.transformer
    if not hf_model.tokenizer.is_fast:
        found, setting = type(hf_model.tokenizer).__name__, "name"
        raise error("E630", encoder=str(model.attrs["name"]), found=found, setting=setting)
    layers = shim.settings.layers
    if layers is not None and len(encoder_layers(encoder)) != layers:
        values = {"setting": "layers", "value": layers, "architecture": type(encoder).__name__}
        raise error("E635", encoder=shim.name, reason="its layers cannot be told from one another", **values)
    shim.prepare(encoder)
    set_pytorch_transformer(model, hf_model)


def _shim(model: PeftTransformer) -> PeftShim:
    return cast(PeftShim, model.layers[0].shims[0])


def _replace_listener_cfg(encoder: dict[str, Any], listener: dict[str, Any]) -> dict[str, Any]:
    return replace_listener_cfg(plain_model(encoder), listener)


def _convert_outputs(model: Any, inputs_outputs: Any, is_train: bool) -> Any:
    """As spacy-transformers, with everything in the type that numpy and thinc know."""
    inputs, outputs = inputs_outputs
    single = type(outputs)(**{name: _to_float32(value) for name, value in outputs.items()})
    return _convert_transformer_outputs(model, (inputs, single), is_train)


def _to_float32(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_to_float32(item) for item in value)
    return value.float() if value is not None and value.is_floating_point() else value
