"""What an adaptation keeps on disk while it runs, so that it can go on after an interruption."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import error
from ...io import write_json

if TYPE_CHECKING:
    import torch

_RUN = "run.json"
_STEP = "step-"


class WorkFolder:
    """A folder beside the one to be made, hidden; it goes away when that one is complete.

    output (Path): The model folder to be made.
    run (dict[str, Any]): What must be the same to go on: settings, and a digest of the texts.
    RAISES (XltError): E352 where an adaptation with something else was interrupted.
    """

    def __init__(self, output: Path, run: dict[str, Any]):
        self.output = output
        self.path = output.with_name(f".{output.name}.adapting")
        known = self.path / _RUN
        if known.is_file():
            before = json.loads(known.read_text(encoding="utf8"))
            names = sorted(name for name in {*run, *before} if run.get(name) != before.get(name))
            if names:
                difference = ", ".join(f"{name} {before.get(name)!r} and now {run.get(name)!r}" for name in names)
                raise error("E352", path=self.path, difference=difference)
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(known, run)

    def save(self, step: int, tensors: Mapping[str, torch.Tensor], losses: list[dict[str, float]]) -> None:
        """Keep the state after a number of steps, and drop older ones."""
        from safetensors.torch import save_file

        beside = self.path / f"part.{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, beside / "state")
        write_json(beside / "losses.json", losses)
        final = self.path / f"{_STEP}{step}"
        shutil.rmtree(final, ignore_errors=True)
        os.replace(beside, final)
        for number, folder in self._saved():
            if number != step:
                shutil.rmtree(folder, ignore_errors=True)

    def load(self) -> tuple[int, dict[str, torch.Tensor], list[dict[str, float]]] | None:
        """The last state that was saved: steps done, tensors, and the losses of each step; None at the beginning."""
        from safetensors.torch import load_file

        saved = self._saved()
        if not saved:
            return None
        step, folder = max(saved)
        return step, load_file(folder / "state"), json.loads((folder / "losses.json").read_text(encoding="utf8"))

    def new_model(self) -> Path:
        """An empty folder to write the model to."""
        folder = self.path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def finish(self, model: Path) -> None:
        """Give the model folder its final name, and remove the rest."""
        if self.output.is_dir():
            self.output.rmdir()
        os.replace(model, self.output)
        shutil.rmtree(self.path)

    def _saved(self) -> list[tuple[int, Path]]:
        return [(int(folder.name[len(_STEP) :]), folder) for folder in self.path.glob(f"{_STEP}*")]
