"""`spacy xlt merge-config`: a training config out of a base, a strategy and parts."""

from __future__ import annotations

from pathlib import Path

import typer
from spacy.cli._util import parse_config_overrides
from wasabi import msg

from ._app import app, friendly_errors


@app.command("merge-config", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    words = [*configs, *ctx.args]
    end = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    paths = [Path(word) for word in words[:end]]
    merged = merge_configs(paths, parse_config_overrides(words[end:]))
    write_bytes(output, (merged.to_str(interpolate=False) + "\n").encode("utf8"))
    msg.good(" + ".join(path.stem for path in paths), str(output))
