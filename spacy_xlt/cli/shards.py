"""`spacy xlt shards`: what a build has, whether it is whole, and taking documents out of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm
from wasabi import msg

from ._app import app, existing, friendly_errors

if TYPE_CHECKING:
    from ..build.shards.records import Records
    from ..build.shards.splitting import Side

shards = typer.Typer(
    name="shards",
    help="List, verify, sample, split and export what spacy xlt build wrote.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(shards)

Build = Annotated[Path, typer.Argument(help="Folder that spacy xlt build wrote", metavar="BUILD")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines instead of text; the last one has the totals")]
Lang = Annotated[str, typer.Option("--lang", "-l", help="Only this target language")]
What = Annotated[str, typer.Option("--what", "-w", help="target, or bitext: the sources with their bitexts")]
Seed = Annotated[int, typer.Option("--seed", "-s", help="Another one draws others; the same one always the same")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output where it is there already")]
Silent = Annotated[bool, typer.Option("--silent", "-S", help="No progress bar and no summary")]


@shards.command("list")
@friendly_errors
def list_cli(
    build: Build,
    as_json: AsJson = False,
    files: Annotated[bool, typer.Option("--files", "-f", help="Also the files of each shard and their sizes")] = False,
) -> None:
    """
    List the finished shards: documents, sentences, spans in, projected and lost with the reasons, size.

    A build that is not finished, or is running, is listed as far as it is.
    """
    from ..build.shards.listing import Listing

    listing = Listing(_records(build))
    if as_json:
        for line in listing:
            _echo_json(line)
        _echo_json({"total": listing.total()})
        return
    typer.echo(_HEADER)
    for line in listing:
        _show_line(line)
        for name, size in line["files"].items() if files else ():
            typer.echo(f"    {_size(size) if size is not None else 'missing':>9}  {name}")
    total = listing.total()
    named = {"shard": "total", **total, "files": {"": total["bytes"]}}
    typer.echo("-" * 80)
    _show_line(named)
    if total["docs_failed"]:
        typer.echo(f"{total['docs_failed']} documents failed and were set aside")
    if total["files_missing"]:
        typer.echo(f"{total['files_missing']} files are missing; spacy xlt shards verify names them")
    if not total["finished"]:
        expected = total["shards_expected"]
        done = "Not all shards are" if expected is None else f"{total['shards']} of {expected} shards are"
        typer.echo(f"{done} finished; the command that began the build goes on with it.")


@shards.command("verify")
@friendly_errors
def verify_cli(
    build: Build,
    as_json: AsJson = False,
    threads: Annotated[int, typer.Option(min=0, help="Files to read at once; 0 for the number of cores")] = 0,
    silent: Annotated[bool, typer.Option("--silent", "-S", help="No progress bar")] = False,
) -> None:
    """
    Compare all files with the checksums they were written with. Ends with 1 where something is wrong.

    Each file that is missing, changed or cannot be read is named, and so is what no finished shard has: other files
    among the shards' and halves of files that a run which was killed has left.
    """
    from ..build.shards.verifying import Verifier

    records = _records(build)
    verifier = Verifier(records, threads)
    n_problems = again = 0
    with tqdm(total=len(records), unit="shard", desc="verify", disable=silent) as bar:
        for problem in verifier.problems(bar.update):
            n_problems += 1
            again += problem.kind in ("missing", "changed", "unreadable")
            reason = f": {problem.reason}" if problem.reason else ""
            with bar.external_write_mode():
                if as_json:
                    _echo_json(problem._asdict())
                else:
                    typer.echo(f"{problem.kind:<10}  {problem.file}{reason}")
    if as_json:
        totals = {"shards": len(records), "files": verifier.files, "bytes": verifier.bytes, "problems": n_problems}
        _echo_json({"total": totals})
    elif not n_problems:
        msg.good(f"{len(records)} shards, {verifier.files} files, {_size(verifier.bytes)}: all as they were written")
    else:
        msg.fail(f"{n_problems} problems in {len(records)} shards", str(build))
        if again:
            msg.info(f"The command that built this folder makes the {again} missing or changed files again.")
        if n_problems > again:
            msg.info(
                f"{n_problems - again} files belong to no finished shard. While no build runs, they can be removed; "
                "a build that goes on replaces its own."
            )
    raise typer.Exit(1 if n_problems else 0)


@shards.command("sample")
@friendly_errors
def sample_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="Corpus to write (.spacy)", metavar="OUT")],
    n: Annotated[int, typer.Option("-n", help="Documents")] = 100,
    seed: Seed = 0,
    what: What = "target",
    lang: Lang = "",
    overwrite: Overwrite = False,
    silent: Silent = False,
) -> None:
    """
    Draw documents by chance, each with the same one, and write them in the order of the build.

    A sample of bitexts can be looked at with spacy xlt view. Target documents whose sentences were all left out are
    not drawn.
    """
    from ..build.shards.sampling import Sampler

    records = _records(build)
    sampler = Sampler(records, n=n, seed=seed, what=what, lang=lang)
    with _progress("sample", records, silent=silent) as update:
        sampler.write(output, overwrite=overwrite, progress=update)
    if not silent:
        msg.good(f"{sampler.drawn} of {sampler.found} documents", str(output))


@shards.command("split")
@friendly_errors
def split_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="Folder to write train and dev in", metavar="OUT_DIR")],
    dev: Annotated[float, typer.Option("--dev", "-d", help="Share of the texts for dev, between 0 and 1")] = 0.1,
    seed: Seed = 0,
    lang: Lang = "",
    overwrite: Overwrite = False,
    silent: Silent = False,
) -> None:
    """
    Split the target documents into OUT_DIR/train and OUT_DIR/dev, which spacy train reads.

    Where a document goes follows from its source text and the seed: copies of a text and its translations into all
    languages are on the same side, in every build and however it is cut into shards. Documents whose sentences were
    all left out are left out, too.
    """
    from ..build.shards.splitting import Splitter

    records = _records(build)
    splitter = Splitter(records, dev=dev, seed=seed, lang=lang)
    with _progress("split", records, silent=silent) as update:
        splitter.write(output, overwrite=overwrite, progress=update)
    if silent:
        return
    msg.good(" and ".join(f"{one.sources} for {name}" for name, one in splitter.sides.items()), str(output))
    for name, one in splitter.sides.items():
        _show_side(name, one)
    if splitter.empty:
        msg.info(f"{splitter.empty} target documents are left out: nothing is left of them")


@shards.command("export")
@friendly_errors
def export_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="File to write", metavar="OUT")],
    format: Annotated[str, typer.Option("--format", "-f", help="jsonl, or parquet (extra: parquet)")] = "jsonl",
    what: Annotated[str, typer.Option("--what", "-w", help="target, or bitext: both sides with word links")] = "target",
    lang: Lang = "",
    overwrite: Overwrite = False,
    silent: Silent = False,
) -> None:
    """
    Write a row for each document and language, for people outside spaCy.

    It has text, tokens, sentences and spans with their scores, the source and its spans, and what was lost. Annotation
    that is not known is null, and never "no entity": `spans` where nothing is known, `tag` of a token; `missing` has
    the ranges.
    """
    from ..build.shards.exporting import Exporter

    records = _records(build)
    exporter = Exporter(records, format=format, what=what, lang=lang)
    with _progress("export", records, silent=silent) as update:
        exporter.write(output, overwrite=overwrite, progress=update)
    if not silent:
        msg.good(f"{exporter.rows} rows", str(output))


def _records(build: Path) -> Records:
    from ..build.shards.records import Records

    return Records(existing(build, what="folder"))


@contextmanager
def _progress(name: str, records: Records, *, silent: bool) -> Iterator[Callable[[int], object]]:
    """A bar over the shards, for what writes all or nothing."""
    with tqdm(total=len(records), unit="shard", desc=name, disable=silent) as bar:
        try:
            yield bar.update
        except KeyboardInterrupt:
            bar.close()
            msg.warn("Interrupted. Nothing was written.")
            raise typer.Exit(130) from None


_HEADER = f"{'shard':<8} {'docs':>7} {'sents':>8} {'spans':>8} {'carried':>8} {'lost':>6} {'size':>9}  lost because"


def _show_line(line: dict[str, Any]) -> None:
    spans, carried, reasons = (line[name] for name in ("spans_in", "spans_projected", "lost_reasons"))
    missing = sum(size is None for size in line["files"].values())
    notes = [f"{missing} files missing"] if missing else []
    notes += [f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda item: -item[1])]
    text = (
        f"{line['shard']:<8} {line['docs']:>7} {line['sentences']:>8} {sum(spans.values()):>8} "
        f"{sum(carried.values()):>8} {sum(reasons.values()):>6} {_size(sum(filter(None, line['files'].values()))):>9}  "
        f"{', '.join(notes)}"
    )
    typer.echo(text.rstrip() if len(text.rstrip()) <= 80 else f"{text[:79]}…")


def _show_side(name: str, side: Side) -> None:
    docs = ", ".join(f"{lang} {n}" for lang, n in sorted(side.docs.items())) or "none"
    entities = ", ".join(f"{label} {n}" for label, n in sorted(side.entities.items())) or "none"
    typer.echo(f"{name:<5}  documents: {docs}; tokens: {side.tokens.total()}; entities: {entities}")


def _size(n_bytes: int) -> str:
    if n_bytes < 1024:
        return f"{n_bytes} B"
    power = min(3, (n_bytes.bit_length() - 1) // 10)
    return f"{n_bytes / 1024**power:.1f} {'KMG'[power - 1]}iB"


def _echo_json(data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False))
