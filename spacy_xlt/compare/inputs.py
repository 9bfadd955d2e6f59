"""What a result depends on besides its settings: the bytes of the files it reads, and the versions of the packages."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..io import file_digest

_PACKAGES = ("spacy", "thinc", "spacy-transformers", "transformers", "torch", "numpy")


class Digests:
    """Checksums of files and folders; a file that has not changed is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, path: Path) -> str:
        """One checksum of a file, or of the names and contents of all files below a folder."""
        if path.is_file():
            return self._file(path)
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{self._file(file)}\n".encode())
        return digest.hexdigest()

    def _file(self, path: Path) -> str:
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            self._known[key] = file_digest(path)
        return self._known[key]


# What spaCy reads of a config. Other sections hold variables, which count where they are used.
SECTIONS = ("system", "nlp", "components", "corpora", "training", "pretraining", "initialize")


def input_paths(config: Mapping[str, Any], *, paths: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Path]]:
    """The files and folders that a config names.

    Text counts as a path where something of that name is there, and where it stands in [paths] too or looks like a
    path: "en" is a language even beside a folder of that name.

    config (Mapping[str, Any]): Without variables.
    paths (Mapping[str, Any]): Its section [paths].
    YIELDS (tuple[str, Path]): Dotted name of the setting, and the path.
    """
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from input_paths(value, paths=paths, prefix=f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield from input_paths({str(n): inner for n, inner in enumerate(value)}, paths=paths, prefix=f"{name}.")
        elif isinstance(value, str) and value and (value in paths.values() or _looks_like_path(value)):
            path = Path(value)
            try:
                there = path.exists()
            except (OSError, ValueError):  # text that is too long for a path, or has a NUL in it
                there = False
            if there:
                yield name, path


def _looks_like_path(value: str) -> bool:
    return "/" in value or os.sep in value or Path(value).suffix in (".spacy", ".jsonl", ".json", ".cfg")


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a pipeline learns."""
    found = {"spacy_xlt": __version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def fingerprint(data: Any) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
