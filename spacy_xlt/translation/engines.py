"""Translators by short names, as options and configs name them, and the choice of one that can run here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import XltError, error, missing_package
from ..hub import cache_folder, cached, download_command, full_name, located
from ..io.disk_cache import user_cache
from ..languages import to_spacy
from ..llm.key import check_address
from .apertium import choose_mode, data_folder, find_modes
from .bergamot.files import bundled_models, find_models

NAMES = (
    "auto, bundled, bergamot:FOLDER, opus:en-de (or another pair), nllb:600M, apertium, parallel:FILE, "
    "llm:MODEL@URL, a Hugging Face name or a model folder"
)
# What `auto` takes of the local cache, the models of a single pair first
_CACHED = ("opus:{source}-{target}", "hf:Helsinki-NLP/opus-mt-tc-big-{source}-{target}", "nllb:3.3B", "nllb:1.3B",
           "nllb:600M", "hf:facebook/m2m100_418M")  # fmt: skip
_LICENCES = {"facebook/nllb-200": "CC BY-NC 4.0, so not for commercial use"}


@dataclass(frozen=True)
class Resolved:
    """A translator that a short name stands for.

    Attributes:
        engine: The settings of `[components.xlt_translator.engine]`. Paths in it are as they were given.
        reason: What was taken and why, a sentence or several.
        passed_over: What `auto` looked for before that and did not find, with reasons.
    """

    engine: dict[str, Any]
    reason: str
    passed_over: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.reason} Passed over: {'; '.join(self.passed_over)}." if self.passed_over else self.reason


def resolve_translator(
    name: str = "auto", *, source: str, target: str, parallel: Sequence[str | Path] | None = None
) -> Resolved:
    """The translator that a short name stands for. No model is loaded, and nothing is downloaded.

    `auto` takes the first that can run here without a network: given parallel files, a bundled model, a folder of
    Firefox Translations models, an installed Apertium pair, a Hugging Face model in the local cache.

    Args:
        name: One of `NAMES`.
        source: Language code to translate from.
        target: Language code to translate into.
        parallel: Files with translations that are there already: a TMX file, a tab-separated one with the two languages
            as its first columns, or two files that say the same thing line by line. With another name than `auto`,
            what they do not have is translated by that.

    Raises:
        XltError: E202 where `auto` finds nothing, with the commands that would change that; E201 for a direction that
            the translator does not have; E502 for a missing file; E510 for an unknown name; E106 and E210 as
            `BergamotTranslator`, E238 as `ApertiumTranslator`, E150 for the address of a language model, E221 for a
            Hugging Face model that is not there.
    """
    kind, _, rest = name.partition(":")
    if kind == "parallel":
        parallel = [*filter(None, rest.split(",")), *(parallel or ())]
        if not parallel:
            raise error("E510", setting="The translator", value=name, expected="parallel:FILE, or two with a comma")
    if kind == "auto" and not parallel:
        return _first(source, target)
    if not parallel:
        return _named(name, source, target)
    fallback = None if kind in {"auto", "parallel"} else _named(name, source, target)
    return _given(parallel, source, target, fallback)


def _named(name: str, source: str, target: str) -> Resolved:
    kind, _, rest = name.partition(":")
    if kind == "bergamot" and rest:
        return _bergamot(Path(rest), source, target)
    if name == "bundled":
        return _bundled(source, target)
    if name == "apertium":
        return _apertium(source, target)
    if kind == "llm":
        return _language_model(name)
    if name == "opus":
        name = f"opus:{to_spacy(source)}-{to_spacy(target)}"
    model = full_name(name)
    # A Windows path has a colon, too
    if not name.strip() or (":" in model and not os.path.isdir(model)):
        raise error("E510", setting="The translator", value=name, expected=NAMES)
    return _hugging_face(model)


def _first(source: str, target: str) -> Resolved:
    passed_over = []
    for what, find in _candidates(source, target):
        try:
            found = find()
        except XltError as err:
            passed_over.append(f"{what} ({_short(err)})")
            continue
        return Resolved(found.engine, found.reason, tuple(passed_over))
    ways = "\n".join(_ways(source, target))
    raise error("E202", source=source, target=target, tried="; ".join(passed_over), ways=ways)


def _candidates(source: str, target: str) -> Iterator[tuple[str, Callable[[], Resolved]]]:
    """What `auto` tries, in order."""
    yield "a bundled model", partial(_bundled, source, target)
    for folder in firefox_folders():
        yield f"Firefox Translations models in {folder}", partial(_bergamot, folder, source, target)
    yield "Apertium", partial(_apertium, source, target)
    yield f"a Hugging Face model in {cache_folder()}", partial(_from_cache, source, target)


def _short(err: XltError) -> str:
    """Why something is passed over, in a few words."""
    return {"E201": "not this pair", "E106": "not installed", "E238": "not installed"}.get(err.code, "none there")


def firefox_folders() -> tuple[Path, Path]:
    """Where `auto` looks for models of Firefox Translations: in the working directory, and in the user's cache."""
    return Path("models", "bergamot"), user_cache() / "bergamot"


def _bundled(source: str, target: str) -> Resolved:
    _check_direction(bundled_models(), source, target)
    if find_spec("sentencepiece") is None:
        raise missing_package("The bundled translator", "sentencepiece", "bundled")
    reason = f"The bundled model translates {source} to {target}, without a network."
    return Resolved({"@misc": "spacy_xlt.BergamotTranslator.v1"}, reason)


def _bergamot(folder: Path, source: str, target: str) -> Resolved:
    _check_direction(folder, source, target)
    reason = f"The Firefox Translations model in {folder} translates {source} to {target}, without a network."
    return Resolved({"@misc": "spacy_xlt.BergamotTranslator.v1", "models": str(folder)}, reason)


def _check_direction(folder: Path, source: str, target: str) -> None:
    models = find_models(folder)
    if (to_spacy(source), to_spacy(target)) not in models:
        known = ", ".join(f"{s} to {t}" for s, t in sorted(models))
        raise error("E201", engine=f"The models in {folder}", source=source, target=target, known=known)


def _apertium(source: str, target: str) -> Resolved:
    modes = find_modes(data_folder())
    if not modes or shutil.which("apertium") is None:
        raise error("E238", reason=f"{data_folder()} has no modes" if not modes else "there is no command apertium")
    mode = choose_mode(modes, source=source, target=target, variant=None)
    if mode is None:
        known = ", ".join(mode.path.stem for mode in modes)
        raise error("E201", engine="Apertium", source=source, target=target, known=known)
    reason = f"Apertium translates {source} to {target} by its rules {mode.path.stem}, without a network."
    return Resolved({"@misc": "spacy_xlt.ApertiumTranslator.v1"}, reason)


def _language_model(name: str) -> Resolved:
    """A model behind an endpoint; nothing is asked."""
    model, _, url = name.removeprefix("llm:").rpartition("@")
    if not model.strip():
        raise error("E510", setting="The translator", value=name, expected="llm:MODEL@URL")
    check_address("EndpointModel", url)
    if find_spec("httpx") is None:
        raise missing_package("The translator", "httpx", "llm")
    settings = {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": url, "model": model}
    reason = f"The language model {model} at {url} translates, one request a sentence."
    return Resolved({"@misc": "spacy_xlt.LlmTranslator.v1", "model": settings}, reason)


def _from_cache(source: str, target: str) -> Resolved:
    for pattern in _CACHED:
        name = pattern.format(source=to_spacy(source), target=to_spacy(target))
        if cached(full_name(name)):
            return _hugging_face(full_name(name))
    raise error("E221", engine="auto", model="opus, nllb, m2m100", reason="none there")


def _hugging_face(model: str) -> Resolved:
    fast = find_spec("ctranslate2") is not None
    engine = "CTranslate2Translator" if fast else "Seq2SeqTranslator"
    place = located(model, "E221", engine=engine)
    where = f"is in {place}" if os.path.isdir(place) else f"is downloaded to {cache_folder()} when first used"
    licence = next((f" Its licence: {text}." for start, text in _LICENCES.items() if model.startswith(start)), "")
    how = "run by CTranslate2" if fast else "run by transformers (faster: pip install 'spacy-xlt[ctranslate2]')"
    reason = f"The Hugging Face model {model} {where}, {how}.{licence}"
    return Resolved({"@misc": f"spacy_xlt.{engine}.v1", "model": model}, reason)


def _given(files: Sequence[str | Path], source: str, target: str, fallback: Resolved | None) -> Resolved:
    paths = [Path(file) for file in files]
    for path in paths:
        if not path.is_file():
            raise error("E502", what="file of translations", path=path)
    if len(paths) == 2 and paths[0].samefile(paths[1]):
        raise error("E510", setting="The file of translations", value=str(paths[1]), expected="another than the first")
    engine: dict[str, Any] = {"@misc": "spacy_xlt.ParallelTranslator.v1", "languages": [source, target]}
    by_columns = (".tmx", ".tsv")
    if len(paths) == 2 and not any(suffix in by_columns for path in paths for suffix in path.suffixes):
        engine |= {"source_file": str(paths[0]), "target_file": str(paths[1])}
    else:
        engine["memory"] = [str(path) for path in paths]
    named = " and ".join(map(str, paths))
    if fallback is None:
        reason = f"Translations are looked up in {named}; a sentence that is not there has none."
    else:
        engine["fallback"] = fallback.engine
        reason = f"Translations are looked up in {named}, and made where they are not there. {fallback.reason}"
    return Resolved(engine, reason)


def _ways(source: str, target: str) -> Iterator[str]:
    """What could be done where nothing translates, a line each."""
    source, target = to_spacy(source), to_spacy(target)
    if {source, target} == {"en", "pt"}:
        yield "  pip install 'spacy-xlt[bundled]'"
    opus = f"opus:{source}-{target}"
    yield f"  {download_command(full_name(opus))}   (then {opus}; not every pair is there)"
    yield f"  {download_command(full_name('nllb:600M'))}   (then nllb:600M; 200 languages, not for commercial use)"
    yield "  apt-cache search --names-only '^apertium-'   (then apt-get install a pair, and apertium)"
    yield f"  a Firefox Translations model as {firefox_folders()[0] / f'{source}{target}'}   (or bergamot:FOLDER)"
    yield "  files with translations: parallel:FILE.tmx, or two line-parallel ones, parallel:FILE,FILE"
