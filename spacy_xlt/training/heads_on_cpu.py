"""`spacy_xlt.heads_on_cpu.v1`: a parser's moves are computed on the CPU, beside an encoder on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.language import Language
from spacy.ml.tb_framework import forward as stock_forward
from thinc.api import Model, Ops, get_ops, use_ops

from ..errors import error
from .freezing import model_of


def forward(model: Model[Any, Any], docs: Any, is_train: bool) -> tuple[Any, Callable[..., Any]]:
    """In place of the forward pass of a parser's model. Its own ops are the GPU's, those of its `lower` the CPU's.

    Vectors of tokens come down once a batch, `hidden_width` numbers each, and their gradients go up once.
    """
    from spacy.ml.parser_model import ParserStepModel

    tok2vec, lower, upper = model.layers
    gpu: Ops = model.ops

    def on_cpu(docs: Any, is_train: bool) -> tuple[Any, Callable[[Any], Any]]:
        vectors, backprop = tok2vec(docs, is_train)
        return gpu.to_numpy(vectors), lambda d_vectors: backprop(gpu.asarray(d_vectors))

    step_model = ParserStepModel(
        docs,
        [on_cpu, lower, upper],
        unseen_classes=model.attrs["unseen_classes"],
        train=is_train,
        has_upper=model.attrs["has_upper"],
    )
    # It adds up the gradients.
    step_model.ops = lower.ops
    return step_model, step_model.finish_steps


class ResizeOnCpu:
    """In place of what a parser's model does for new labels: layers that it makes anew belong on the CPU as well.

    stock (Callable): What the model did.
    """

    def __init__(self, stock: Callable[[Model[Any, Any], int], Model[Any, Any]]):
        self.stock = stock

    def __call__(self, model: Model[Any, Any], labels: int) -> Model[Any, Any]:
        with use_ops("cpu"):
            return self.stock(model, labels)


def move_head(model: Model[Any, Any]) -> None:
    """Let a parser's model compute its moves on the CPU, if it does so on a GPU.

    The part that makes vectors of tokens stays where it is: large products of matrices, a few for a batch.

    model (Model): Of a transition-based parser. Its own ops stay the GPU's: they write both kinds of weights to a file.
    """
    lower = model.get_ref("lower")
    if lower.ops.device_type != "gpu":
        return
    for name in lower.param_names:
        if lower.has_param(name):
            lower.set_param(name, lower.ops.to_numpy(lower.get_param(name)))
    for name in lower.grad_names:
        lower.set_grad(name, lower.ops.to_numpy(lower.get_grad(name)))
    lower.ops = get_ops("cpu")
    model._func = forward
    model.attrs["resize_output"] = ResizeOnCpu(model.attrs["resize_output"])


def create_heads_on_cpu(components: list[str] | None = None) -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.heads_on_cpu.v1`, for `[initialize.before_init]`.

    A transition-based parser (`ner`, `parser`) makes one small step after the other, and on a GPU each is dozens of
    kernels that take longer to start than to run. Here those steps are the CPU's, and the encoder stays on the GPU. On
    a CPU nothing changes, and the trained pipeline keeps nothing of it.

    components (list[str] | None): Names of components; None for all that have such a model.
    RAISES (XltError): When called, E603 where the pipeline has no such component, E601 where it has another model.
    """

    def move(nlp: Language) -> Language:
        """Move the heads."""
        models: dict[str, Any] = {name: getattr(pipe, "model", None) for name, pipe in nlp.components}
        parsers = {name: model for name, model in models.items() if _is_parser(model)}
        for name in parsers if components is None else components:
            if name not in parsers:
                model_of(nlp, name)
                raise error(
                    "E601", setting="components", value=components, expected="names of transition-based parsers"
                )
            move_head(parsers[name])
        return nlp

    return move


def _is_parser(model: Any) -> bool:
    return isinstance(model, Model) and model._func in (stock_forward, forward)
