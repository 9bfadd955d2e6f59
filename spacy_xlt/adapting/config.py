"""The config of an adaptation: [adapting], and a section in [objectives] for each objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacy import util

from ..config import find_config
from ..errors import XltError, error
from .objective import Objective
from .trainer import AdaptingSettings


def read_adapting(
    path: str | Path, overrides: Mapping[str, Any] | None = None
) -> tuple[AdaptingSettings, dict[str, Objective]]:
    """Read the config of an adaptation.

    Args:
        path: The config; see `find_config`.
        overrides: Settings by dotted name, as `spacy train` takes them.

    Raises:
        XltError: E502 where the file is missing, E514 where it cannot be used, E150 for an invalid setting.
    """
    path = find_config(path)
    if not path.is_file():
        raise error("E502", what="config", path=path)
    with _usable(path):
        _check_paths(path, overrides or {})
        config = util.load_config(path, overrides=dict(overrides or {}), interpolate=True)
    return resolve_adapting(config, path)


def resolve_adapting(config: Mapping[str, Any], path: str | Path) -> tuple[AdaptingSettings, dict[str, Objective]]:
    """Make the settings and objectives of a config without variables.

    Args:
        config: Its sections.
        path: Named in errors.

    Raises:
        XltError: E514 where it cannot be used, E150 for an invalid setting.
    """
    with _usable(path):
        resolved = util.registry.resolve({name: config.get(name, {}) for name in ("adapting", "objectives")})
        settings = AdaptingSettings(**resolved["adapting"])
    objectives = resolved["objectives"]
    for name, objective in objectives.items():
        if not isinstance(objective, Objective):
            raise error(
                "E514", path=path, reason=f"[objectives.{name}] is no objective, such as spacy_xlt.SelfAlign.v1"
            )
    return settings, objectives


@contextmanager
def _usable(path: str | Path) -> Iterator[None]:
    """E514 for what spaCy raises: ValueError, ImportError, KeyError and more, all about what is in the file."""
    try:
        yield
    except XltError:
        raise
    except Exception as err:
        raise error("E514", path=path, reason=str(err).strip()) from err


def _check_paths(path: Path, overrides: Mapping[str, Any]) -> None:
    """E514 for paths that the config does not have: spaCy would add them, and nobody reads them."""
    known = util.load_config(path).get("paths", {})
    unknown = [name for name in overrides if name.startswith("paths.") and name.split(".")[1] not in known]
    if unknown:
        reason = f"it has no {', '.join(unknown)}; its paths are {', '.join(known) or 'none'}"
        raise error("E514", path=path, reason=reason)
