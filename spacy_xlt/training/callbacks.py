"""What to do to a pipeline before it is trained. The packaged pipeline knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable

from spacy.language import Language

from ..device import disable_cudnn_attention
from ..errors import error
from .freezing import freeze, model_of


def create_ready_kernels() -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.ready_kernels.v1`, for `[initialize.before_init]`.

    Training on a GPU is faster without cuDNN's kernels for attention; see `spacy_xlt.device`. The trained pipeline
    keeps nothing of it.
    """

    def choose(nlp: Language) -> Language:
        disable_cudnn_attention()
        return nlp

    return choose


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

    def freeze_encoder(nlp: Language) -> Language:
        freeze(model_of(nlp, component).transformer, embeddings=embeddings, layers=layers)
        return nlp

    return freeze_encoder
