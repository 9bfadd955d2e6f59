"""Whether pipelines are made alike, so that their weights stand for the same things: the first difference, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from thinc.api import Config, Model

from ..errors import error
from .weights import models, read_weights

# Settings of a component that change how it is trained or how fast it runs, not what its weights stand for
_FREE = {"name", "mixed_precision", "grad_scaler_config", "tokenizer_config", "transformer_config", "max_batch_items"}
_FREE |= {"scorer", "update_with_oracle_cut_size", "learn_tokens", "grad_factor"}
_LABELS = (
    "Train every run with spacy_xlt.head_seed.v1, or give each the same list with [initialize.components.{}] labels."
)


def check_configs(folders: list[Path]) -> None:
    """Compare the configs of pipelines without loading these.

    RAISES (XltError): E643 for the first difference.
    """
    first, *others = [Config().from_disk(folder / "config.cfg", interpolate=True) for folder in folders]
    for folder, config in zip(folders[1:], others, strict=True):
        for what in ("lang", "pipeline"):
            if config["nlp"][what] != first["nlp"][what]:
                difference = f"[nlp] {what} is {config['nlp'][what]!r} and not {first['nlp'][what]!r}"
                raise error("E643", path=folder, first=folders[0], difference=difference, hint="")
        found = next(_differences(first["components"], config["components"], "components"), "")
        if found:
            raise error("E643", path=folder, first=folders[0], difference=found, hint="")


def check_pipelines(first: Language, other: Language, *, names: tuple[Path, Path]) -> None:
    """Compare two pipelines of equal configs: labels, tokenizers, vectors, and the names and shapes of all weights.

    names (tuple[Path, Path]): What to call them.
    RAISES (XltError): E643 for the first difference.
    """
    for difference, hint in _pipeline_differences(first, other):
        raise error("E643", path=names[1], first=names[0], difference=difference, hint=hint)


def _differences(first: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(first, Mapping) and isinstance(other, Mapping):
        for key in [*first, *(key for key in other if key not in first)]:
            if key not in _FREE:
                yield from _differences(first.get(key), other.get(key), f"{where}.{key}")
    elif first != other:
        yield f"[{where.rpartition('.')[0]}] {where.rpartition('.')[2]} is {other!r} and not {first!r}"


def _pipeline_differences(first: Language, other: Language) -> Iterator[tuple[str, str]]:
    for name, component in first.components:
        known, found = (_labels(pipe) for pipe in (component, other.get_pipe(name)))
        if known != found:
            place = next(i for i, pair in enumerate(zip_longest(known, found)) if pair[0] != pair[1])
            ours, theirs = (labels[place] if place < len(labels) else "none" for labels in (known, found))
            what = "order" if sorted(known) == sorted(found) else "set"
            said = f"{name} has another {what} of labels; number {place + 1} is {theirs} and not {ours}"
            yield said, _LABELS.format(name)
    tokenizers: list[Any] = [nlp.tokenizer for nlp in (first, other)]
    if len({tokenizer.to_bytes(exclude=["vocab"]) for tokenizer in tokenizers if hasattr(tokenizer, "to_bytes")}) > 1:
        yield "the tokenizer of the pipeline is another", ""
    for (name, model), (_, other_model) in zip(models(first), models(other), strict=True):
        yield from ((found, "") for found in _model_differences(name, model, other_model))
    vectors, other_vectors = first.vocab.vectors, other.vocab.vectors
    if vectors.shape != other_vectors.shape or not np.array_equal(vectors.data, other_vectors.data):
        yield "the static vectors are others", ""
    shapes = {name: (values.shape, values.dtype) for name, values in read_weights(first)}
    other_shapes = {name: (values.shape, values.dtype) for name, values in read_weights(other)}
    for name in [*shapes, *(name for name in other_shapes if name not in shapes)]:
        if shapes.get(name) != other_shapes.get(name):
            ours, theirs = (_said(known.get(name)) for known in (shapes, other_shapes))
            yield f"the weights {name} are {theirs} and not {ours}", ""


def _labels(component: Any) -> list[str]:
    """In the order in which the output layer has them."""
    return list(getattr(component, "move_names", None) or getattr(component, "labels", None) or ())


def _model_differences(name: str, first: Model, other: Model) -> Iterator[str]:
    layers, other_layers = ([node.name for node in model.walk()] for model in (first, other))
    if layers != other_layers:
        yield f"the model of {name} has other layers"
    vocabularies = [_vocabulary(model) for model in (first, other)]
    if vocabularies[0] != vocabularies[1]:
        yield f"the word pieces of the encoder in {name} are others"


def _vocabulary(model: Model) -> str:
    """What decides how an encoder's tokenizer cuts text; empty for a model without one."""
    for node in model.walk():
        for shim in node.shims:
            tokenizer = getattr(getattr(shim, "_hfmodel", None), "tokenizer", None)
            if tokenizer is None:
                continue
            if tokenizer.is_fast:
                return str(tokenizer.backend_tokenizer.to_str())
            return repr(sorted(tokenizer.get_vocab().items()))
    return ""


def _said(shape: Any) -> str:
    return "not there" if shape is None else f"{shape[1]} {tuple(shape[0])}"
