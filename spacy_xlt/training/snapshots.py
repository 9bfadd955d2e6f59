"""`spacy_xlt.snapshots.v1`: pipelines written while one is trained, for `spacy xlt average`."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import dict_to_dot, registry

from ..engine import Engine, invalid_setting, setting
from ..errors import error, warn
from ..io import remove_leftovers, replacing_folder, write_json

FILE_NAME = "snapshots.json"
_PREFIX = "step-"
# What a training may be given anew and be the same training.
_FREE = ("before_update", "logger")


def snapshot_folders(path: str | Path) -> list[Path]:
    """The whole snapshots in a folder of them, the earliest first."""
    return sorted(folder for folder in Path(path).glob(f"{_PREFIX}[0-9]*") if folder.is_dir() and _is_name(folder.name))


def _is_name(name: str) -> bool:
    step = name.removeprefix(_PREFIX)
    return step.isdecimal() and name == _name(int(step))


def _name(step: int) -> str:
    return f"{_PREFIX}{step:06d}"


@dataclass(kw_only=True, eq=False)
class Snapshots(Engine):
    """Registered callback `spacy_xlt.snapshots.v1`, for `[training.before_update]`: writes the pipeline now and then.

    Each snapshot is a pipeline that `spacy.load` reads. They are spread evenly up to the end of the training. What
    cannot be written is warned of and the training goes on; what was written stays. A training that is begun anew with
    the same config writes its snapshots anew. With `use_averages` of the optimizer, a snapshot has the weights as they
    are, not their averages.

    Args:
        path: Folder of the snapshots, one for each training.
        start: The share of `[training] max_steps` after which the first one is written.
        keep: How many snapshots.

    Raises:
        XltError: E150 for an invalid setting.
    """

    path: str | Path | None
    start: float = setting(0.5, ge=0, lt=1)
    keep: int = setting(5, ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            expected = "a folder for the snapshots (--paths.snapshots)"
            raise invalid_setting("spacy_xlt.snapshots.v1", "path", self.path, expected)
        self.folder = Path(self.path)
        self._steps: set[int] | None = None
        self._before_to_disk: Any = None

    def __call__(self, nlp: Language, info: dict[str, Any]) -> None:
        """What `[training] before_update` calls: `info["step"]` updates have been done.

        Raises:
            XltError: At the first call, before anything is trained: E150 for a training without `max_steps`, E641 where
                the folder holds something else, E501 where it cannot be written to.
        """
        step = int(info["step"])
        if self._steps is None or step == 0:
            self._steps = self._begin(nlp)
        if step in self._steps:
            self._write(nlp, step)

    def _begin(self, nlp: Language) -> set[int]:
        """Prepare the folder; the updates after which a snapshot is due."""
        config = nlp.config.interpolate()
        steps = due_steps(int(config["training"]["max_steps"]), start=self.start, keep=self.keep)
        block = config["training"]["before_to_disk"]
        self._before_to_disk = registry.resolve({"callback": block})["callback"] if block else None
        # As it is read back: without tuples and other such things
        run = json.loads(json.dumps(config, default=str))
        for name in _FREE:
            run["training"].pop(name, None)
        self._check_folder(run)
        for old in snapshot_folders(self.folder):
            shutil.rmtree(old, ignore_errors=True)
        try:
            remove_leftovers(self.folder)
            write_json(self.folder / FILE_NAME, {"config": run})
        except OSError as err:
            raise error("E501", path=self.folder, reason=err.strerror or str(err)) from err
        return steps

    def _check_folder(self, run: dict[str, Any]) -> None:
        """Snapshots of the same training, which was interrupted, are written again; others are not touched."""
        notes = self.folder / FILE_NAME
        if not notes.is_file():
            if self.folder.exists() and not (self.folder.is_dir() and not any(self.folder.iterdir())):
                raise error("E641", path=self.folder, reason="it is there and holds no snapshots")
            return
        try:
            old, new = (dict_to_dot(config) for config in (json.loads(notes.read_text(encoding="utf8"))["config"], run))
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise error("E641", path=self.folder, reason=f"{FILE_NAME} cannot be read") from err
        if "training.max_steps" not in old:
            raise error("E641", path=self.folder, reason=f"its {FILE_NAME} is not that of snapshots")
        changed = next((name for name in {**old, **new} if old.get(name) != new.get(name)), None)
        if changed is not None and snapshot_folders(self.folder):
            reason = f"it holds another training's: {changed} was {old.get(changed)!r} and is {new.get(changed)!r}"
            raise error("E641", path=self.folder, reason=reason[:300])

    def _write(self, nlp: Language, step: int) -> None:
        final = self.folder / _name(step)
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


def due_steps(max_steps: int, *, start: float, keep: int) -> set[int]:
    """The updates after which `keep` snapshots are due, the last one at the end of the training.

    Raises:
        XltError: E150 for a training without an end.
    """
    if not max_steps:
        raise invalid_setting("spacy_xlt.snapshots.v1", "[training] max_steps", max_steps, "a number from 1")
    # Before the first update there is nothing to keep
    first = round(start * max_steps) or -(-max_steps // keep)
    shares = [i / (keep - 1) for i in range(keep)] if keep > 1 else [1.0]
    return {round(first + share * (max_steps - first)) for share in shares}
