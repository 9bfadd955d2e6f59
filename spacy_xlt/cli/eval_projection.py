"""`spacy xlt eval-projection`: exact span scores of projecting one gold corpus onto another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from spacy.cli._util import parse_config_overrides, setup_gpu
from wasabi import msg

from ._app import WITH_OVERRIDES, app, existing, friendly_errors


@app.command("eval-projection", context_settings=WITH_OVERRIDES)
@friendly_errors
def eval_projection_cli(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Config with xlt_aligner and xlt_projector", metavar="CONFIG"),
    source_path: Path = typer.Argument(..., help="Source corpus with gold entities", metavar="SOURCE"),
    gold_path: Path = typer.Argument(..., help="Target corpus with gold entities, in the same order", metavar="GOLD"),
    json_path: Path | None = typer.Option(None, "--json", help="Also write the scores to this file"),
    labels: str | None = typer.Option(None, help="Only these labels on both sides, for example PER,LOC,ORG"),
    target_lang: str = typer.Option("xx", help="Language of the gold corpus, for aligners that need to know"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
) -> None:
    """Project the source's gold entities onto the target's tokens and score them against the target's gold.

    Exact match of label and both ends. SOURCE and GOLD are .spacy files, or folders of them, with the same sentences
    in the same order. The config's aligner and projector are used; its translator is not. Settings can be overridden
    as in spacy train: --components.xlt_aligner.engine.method itermax
    """
    from ..corpus.config import load_pipeline_config
    from ..corpus.writing import write_json
    from ..errors import error
    from ..evaluation.projection import evaluate_projection

    overrides = parse_config_overrides(ctx.args)
    existing(source_path, what="corpus")
    existing(gold_path, what="corpus")
    wanted = None if labels is None else [label.strip() for label in labels.split(",") if label.strip()]
    if wanted == []:
        raise error("E510", setting="--labels", value=labels, expected="labels with commas between")
    setup_gpu(gpu_id, silent=True)
    nlp = load_pipeline_config(config_path, overrides)
    scores = evaluate_projection(
        nlp, source_path, gold_path, labels=wanted, target_lang=target_lang, config=config_path
    )
    if json_path is not None:
        write_json(json_path, scores)
    _show(scores)


def _show(scores: dict[str, Any]) -> None:
    rows = [("all", *(_percent(scores[f"ents_{key}"]) for key in "prf"))]
    per_type = scores["ents_per_type"] or {}
    rows += [(label, *(_percent(of_label[key]) for key in "prf")) for label, of_label in sorted(per_type.items())]
    msg.table(rows, header=("label", "P", "R", "F"), aligns=("l", "r", "r", "r"), divider=True)
    msg.info(f"Ceiling: the two sides' own annotations agree to F {_percent(scores['ceiling_f'])}")
    reasons = ", ".join(f"{reason} {n}" for reason, n in scores["lost_reasons"].items())
    msg.info(
        f"{scores['spans_in']} spans in, {scores['spans_projected']} projected, {scores['spans_lost']} lost"
        + (f" ({reasons})" if reasons else "")
    )
    msg.info(f"{scores['pairs']} pairs in {scores['seconds']} s, {scores['pairs_per_second']} a second")
    msg.text(scores["signature"])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"
