"""`spacy xlt eval-projection`: exact span scores of projecting one gold corpus onto another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from spacy.cli._util import import_code

from ..bitext import ENTS
from ..device import use_device
from ..errors import error
from ._app import (
    WITH_OVERRIDES,
    app,
    check_outputs,
    echo,
    existing,
    friendly_errors,
    msg,
    names_in,
    paths_and_overrides,
)


@app.command("eval-projection", context_settings=WITH_OVERRIDES)
@friendly_errors
def eval_projection_cli(
    ctx: typer.Context,
    paths: list[str] = typer.Argument(
        ...,
        help="Config with xlt_projector, and xlt_aligner for links, source corpus and target corpus with gold entities "
        "in the same order; with --compare several configs",
        metavar="CONFIG [CONFIG ...] SOURCE GOLD",
    ),
    compare: bool = typer.Option(False, "--compare", help="Compare several configs with the first one"),
    json_path: Path | None = typer.Option(None, "--json", help="Also write the scores to this file"),
    report: Path | None = typer.Option(None, "--report", help="Also write a page with plots to this file"),
    labels: str | None = typer.Option(None, help="Only these labels on both sides, for example PER,LOC,ORG"),
    spans_key: str | None = typer.Option(None, "--spans-key", help="Score this span group in the place of entities"),
    target_lang: str = typer.Option("xx", help="Language of the gold corpus, for aligners that need to know"),
    code: Path | None = typer.Option(None, "--code", help="Python file with registered functions of your own"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
) -> None:
    """Project the source's gold entities onto the target's tokens and score them against the target's gold.

    Exact match of label and both ends. SOURCE and GOLD are .spacy files, or folders of them, with the same sentences
    in the same order; or GOLD is what the page of `view --review` saved (.jsonl), and SOURCE the corpus that was built
    from: then the sentences that were accepted count. Links between spans are scored where the gold has some, intents
    where both sides have categories, and answers by SQuAD's exact match and F1 where the gold has their questions' ids
    (--spans-key answers). The config's aligner and projector are used; its translator is not. Settings can be
    overridden as in spacy train:
    --components.xlt_aligner.engine.method itermax

    With --compare, any number of configs come before SOURCE and GOLD, and each is compared with the first one by paired
    bootstrap.
    """
    from ..config import load_pipeline_config
    from ..evaluation.projection import compare_projections, corpus_pairs, evaluate_projection
    from ..io import write_bytes, write_json
    from ..review.evaluation import reviewed_pairs

    configs, source_path, gold_path, overrides = _arguments(ctx, paths, compare=compare)
    existing(source_path, what="corpus")
    existing(gold_path, what="corpus")
    check_outputs(json_path, report, inputs=[*configs, source_path, gold_path, code], may_be_inside=True)
    wanted = None if labels is None else names_in(labels)
    if wanted == []:
        raise error("E510", setting="--labels", value=labels, expected="labels with commas between")
    use_device(gpu_id, silent=True)
    import_code(code)
    read_pairs = reviewed_pairs if gold_path.suffix == ".jsonl" else corpus_pairs
    if compare or report is not None:
        scores = compare_projections(
            configs,
            source_path,
            gold_path,
            labels=wanted,
            key=spans_key or ENTS,
            target_lang=target_lang,
            overrides=overrides,
            read_pairs=read_pairs,
            progress=lambda name: msg.info(f"Projecting with {name}") if compare else None,
        )
        if report is not None:
            from ..report.projection import projection_page

            write_bytes(report, projection_page(scores, title=f"Projection: {gold_path.stem}").encode("utf8"))
        if not compare:
            (scores,) = scores["systems"].values()
            # What it says of a comparison with itself
            scores = {key: value for key, value in scores.items() if key not in ("difference", "p_value")}
    else:
        scores = evaluate_projection(
            load_pipeline_config(configs[0], overrides),
            source_path,
            gold_path,
            labels=wanted,
            key=spans_key or ENTS,
            target_lang=target_lang,
            config=configs[0],
            read_pairs=read_pairs,
        ).scores
    if json_path is not None:
        write_json(json_path, scores)
    if compare:
        _show_comparison(scores)
    else:
        _show(scores)
    if report is not None:
        msg.good("Report", str(report))


def _arguments(
    ctx: typer.Context, values: Sequence[str], *, compare: bool
) -> tuple[list[Path], Path, Path, dict[str, Any]]:
    """Configs, source corpus, gold corpus and overrides."""
    paths, overrides = paths_and_overrides(ctx, values)
    if len(paths) < 3:
        hint = "Give CONFIG SOURCE GOLD, and overrides after them."
        raise error("E524", expected="a config and two corpora", found=len(paths), hint=hint)
    if len(paths) > 3 and not compare:
        raise error("E524", expected="CONFIG SOURCE GOLD", found=len(paths), hint="Several configs need --compare.")
    return paths[:-2], paths[-2], paths[-1], overrides


def _show(scores: dict[str, Any]) -> None:
    rows = [("all", *(_percent(scores[f"ents_{key}"]) for key in "prf"))]
    per_type = scores["ents_per_type"] or {}
    rows += [(label, *(_percent(of_label[key]) for key in "prf")) for label, of_label in sorted(per_type.items())]
    rows += [
        (f"{length} tokens", *(_percent(of_length[key]) for key in "prf"))
        for length, of_length in scores["ents_per_length"].items()
    ]
    msg.table(rows, header=("label", "P", "R", "F"), aligns=("l", "r", "r", "r"), divider=True)
    msg.info(f"Ceiling: the two sides' own annotations agree to F {_percent(scores['ceiling_f'])}")
    sure = scores["reliability"]
    msg.info(f"Precision without the least sure tenth: {_percent(sure['precision_of_surest'])}")
    reasons = ", ".join(f"{reason} {n}" for reason, n in scores["lost_reasons"].items())
    msg.info(
        f"{scores['spans_in']} spans in, {scores['spans_projected']} projected, {scores['spans_lost']} lost"
        + (f" ({reasons})" if reasons else "")
    )
    if scores.get("links_gold"):
        exact, ends = _percent(scores["links_f"]), _percent(scores["links_ends_r"])
        msg.info(
            f"{scores['links_gold']} links in the gold, {scores['links']} projected: F {exact}; ends found: {ends}"
        )
    if scores.get("answers"):
        exact, overlap = _percent(scores["answers_exact"]), _percent(scores["answers_f"])
        msg.info(f"{scores['answers']} questions: exact match {exact}, F1 over words {overlap}")
    if scores.get("intents"):
        accuracy, both = _percent(scores["intent_accuracy"]), _percent(scores["intents_and_slots"])
        msg.info(f"{scores['intents']} intents: accuracy {accuracy}; intent and all slots exact: {both}")
    filtered = scores["filtered"]
    if filtered["dropped"]:
        why = ", ".join(f"{reason} {n}" for reason, n in filtered["reasons"].items())
        rest = " / ".join(_percent(filtered[f"ents_{key}"]) for key in "prf")
        msg.info(f"{filtered['dropped']} of {filtered['sentences']} sentences left out ({why}); P / R / F then: {rest}")
    msg.info(f"{scores['pairs']} pairs in {scores['seconds']} s, {scores['pairs_per_second']} a second")
    msg.text(scores["signature"])


def _show_comparison(result: dict[str, Any]) -> None:
    from ..report.projection import projection_parts

    for part in projection_parts(result):
        for table in (table for table in part.tables if table.rows):
            echo(f"\n{part.heading}\n{table.terminal()}")
        for name, text in part.lines:
            echo(f"{name}: {text}")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"
