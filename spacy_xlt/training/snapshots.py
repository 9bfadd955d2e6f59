"""`spacy_xlt.snapshots.v1`: pipelines written while one is trained, for `spacy xlt average`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import registry

from ..build.manifest import difference
from ..errors import error, warn
from ..io import replacing_folder, write_json

FILE_NAME = "snapshots.json"
_PREFIX = "step-"
# What a training may be given anew without becoming another one.
_FREE = ("before_update", "logger")


def snapshot_folders(path: str | Path) -> list[Path]:
    """The whole snapshots in a folder of them, the earliest first."""
    return sorted(folder for folder in Path(path).glob(f"{_PREFIX}*") if folder.is_dir())


class Snapshots:
    """Writes the pipeline as it is after some of the updates. Each snapshot is a pipeline that `spacy.load` reads.

    What cannot be written is warned of and the training goes on; what was written stays. A training that is begun anew
    with the same config writes its snapshots anew. With `use_averages` of the optimizer, a snapshot has the weights as
    they are, not their averages.

    path (str | Path): Folder of the snapshots, one for each training.
    every (int): Updates between two snapshots. With 0, `keep` snapshots are spread evenly from `start` to the end.
    start (float): Where the first one may be: below 1 a share of `[training] max_steps`, from 1 on a number of updates.
    keep (int): The most snapshots that are kept; the oldest go. While one is written there is one more.
    overwrite (bool): Remove what another training has left in the folder.
    """

    def __init__(self, path: str | Path, *, every: int = 0, start: float = 0.5, keep: int = 5, overwrite: bool = False):
        if not path:
            raise error("E601", setting="path", value=path, expected="a folder for the snapshots (--paths.snapshots)")
        for setting, value, least in (("every", every, 0), ("start", start, 0), ("keep", keep, 1)):
            if not isinstance(value, (int, float)) or value < least:
                raise error("E601", setting=setting, value=value, expected=f"a number from {least}")
        self.path = Path(path)
        self.every = int(every)
        self.start = start
        self.keep = int(keep)
        self.overwrite = overwrite
        self._is_due: Callable[[int], bool] | None = None
        self._before_to_disk: Callable[[Language], Language] | None = None

    def __call__(self, nlp: Language, info: dict[str, Any]) -> None:
        """What `[training] before_update` calls: `info["step"]` updates have been done.

        RAISES (XltError): At the first call, before anything is trained: E601 for settings that do not go together,
            E641 where the folder holds something else, E501 where it cannot be written to.
        """
        step = int(info["step"])
        if self._is_due is None or step == 0:
            self._begin(nlp)
        assert self._is_due is not None
        if self._is_due(step):
            self._write(nlp, step)

    def _begin(self, nlp: Language) -> None:
        config = nlp.config.interpolate()
        self._is_due = _schedule(int(config["training"]["max_steps"]), self.every, self.start, self.keep)
        block = config["training"]["before_to_disk"]
        self._before_to_disk = registry.resolve({"callback": block})["callback"] if block else None
        # As it is read back: without tuples and other such things
        run = json.loads(json.dumps(config, default=str))
        for name in _FREE:
            run["training"].pop(name, None)
        self._check_folder(run)
        for old in [*snapshot_folders(self.path), *self.path.glob(f".{_PREFIX}*")]:
            shutil.rmtree(old, ignore_errors=True)
        try:
            write_json(self.path / FILE_NAME, {"config": run})
        except OSError as err:
            raise error("E501", path=self.path, reason=err.strerror or str(err)) from err

    def _check_folder(self, run: dict[str, Any]) -> None:
        """Snapshots of the same training, which was interrupted, are written again; others are not touched."""
        known = self.path / FILE_NAME
        if not known.is_file():
            if self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
                raise error("E641", path=self.path, reason="it is there and holds no snapshots")
            return
        if self.overwrite:
            return
        try:
            before = json.loads(known.read_text(encoding="utf8"))["config"]
        except (ValueError, KeyError, TypeError) as err:
            raise error("E641", path=self.path, reason=f"{FILE_NAME} cannot be read") from err
        if before != run and snapshot_folders(self.path):
            raise error("E641", path=self.path, reason=f"it holds another training's: {difference(before, run)[:300]}")

    def _write(self, nlp: Language, step: int) -> None:
        final = self.path / f"{_PREFIX}{step:06d}"
        performance = nlp.meta.get("performance", {})
        # The last scores are those of other weights
        nlp.meta["performance"] = {}
        nlp.meta["snapshot"] = {"updates": step}
        try:
            with replacing_folder(final) as beside:
                (self._before_to_disk(nlp) if self._before_to_disk else nlp).to_disk(beside)
        except OSError as err:
            warn("W630", path=final, reason=err.strerror or str(err))
            return
        finally:
            nlp.meta["performance"] = performance
            del nlp.meta["snapshot"]
        folders = snapshot_folders(self.path)
        for old in folders[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        if len(folders) == 1:
            self._check_room(final)

    def _check_room(self, snapshot: Path) -> None:
        """Say early that the disk will not take all the snapshots."""
        size = sum(file.stat().st_size for file in snapshot.rglob("*") if file.is_file())
        free = shutil.disk_usage(self.path).free
        if free < size * self.keep:
            warn("W631", path=self.path, free=free >> 20, keep=self.keep, needed=(size * self.keep) >> 20)


def _schedule(max_steps: int, every: int, start: float, keep: int) -> Callable[[int], bool]:
    """Whether a snapshot is due after so many updates.

    RAISES (XltError): E601 where the settings do not go together.
    """
    first = round(start * max_steps) if start < 1 else int(start)
    if max_steps and first > max_steps:
        raise error("E601", setting="start", value=start, expected=f"at most [training] max_steps ({max_steps})")
    if every:
        return lambda step: step > 0 and step >= first and step % every == 0
    if not max_steps:
        raise error("E601", setting="every", value=every, expected="a number from 1 where [training] max_steps is 0")
    # Before the first update there is nothing to keep
    first = first or -(-max_steps // keep)
    shares = [i / (keep - 1) for i in range(keep)] if keep > 1 else [1.0]
    due = {round(first + share * (max_steps - first)) for share in shares}
    return lambda step: step in due


def create_snapshots(
    path: str | Path | None, every: int = 0, start: float = 0.5, keep: int = 5, overwrite: bool = False
) -> Snapshots:
    """Registered callback `spacy_xlt.snapshots.v1`, for `[training.before_update]`. See Snapshots.

    RAISES (XltError): E601 for a value that cannot be, among them no path.
    """
    return Snapshots(path or "", every=every, start=start, keep=keep, overwrite=overwrite)
