"""One training config out of a base and overlays: any strategy on any hardware, without a copy of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..errors import error

# What says in `[components.NAME]` where a component comes from. Elsewhere a setting may have such a name.
_ORIGINS = ("factory", "source")


def merge_configs(paths: Sequence[str | Path], overrides: Mapping[str, Any] | None = None) -> Config:
    """Merge config files, later ones over earlier ones. Variables (`${paths.dev}`) stay as they are.

    A block that is of another kind than the one below it (another registered function, factory or source) replaces
    that block as a whole; any other is merged key by key. So an overlay names only what it changes. Of the components
    that overlays add, those are kept that are in the pipeline: an overlay may fit several pipelines.

    paths (Sequence[str | Path]): Config files, the base first.
    overrides (Mapping[str, Any] | None): Values by dotted name, as on spaCy's command line: `training.max_steps`.
    RAISES (XltError): E608 for a file that is not there or is no config, E609 for an override of a section that is not
        in the result.
    """
    merged: dict[str, Any] = {}
    base: dict[str, Any] = {}
    order: list[str] = []
    for path in paths:
        config = _read(Path(path))
        order += [name for name in config if name not in order]
        if not base:
            base = config
        merged = _merge(merged, config)
    _drop_unused(merged, known=base.get("components", {}))
    for name, value in (overrides or {}).items():
        *sections, key = name.split(".")
        node: Any = merged
        for section in sections:
            node = node.get(section) if isinstance(node, dict) else None
        if not (sections and isinstance(node, dict)):
            raise error("E609", name=name, known=", ".join(order))
        node[key] = value
    return Config(merged, section_order=order)


def _drop_unused(config: Mapping[str, Any], *, known: Mapping[str, Any]) -> None:
    """Take out components that are neither in the pipeline nor in the base config, which `known` holds.

    spaCy would train a sourced component even where no pipeline has it.
    """
    components, pipeline = config.get("components", {}), config.get("nlp", {}).get("pipeline")
    if isinstance(pipeline, list):
        for name in [name for name in components if name not in pipeline and name not in known]:
            del components[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(Config().from_disk(path, interpolate=False))
    except (OSError, ValueError) as err:
        raise error("E608", path=path, reason=" ".join(str(err).split())[:300]) from err


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
