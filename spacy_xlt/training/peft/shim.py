"""What stands between thinc and an encoder with adapters. Imports torch: import it inside functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from spacy_transformers.data_classes import HFObjects
from spacy_transformers.layers.hf_shim import HFShim
from thinc.api import get_torch_default_device, xp2torch

from ...errors import error
from ..freezing import freeze
from .adapters import add_adapters, merged_state
from .precision import autocast_dtype
from .settings import PeftSettings


class PeftShim(HFShim):
    """Trains an encoder with adapters and shows an encoder without: what it writes is what HFShim writes.

    settings (PeftSettings): How the encoder is trained.
    name (str): The encoder's name, for the errors.
    hf_model (HFObjects): The settings that spacy-transformers loads encoder and tokenizer with.
    grad_scaler_config (Mapping): As in spacy-transformers.
    """

    def __init__(
        self, settings: PeftSettings, *, name: str, hf_model: HFObjects, grad_scaler_config: Mapping[str, Any]
    ):
        self.settings = settings
        self.name = name
        self.autocast = autocast_dtype(settings.mixed_precision, device=get_torch_default_device().type)
        # Only float16 needs its gradients scaled. And what is saved predicts in no other half precision, so that this
        # predicts in no other, either: the scores that choose a checkpoint are those of the saved pipeline.
        self._predicts_in_half = self.autocast == torch.float16
        scaling = {"enabled": self._predicts_in_half, **grad_scaler_config}
        super().__init__(hf_model, mixed_precision=self._predicts_in_half, grad_scaler_config=scaling)

    def prepare(self, encoder: Any) -> None:
        """Freeze what is frozen and put in the adapters.

        RAISES (XltError): E604, E632 and E633 for what the encoder does not have, E635 for what it cannot do.
        """
        settings = self.settings
        if settings.gradient_checkpointing:
            self._checkpoint(encoder)
        # With adapters nothing else is trained.
        freeze(encoder, embeddings=settings.freeze_embeddings, layers=settings.freeze_layers, setting="freeze_layers")
        if settings.method is not None:
            add_adapters(encoder, settings, name=self.name)

    def _checkpoint(self, encoder: Any) -> None:
        try:
            # The other way needs inputs with gradients, which frozen embeddings do not give.
            encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        except (ValueError, NotImplementedError) as err:
            architecture = type(encoder).__name__
            values = {"setting": "gradient_checkpointing", "value": True, "architecture": architecture, "reason": err}
            raise error("E635", encoder=self.name, **values) from err

    @contextmanager
    def _half_precision(self) -> Iterator[None]:
        """The context in which the encoder runs in training."""
        if self.autocast is None:
            yield
            return
        device = self.device.type
        # For PyTorchShim, which asks for half precision on a GPU alone, in the type that is set around it.
        self._mixed_precision = device == "cuda"
        try:
            with torch.autocast(device_type=device, dtype=self.autocast):
                yield
        finally:
            self._mixed_precision = self._predicts_in_half

    def begin_update(self, inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
        """Run the encoder; the callback computes the gradients of what is trained, if anything is."""
        with self._half_precision():
            output, backprop = super().begin_update(inputs)
        if not output.last_hidden_state.requires_grad:
            return output, lambda gradients: inputs
        return output, backprop

    @contextmanager
    def use_params(self, params: Mapping[Any, Any]) -> Iterator[None]:
        """Use other values for the weights that are trained, such as the optimizer's averages, which PyTorchShim does
        not find: it looks for them under names that the optimizer does not use."""
        own = {}
        for name, weight in self._model.named_parameters() if self._model is not None else ():
            if (self.id, name) in params:
                own[name] = weight.data
                weight.data = xp2torch(params[self.id, name], device=weight.device)
        try:
            yield
        finally:
            for name, weight in self._model.named_parameters() if own else ():
                if name in own:
                    weight.data = own[name]

    def to_bytes(self) -> bytes:
        """Write the plain encoder, adapters added to its weights. What is trained stays as it is."""
        model = self._model
        if model is not None:
            state = merged_state(model)
            # All that HFShim asks of it.
            self._model = SimpleNamespace(state_dict=lambda: state)
        try:
            return super().to_bytes()
        finally:
            self._model = model

    def from_bytes(self, bytes_data: bytes) -> PeftShim:
        """Read a plain encoder and prepare it to be trained further, with new adapters."""
        super().from_bytes(bytes_data)
        if self._hfmodel.transformer is not None:
            self.prepare(self._hfmodel.transformer)
        return self
