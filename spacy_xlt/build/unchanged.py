"""Knowing that a build has nothing to do, without making its pipeline: that imports PyTorch and more, for seconds."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from spacy import util

from ..io import file_digest
from .builder import SUMMARY
from .inputs import InputSettings, open_inputs
from .manifest import Manifest, read_header
from .planning import ShardPlan
from .runlog import FILE_NAME as LOG
from .runlog import RunLog

# What a config names may be a folder of models; of one with more files the first are looked at
_MOST_FILES = 10_000


def asked_for(
    config: Path, overrides: Mapping[str, Any], *, code: Path | None = None, options: Mapping[str, Any]
) -> str | None:
    """A checksum of all that decides what a build does to its input.

    config (Path): The pipeline's config; what it names on the disk is known by its size and time.
    overrides (Mapping[str, Any]): Settings of it by dotted name.
    code (Path | None): Python file with functions of the user's own.
    options (Mapping[str, Any]): Of the command, as plain data.
    RETURNS (str | None): None where something of it cannot be read: making the pipeline says why.
    """
    try:
        settings = util.load_config(config, overrides=dict(overrides), interpolate=True)
        parts = {
            "config": settings.to_str(),
            "code": None if code is None else file_digest(code),
            "options": dict(options),
            "packages": sorted(_packages()),
            "python": sys.version,
            "models": [_looks(path) for path in sorted(_paths_in(settings))],
        }
    except Exception:  # of a disk, or for a config spaCy's ValueError, KeyError, ConfigValidationError and more
        return None
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf8")).hexdigest()


def finished_summary(
    output: Path, source: Path, asked: str | None, *, reading: InputSettings, verify: bool = True
) -> dict[str, Any] | None:
    """The summary of a build that has nothing to do; None where it may have, for whatever reason.

    output (Path): The build folder. It is only read, but for the end of its log: no lock is needed.
    source (Path): Its input, of which each file is compared with the checksum in the manifest.
    asked (str | None): See `asked_for`.
    reading (InputSettings): Which files belong to the input.
    verify (bool): Check the checksums of what is finished, not only that it is there.
    """
    try:
        summary: dict[str, Any] = json.loads((output / SUMMARY).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    # Warnings of a file that was left out are to be said again
    if asked is None or summary.get("asked") != asked or summary.get("inputs_left_out"):
        return None
    header = read_header(output)
    if not header:
        return None
    known = header["input"]
    files = open_inputs(source, reading)
    if [file.name for file in files] != sorted(known):
        return None
    if any(known[file.name].get("sha256") != file.digest() for file in files):
        return None
    plan = ShardPlan(files, [known[file.name]["docs"] for file in files], size=header["docs_per_shard"])
    manifest = Manifest(output, {key: value for key, value in header.items() if key != "format"})
    if any(record is None for _, record in manifest.finished_of(plan.n_shards, verify=verify)):
        return None
    # All that a loss of power right after the end can have damaged
    RunLog(output / LOG).mend()
    return summary


def _packages() -> Iterator[str]:
    """Names and versions of everything that is installed, by its folder of metadata."""
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        yield from (name for name in names if name.endswith((".dist-info", ".egg-info")))


def _paths_in(settings: Any) -> set[Path]:
    """Whatever in a config is the path of something that exists."""
    if isinstance(settings, dict):
        return {path for value in settings.values() for path in _paths_in(value)}
    if isinstance(settings, (list, tuple)):
        return {path for value in settings for path in _paths_in(value)}
    # Nobody's models are all that is in the working directory
    if isinstance(settings, str) and Path(settings).name:
        try:
            return {Path(settings)} if Path(settings).exists() else set()
        except (OSError, ValueError):
            return set()
    return set()


def _looks(path: Path) -> list[Any]:
    """The size and time of a file, or of all in a folder."""
    files = [path] if path.is_file() else sorted(islice(path.rglob("*"), _MOST_FILES))
    return [str(path), [(str(file), (found := file.lstat()).st_size, found.st_mtime_ns) for file in files]]
