"""Config files: a pipeline made from one, and a training config merged from a base and overlays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from spacy import util
from spacy.language import Language
from thinc.api import Config

from .errors import XltError, error

# The configs that come with the package
CONFIGS = Path(__file__).parent / "configs"
# What says in `[components.NAME]` where a component comes from. Elsewhere a setting may have such a name.
_ORIGINS = ("factory", "source")
# How many differences a message names: an input can have thousands of files
_MOST_NAMED = 10


def find_config(path: str | Path) -> Path:
    """A config file, or where there is no such file, the one of this name that comes with the package.

    Args:
        path: A path, or a name as `build_en_pt`, `parts/lora` or `configs/build_en_pt.cfg`.

    Returns:
        The path as it was given where the package has nothing of this name, either.
    """
    path = Path(path)
    name = PurePosixPath(path.as_posix().removeprefix("configs/").removesuffix(".cfg") + ".cfg")
    if path.is_file() or path.is_absolute() or ".." in name.parts or not (CONFIGS / name).is_file():
        return path
    return CONFIGS / name


def load_pipeline_config(path: str | Path, overrides: dict[str, Any] | None = None, *, annotator: str = "") -> Language:
    """Make the pipeline that a config describes, its components without weights of their own.

    Args:
        path: The config; see `find_config`.
        overrides: Settings by dotted name, as `spacy train` takes them.
        annotator: Name or folder of a pipeline that annotates the documents first, by the config's `xlt_annotator` for
            that or by one more; "" for what the config says.

    Raises:
        XltError: E502 where the file is missing, E514 with spaCy's own words where it cannot be used.
    """
    path = find_config(path)
    if not path.is_file():
        raise error("E502", what="config", path=path)
    try:
        config = util.load_config(path, overrides=overrides or {}, interpolate=True)
        if annotator:
            _set_annotator(config, annotator)
        return util.load_model_from_config(config, auto_fill=True, validate=True)
    except XltError:
        raise
    except Exception as err:  # spaCy raises ValueError, ImportError, KeyError and more, all about what is in the file
        raise error("E514", path=path, reason=str(err).strip()) from err


def _set_annotator(config: Config, pipeline: str) -> None:
    components, names = config["components"], config["nlp"]["pipeline"]
    kind = {"factory": "xlt_annotator", "side": "source"}
    name = next((name for name in names if kind.items() <= components.get(name, {}).items()), "")
    if not name:
        name = "source_annotator"
        config["nlp"]["pipeline"] = [name, *names]
    # In the place of what annotates there
    components[name] = {**kind, **components.get(name, {}), "engine": None, "pipeline": pipeline}


def find_component(nlp: Language, factory: str, config: str | Path) -> Any:
    """The first component of a factory in a pipeline.

    Raises:
        XltError: E509 where there is none.
    """
    for name in nlp.pipe_names:
        if nlp.pipe_factories[name] == factory:
            return nlp.get_pipe(name)
    raise error("E509", path=config, component=factory, known=", ".join(nlp.pipe_names) or "none")


def component_config(nlp: Language) -> dict[str, Any]:
    """The part of a pipeline's config that decides what it does to documents.

    Settings that a component names in `settings_without_effect`, such as its cache, are left out.
    """
    config = Config(nlp.config).interpolate()
    components = config["components"]
    for name, pipe in nlp.pipeline:
        for setting in getattr(pipe, "settings_without_effect", ()):
            components.get(name, {}).pop(setting, None)
    return {"lang": config["nlp"]["lang"], "pipeline": config["nlp"]["pipeline"], "components": components}


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The settings that differ between two sets of them, with both values, in one line."""
    parts = list(_differences(old, new))
    more = [f"and {len(parts) - _MOST_NAMED} more"] if len(parts) > _MOST_NAMED else []
    return "; ".join(parts[:_MOST_NAMED] + more)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], *, inside: str = "") -> Iterator[str]:
    for key in sorted({*old, *new}, key=str):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, inside=f"{inside}{key}.")
        elif before != after:
            yield f"{inside}{key} was {before!r} and is {after!r}"


def merge_configs(paths: Sequence[str | Path], overrides: Mapping[str, Any] | None = None) -> Config:
    """Merge config files, later ones over earlier ones. Variables (`${paths.dev}`) stay as they are.

    A block that is of another kind than the one below it (another registered function, factory or source) replaces
    that block as a whole; any other is merged key by key. So an overlay names only what it changes. Components that are
    not in the pipeline are left out: an overlay may fit several pipelines, or change the pipeline.

    Args:
        paths: The files; see `find_config`.
        overrides: Values by dotted name, as on spaCy's command line: `training.max_steps`.

    Raises:
        XltError: E514 for a file that is not there or is no config, E609 for an override of a section that is not in
            the result.
    """
    merged: dict[str, Any] = {}
    order: list[str] = []
    for path in paths:
        config = read_config(path)
        order += [name for name in config if name not in order]
        merged = _merge(merged, config)
    _drop_unused(merged)
    for name, value in (overrides or {}).items():
        *sections, key = name.split(".")
        node: Any = merged
        for section in sections:
            node = node.get(section) if isinstance(node, dict) else None
        if not (sections and isinstance(node, dict)):
            raise error("E609", name=name, known=", ".join(order))
        node[key] = value
    return Config(merged, section_order=order)


def _drop_unused(config: Mapping[str, Any]) -> None:
    """Take out components that are not in the pipeline: spaCy would train a sourced one even then."""
    pipeline = config.get("nlp", {}).get("pipeline")
    if isinstance(pipeline, list):
        for components in (config.get("components", {}), config.get("initialize", {}).get("components", {})):
            for name in [name for name in components if name not in pipeline]:
                del components[name]


def read_config(path: str | Path) -> Config:
    """Read a config file or an overlay, its variables as they are. Sections need no parents there.

    Raises:
        XltError: E514 for a file that is not there or is no config.
    """
    try:
        text = find_config(path).read_text(encoding="utf8")
        return Config().from_str(with_parents(text), interpolate=False)
    except (OSError, ValueError, KeyError) as err:
        raise error("E514", path=path, reason=" ".join(str(err).split())[:300]) from err


def with_parents(text: str) -> str:
    """The text of a config with empty sections before those that have none around them."""
    header = re.compile(r"^\[([^\[\]]+)\]", flags=re.MULTILINE)
    declared = set(header.findall(text))

    def add(match: re.Match[str]) -> str:
        names = match[1].split(".")
        parents = [".".join(names[:n]) for n in range(1, len(names))]
        missing = [parent for parent in parents if parent not in declared]
        declared.update(missing)
        return "".join([*(f"[{parent}]\n" for parent in missing), match[0]])

    return header.sub(add, text)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any], *within: str) -> dict[str, Any]:
    """`within` are the names of the sections that the two blocks stand in."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        origins = _ORIGINS if within == ("components",) else ()
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _is_other_kind(old, value, origins):
            merged[key] = _merge(old, value, *within, key)
        else:
            merged[key] = value
    return merged


def _is_other_kind(below: Mapping[str, Any], above: Mapping[str, Any], origins: Sequence[str]) -> bool:
    """Whether a block names another function, factory or source than the one below. One that names none is a change."""
    kinds = [{k: v for k, v in block.items() if k.startswith("@") or k in origins} for block in (below, above)]
    return bool(kinds[1]) and kinds[0] != kinds[1]
