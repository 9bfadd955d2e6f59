"""How a pipeline was made, read from its own config and the builds it was trained on, and the licences of its data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import spacy
import srsly
from spacy.util import dot_to_object, load_config

from .. import span_links
from ..build.manifest import FILE_NAME, read_header
from ..bundled import PREFIX
from ..bundled.encoder import MANIFEST
from ..errors import XltError, error
from ..io import file_digest
from ..languages import MULTI
from ..ner import tagged_text, xlt_ner, xlt_relations, xlt_seq2seq_ner
from ..printing import markdown
from ..readers.docbin import corpus_files
from ..training.selection import Selection, is_target, selection_of, targets_of, used_sources
from ..vocabulary.models import FILE_NAME as VOCABULARY

TRANSLATE_TEST, ENSEMBLE = "translate-test", "ensemble"
# In [paths]: the pipeline that a training goes on from.
FIRST = "first"
# Names in `find_data`: the encoder, and what belongs to no training source in particular.
ENCODER, ALL = "encoder", ""
# The licences of what comes with this package, and the encoder's key there
_LICENCES = Path(__file__).parent.parent / "workflow" / "licences.json"
_BUNDLED_ENCODER = "bundled/encoder"
# What is in files that go into a package with the pipeline, in the order in which they can be imported
_CODE: dict[str, tuple[ModuleType, ...]] = {
    "xlt_ner": (xlt_ner,),
    "xlt_relations": (span_links, xlt_ner, xlt_relations),
    "xlt_seq2seq_ner": (xlt_ner, tagged_text, xlt_seq2seq_ner),
    "spacy_xlt.PieceTokenizer.v1": (xlt_ner,),
}
_COMPONENT_STRATEGIES = {"xlt_ensemble": ENSEMBLE, "xlt_fused": "fused", "xlt_translator": TRANSLATE_TEST}


@dataclass(frozen=True)
class TrainingSource:
    """A corpus that a pipeline was trained on.

    Attributes:
        name: Name of its block, or of its setting.
        lang: "" where the config does not say it.
        kind: "gold", "projected", "self_labelled", or "" where the config does not say it.
        limit: The most documents that were read; 0 for all.
        digests: SHA-256 of its files; of a build, of those it was projected from. Empty where they are gone.
        engines: Component → signature, of the build that projected it.
    """

    name: str
    path: str
    lang: str = ""
    kind: str = ""
    limit: int = 0
    digests: frozenset[str] = frozenset()
    engines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """How a pipeline was made.

    Attributes:
        config: Its config, with variables filled in.
        encoder: Name or folder of the encoder that it holds; "" without one.
        selection: What its checkpoint was selected by; None for one that was assembled, not trained.
        inner: meta.json of the pipelines inside it.
        own_engines: Component → signature, of its own components that have one.
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
    def code(self) -> list[Path]:
        """The files of code that its package has to bring; none where it needs none, or spacy_xlt itself."""
        modules = [module for name in sorted(_used(self.config) & _CODE.keys()) for module in _CODE[name]]
        return [] if self.needs_xlt else [Path(str(module.__file__)) for module in dict.fromkeys(modules)]

    @property
    def engines(self) -> dict[str, str]:
        """Component → signature: its own, and those of the builds of all sources."""
        merged: dict[str, list[str]] = {}
        for engines in (self.own_engines, *(source.engines for source in self.sources)):
            for name, signature in engines.items():
                merged.setdefault(name, []).append(signature)
        return {name: " / ".join(dict.fromkeys(several)) for name, several in merged.items() if any(several)}

    @property
    def strategy(self) -> str:
        """The name of the strategy, as far as the config tells; "" where it does not."""
        factories = {block.get("factory") for block in self.config.get("components", {}).values()}
        for component, name in _COMPONENT_STRATEGIES.items():
            if component in factories:
                return name
        if self.config.get("paths", {}).get(FIRST):
            return "source-first"
        kinds = {source.kind for source in self.sources}
        if not kinds or "" in kinds:
            return ""
        targets = targets_of(self.config, self.config.get("corpora", {}).get("dev") or {})
        target_gold = [source for source in self.sources if source.kind == "gold" and is_target(source.lang, targets)]
        if target_gold:
            return "few-shot" if any(source.limit for source in target_gold) else "gold"
        if "self_labelled" in kinds:
            return "self-trained"
        if len(kinds) == 2:
            return "translate-train-all"
        return "zero-shot" if kinds == {"gold"} else "translate-train"

    @property
    def langs(self) -> list[str]:
        """The languages that the pipeline is for, then those that it learned from, each once."""
        pipelines = [self.meta.get("lang", MULTI), *(meta.get("lang", "") for meta in self.inner)]
        langs = [pipelines[0], *(source.lang for source in self.sources), *pipelines[1:]]
        return [lang for lang in dict.fromkeys(langs) if lang and lang != MULTI] or [MULTI]


def read_provenance(folder: Path) -> Provenance:
    """Read a pipeline's folder.

    Raises:
        XltError: E683 where it is no pipeline.
    """
    try:
        meta = srsly.read_json(folder / "meta.json")
        config = dict(load_config(folder / "config.cfg").interpolate())
    except Exception as err:  # whatever a file that is no config runs into
        raise error("E683", path=folder, reason=" ".join(str(err).split())[:200]) from err
    needs_xlt = not _used(config) <= _CODE.keys()
    return Provenance(
        meta=meta,
        config=config,
        sources=[*_sources(config), *_sources_of_first(config)],
        encoder=_encoder(config),
        selection=_selection(config),
        inner=[srsly.read_json(path) for path in sorted(folder.rglob("meta.json")) if path.parent != folder],
        needs_xlt=needs_xlt,
        own_engines=_own_engines(folder) if needs_xlt else {},
    )


def _selection(config: dict[str, Any]) -> Selection | None:
    try:
        selection = selection_of(config)
    except XltError:
        return None
    return selection if selection.sources else None


def _own_engines(folder: Path) -> dict[str, str]:
    try:
        pipes = spacy.load(folder).pipeline
    except Exception as err:  # whatever the components of others raise
        raise error("E683", path=folder, reason=" ".join(str(err).split())[:200]) from err
    return {name: str(signature) for name, pipe in pipes if (signature := getattr(pipe, "signature", ""))}


def _sources(config: dict[str, Any]) -> Iterator[TrainingSource]:
    try:
        train: Any = dot_to_object(config, config["training"]["train_corpus"])  # type: ignore[arg-type]
    except (KeyError, AttributeError, TypeError):
        return
    if not isinstance(train, Mapping):
        return
    if isinstance(train.get("sources"), Mapping):
        chosen = used_sources(train)
    else:
        chosen = {name: {"path": train[name], "kind": ""} for name in ("path", "also") if train.get(name)}
    for name, block in chosen.items():
        path = str(block.get("path") or "")
        if path:
            kind, lang, limit = str(block.get("kind", "gold")), str(block.get("lang") or ""), block.get("limit") or 0
            yield TrainingSource(name, path, lang, kind, int(limit), *_origin(Path(path)))


def _sources_of_first(config: dict[str, Any]) -> Iterator[TrainingSource]:
    """What the pipeline was trained on that this one goes on from."""
    first = config.get("paths", {}).get(FIRST)
    if not first:
        return
    try:
        for source in read_provenance(Path(first)).sources:
            yield replace(source, name=f"{FIRST}.{source.name}")
    except XltError:
        # Gone, or a package: whoever makes the card has to say what it is from
        yield TrainingSource(FIRST, str(first))


def _origin(path: Path) -> tuple[frozenset[str], dict[str, str]]:
    """The files that a corpus is from, by checksum, and the engines of the build where it was projected."""
    for folder in (path, *path.parents):
        if (folder / FILE_NAME).is_file():
            header = read_header(folder)
            digests = frozenset(file["sha256"] for file in header.get("input", {}).values())
            return digests, dict(header.get("engines", {}))
    try:
        return frozenset(file_digest(file) for file in corpus_files(path)), {}
    except XltError:
        return frozenset(), {}


def _encoder(config: dict[str, Any]) -> str:
    for name, block in config.get("components", {}).items():
        if block.get("factory") in ("transformer", "curated_transformer", *_CODE):
            settings = config.get("initialize", {}).get("components", {}).get(name, {})
            named = (block.get("model") or {}).get("name") or settings.get("encoder") or settings.get("model")
            return str(config.get("paths", {}).get("encoder") or named or "not named")
    return ""


def _used(config: Mapping[str, Any]) -> set[str]:
    """What a trained pipeline uses of this package."""
    return set(_ours([config.get(key, {}) for key in ("nlp", "components")]))


def _ours(block: Any) -> Iterator[str]:
    """The factories and registered functions of this package that a part of a config names."""
    if isinstance(block, Mapping):
        for key, value in block.items():
            if key.startswith("@") and str(value).startswith("spacy_xlt."):
                yield str(value)
            elif key == "factory" and str(value).startswith("xlt_"):
                yield str(value)
            else:
                yield from _ours(value)
    elif isinstance(block, (list, tuple)):
        for item in block:
            yield from _ours(item)


@dataclass(frozen=True)
class DataSource:
    """Something that a pipeline is made from: a corpus, an encoder, a translator.

    Attributes:
        key: Its name in the file of licences.
        licence: None where nobody knows.
    """

    key: str
    name: str
    licence: str | None = None
    url: str = ""
    author: str = ""

    def to_meta(self) -> dict[str, str]:
        """As spaCy has it in `sources` of meta.json, with the licence."""
        entry = {"name": self.name, "url": self.url, "author": self.author, "license": self.licence or "unknown"}
        # spaCy puts these into a table of the README as they are
        for key in ("name", "author"):
            entry[key] = markdown(entry[key]).replace("|", "\\|")
        return {key: value for key, value in entry.items() if value}


def read_licences(paths: Iterable[Path]) -> dict[str, DataSource]:
    """Read files of licences: JSON, key → name, licence, url, author. A later file's entry counts.

    Raises:
        XltError: E502 where there is no such file, E680 for one that is something else.
    """
    sources: dict[str, DataSource] = {}
    for path in paths:
        if not path.is_file():
            raise error("E502", what="file of licences", path=path)
        try:
            for key, entry in json.loads(path.read_text(encoding="utf8")).items():
                texts = {name: (entry.get(name) or "").strip() for name in ("licence", "url", "author")}
                licence = texts.pop("licence") or None
                sources[key] = DataSource(key, str(entry.get("name") or key), licence, **texts)
        except (ValueError, AttributeError) as err:
            raise error("E680", path=path, reason=str(err)) from err
    return sources


def find_data(
    provenance: Provenance,
    named: Mapping[str, Sequence[str]],
    known: Mapping[str, DataSource],
    *,
    allow_unknown: bool = False,
) -> dict[str, list[DataSource]]:
    """What each thing that a pipeline is made from consists of.

    A corpus that was projected from another one, or is a copy of it, is made from the same; checksums tell. The licence
    of a bundled encoder is known, also where nothing is said of it.

    Args:
        named: Name of a training source, "encoder", or "" for all sources of which nothing else is said → keys.
        allow_unknown: Go on with what has no licence, or nothing said of it.

    Returns:
        The data of each of the pipeline's training sources and of its encoder, by the same names.

    Raises:
        XltError: E685 for a name that the pipeline does not have, E681 for data without a licence.
    """
    names = [source.name for source in provenance.sources] + ([ENCODER] if provenance.encoder else [])
    for name in named:
        if name != ALL and name not in names:
            raise error("E685", name=name, known=", ".join(names) or "none")
    keys = {name: list(named.get(name, ())) for name in names}
    if _is_bundled(provenance.encoder):
        known = {**read_licences([_LICENCES]), **known}
        keys[ENCODER] = keys[ENCODER] or [_BUNDLED_ENCODER]
    for source in provenance.sources:
        alike = [other for other in provenance.sources if source.digests & other.digests]
        inherited = [key for other in alike for key in named.get(other.name, ())]
        keys[source.name] = keys[source.name] or inherited or list(named.get(ALL, ()))
    # Pipelines inside bring what their own cards say
    inner_known = bool(provenance.inner) and all(meta.get("sources") for meta in provenance.inner)
    if named.get(ALL) or not (names or inner_known):
        keys[ALL] = list(named.get(ALL, ()))
    data = {
        name: [known.get(key, DataSource(key, key)) for key in dict.fromkeys(several)]
        or [DataSource(name or "the data", name or "the data")]
        for name, several in keys.items()
    }
    without = list(dict.fromkeys(item.key for several in data.values() for item in several if item.licence is None))
    if without and not allow_unknown:
        raise error("E681", names=", ".join(without), known=", ".join(sorted(known)) or "none")
    return data


def _is_bundled(encoder: str) -> bool:
    """Whether an encoder is a bundled one, by its name, as the folder that `spacy xlt bundled` writes, or as that with
    another vocabulary. One that was adapted also comes from the texts that it learned from."""
    if encoder.startswith(PREFIX) or (encoder and (Path(encoder) / MANIFEST).is_file()):
        return True
    made = Path(encoder) / VOCABULARY
    return bool(encoder) and made.is_file() and _is_bundled(json.loads(made.read_text(encoding="utf8"))["model"])


def all_data(provenance: Provenance, data: Mapping[str, Sequence[DataSource]]) -> list[DataSource]:
    """All that a pipeline is made from, each once, with what the cards of pipelines inside it say."""
    every = {item.key: item for several in data.values() for item in several}
    names = {item.name for item in every.values()}
    for entry in (entry for meta in provenance.inner for entry in meta.get("sources") or []):
        if isinstance(entry, Mapping) and entry.get("name") and entry["name"] not in names:
            texts = {key: str(entry[key]) for key in ("url", "author") if entry.get(key)}
            every[entry["name"]] = DataSource(entry["name"], entry["name"], entry.get("license"), **texts)
    return list(every.values())
