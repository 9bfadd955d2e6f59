"""`spacy xlt adapt`: train an encoder on what is not labelled, before the task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer
from tqdm import tqdm

from ..device import use_device
from ._app import WITH_OVERRIDES, app, check_outputs, msg, overrides_of, resumable


@app.command("adapt", context_settings=WITH_OVERRIDES)
@resumable
def adapt_cli(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Config with [adapting] and [objectives]", metavar="CONFIG"),
    output_path: Path = typer.Argument(..., help="Model folder to write", metavar="OUT_DIR"),
    code: Path | None = typer.Option(None, "--code", help="Python file with registered functions of your own"),
    gpu_id: int = typer.Option(
        -1, "--gpu-id", "-g", help="GPU, or -1 for the CPU; several processes have one each, from 0"
    ),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Adapt an encoder to a language, a script or a lexicon: train it with one or more objectives on unlabelled text.

    OUT_DIR becomes an ordinary model folder, for EmbeddingAligner, xlt_ner and all else that takes one by path. It
    appears when it is complete; an adaptation that was interrupted goes on when the same command is given again.
    Settings of the config can be overridden as in spacy train: --adapting.minutes 10. Several processes train one
    model: torchrun --nproc-per-node 2 -m spacy xlt adapt CONFIG OUT_DIR --adapting.accumulate 2
    """
    overrides = overrides_of(ctx)
    from spacy.cli._util import import_code

    from ..adapting.config import read_adapting
    from ..adapting.trainer import adapt

    import_code(code)
    settings, objectives = read_adapting(config_path, overrides)
    check_outputs(output_path, inputs=[config_path, Path(settings.model)])
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    silent = silent or (several and int(os.environ["RANK"]) > 0)
    use_device(int(os.environ["LOCAL_RANK"]) if several and gpu_id >= 0 else gpu_id, silent=silent)
    total = settings.steps if settings.minutes is None else None
    with tqdm(total=total, unit="step", desc="adapt", disable=silent) as bar:
        summary = adapt(settings, objectives, output_path, progress=lambda step, loss: show_step(bar, step, loss))
    if not silent:
        show_adapted(summary, output_path)


def show_step(bar: Any, step: int, loss: float) -> None:
    """Move a progress bar on."""
    bar.set_postfix(loss=round(loss, 5), refresh=False)
    bar.update(step - bar.n)


def show_adapted(summary: dict[str, Any], output: Path) -> None:
    """Print what an adaptation did."""
    used = "; ".join(f"{name}: {one['items']} of {one['read']} used" for name, one in summary["objectives"].items())
    msg.good(f"{summary['steps']} steps in {summary['seconds']:.0f} s ({used})", str(output))
    msg.info(f"Loss {summary['loss_first']} at first, {summary['loss_last']} at last")
    layers = summary["layers"]
    msg.text(f'Use it: model = "{output}"' + (f", layer = {layers} of EmbeddingAligner" if layers else ""))
