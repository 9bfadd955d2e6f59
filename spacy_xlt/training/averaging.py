"""The average of trained pipelines: one pipeline whose weights are the mean of theirs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language

from ..errors import error, warn
from ..io import replacing_folder
from .same_pipelines import check_configs, check_pipelines
from .snapshots import FILE_NAME, snapshot_folders
from .weights import read_weights, write_weights

# Values handled at a time, so that the float64 copies stay small beside any weight matrix
_CHUNK = 1 << 20
# Below it, heads did not start from the same values: independent ones are near 0
_SAME_START = 0.5


@dataclass
class Average:
    """What was averaged.

    members (list[Path]): The pipelines.
    weights (list[float]): Their shares; they sum to 1.
    cosines (list[dict[str, float]]): For each member after the first, the cosine between its weights and those of the
        first, by component that was not pretrained.
    n_values (int): How many weights the pipeline has.
    n_changed (int): How many of them lie in matrices that are not the same in all members.
    """

    members: list[Path]
    weights: list[float]
    cosines: list[dict[str, float]] = field(default_factory=list)
    n_values: int = 0
    n_changed: int = 0


def find_members(paths: Sequence[str | Path], *, last: int = 0) -> list[Path]:
    """The pipelines that paths stand for: themselves, or the snapshots in a folder of them.

    last (int): Of a folder of snapshots, take only so many, the latest; 0 for all.
    RAISES (XltError): E640 for a path that is neither, E642 for a pipeline that is named twice or for fewer than two.
    """
    if last < 0:
        raise error("E642", setting="--last", value=last, expected="a number from 0")
    members: list[Path] = []
    for path in map(Path, paths):
        found = snapshot_folders(path)[-last:] if (path / FILE_NAME).is_file() else [path]
        if not found:
            raise error("E640", path=path, reason="it has no whole snapshot yet")
        for folder in found:
            _check_is_pipeline(folder)
        members += found
    seen: set[Path] = set()
    for member in members:
        if member.resolve() in seen:
            raise error(
                "E642", setting="MODEL", value=str(member), expected="each pipeline once; --weights counts one more"
            )
        seen.add(member.resolve())
    if len(members) < 2:
        raise error("E642", setting="MODEL", value=", ".join(map(str, paths)), expected="two pipelines or more")
    return members


def check_weights(weights: Sequence[float] | None, n: int) -> list[float]:
    """The shares of `n` members: the weights divided by their sum, all the same without any.

    RAISES (XltError): E642 for weights that cannot be.
    """
    if weights is None:
        return [1 / n] * n
    total = sum(weights)
    if len(weights) != n or not all(math.isfinite(w) and w >= 0 for w in weights) or not 0 < total < math.inf:
        raise error("E642", setting="--weights", value=list(weights), expected=f"{n} numbers from 0, not all of them 0")
    return [w / total for w in weights]


def average_pipelines(
    members: Sequence[str | Path], *, weights: Sequence[float] | None = None
) -> tuple[Language, Average]:
    """Load pipelines and take the mean of their weights, one after the other (Schmidt et al. 2023, "Free Lunch").

    What is no floating-point weight must be the same in all; what has no weights is taken from the first. In memory
    are two pipelines, and once more the weights that differ.

    members (Sequence[str | Path]): Folders of trained pipelines.
    weights (Sequence[float] | None): One for each, in any scale.
    RETURNS (tuple[Language, Average]): The pipeline, and what it is the average of.
    RAISES (XltError): E640 to E644 for what cannot be averaged.
    """
    folders = [Path(member) for member in members]
    average = Average(folders, check_weights(weights, len(folders)))
    for folder in folders:
        _check_is_pipeline(folder)
    check_configs(folders)
    nlp = _load(folders[0])
    first = dict(read_weights(nlp))
    if not first:
        raise error("E640", path=folders[0], reason="it has no weights to average")
    for name, values in first.items():
        _check_finite(values, name, folders[0])
    average.n_values = sum(values.size for values in first.values())
    # Sums of differences to the first: what is the same in all stays so to the last bit and takes no memory
    sums: dict[str, NDArray[np.float32]] = {}
    for folder, share in zip(folders[1:], average.weights[1:], strict=True):
        other = _load(folder)
        check_pipelines(nlp, other, names=(folders[0], folder))
        _add(sums, first, other, share=share, folders=(folders[0], folder), average=average)
        del other
    average.n_changed = sum(added.size for added in sums.values())
    write_weights(nlp, ((name, _sum(first[name], added)) for name, added in sums.items()))
    _describe(nlp, average)
    return nlp, average


def write_average(nlp: Language, output: str | Path, *, members: Sequence[Path] = (), force: bool = False) -> None:
    """Write a pipeline whole or not at all. See `check_output`."""
    check_output(output, members=members, force=force)
    with replacing_folder(output) as beside:
        nlp.to_disk(beside)


def check_output(output: str | Path, *, members: Sequence[Path] = (), force: bool = False) -> None:
    """Whether a pipeline may be written to a folder.

    force (bool): Also in the place of another pipeline.
    RAISES (XltError): E645 where something is there that would be lost.
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


def _add(
    sums: dict[str, NDArray[np.float32]],
    first: dict[str, NDArray[Any]],
    other: Language,
    *,
    share: float,
    folders: tuple[Path, Path],
    average: Average,
) -> None:
    """Add a member's differences to the first one, times its share."""
    likeness = _Likeness()
    for name, values in read_weights(other):
        base = first[name]
        if not np.issubdtype(values.dtype, np.floating):
            if not np.array_equal(base, values):
                difference = f"{name} holds whole numbers that differ"
                raise error("E643", path=folders[1], first=folders[0], difference=difference, hint="")
            continue
        _check_finite(values, name, folders[1])
        likeness.add(name, base, values)
        if np.array_equal(base, values):
            continue
        added = sums.setdefault(name, np.zeros(base.shape, dtype=np.float32))
        flat, base, values = added.reshape(-1), base.reshape(-1), values.reshape(-1)
        for part in _parts(flat.size):
            flat[part] += share * (values[part].astype(np.float64) - base[part])
    cosines = likeness.cosines()
    average.cosines.append(cosines)
    for component, cosine in cosines.items():
        if cosine < _SAME_START:
            warn("W632", component=component, path=folders[1], first=folders[0], cosine=cosine)


class _Likeness:
    """Cosine between the weights of two pipelines by component, of those that began at random."""

    def __init__(self) -> None:
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, name: str, first: NDArray[Any], other: NDArray[Any]) -> None:
        component, _, parameter = name.partition(":")
        # Biases begin at 0 and scales at 1 in all; a name of torch's is that of a pretrained encoder
        if first.ndim < 2 or not parameter.strip()[0].isdigit():
            return
        a, b = first.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        known = self._sums.setdefault(component, np.zeros(3))
        known += (a @ b, a @ a, b @ b)

    def cosines(self) -> dict[str, float]:
        return {name: float(ab / math.sqrt(aa * bb)) for name, (ab, aa, bb) in self._sums.items() if aa * bb > 0}


def _sum(values: NDArray[Any], added: NDArray[np.float32]) -> NDArray[Any]:
    result = np.empty(values.size, dtype=values.dtype)
    flat, flat_added = values.reshape(-1), added.reshape(-1)
    for part in _parts(result.size):
        result[part] = flat[part].astype(np.float64) + flat_added[part]
    return result.reshape(values.shape)


def _parts(size: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, size, _CHUNK))


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
    except Exception as err:  # whatever a broken file or a missing package of its own runs into
        raise error("E640", path=folder, reason=f"it cannot be loaded ({type(err).__name__}: {err})"[:400]) from err


def _describe(nlp: Language, average: Average) -> None:
    """What the pipeline's meta.json says of where it comes from. Scores of the members are not its own."""
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
    said = f"Average of the weights of {len(names)} pipelines."
    before = nlp.meta.get("description", "")
    nlp.meta["description"] = before if said in before else f"{before} {said}".strip()
