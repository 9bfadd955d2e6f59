"""`spacy xlt build`: translate, align and project a corpus."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from spacy.cli._util import parse_config_overrides, setup_gpu
from wasabi import msg

from ._app import WITH_OVERRIDES, app, existing, names_in, resumable

if TYPE_CHECKING:
    from ..build.inputs import InputSettings


@app.command("build", context_settings=WITH_OVERRIDES)
@resumable
def build_cli(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Config with xlt components in [nlp] pipeline", metavar="CONFIG"),
    input_path: Path = typer.Argument(..., help="Annotated corpus: a file or a folder", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Folder to build in", metavar="OUTPUT_DIR"),
    docs_per_shard: int = typer.Option(200, help="Documents in an output file"),
    corrections: Path | None = typer.Option(
        None, "--corrections", "-c", help="Reviewed sentences (.jsonl), saved by the page of `view --review`"
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, the first one of several workers, or -1 for the CPU"),
    executor: str = typer.Option("local", help="local, or ray for the machines of a Ray cluster"),
    workers: int = typer.Option(
        0, "--workers", "-w", help="Processes with an engine each; 0 for none beside this one, with ray for all it has"
    ),
    workers_per_gpu: int = typer.Option(1, help="Workers that share a GPU"),
    address: str | None = typer.Option(None, help="Of the Ray cluster"),
    code: Path | None = typer.Option(None, "--code", help="Python file with registered functions of your own"),
    format: str = typer.Option("auto", "--format", "-f", help="auto, spacy, iob2, conll, tsv, jsonl or brat"),
    token_col: int | None = typer.Option(None, help="Column of the token, counted from 1; negative from the end"),
    tag_col: int | None = typer.Option(None, help="Column of the entity tag, counted from 1; negative from the end"),
    n_sents: int = typer.Option(1, "--n-sents", "-n", help="Sentences a document, of columns"),
    labels: str = typer.Option("", help="Labels to keep, with commas between; all if left out"),
    spans_key: str = typer.Option("", help="Span group for the entities, which may overlap then"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
    skip_corrupt: bool = typer.Option(False, "--skip-corrupt", help="Leave out input files that cannot be read"),
    verify: bool = typer.Option(True, "--verify/--no-verify", help="Check the checksums of what is finished"),
    wait: bool = typer.Option(False, "--wait", help="Where another build is at work in the folder, wait for it"),
    report: bool = typer.Option(True, "--report/--no-report", help="Write report.html and report.json"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Translate, align and project a corpus into a folder that `spacy train` reads.

    INPUT is a corpus in .spacy, columns, JSON lines (Prodigy, doccano) or brat's files, also compressed, or a folder of
    such files. OUTPUT_DIR/target holds the projected corpus, OUTPUT_DIR/bitext the source documents with their bitexts,
    OUTPUT_DIR/lost what could not be carried over and why, OUTPUT_DIR/report.html figures, plots and examples of all
    that, OUTPUT_DIR/log.jsonl how far it was each minute. A build that was interrupted goes on where it stopped when
    the same command is given again. Settings of the config can be overridden as in spacy train:
    --components.xlt_aligner.engine.layer 8
    """
    from ..build.inputs import InputSettings
    from ..build.unchanged import asked_for, finished_summary

    overrides = parse_config_overrides(ctx.args)
    existing(input_path, what="corpus")
    reading = InputSettings(
        format=format,
        encoding=encoding,
        token_col=token_col,
        tag_col=tag_col,
        n_sents=n_sents,
        labels=frozenset(names_in(labels)) or None,
        spans_key=spans_key,
    )
    read_as = {**asdict(reading), "labels": sorted(reading.labels or ())}
    options = {"reading": read_as, "docs_per_shard": docs_per_shard, "skip_corrupt": skip_corrupt}
    # Reviewed sentences that fit nowhere are to be named each time
    asked = None if corrections is not None else asked_for(config_path, overrides, code=code, options=options)
    page = output_path / "report.html"
    summary = None
    if not report or page.is_file():
        summary = finished_summary(output_path, input_path, asked, reading=reading, verify=verify)
    if summary is None:
        summary = _build(
            config_path,
            overrides,
            input_path,
            output_path,
            reading=reading,
            page=page if report else None,
            executing={
                "kind": executor,
                "workers": workers,
                "address": address,
                "gpu_id": gpu_id,
                "workers_per_gpu": workers_per_gpu,
                "code": code,
            },
            building={
                "docs_per_shard": docs_per_shard,
                "corrections": corrections,
                "skip_corrupt": skip_corrupt,
                "verify": verify,
                "silent": silent,
                "asked": asked,
            },
            wait=wait,
        )
    if not silent:
        _show(summary, output_path)
        if report:
            msg.info(f"Report: {page}")


def _build(
    config: Path,
    overrides: dict[str, Any],
    source: Path,
    output: Path,
    *,
    reading: InputSettings,
    page: Path | None,
    executing: dict[str, Any],
    building: dict[str, Any],
    wait: bool,
) -> dict[str, Any]:
    """Make the pipeline and build what is not built yet; see `Builder` and `make_executor` for their settings."""
    from spacy.cli._util import import_code

    from ..build.builder import Builder, source_language
    from ..build.executors.making import make_executor
    from ..build.manifest import check_folder
    from ..build.progress import Numbers
    from ..config import load_pipeline_config
    from ..locks import BuildLock

    import_code(executing["code"])
    if executing["workers"] == 0 and executing["kind"] == "local":
        setup_gpu(executing["gpu_id"], silent=building["silent"])
    nlp = load_pipeline_config(config, overrides)
    # Before the lock, which is a file in it
    check_folder(output)
    with BuildLock(output, wait=wait):
        builder = Builder(nlp, source, output, reading=replace(reading, lang=source_language(nlp)), **building)
        runs = make_executor(nlp, corrections=builder.corrections, **executing)
        with Numbers(
            builder.n_docs, builder.plan.n_shards, folder=output, executor=runs, disable=building["silent"]
        ) as numbers:
            summary = builder.run(runs, numbers=numbers)
        if page is not None and (builder.n_built or not page.is_file()):
            from ..report.build import write_build_report

            write_build_report(output)
    return summary


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
