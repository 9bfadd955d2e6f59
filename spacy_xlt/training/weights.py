"""The weights of a pipeline by name, whether thinc or torch holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from thinc.api import Model


def read_weights(nlp: Language) -> Iterator[tuple[str, NDArray[Any]]]:
    """The weights of all components, as they are in memory or as a copy of it.

    YIELDS (tuple[str, NDArray]): `component: number name.parameter` for thinc's weights (the number is the layer's
        place in the model), `component: parameter` for torch's. A weight that has two names comes once.
    """
    for name, (holder, key) in _places(nlp).items():
        yield name, _as_array(holder[key]) if isinstance(holder, dict) else _as_array(holder.get_param(key))


def write_weights(nlp: Language, weights: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Put other values of the same shape in the place of weights.

    weights (Iterable[tuple[str, NDArray]]): Names, as `read_weights` calls them, and values.
    """
    places = _places(nlp)
    for name, values in weights:
        holder, key = places[name]
        if not isinstance(holder, dict):
            holder.set_param(key, holder.ops.asarray(values))
            continue
        import torch

        with torch.no_grad():
            holder[key].copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _places(nlp: Language) -> dict[str, tuple[Any, str]]:
    """What holds each weight, a thinc layer or a torch state dict, and its key there."""
    places: dict[str, tuple[Any, str]] = {}
    seen: set[int] = set()
    tied: set[int] = set()
    for component, model in models(nlp):
        for i, node in enumerate(model.walk()):
            if id(node) in seen:
                continue
            seen.add(id(node))
            for key in node.param_names:
                if node.has_param(key):
                    places[f"{component}: {i} {node.name}.{key}"] = (node, key)
            for state in _torch_states(node):
                for key, tensor in state.items():
                    # Tied weights are one tensor
                    if hasattr(tensor, "data_ptr") and (not tensor.numel() or tensor.data_ptr() not in tied):
                        tied.add(tensor.data_ptr())
                        places[f"{component}: {key}"] = (state, key)
    return places


def models(nlp: Language) -> Iterator[tuple[str, Model]]:
    """The thinc models of a pipeline's components, disabled ones among them."""
    for name, component in nlp.components:
        model = getattr(component, "model", None)
        if isinstance(model, Model):
            yield name, model


def _torch_states(node: Model) -> Iterator[dict[str, Any]]:
    for shim in node.shims:
        if hasattr(shim._model, "state_dict"):
            yield dict(shim._model.state_dict())


def _as_array(values: Any) -> NDArray[Any]:
    if not hasattr(values, "detach"):
        return values if isinstance(values, np.ndarray) else np.asarray(values.get())
    values = values.detach().cpu()
    # numpy has no bfloat16
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
