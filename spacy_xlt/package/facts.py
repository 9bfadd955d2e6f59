"""What a pipeline's own config, and the builds it was trained on, say of how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.util import dot_to_object, load_config

from ..build.manifest import FILE_NAME, input_digests, read_header
from ..errors import XltError, error
from ..io import file_digest
from ..languages import MULTI
from ..readers.docbin import corpus_files
from ..training.selection import Selection, is_target, selection_of, targets_of
from ..training.sources import GOLD

TRANSLATE_TEST, ENSEMBLE = "translate-test", "ensemble"
# In [paths]: the pipeline that a training goes on from.
FIRST = "first"
_COMPONENT_STRATEGIES = {"xlt_ensemble": ENSEMBLE, "xlt_translator": TRANSLATE_TEST}


@dataclass(frozen=True)
class TrainingSource:
    """A corpus that a pipeline was trained on.

    name (str): Name of its block, or of its setting.
    path (str): File or folder.
    lang (str): "" where the config does not say it.
    kind (str): "gold", "projected", or "" where the config does not say it.
    limit (int): The most documents that were read; 0 for all.
    digests (frozenset[str]): SHA-256 of its files; of a build, of those it was projected from. Empty where they are
        gone.
    engines (dict[str, str]): Component → signature, of the build that projected it.
    """

    name: str
    path: str
    lang: str = ""
    kind: str = ""
    limit: int = 0
    digests: frozenset[str] = frozenset()
    engines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """How a pipeline was made.

    encoder (str): Name or folder of the encoder it holds; "" without one.
    selection (Selection | None): What its checkpoint was selected by; None for one that was assembled, not trained.
    inner (list[dict]): meta.json of the pipelines inside it.
    needs_xlt (bool): Whether it needs this package to run.
    own_engines (dict[str, str]): Component → signature, of the pipeline's own components that have one.
    """

    meta: dict[str, Any]
    config: dict[str, Any]
    sources: list[TrainingSource]
    encoder: str
    selection: Selection | None
    inner: list[dict[str, Any]]
    needs_xlt: bool
    own_engines: Mapping[str, str] = field(default_factory=dict)

    @property
    def engines(self) -> dict[str, str]:
        """Component → signature: the pipeline's own, and those of the builds of all sources."""
        found: dict[str, list[str]] = {name: [signature] for name, signature in self.own_engines.items()}
        for source in self.sources:
            for name, signature in source.engines.items():
                found.setdefault(name, []).append(signature)
        return {name: " / ".join(dict.fromkeys(signatures)) for name, signatures in found.items() if any(signatures)}

    @property
    def strategy(self) -> str:
        """The name of the strategy, as far as the config tells; "" where it does not."""
        for component, name in _COMPONENT_STRATEGIES.items():
            if any(block.get("factory") == component for block in self.config.get("components", {}).values()):
                return name
        if self.config.get("paths", {}).get(FIRST):
            return "source-first"
        kinds = {source.kind for source in self.sources}
        if not kinds or "" in kinds:
            return ""
        targets = targets_of(self.config, self.config.get("corpora", {}).get("dev") or {})
        of_target = [source for source in self.sources if source.kind == GOLD and is_target(source.lang, targets)]
        if of_target:
            return "few-shot" if any(source.limit for source in of_target) else "gold"
        if len(kinds) == 2:
            return "translate-train-all"
        return "zero-shot" if kinds == {GOLD} else "translate-train"

    @property
    def langs(self) -> list[str]:
        """The languages that the pipeline is for, then those that it learned from, each once."""
        own = self.meta.get("lang", MULTI)
        found = [own, *(source.lang for source in self.sources), *(meta.get("lang", "") for meta in self.inner)]
        return [lang for lang in dict.fromkeys(found) if lang and lang != MULTI] or [MULTI]


def facts_of(folder: Path) -> Facts:
    """Read a pipeline's folder.

    RAISES (XltError): E683 where it is no pipeline.
    """
    try:
        meta = srsly.read_json(folder / "meta.json")
        config = dict(load_config(folder / "config.cfg").interpolate())
    except Exception as err:  # whatever a file that is no config runs into
        raise error("E683", path=folder, reason=" ".join(str(err).split())[:200]) from err
    inner = [srsly.read_json(path) for path in sorted(folder.rglob("meta.json")) if path.parent != folder]
    needs_xlt = _names_xlt({key: config.get(key, {}) for key in ("nlp", "components")})
    return Facts(
        meta=meta,
        config=config,
        sources=[*_sources(config), *_sources_of_first(config)],
        encoder=_encoder(config),
        selection=_selection(config),
        inner=inner,
        needs_xlt=needs_xlt,
        own_engines=_own_engines(folder) if needs_xlt else {},
    )


def _selection(config: dict[str, Any]) -> Selection | None:
    try:
        found = selection_of(config)
    except XltError:
        return None
    return found if found.sources else None


def _own_engines(folder: Path) -> dict[str, str]:
    try:
        pipes = spacy.load(folder).pipeline
    except Exception as err:  # whatever the components of others raise
        raise error("E683", path=folder, reason=" ".join(str(err).split())[:200]) from err
    found = {name: str(getattr(pipe, "signature", "")) for name, pipe in pipes}
    return {name: signature for name, signature in found.items() if signature}


def _sources(config: dict[str, Any]) -> Iterator[TrainingSource]:
    try:
        train: Any = dot_to_object(config, config["training"]["train_corpus"])  # type: ignore[arg-type]
    except (KeyError, AttributeError, TypeError):
        return
    if not isinstance(train, Mapping):
        return
    blocks = train.get("sources")
    if isinstance(blocks, Mapping):
        used = {name: block for name, block in blocks.items() if block.get("weight", 1) != 0}
    else:
        used = {name: {"path": train[name]} for name in ("path", "also") if train.get(name)}
    for name, block in used.items():
        path = str(block.get("path") or "")
        if path:
            kind = str(block.get("kind", "gold")) if isinstance(blocks, Mapping) else ""
            lang, limit = str(block.get("lang") or ""), int(block.get("limit") or 0)
            yield TrainingSource(name, path, lang, kind, limit, *_origin(Path(path)))


def _sources_of_first(config: dict[str, Any]) -> Iterator[TrainingSource]:
    """What the pipeline was trained on that this one goes on from."""
    first = config.get("paths", {}).get(FIRST)
    if not first:
        return
    try:
        for source in facts_of(Path(first)).sources:
            yield replace(source, name=f"{FIRST}.{source.name}")
    except XltError:
        # Gone, or a package: whoever makes the card has to say what it is from
        yield TrainingSource(FIRST, str(first))


def _origin(path: Path) -> tuple[frozenset[str], dict[str, str]]:
    """The files that a corpus is from, by checksum, and the engines of the build where it was projected."""
    for folder in (path, *path.parents):
        manifest = folder / FILE_NAME
        if manifest.is_file():
            header = read_header(folder)
            return input_digests(header), dict(header.get("engines", {}))
    try:
        return frozenset(file_digest(file) for file in corpus_files(path)), {}
    except XltError:
        return frozenset(), {}


def _encoder(config: dict[str, Any]) -> str:
    for block in config.get("components", {}).values():
        model = block.get("model") or {}
        if block.get("factory") in ("transformer", "curated_transformer"):
            return str(config.get("paths", {}).get("encoder") or model.get("name") or "not named")
    return ""


def _names_xlt(block: Any) -> bool:
    if isinstance(block, Mapping):
        return any(
            _names_xlt(value)
            or (isinstance(value, str) and key[:1] == "@" and value.startswith("spacy_xlt."))
            or (key == "factory" and str(value).startswith("xlt_"))
            for key, value in block.items()
        )
    return any(_names_xlt(part) for part in block) if isinstance(block, (list, tuple)) else False
