"""`spacy xlt merge-config`: a training config out of a base, a strategy and parts."""

from __future__ import annotations

from pathlib import Path

import typer

from ._app import WITH_OVERRIDES, app, check_outputs, friendly_errors, msg, paths_and_overrides


@app.command("merge-config", context_settings=WITH_OVERRIDES)
@friendly_errors
def merge_config_cli(
    ctx: typer.Context,
    output: Path = typer.Argument(..., help="Config to write", metavar="OUTPUT.cfg"),
    configs: list[str] = typer.Argument(..., help="Base and overlays, each over the ones before", metavar="CONFIG..."),
) -> None:
    """Merge a base config with overlays, a strategy and parts into one that `spacy train` takes.

    For example configs/train.cfg with configs/gpu.cfg and configs/strategies/zero_shot.cfg.
    Settings can be changed as in `spacy train`: --training.max_steps 2000.
    """
    from ..config import merge_configs
    from ..io import write_bytes

    # Whatever follows the files, settings too, arrives as one of them.
    paths, overrides = paths_and_overrides(ctx, [*configs, *ctx.args])
    check_outputs(output, inputs=paths)
    merged = merge_configs(paths, overrides)
    write_bytes(output, (merged.to_str(interpolate=False) + "\n").encode("utf8", "backslashreplace"))
    msg.good(" + ".join(path.stem for path in paths), str(output))
