"""The average of trained pipelines: one pipeline whose weights are the mean of theirs."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from thinc.api import Model

from ..errors import error, warn
from ..io import replacing_pipeline
from .snapshots import FILE_NAME, snapshot_folders

# Below it, heads did not start from the same values: independent ones are near 0
_SAME_START = 0.5


@dataclass
class Average:
    """What was averaged.

    Attributes:
        members: The pipelines.
        weights: Their shares; they sum to 1.
        cosines: For each member after the first, the cosine between its weights and those of the first, by component
            that was not pretrained.
        n_values: How many weights the pipeline has.
        n_changed: How many of them lie in matrices that are not the same in all members.
    """

    members: list[Path]
    weights: list[float]
    cosines: list[dict[str, float]] = field(default_factory=list)
    n_values: int = 0
    n_changed: int = 0


def find_members(paths: Sequence[str | Path]) -> list[Path]:
    """The pipelines that paths stand for: themselves, or the snapshots in a folder of them.

    Raises:
        XltError: E640 for a path that is neither, E510 for a pipeline that is named twice.
    """
    members: list[Path] = []
    for path in map(Path, paths):
        folders = snapshot_folders(path) if (path / FILE_NAME).is_file() else [path]
        if not folders:
            raise error("E640", path=path, reason="it has no whole snapshot yet")
        for folder in folders:
            if any(folder.resolve() == member.resolve() for member in members):
                expected = "each pipeline once; --weights counts one more"
                raise error("E510", setting="MODEL", value=str(folder), expected=expected)
            _check_is_pipeline(folder)
            members.append(folder)
    if len(members) == 1:
        # A comparison with one seed has no more
        warn("W633", path=members[0])
    return members


def check_weights(weights: Sequence[float] | None, n: int) -> list[float]:
    """The shares of `n` members: the weights divided by their sum, all the same without any.

    Raises:
        XltError: E510 for invalid weights.
    """
    if weights is None:
        return [1 / n] * n
    total = sum(weights)
    if len(weights) != n or not all(math.isfinite(w) and w >= 0 for w in weights) or not 0 < total < math.inf:
        raise error("E510", setting="--weights", value=list(weights), expected=f"{n} numbers from 0, not all of them 0")
    return [w / total for w in weights]


def average_pipelines(
    members: Sequence[str | Path], *, weights: Sequence[float] | None = None
) -> tuple[Language, Average]:
    """Load pipelines and take the mean of their weights, one after the other (Schmidt et al. 2023, "Free Lunch").

    What is no floating-point weight must be the same in all; what has no weights is taken from the first. In memory
    are two pipelines, and once more the weights that differ.

    Args:
        members: Folders of trained pipelines.
        weights: One for each, in any scale.

    Returns:
        The pipeline, and what it is the average of.

    Raises:
        XltError: E640 to E644 for what cannot be averaged.
    """
    folders = [Path(member) for member in members]
    average = Average(folders, check_weights(weights, len(folders)))
    for folder in folders:
        _check_is_pipeline(folder)
    nlp = _load(folders[0])
    first, first_layout = dict(read_weights(nlp)), layout(nlp)
    if not first:
        raise error("E640", path=folders[0], reason="it has no weights to average")
    for name, values in first.items():
        _check_finite(values, name, folders[0])
    average.n_values = sum(values.size for values in first.values())
    # Sums of differences to the first: what is the same in all stays so to the last bit and takes no memory
    sums: dict[str, NDArray[np.float32]] = {}
    for folder, share in zip(folders[1:], average.weights[1:], strict=True):
        other = _load(folder)
        _check_same_layout(first_layout, layout(other), folders=(folders[0], folder))
        cosines = _add(sums, first, other, share=share, folders=(folders[0], folder))
        average.cosines.append(cosines)
        for component, cosine in cosines.items():
            if cosine < _SAME_START:
                warn("W632", component=component, path=folder, first=folders[0], cosine=cosine)
        del other
    average.n_changed = sum(added.size for added in sums.values())
    write_weights(nlp, ((name, _sum(first[name], added)) for name, added in sums.items()))
    _describe(nlp, average)
    return nlp, average


def write_average(nlp: Language, output: str | Path, *, members: Sequence[Path] = (), force: bool = False) -> None:
    """Write a pipeline whole or not at all. See `check_output`."""
    check_output(output, members=members, force=force)
    with replacing_pipeline(output) as beside:
        nlp.to_disk(beside)


def check_output(output: str | Path, *, members: Sequence[Path] = (), force: bool = False) -> None:
    """Whether a pipeline may be written to a folder.

    Args:
        members: The pipelines that are averaged, none of which is replaced.
        force: Also in the place of another pipeline.

    Raises:
        XltError: E645 where something is there that would be lost.
    """
    output = Path(output)
    hint = "Choose another folder."
    if any(output.resolve() == member.resolve() for member in members):
        raise error("E645", path=output, reason="is one of the pipelines to average", hint=hint)
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if _what_is_missing(output):
        raise error("E645", path=output, reason="is there and is no pipeline", hint=hint)
    if not force:
        raise error("E645", path=output, reason="holds a pipeline already", hint=f"{hint[:-1]}, or add --force.")


def read_weights(nlp: Language) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the weights of all components, as they are in memory or as a copy of it.

    They are called `component: number name.parameter` if they are thinc's (the number is the layer's place in the
    model) and `component: parameter` if they are torch's. A weight that has two names comes once.
    """
    for name, (holder, key) in _places(nlp).items():
        yield name, _as_array(holder[key]) if isinstance(holder, dict) else _as_array(holder.get_param(key))


def write_weights(nlp: Language, weights: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Put other values of the same shape in the place of weights, by the names that `read_weights` gives them."""
    places = _places(nlp)
    for name, values in weights:
        holder, key = places[name]
        if not isinstance(holder, dict):
            holder.set_param(key, holder.ops.asarray(values))
            continue
        import torch

        with torch.no_grad():
            holder[key].copy_(torch.from_numpy(np.ascontiguousarray(values)))


def layout(nlp: Language) -> dict[str, Any]:
    """What must be the same in pipelines whose weights stand for the same things, by what it is called in messages."""
    result: dict[str, Any] = {"[nlp] lang": nlp.lang, "[nlp] pipeline": nlp.component_names}
    for name, component in nlp.components:
        # In the order in which the output layer has them
        result[f"labels of {name}"] = list(
            getattr(component, "move_names", None) or getattr(component, "labels", None) or ()
        )
    for name, model in _models(nlp):
        result[f"word pieces of the encoder in {name}"] = _vocabulary(model)
    for name, values in read_weights(nlp):
        result[f"weights {name}"] = f"{values.dtype} {tuple(values.shape)}"
    return result


def _check_same_layout(first: Mapping[str, Any], other: Mapping[str, Any], *, folders: tuple[Path, Path]) -> None:
    name = next((name for name in {**first, **other} if first.get(name) != other.get(name)), None)
    if name is None:
        return
    hint = ""
    if name.startswith("labels of "):
        component = name.removeprefix("labels of ")
        hint = (
            "Train every run with spacy_xlt.head_seed.v1, or give each the same list with "
            f"[initialize.components.{component}] labels."
        )
    ours, theirs = (_shown(values.get(name, "not there")) for values in (first, other))
    difference = f"{name}: {theirs} and not {ours}"
    raise error("E643", path=folders[1], first=folders[0], difference=difference, hint=hint)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _vocabulary(model: Any) -> str:
    """A checksum of the vocabulary of an encoder's tokenizer; empty for a model without one."""
    holders = [getattr(shim, "_hfmodel", None) for shim in _shims(model)] if isinstance(model, Model) else [model]
    for tokenizer in (getattr(holder, "tokenizer", None) for holder in holders):
        if tokenizer is not None:
            text = repr(sorted(tokenizer.get_vocab().items()))
            return hashlib.sha256(text.encode("utf8")).hexdigest()[:12]
    return ""


def _add(
    sums: dict[str, NDArray[np.float32]],
    first: Mapping[str, NDArray[Any]],
    other: Language,
    *,
    share: float,
    folders: tuple[Path, Path],
) -> dict[str, float]:
    """Add a member's differences to the first one, times its share.

    Returns:
        The cosine between their weights by component, of those that began at random.
    """
    products: dict[str, NDArray[np.float64]] = {}
    for name, values in read_weights(other):
        base = first[name]
        if not np.issubdtype(values.dtype, np.floating):
            if not np.array_equal(base, values):
                difference = f"{name} holds whole numbers that differ"
                raise error("E643", path=folders[1], first=folders[0], difference=difference, hint="")
            continue
        _check_finite(values, name, folders[1])
        component, _, parameter = name.partition(":")
        # Biases begin at 0 and scales at 1 in all; a name of torch's is that of a pretrained encoder
        if base.ndim >= 2 and parameter.strip()[0].isdigit():
            a, b = base.astype(np.float64).ravel(), values.astype(np.float64).ravel()
            products.setdefault(component, np.zeros(3))
            products[component] += (a @ b, a @ a, b @ b)
        if np.array_equal(base, values):
            continue
        added = sums.setdefault(name, np.zeros(base.shape, dtype=np.float32))
        added += share * (values.astype(np.float64) - base)
    return {name: float(ab / math.sqrt(aa * bb)) for name, (ab, aa, bb) in products.items() if aa * bb > 0}


def _sum(values: NDArray[Any], added: NDArray[np.float32]) -> NDArray[Any]:
    return (values.astype(np.float64) + added).astype(values.dtype)


def _models(nlp: Language) -> Iterator[tuple[str, Any]]:
    """The models of a pipeline's components, disabled ones among them: thinc's, and that of `xlt_ner`."""
    for name, component in nlp.components:
        model = getattr(component, "model", None)
        if isinstance(model, Model) or hasattr(model, "state_dict"):
            yield name, model


def _shims(model: Model) -> list[Any]:
    return [shim for node in model.walk() for shim in node.shims]


def _places(nlp: Language) -> dict[str, tuple[Any, str]]:
    """What holds each weight, a thinc layer or a torch state dict, and its key there."""
    places: dict[str, tuple[Any, str]] = {}
    seen: set[int] = set()
    tied: set[int] = set()
    for component, model in _models(nlp):
        modules = [] if isinstance(model, Model) else [model]
        for i, node in enumerate(model.walk() if isinstance(model, Model) else ()):
            if id(node) in seen:
                continue
            seen.add(id(node))
            for key in node.param_names:
                if node.has_param(key):
                    places[f"{component}: {i} {node.name}.{key}"] = (node, key)
            modules += [shim._model for shim in node.shims if hasattr(shim._model, "state_dict")]
        for module in modules:
            state = dict(module.state_dict())
            for key, tensor in state.items():
                # Tied weights are one tensor
                if hasattr(tensor, "data_ptr") and (not tensor.numel() or tensor.data_ptr() not in tied):
                    tied.add(tensor.data_ptr())
                    places[f"{component}: {key}"] = (state, key)
    return places


def _as_array(values: Any) -> NDArray[Any]:
    if not hasattr(values, "detach"):
        return values if isinstance(values, np.ndarray) else np.asarray(values.get())
    values = values.detach().cpu()
    # numpy has no bfloat16
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def _check_finite(values: NDArray[Any], name: str, folder: Path) -> None:
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise error("E644", path=folder, name=name)


def _check_is_pipeline(folder: Path) -> None:
    if missing := _what_is_missing(folder):
        raise error("E640", path=folder, reason=missing)


def _what_is_missing(folder: Path) -> str:
    if not folder.is_dir():
        return "it is no folder" if folder.exists() else "it is not there"
    missing = [name for name in ("meta.json", "config.cfg") if not (folder / name).is_file()]
    if not missing:
        return ""
    inside = sorted(path.parent.name for path in folder.glob("*/meta.json"))
    return f"it has no {missing[0]}" + (f". Give the pipelines in it by name: {', '.join(inside)}" if inside else "")


def _load(folder: Path) -> Language:
    from spacy import load

    try:
        return load(folder)
    except Exception as err:  # whatever a broken file or a missing package of its own raises
        raise error("E640", path=folder, reason=f"it cannot be loaded ({type(err).__name__}: {err})"[:400]) from err


def _describe(nlp: Language, average: Average) -> None:
    """Note in the pipeline's meta.json where it comes from. Scores of the members are not its own."""
    common = Path(os.path.commonpath([member.resolve() for member in average.members]))
    names = [member.resolve().relative_to(common).as_posix() for member in average.members]
    metas = [json.loads((member / "meta.json").read_text(encoding="utf8")) for member in average.members]
    nlp.meta["performance"] = {}
    nlp.meta.pop("snapshot", None)
    nlp.meta["average"] = {
        "members": [
            {"name": name, "weight": round(weight, 6), **meta.get("snapshot", {})}
            for name, weight, meta in zip(names, average.weights, metas, strict=True)
        ]
    }
    added = f"Average of the weights of {len(names)} pipelines."
    before = nlp.meta.get("description", "")
    nlp.meta["description"] = before if added in before else f"{before} {added}".strip()
