"""`spacy xlt shards`: what a build has, and taking documents out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._app import app, check_outputs, echo, existing, friendly_errors, msg

if TYPE_CHECKING:
    from ..build.built import BuiltShards

shards = typer.Typer(
    name="shards",
    help="List, sample, split, export and fuse what spacy xlt build wrote.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(shards)

Build = Annotated[Path, typer.Argument(help="Folder that spacy xlt build wrote", metavar="BUILD")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines instead of text; the last one has the totals")]
Lang = Annotated[str, typer.Option("--lang", "-l", help="Only this target language")]
What = Annotated[str, typer.Option("--what", help="target, or bitext: the sources with their bitexts")]
Seed = Annotated[int, typer.Option("--seed", help="Another one draws others; the same one always the same")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it is there already")]
Silent = Annotated[bool, typer.Option("--silent", "-S", help="No progress bar and no summary")]


@shards.command("list")
@friendly_errors
def list_cli(
    build: Build,
    as_json: AsJson = False,
    files: Annotated[bool, typer.Option("--files", help="Also the files of each shard and their sizes")] = False,
) -> None:
    """
    List the finished shards: documents, sentences, spans in, projected and lost with the reasons, size.

    Links between spans, and records, have a line of their own where there are any.

    A build that is not finished, or is running, is listed as far as it is.
    """
    from ..build.shards import list_shards

    lines, total = list_shards(_shards(build))
    if as_json:
        for line in [*lines, {"total": total}]:
            typer.echo(json.dumps(line))
        return
    echo(_HEADER)
    for line in lines:
        _show_line(line)
        for name, size in line["files"].items() if files else ():
            echo(f"    {_size(size) if size is not None else 'missing':>9}  {name}")
    echo("-" * 80)
    _show_line({"shard": "total", **total, "files": {"": total["bytes"]}})
    if total["docs_failed"]:
        echo(f"{total['docs_failed']} documents failed and were set aside")
    if total["files_missing"]:
        echo(f"{total['files_missing']} files are missing; the command that built this folder makes them again")
    if not total["finished"]:
        done = f"{total['shards']} of {total['shards_expected']} shards are finished"
        echo(f"{done}; the command that began the build goes on with it.")


@shards.command("sample")
@friendly_errors
def sample_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="Corpus to write (.spacy)", metavar="OUT")],
    n: Annotated[int, typer.Option("--limit", help="Documents")] = 100,
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
    from ..build.shards import sample

    drawn, n_docs = sample(
        _shards(build, output), output, n=n, seed=seed, what=what, lang=lang, overwrite=overwrite, silent=silent
    )
    if not silent:
        msg.good(f"{drawn} of {n_docs} documents", str(output))


@shards.command("split")
@friendly_errors
def split_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="Folder to write train and dev in", metavar="OUT_DIR")],
    dev: Annotated[float, typer.Option("--dev", help="Share of the texts for dev, between 0 and 1")] = 0.1,
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
    from ..build.shards import split

    said = split(_shards(build, output), output, dev=dev, seed=seed, lang=lang, overwrite=overwrite, silent=silent)
    if silent:
        return
    sides = ("train", "dev")
    msg.good(" and ".join(f"{said[side]['sources']} for {side}" for side in sides), str(output))
    for side in sides:
        counts = ", ".join(f"{lang} {n}" for lang, n in said[side]["docs"].items())
        echo(f"{side:<5}  documents: {counts or 'none'}")
    if said["left_out_empty"]:
        msg.info(f"{said['left_out_empty']} target documents are left out: nothing is left of them")


@shards.command("export")
@friendly_errors
def export_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="File to write", metavar="OUT")],
    what: Annotated[str, typer.Option("--what", help="target, or bitext: both sides with word links")] = "target",
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="Sentences to correct instead (prodigy, doccano, label-studio), or documents as brat, marked, tacred, "
            "squad, slots, texts or pubtator",
        ),
    ] = "",
    lang: Lang = "",
    overwrite: Overwrite = False,
    silent: Silent = False,
) -> None:
    """
    Write a JSON line for each document and language, for people outside spaCy, or another format.

    A line has text, tokens, sentences and spans with their scores, the source and its spans, and what was lost.
    Annotation that is not known is null, and never "no entity": `spans` where nothing is known, `tag` of a token;
    `missing` has the ranges. A file with the name .json is an array of the lines.

    For an annotation tool, the projected spans are a task for each sentence; what comes back from the tool is what
    `build --corrections` takes. The other formats are those that `build` and `convert` read: what was in such a file
    comes back in the target language. brat's is a folder; slots are read with --format conll --token-col 2.
    """
    from functools import partial

    from ..build.exports import export, export_format
    from ..errors import error
    from ..review.tools import TOOLS, tasks
    from ..writers import WRITTEN_FORMATS

    if format and (format not in (*TOOLS, *WRITTEN_FORMATS) or what != "target"):
        known = ", ".join((*TOOLS, *WRITTEN_FORMATS))
        raise error("E510", setting="--format", value=format, expected=f"{known}, of what is the target")
    built = _shards(build, output)
    if format in WRITTEN_FORMATS:
        n = export_format(built, output, format, lang=lang, overwrite=overwrite, silent=silent)
    else:
        rows_of = partial(tasks, tool=format) if format else None
        n = export(built, output, what=what, lang=lang, rows_of=rows_of, overwrite=overwrite, silent=silent)
    if not silent:
        msg.good(f"{n} rows", str(output))


@shards.command("fuse")
@friendly_errors
def fuse_cli(
    build: Build,
    output: Annotated[Path, typer.Argument(help="Corpus to write (.spacy)", metavar="OUT")],
    lang: Lang = "",
    overwrite: Overwrite = False,
    silent: Silent = False,
) -> None:
    """
    Write each projected sentence behind its annotated source, as one document: what xlt_fused is trained on.

    The annotation of the source's part is missing, so that it is read and not learnt. Sentences that are left out of
    the target documents are left out here, too.
    """
    from ..build.exports import fuse

    n_docs = fuse(_shards(build, output), output, lang=lang, overwrite=overwrite, silent=silent)
    if not silent:
        msg.good(f"{n_docs} sentences", str(output))


def _shards(build: Path, output: Path | None = None) -> BuiltShards:
    from ..build.built import BuiltShards

    existing(build, what="folder")
    check_outputs(output, inputs=[build], may_be_inside=True)
    return BuiltShards(build)


Counts = dict[str, int]
_HEADER = f"{'shard':<8} {'docs':>7} {'sents':>8} {'spans':>8} {'carried':>8} {'lost':>6} {'size':>9}  lost because"


def _show_line(line: dict[str, Any]) -> None:
    missing = sum(size is None for size in line["files"].values())
    notes = [f"{missing} files missing"] if missing else []
    of_spans = _carried(*(line[name] for name in ("spans_in", "spans_projected", "lost_reasons")))
    size = _size(sum(filter(None, line["files"].values())))
    _show_row(line["shard"], line["docs"], line["sentences"], of_spans, size, notes)
    if line.get("links_in") or line.get("links_projected"):
        of_links = _carried(*(line[name] for name in ("links_in", "links_projected", "lost_link_reasons")))
        _show_row("  links", "", "", of_links, "", [])


def _carried(before: Counts, after: Counts, lost: Counts) -> tuple[int, int, int, list[str]]:
    """How many there were, were carried and lost, and why they were lost."""
    reasons = [f"{reason} {n}" for reason, n in sorted(lost.items(), key=lambda item: -item[1])]
    return sum(before.values()), sum(after.values()), sum(lost.values()), reasons


def _show_row(
    name: str, docs: object, sentences: object, carried: tuple[int, int, int, list[str]], size: str, notes: list[str]
) -> None:
    spans, kept, lost, reasons = carried
    text = (
        f"{name:<8} {docs:>7} {sentences:>8} {spans:>8} {kept:>8} {lost:>6} {size:>9}  {', '.join([*notes, *reasons])}"
    )
    echo(text.rstrip() if len(text.rstrip()) <= 80 else f"{text[:79]}…")


def _size(n_bytes: int) -> str:
    if n_bytes < 1024:
        return f"{n_bytes} B"
    power = min(3, (n_bytes.bit_length() - 1) // 10)
    return f"{n_bytes / 1024**power:.1f} {'KMG'[power - 1]}iB"
