"""`spacy xlt build`: translate, align and project a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from spacy.cli._util import parse_config_overrides, setup_gpu
from tqdm import tqdm
from wasabi import msg

from ._app import WITH_OVERRIDES, app, existing, friendly_errors


@app.command("build", context_settings=WITH_OVERRIDES)
@friendly_errors
def build_cli(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Config with xlt components in [nlp] pipeline", metavar="CONFIG"),
    input_path: Path = typer.Argument(..., help="Annotated corpus: a .spacy file or a folder", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Folder to build in", metavar="OUTPUT_DIR"),
    docs_per_shard: int = typer.Option(200, help="Documents in an output file"),
    corrections: Path | None = typer.Option(
        None, "--corrections", "-c", help="Reviewed sentences (.jsonl), saved by the page of `view --review`"
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    report: bool = typer.Option(True, "--report/--no-report", help="Write report.html and report.json"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Translate, align and project a corpus into a folder that `spacy train` reads.

    OUTPUT_DIR/target holds the projected corpus, OUTPUT_DIR/bitext the source documents with their bitexts,
    OUTPUT_DIR/lost what could not be carried over and why, OUTPUT_DIR/report.html figures, plots and examples of all
    that. A build that was interrupted goes on where it stopped when the same command is given again. Settings of the
    config can be overridden as in spacy train: --components.xlt_aligner.engine.layer 8
    """
    from ..corpus.build import Builder, ShardCounts, cache_hit_share
    from ..corpus.config import load_pipeline_config

    overrides = parse_config_overrides(ctx.args)
    existing(input_path, what="corpus")
    setup_gpu(gpu_id, silent=silent)
    nlp = load_pipeline_config(config_path, overrides)
    builder = Builder(nlp, input_path, output_path, docs_per_shard=docs_per_shard, corrections=corrections)
    with tqdm(total=builder.n_docs, unit="doc", desc="build", disable=silent) as bar:

        def progress(n_docs: int, done_now: ShardCounts) -> None:
            seconds = sum(done_now.seconds.values())
            postfix = {"sentences/s": f"{done_now.sentences / seconds:.0f}"} if seconds else {}
            if done_now.cache["hits"]:
                postfix["cached"] = f"{cache_hit_share(done_now):.0%}"
            bar.set_postfix(postfix, refresh=False)
            bar.update(n_docs)

        summary = builder.run(progress)
    if report:
        from ..reporting.build import write_build_report

        write_build_report(output_path)
    if not silent:
        _show(summary, output_path)
        if report:
            msg.info(f"Report: {output_path / 'report.html'}")


def _show(summary: dict[str, Any], output: Path) -> None:
    projected, lost = sum(summary["spans_projected"].values()), summary["spans_lost"]
    msg.good(
        f"{summary['docs']} documents, {summary['sentences']} sentences: {projected} spans projected, {lost} lost",
        str(output),
    )
    rows = [
        (name, f"{seconds:.1f}", f"{summary['sentences_per_second'].get(name, 0):.1f}")
        for name, seconds in summary["seconds"].items()
    ]
    msg.table(rows, header=("stage", "seconds", "sentences/s"), aligns=("l", "r", "r"), divider=True)
    if summary["lost_reasons"]:
        msg.info("Lost: " + ", ".join(f"{reason} {n}" for reason, n in summary["lost_reasons"].items()))
    if summary["flags"]:
        msg.info("Doubtful translations: " + ", ".join(f"{flag} {n}" for flag, n in summary["flags"].items()))
    if summary["sentences_dropped"]:
        msg.info("Left out: " + ", ".join(f"{flag} {n}" for flag, n in summary["sentences_dropped"].items()))
    if "sentences_reviewed" in summary:
        msg.info(f"{summary['sentences_reviewed']} sentences are as they were reviewed")
    if summary["cache"].get("hits"):
        msg.info(f"From the cache: {summary['cache_hit_share']:.0%} of the translations")
    if summary["docs_failed"]:
        msg.warn(f"{summary['docs_failed']} documents failed and were set aside", summary["failed"][0]["error"])
