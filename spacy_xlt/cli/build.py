"""`spacy xlt build`: translate, align and project a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..device import use_device
from ..errors import error
from ._app import (
    FORMATS,
    WITH_OVERRIDES,
    app,
    check_outputs,
    existing,
    msg,
    names_in,
    overrides_of,
    paths_and_overrides,
    resumable,
)
from ._parallel import build_languages, report_on

if TYPE_CHECKING:
    from ..build.costs import Costs


@app.command("build", context_settings=WITH_OVERRIDES)
@resumable
def build_cli(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Config with xlt components in [nlp] pipeline", metavar="CONFIG"),
    input_path: Path = typer.Argument(
        ..., help="Annotated corpus: file or folder, or an earlier build", metavar="INPUT"
    ),
    output_path: Path = typer.Argument(..., help="Folder to build in", metavar="OUTPUT_DIR"),
    parallel: bool = typer.Option(
        False, "--parallel", help="INPUT is parallel text: two files SRC TGT, a .tmx, a .tsv, or a folder"
    ),
    source: str = typer.Option("", "--source", help="With --parallel: language code of the source; the config's"),
    targets: str = typer.Option("", help="With --parallel: languages to build, with commas between; all if left out"),
    annotate: str = typer.Option("", help="Pipeline that annotates the source, by its name or its folder"),
    docs_per_shard: int = typer.Option(200, help="Documents in an output file"),
    corrections: Path | None = typer.Option(
        None,
        "--corrections",
        help="Reviewed sentences, from the page of `view --review`, Prodigy, doccano or Label Studio",
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, the first one of several workers, or -1 for the CPU"),
    executor: str = typer.Option("local", help="local, or ray for the machines of a Ray cluster (RAY_ADDRESS)"),
    workers: int = typer.Option(
        0, "--workers", "-w", help="Processes with an engine each; 0 for none beside this one, with ray for all it has"
    ),
    code: Path | None = typer.Option(None, "--code", help="Python file with registered functions of your own"),
    format: str = typer.Option("auto", "--format", "-f", help=FORMATS),
    token_col: int | None = typer.Option(None, help="Column of the token, counted from 1; negative from the end"),
    tag_col: int | None = typer.Option(None, help="Column of the entity tag, counted from 1; negative from the end"),
    n_sents: int = typer.Option(1, "--n-sents", "-n", help="Sentences a document, of columns"),
    labels: str = typer.Option("", help="Labels to keep, with commas between; all if left out"),
    spans_key: str = typer.Option("", help="Span group for the entities, which may overlap then"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
    skip_corrupt: bool = typer.Option(False, "--skip-corrupt", help="Leave out input files that cannot be read"),
    wait: bool = typer.Option(False, "--wait", help="If another build is running in the folder, wait for it"),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Only say what language models would be asked for, from 20 documents that are tried"
    ),
    report: bool = typer.Option(True, "--report/--no-report", help="Write report.html and report.json"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Translate, align and project a corpus into a folder that `spacy train` reads.

    INPUT is a corpus in .spacy, columns, JSON lines (Prodigy, doccano) or brat's files, also compressed, or a folder of
    such files. Of an OUTPUT_DIR of an earlier build, the translations are used: it is aligned and projected anew.
    OUTPUT_DIR/target holds the projected corpus, OUTPUT_DIR/bitext the source documents with their bitexts,
    OUTPUT_DIR/lost what could not be carried over and why, OUTPUT_DIR/report.html figures, plots and examples of all
    that. A build that was interrupted goes on where it stopped when the same command is given again. Settings of the
    config can be overridden as in spacy train: --components.xlt_aligner.engine.layer 8

    With --parallel, the text was translated by people, and its source is annotated once. Each language is built in a
    folder OUTPUT_DIR/LANGUAGE; one that cannot be built does not stop the others. For example: spacy xlt build parallel
    --parallel news.en news.de built --source en --targets de --annotate en_core_web_sm

    With --dry-run, nothing is built: 20 documents are tried, and requests and tokens that language models would be
    asked for are counted up to the whole corpus. The answers of the 20 stay in the cache.
    """
    from spacy.cli._util import import_code

    from ..build.builder import build, reuse_translations, source_language
    from ..build.costs import estimate
    from ..build.workers import make_workers
    from ..config import load_pipeline_config
    from ..memory import limit_allocator_caches
    from ..readers import ReadSettings
    from ..review.records import Corrections

    if parallel and dry_run:
        raise error("E510", setting="--dry-run", value=True, expected="nothing with --parallel")
    if parallel:
        more, overrides = paths_and_overrides(ctx, ctx.args)
        inputs = [input_path, output_path, *more]
        folder = inputs.pop()
        build_languages(
            config_path,
            inputs,
            folder,
            lambda settings: load_pipeline_config(config_path, {**overrides, **settings}, annotator=annotate),
            find={"source": source, "targets": names_in(targets), "encoding": encoding},
            build={"docs_per_shard": docs_per_shard, "wait": wait, "silent": silent},
            workers={"executor": executor, "workers": workers, "gpu_id": gpu_id, "code": code},
            report=report,
        )
        return
    for option, value in (("--source", source), ("--targets", targets)):
        if value:
            raise error("E510", setting=option, value=value, expected="nothing without --parallel")
    overrides = overrides_of(ctx)
    existing(input_path, what="corpus")
    if not dry_run:
        check_outputs(output_path, inputs=[config_path, input_path, corrections, code])
    import_code(code)
    if workers == 0 and executor == "local":
        limit_allocator_caches()
        use_device(gpu_id, silent=silent)
    nlp = load_pipeline_config(config_path, overrides, annotator=annotate)
    lang = source_language(nlp)
    if translated := reuse_translations(nlp, input_path):
        msg.info(f"The translations of {input_path} are used, and nothing is translated")
        input_path = translated
    reading = ReadSettings(
        format=format,
        lang=lang,
        encoding=encoding,
        token_col=token_col,
        tag_col=tag_col,
        n_sents=n_sents,
        labels=frozenset(names_in(labels)) or None,
        spans_key=spans_key,
    )
    if dry_run:
        _show_costs(estimate(nlp, input_path, reading=reading, skip_corrupt=skip_corrupt, silent=silent))
        return
    reviewed = None if corrections is None else Corrections(corrections)
    if reviewed is not None and reviewed.n_as_exported and not silent:
        untouched = f"{reviewed.n_as_exported} lines are as they were exported"
        msg.info(f"{len(reviewed)} corrections in {corrections}; {untouched}")
    summary = build(
        nlp,
        input_path,
        output_path,
        docs_per_shard=docs_per_shard,
        workers=make_workers(nlp, executor=executor, workers=workers, gpu_id=gpu_id, corrections=reviewed, code=code),
        corrections=reviewed,
        reading=reading,
        skip_corrupt=skip_corrupt,
        wait=wait,
        silent=silent,
    )
    page = report_on(output_path) if report else None
    if not silent:
        _show(summary, output_path)
        if page:
            msg.info(f"Report: {page}")


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
    for title, key in (
        ("Lost", "lost_reasons"),
        ("Links between spans", "links_projected"),
        ("Lost links", "lost_link_reasons"),
        ("Sentences not annotated", "not_annotated"),
        ("Doubtful translations", "flags"),
        ("Left out", "sentences_dropped"),
        ("Lines left out", "lines_left_out"),
    ):
        if summary.get(key):
            msg.info(f"{title}: " + ", ".join(f"{name} {n}" for name, n in summary[key].items()))
    if "sentences_reviewed" in summary:
        msg.info(f"{summary['sentences_reviewed']} sentences are as they were reviewed")
    if summary["cache"].get("hits"):
        msg.info(f"From the cache: {summary['cache_hit_share']:.0%} of the translations")
    if summary["docs_failed"]:
        msg.warn(f"{summary['docs_failed']} documents failed and were set aside", summary["failed"][0]["error"])


def _show_costs(costs: Costs) -> None:
    tried, docs = costs.docs
    for failed in costs.failed[:1]:
        msg.warn(
            f"{len(costs.failed)} of {tried} documents failed, and the rest would cost less than they do",
            failed["error"],
        )
    rows = [
        (name, *(f"{n:,}" for n in costs.asked[name]), *(f"{_rounded(n):,}" for n in expected))
        for name, expected in costs.expected.items()
    ]
    kinds = ("requests", "tokens read", "written")
    header = ("component", *kinds, *(f"all: {kind}" for kind in kinds))
    msg.table(rows, header=header, aligns=("l", *"rrrrrr"), divider=True)
    share = f"{costs.chars[0]:,} of {costs.chars[1]:,} characters"
    msg.info(
        f"{tried} of {docs:,} documents were tried ({share}); the rest is taken to be like them. Nothing was built"
    )


def _rounded(n: int) -> int:
    """A number to three digits that count, as no more is known."""
    return int(float(f"{n:.3g}"))
