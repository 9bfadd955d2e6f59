"""Training a model with several objectives at once, and writing it as an ordinary model folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..engine import check_settings, invalid_setting, setting
from ..errors import error
from ..io import check_new_folder, fingerprint, path_digest, replacing_folder, write_json
from ..processes import Kept, Processes
from ..steps import first_and_last, shuffled_batches, train_steps
from .objective import Objective

# The name of an objective, its items, and the number of the batch
Batch = tuple[str, list[int], int]
# What is not trained unless it is asked for: vectors of pieces, read or written, and of positions; what no BERT uses
_EMBEDDINGS = ("embeddings.", "embed_tokens.", "embed_positions.", "shared.", "wte.", "wpe.", "lm_head.")
_UNUSED = "pooler."


@dataclass(kw_only=True)
class AdaptingSettings:
    """What an adaptation does; the section [adapting] of its config.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME".
        layers: How many layers to keep and train, from the bottom; all where None. An aligner's vectors come from a
            layer in the middle: 6 for the bundled encoder.
        steps: Steps to make.
        minutes: Train for so long instead, whatever number of steps that is.
        batch_tokens: Word pieces of a batch, padding counted.
        accumulate: Batches of a step; several processes share them out.
        learning_rate: Of AdamW; it rises to this in the first tenth of the training, then falls to 0 in a line.
        embeddings: Whether the vectors of pieces and positions are trained, too.
        part: Trains a part of the model instead of all of it: `spacy_xlt.LoraPart.v1` or `spacy_xlt.SparsePart.v1`.
        max_pieces: Sentences with more word pieces are left out.
        seed: Of everything random.

    Raises:
        XltError: E150 for an invalid setting.
    """

    model: str = "bundled:encoder"
    layers: int | None = setting(None, ge=1)
    steps: int = setting(300, ge=1)
    minutes: float | None = setting(None, gt=0)
    batch_tokens: int = setting(1024, ge=16)
    accumulate: int = setting(1, ge=1)
    learning_rate: float = setting(5e-5, ge=0)
    embeddings: bool = False
    part: Any = None
    max_pieces: int = setting(128, ge=2)
    seed: int = setting(0, ge=0, lt=2**32)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.part is not None and not hasattr(self.part, "put_in"):
            expected = 'a block with "@misc", such as spacy_xlt.LoraPart.v1, or null'
            raise invalid_setting("AdaptingSettings", "part", self.part, expected)


def adapt(
    settings: AdaptingSettings,
    objectives: Mapping[str, Objective],
    output: str | Path,
    *,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> dict[str, Any]:
    """Train a model and write it as an ordinary model folder.

    Each batch is of one objective, drawn by their weights. What was stopped goes on where it was, if everything is the
    same: what it needs for that lies beside the folder until it is finished. With several processes, the first one
    writes.

    Args:
        settings: What to do.
        objectives: What to train with, by name.
        output: The model folder to write. It appears when it is complete.
        progress: Called after each step with the steps done and the loss.

    Returns:
        Settings, items of each objective, mean losses of the first and the last tenth of the steps, seconds.

    Raises:
        XltError: E353 for a model that cannot be adapted, E354 for an objective without anything to learn from, E355
            without an objective, E553 where the folder is there already; E302 and E303 as `EmbeddingAligner`.
    """
    import torch

    from .model import AdaptedModel

    if not objectives:
        raise error("E355")
    output = Path(output)
    processes = Processes.here()
    if processes.index == 0:
        check_new_folder(output)
    if settings.accumulate % processes.count:
        expected = f"a multiple of {processes.count}, so that each of as many processes has something to do"
        raise invalid_setting("AdaptingSettings", "accumulate", settings.accumulate, expected)
    # Of heads: the same in all processes, and after a stop
    torch.manual_seed(settings.seed)
    model = AdaptedModel(settings.model, layers=settings.layers, max_pieces=settings.max_pieces)
    lengths = {name: objective.prepare(model) for name, objective in objectives.items()}
    start = time.perf_counter()
    kept = _kept(settings, objectives, lengths, output, processes)
    losses = _train(settings, objectives, model, lengths, progress, kept)
    summary = {
        **asdict(settings),
        "part": None if settings.part is None else settings.part.signature,
        "steps": len(losses),
        "version": __version__,
        "objectives": {
            name: {"signature": objective.signature, "read": objective.n_read, "items": len(lengths[name])}
            for name, objective in objectives.items()
        },
        **first_and_last(losses),
        "seconds": round(time.perf_counter() - start, 1),
    }
    if processes.index == 0:
        with replacing_folder(output) as folder:
            model.write(folder)
            write_json(folder / "adapting.json", summary)
    kept.remove()
    return summary


def mixed_batches(
    lengths: Mapping[str, NDArray[np.int64]], weights: Mapping[str, float], *, batch_tokens: int, seed: int
) -> Iterator[Batch]:
    """Batches of several objectives, each drawn by their weights, without end."""
    names = list(lengths)
    shares = np.asarray([weights[name] for name in names])
    streams = [shuffled_batches(lengths[name], batch_tokens=batch_tokens, seed=seed) for name in names]
    random = np.random.default_rng([seed, len(names)])
    number = 0
    while True:
        index = int(random.choice(len(names), p=shares / shares.sum()))
        yield names[index], next(streams[index]), number
        number += 1


def _train(
    settings: AdaptingSettings,
    objectives: Mapping[str, Objective],
    model: Any,
    lengths: Mapping[str, NDArray[np.int64]],
    progress: Callable[[int, float], None],
    kept: Kept,
) -> list[float]:
    """Run the steps; the loss of each."""
    module = model.module().to(kept.processes.device)
    for name, parameter in module.named_parameters():
        name = name.removeprefix("model.")
        frozen = name.startswith(_UNUSED) or (not settings.embeddings and any(part in name for part in _EMBEDDINGS))
        # Positions that are computed never are
        parameter.requires_grad_(parameter.requires_grad and not frozen)

    def loss_of(batch: Batch) -> Any:
        name, items, number = batch
        return objectives[name].loss(model, items, np.random.default_rng([settings.seed, number]))

    def batches() -> Iterator[Batch]:
        weights = {name: objective.weight for name, objective in objectives.items()}
        return mixed_batches(lengths, weights, batch_tokens=settings.batch_tokens, seed=settings.seed)

    if part := settings.part:
        body = module["model"]
        chosen = kept.once("chosen", lambda: part.choose(body, lambda n: map(loss_of, islice(batches(), n))))
        part.put_in(body, chosen)
    losses = train_steps(
        module,
        loss_of,
        batches(),
        steps=settings.steps,
        minutes=settings.minutes,
        accumulate=settings.accumulate,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        progress=progress,
        kept=kept,
    )
    if part:
        part.merge(module["model"])
    return losses


def _kept(
    settings: AdaptingSettings,
    objectives: Mapping[str, Objective],
    lengths: Mapping[str, NDArray[np.int64]],
    output: Path,
    processes: Processes,
) -> Kept:
    """What is needed to go on, beside the folder."""
    described = {
        **asdict(settings),
        "part": getattr(settings.part, "signature", None),
        "objectives": {name: [objective.signature, objective.weight] for name, objective in objectives.items()},
        # Another model or text of the same name
        "model_files": path_digest(Path(settings.model)) if Path(settings.model).is_dir() else None,
        "lengths": {name: of_items.tolist() for name, of_items in lengths.items()},
        "version": __version__,
    }
    return Kept(output.with_name(f"{output.name}.unfinished"), fingerprint(described), processes)
