"""What to do to a pipeline before it is trained. The packaged pipeline knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.language import Language

from ..errors import error


def create_freeze_encoder(
    embeddings: bool = True, layers: int = 0, component: str = "transformer"
) -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.freeze_encoder.v1`, for `[initialize.after_init]`.

    Weights of the encoder that are not trained cost no gradient and no optimizer step. The embeddings of a
    multilingual encoder are most of its weights, and a corpus in one language moves only that language's.

    embeddings (bool): Whether the embeddings stay as they are.
    layers (int): How many layers, from the bottom, stay as they are.
    component (str): Name of the transformer component.
    RAISES (XltError): E601 for a number of layers below zero; when called, E603 and E604 where the pipeline has no such
        component or layer.
    """
    if layers < 0:
        raise error("E601", setting="layers", value=layers, expected="a number from 0")

    def freeze(nlp: Language) -> Language:
        if component not in nlp.component_names:
            raise error("E603", component=component, known=", ".join(nlp.component_names) or "none")
        encoder = nlp.get_pipe(component).model.transformer  # type: ignore[attr-defined]
        if embeddings:
            # With those of positions and types, where the architecture keeps them together.
            getattr(encoder, "embeddings", encoder.get_input_embeddings()).requires_grad_(False)
        stack = _layers(encoder)
        if layers > len(stack):
            raise error("E604", layers=layers, known=len(stack))
        for layer in stack[:layers]:
            layer.requires_grad_(False)
        return nlp

    return freeze


def _layers(encoder: Any) -> list[Any]:
    """The layers of an encoder, from the bottom, wherever its architecture keeps them."""
    from torch.nn import ModuleList

    expected = getattr(encoder.config, "num_hidden_layers", 0)
    for module in encoder.modules():
        if isinstance(module, ModuleList) and len(module) == expected:
            return list(module)
    return []
