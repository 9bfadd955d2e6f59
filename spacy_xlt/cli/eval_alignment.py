"""`spacy xlt eval-alignment`: the links of an aligner against gold links."""

from __future__ import annotations

from pathlib import Path

import typer
from spacy.cli._util import import_code

from ..device import use_device
from ._app import WITH_OVERRIDES, app, check_outputs, existing, friendly_errors, msg, overrides_of


@app.command("eval-alignment", context_settings=WITH_OVERRIDES)
@friendly_errors
def eval_alignment_cli(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Config with xlt_aligner", metavar="CONFIG"),
    pairs_path: Path = typer.Argument(..., help="Sentence pairs with gold links", metavar="PAIRS.tsv"),
    source_lang: str = typer.Option("", "--source-lang", help="Language of the source, for aligners that ask"),
    target_lang: str = typer.Option("", "--target-lang", help="Language of the target"),
    code: Path | None = typer.Option(None, "--code", help="Python file with registered functions of your own"),
    json_path: Path | None = typer.Option(None, "--json", help="Also write the scores to this file"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
) -> None:
    """Align sentence pairs and score the links: precision, recall, F1 and alignment error rate, in percent.

    A line of PAIRS.tsv has source tokens, target tokens and Pharaoh links (0-0 1-2, or 3p2 for a possible link), with
    tabs between. Settings can be overridden as in spacy train: --components.xlt_aligner.engine.method itermax
    """
    from ..config import find_component, load_pipeline_config
    from ..evaluation.alignment import evaluate_alignment, read_pairs
    from ..io import write_json

    overrides = overrides_of(ctx)
    existing(pairs_path, what="file of sentence pairs")
    check_outputs(json_path, inputs=[config_path, pairs_path, code])
    pairs = read_pairs(pairs_path)
    use_device(gpu_id, silent=True)
    import_code(code)
    aligner = find_component(load_pipeline_config(config_path, overrides), "xlt_aligner", config_path)
    scores = evaluate_alignment(
        aligner.engine, pairs, data=pairs_path.name, source_lang=source_lang, target_lang=target_lang
    )
    if json_path is not None:
        write_json(json_path, scores)
    row = [f"{scores[key]:.2f}" for key in ("precision", "recall", "f1", "aer")]
    msg.table([row], header=("P", "R", "F1", "AER"), aligns=("r",) * 4, divider=True)
    msg.info(f"{scores['pairs']} pairs in {scores['seconds']} s, {scores['pairs_per_second']} a second")
    msg.text(scores["signature"])
