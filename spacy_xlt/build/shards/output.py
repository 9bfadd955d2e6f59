"""Where the commands write: never into the build, and nothing that was there goes unasked."""

from __future__ import annotations

from pathlib import Path

from ...errors import error


def check_file(path: Path, build: Path, *, overwrite: bool) -> None:
    """Make sure that a file can be written.

    RAISES (XltError): E553 for a path in the build folder, and for a folder; E554 for a file that is there already,
        without `overwrite`.
    """
    _check_outside(path, build)
    if path.is_dir():
        raise error("E553", path=path, reason="is a folder")
    if path.exists() and not overwrite:
        raise error("E554", path=path)


def check_folder(path: Path, build: Path, *, marker: str, overwrite: bool) -> None:
    """Make sure that a folder can be written.

    marker (str): The file that tells a folder of this kind from others.
    RAISES (XltError): E553 for a path in or around the build folder, for a file, and for a folder of another kind;
        E554 for one of this kind, without `overwrite`.
    """
    _check_outside(path, build)
    if build.resolve().is_relative_to(path.resolve()):
        raise error("E553", path=path, reason="has the build in it")
    if path.exists() and not path.is_dir():
        raise error("E553", path=path, reason="is a file")
    if path.is_dir() and any(path.iterdir()):
        if not (path / marker).is_file():
            raise error("E553", path=path, reason=f"is not empty and has no {marker}")
        if not overwrite:
            raise error("E554", path=path)


def _check_outside(path: Path, build: Path) -> None:
    if path.resolve().is_relative_to(build.resolve()):
        raise error("E553", path=path, reason="is in the build folder")
