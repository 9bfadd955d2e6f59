"""Weights of an encoder that are not trained: they cost no gradient and no optimizer step."""

from __future__ import annotations

from typing import Any

from spacy.language import Language

from ..errors import error


def model_of(nlp: Language, component: str) -> Any:
    """The thinc model of the component that a callback is about.

    RAISES (XltError): E603 where the pipeline has no such component.
    """
    if component not in nlp.component_names:
        raise error("E603", component=component, known=", ".join(nlp.component_names) or "none")
    return nlp.get_pipe(component).model  # type: ignore[attr-defined]


def encoder_layers(encoder: Any) -> list[Any]:
    """The layers of a Hugging Face encoder, from the bottom, wherever its architecture keeps them.

    encoder (transformers.PreTrainedModel): The encoder.
    RETURNS (list[torch.nn.Module]): The layers; none where they cannot be told from other modules.
    """
    from torch.nn import ModuleList

    expected = getattr(encoder.config, "num_hidden_layers", 0)
    for module in encoder.modules():
        if isinstance(module, ModuleList) and len(module) == expected:
            return list(module)
    return []


def freeze(encoder: Any, *, embeddings: bool, layers: int, setting: str = "layers") -> None:
    """Keep weights of an encoder as they are.

    encoder (transformers.PreTrainedModel): The encoder.
    embeddings (bool): Whether to freeze the embeddings, with those of positions and types where the architecture keeps
        them together.
    layers (int): How many layers to freeze, from the bottom.
    setting (str): What `layers` is called in the config, for the error.
    RAISES (XltError): E604 where the encoder has fewer layers.
    """
    if embeddings:
        getattr(encoder, "embeddings", encoder.get_input_embeddings()).requires_grad_(False)
    stack = encoder_layers(encoder)
    if layers > len(stack):
        raise error("E604", setting=setting, layers=layers, known=len(stack))
    for layer in stack[:layers]:
        layer.requires_grad_(False)
