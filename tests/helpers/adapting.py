"""Adaptations of a tiny encoder, in this process or, as a module with its arguments in JSON, in one of several."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spacy_xlt.adapting.objective import Objective
from spacy_xlt.adapting.parts import LoraPart, SparsePart
from spacy_xlt.adapting.self_align import SelfAlign
from spacy_xlt.adapting.texts import Pair
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt

PAIRS = [
    Pair("Maria mora em Lisboa .".split(), "Maria lives in Lisboa .".split()),
    Pair("John trabalha no Banco Central .".split(), "John works for Banco Central .".split()),
    Pair("Maria e John .".split(), "Maria and John .".split()),
    Pair("Maria trabalha em New York , Google .".split(), "Maria works in New York , Google .".split()),
]
SMALL: dict[str, Any] = {"layers": 2, "steps": 6, "batch_tokens": 40, "max_pieces": 60, "learning_rate": 1e-3}
PARTS = {
    "all": lambda: None,
    "lora": lambda: LoraPart(rank=2, dropout=0.2),
    "sparse": lambda: SparsePart(share=0.05, batches=4),
}


@dataclass(kw_only=True, eq=False)
class GuessLength(Objective):
    """A head guesses how many words a text has; at times it learns nothing, and its head has no gradient."""

    def prepare(self, model: Any) -> Any:
        import torch

        self.ids = [model.side(pair.source)[0] for pair in PAIRS]
        self.n_read = len(PAIRS)
        model.heads["length"] = torch.nn.Linear(model.encoder.dim, 1).to(model.device)
        return np.asarray([len(ids) + model.special for ids in self.ids], np.int64)

    def loss(self, model: Any, batch: Any, random: np.random.Generator) -> Any:
        import torch

        guesses = model.heads["length"](model.texts([self.ids[i] for i in batch]))[:, 0]
        lengths = torch.tensor([float(len(PAIRS[i].source)) for i in batch], device=model.device)
        # Noise shows that each batch has the same one in whatever process it is
        return ((guesses - lengths + float(random.normal())) ** 2).mean()


def objectives(names: str = "self_align") -> dict[str, Objective]:
    """By name, with spaces between them."""
    known = {"self_align": lambda: SelfAlign(pairs=PAIRS), "length": lambda: GuessLength(weight=0.5)}
    return {name: known[name]() for name in names.split()}


def adapt_tiny(
    tiny: Path | str,
    output: Path | str,
    *,
    names: str = "self_align",
    part: str = "all",
    stop: int | None = None,
    progress: Callable[[int, float], None] = lambda step, loss: None,
    **changes: Any,
) -> dict[str, Any]:
    """Adapt it; Ctrl-C comes after the step `stop`."""

    def stop_then(step: int, loss: float) -> None:
        progress(step, loss)
        if step == stop:
            raise KeyboardInterrupt

    settings = AdaptingSettings(**{**SMALL, "model": str(tiny), "part": PARTS[part](), **changes})
    return adapt(settings, objectives(names), output, progress=stop_then)


def weights(folder: Path | str) -> dict[str, Any]:
    """The tensors of a model folder by name."""
    from safetensors.numpy import load_file

    return load_file(Path(folder) / "model.safetensors")


if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        try:
            adapt_tiny(**arguments)
        except KeyboardInterrupt:
            print("stopped")
