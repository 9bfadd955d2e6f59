"""What is asked of a build, and the files that what is taken out of it is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from ..errors import error
from .built import BuiltShard, BuiltShards
from .shard import BITEXT, TARGET


def with_bar(shards: BuiltShards, name: str, silent: bool) -> Iterable[BuiltShard]:
    """The shards, with a progress bar."""
    return tqdm(shards, unit="shard", desc=name, disable=silent)


def check_what(what: str) -> None:
    """Make sure that target documents or bitexts are asked for: E510."""
    if what not in (TARGET, BITEXT):
        raise error("E510", setting="--what", value=what, expected=f"{TARGET} or {BITEXT}")


def check_output(path: Path, build: Path, *, overwrite: bool, is_ours: Callable[[Path], bool] | None = None) -> None:
    """Make sure that a file, or a folder of which `is_ours` says whether we wrote it, can be written: E553 and E554."""
    inside, around = path.resolve(), build.resolve()
    if inside.is_relative_to(around):
        raise error("E553", path=path, reason="is in the build folder")
    if not is_ours and path.is_dir():
        raise error("E553", path=path, reason="is a folder")
    if is_ours and around.is_relative_to(inside):
        raise error("E553", path=path, reason="has the build in it")
    if is_ours and path.exists() and not path.is_dir():
        raise error("E553", path=path, reason="is a file")
    # A pipe or a device has nothing to be replaced
    is_there = any(path.iterdir()) if path.is_dir() else path.is_file()
    if is_there and is_ours and not is_ours(path):
        raise error("E553", path=path, reason="is not empty, and has files that this command does not write")
    if is_there and not overwrite:
        raise error("E554", path=path)
