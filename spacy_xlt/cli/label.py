"""`spacy xlt label`: annotate raw text with trained pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..device import use_device
from ..errors import error
from ._app import FORMATS, app, check_outputs, existing, msg, resumable


@app.command("label")
@resumable
def label_cli(
    paths: list[Path] = typer.Argument(
        ..., help="Trained pipelines, raw text, and a folder to write to", metavar="PIPELINE... RAW OUT"
    ),
    sure: float | None = typer.Option(
        None, help="Least probability of an entity that is kept; 0.9, or 0.5 with --agree", show_default=False
    ),
    doubtful: float | None = typer.Option(
        None, help="Least probability of a word to be in an entity at which it is missing; 1 - sure", show_default=False
    ),
    soft: bool = typer.Option(False, "--soft", help="Also store the probabilities of tags, to be learnt by xlt_ner"),
    agree: bool = typer.Option(
        False, "--agree", help="RAW is projected (BUILT/target): what pipelines find there, too, is a label"
    ),
    exclude: list[Path] = typer.Option(
        [], "--exclude", "-x", help="Evaluation set whose sentences are left out; may be given several times"
    ),
    lang: str = typer.Option("", help="Language of the text; that of the first pipeline if left out"),
    format: str = typer.Option("auto", "--format", "-f", help=FORMATS),
    encoding: str = typer.Option("utf8", help="Encoding of the text"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Annotate raw text with trained pipelines: the surest entities are kept, doubtful words are missing.

    RAW is plain text (.txt), a document a line, or a corpus, whose annotation is not looked at but with --agree. OUT
    gets a source of a training, kind = "self_labelled". Of several pipelines the probabilities are averaged. What was
    interrupted goes on where it stopped when the same command is given again.
    """
    from ..languages import to_spacy
    from ..memory import limit_allocator_caches
    from ..readers import ReadSettings
    from ..teaching.label import LabelSettings, label, raw_format
    from ..teaching.teachers import load_teacher

    if len(paths) < 3:
        raise error(
            "E510", setting="PIPELINE... RAW OUT", value=" ".join(map(str, paths)), expected="three paths or more"
        )
    *pipelines, raw, output = paths
    existing(raw, what="text")
    for path in exclude:
        existing(path, what="evaluation set")
    check_outputs(output, inputs=[*pipelines, raw, *exclude])
    settings = LabelSettings.of(sure=sure, doubtful=doubtful, soft=soft, agree=agree)
    format = raw_format(raw) if format == "auto" else format
    limit_allocator_caches()
    use_device(gpu_id, silent=silent)
    teacher = load_teacher([str(path) for path in pipelines])
    reading = ReadSettings(format=format, lang=to_spacy(lang or teacher.lang), encoding=encoding)
    summary = label(teacher, raw, output, settings=settings, reading=reading, exclude=exclude, silent=silent)
    if not silent:
        _show(summary, output)


def _show(summary: dict[str, Any], output: Path) -> None:
    kept, lost = summary["spans_projected"], summary["lost_reasons"]
    labels = ", ".join(f"{name} {n}" for name, n in kept.items()) or "none"
    msg.good(f"{summary['docs']} documents, {summary['sentences']} sentences; entities: {labels}", str(output))
    for title, counts in (("Missing", lost), ("Sentences left out", summary["sentences_dropped"])):
        if any(counts.values()):
            msg.info(f"{title}: " + ", ".join(f"{name} {n}" for name, n in counts.items() if n))
    if summary["docs_failed"]:
        msg.warn(f"{summary['docs_failed']} documents failed and were set aside", summary["failed"][0]["error"])
