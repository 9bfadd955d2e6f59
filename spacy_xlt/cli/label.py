"""`spacy xlt label`: annotate raw text with trained pipelines."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ..device import use_device
from ..errors import XltError, error
from ._app import FORMATS, app, check_outputs, existing, msg, names_in, resumable

# In RAW and OUT: any number of languages, as in the sources of a training
LANG = "{lang}"


class Text(NamedTuple):
    """Text in a language ("" for that of the pipelines), and the folder that its annotation goes to."""

    lang: str
    raw: Path
    output: Path


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
    either: bool = typer.Option(
        False, "--either", help="RAW is projected: what was projected, and what pipelines are sure of, is a label"
    ),
    exclude: list[Path] = typer.Option(
        [], "--exclude", "-x", help="Evaluation set whose sentences are left out; may be given several times"
    ),
    lang: str = typer.Option(
        "", help="Language of the text, or several with commas between; that of the first pipeline if left out"
    ),
    format: str = typer.Option("auto", "--format", "-f", help=FORMATS),
    encoding: str = typer.Option("utf8", help="Encoding of the text"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Annotate raw text with trained pipelines: the surest entities are kept, doubtful words are missing.

    RAW is plain text (.txt), a document a line, or a corpus, whose annotation is not looked at but with --agree or
    --either. OUT gets a source of a training, kind = "self_labelled". Of several pipelines the probabilities are
    averaged. What was interrupted goes on where it stopped when the same command is given again. With "{lang}" in RAW
    and OUT, all languages that are there, or those of --lang, are annotated one after the other; one that fails does
    not stop the others. For example: spacy xlt label PIPELINE "built/{lang}/target" "agreed/{lang}" --agree
    """
    from ..languages import to_spacy
    from ..memory import limit_allocator_caches
    from ..readers import ReadSettings
    from ..readers.files import raw_format
    from ..teaching.label import LabelSettings, label
    from ..teaching.teachers import load_teacher

    if len(paths) < 3:
        raise error(
            "E510", setting="PIPELINE... RAW OUT", value=" ".join(map(str, paths)), expected="three paths or more"
        )
    *pipelines, raw, output = paths
    texts = _texts(raw, output, names_in(lang))
    for path in exclude:
        existing(path, what="evaluation set")
    for text in texts:
        check_outputs(text.output, inputs=[*pipelines, text.raw, *exclude])
    settings = LabelSettings.of(sure=sure, doubtful=doubtful, soft=soft, agree=agree, either=either)
    limit_allocator_caches()
    use_device(gpu_id, silent=silent)
    teacher = load_teacher([str(path) for path in pipelines])

    def annotate(text: Text) -> dict[str, Any]:
        existing(text.raw, what="text")
        form = raw_format(text.raw) if format == "auto" else format
        reading = ReadSettings(format=form, lang=to_spacy(text.lang or teacher.lang), encoding=encoding)
        return label(teacher, text.raw, text.output, settings=settings, reading=reading, exclude=exclude, silent=silent)

    if LANG not in str(raw):
        summary = annotate(texts[0])
        if not silent:
            _show(summary, output)
        return
    summaries: dict[str, dict[str, Any] | XltError] = {}
    for text in texts:
        try:
            summaries[text.lang] = annotate(text)
        except XltError as err:
            summaries[text.lang] = err
            msg.fail(f"{text.lang}: XLT-{err.code}", err.message)
    if not silent:
        _show_table(summaries, two_views=settings.two_views)
    if failed := [name for name, result in summaries.items() if isinstance(result, XltError)]:
        msg.fail(f"{len(failed)} of {len(summaries)} languages failed: {', '.join(failed)}", exits=1)


def _texts(raw: Path, output: Path, langs: list[str]) -> list[Text]:
    """The text of each language.

    Raises:
        XltError: E502 where there is no text, E510 for several languages without a place for them in both paths.
    """
    path = str(raw)
    if LANG not in path:
        if len(langs) > 1:
            expected = f"one language; for several, {LANG} in RAW and OUT"
            raise error("E510", setting="--lang", value=",".join(langs), expected=expected)
        return [Text("".join(langs), existing(raw, what="text"), output)]
    if LANG not in str(output):
        raise error("E510", setting="OUT", value=str(output), expected=f"a folder with {LANG} in its path, as RAW has")
    before, _, after = path.partition(LANG)
    if not langs:
        found = sorted(glob.glob(f"{glob.escape(before)}*{glob.escape(after)}"))
        langs = [name[len(before) : len(name) - len(after)] for name in found]
    if not langs:
        raise error("E502", what="text", path=raw)
    return [Text(lang, *(Path(str(p).replace(LANG, lang)) for p in (raw, output))) for lang in langs]


def _show(summary: dict[str, Any], output: Path) -> None:
    kept, lost = summary["spans_projected"], summary["lost_reasons"]
    labels = ", ".join(f"{name} {n}" for name, n in kept.items()) or "none"
    msg.good(f"{summary['docs']} documents, {summary['sentences']} sentences; entities: {labels}", str(output))
    for title, counts in (("Missing", lost), ("Sentences left out", summary["sentences_dropped"])):
        if any(counts.values()):
            msg.info(f"{title}: " + ", ".join(f"{name} {n}" for name, n in counts.items() if n))
    if summary["docs_failed"]:
        msg.warn(f"{summary['docs_failed']} documents failed and were set aside", summary["failed"][0]["error"])


def _show_table(summaries: dict[str, dict[str, Any] | XltError], *, two_views: bool) -> None:
    from ..teaching.label import BOTH, DOUBTFUL, MISSING, NOT_FOUND, NOT_PROJECTED, ONLY_FOUND, ONLY_PROJECTED

    def row(summary: dict[str, Any] | XltError) -> list[str]:
        if isinstance(summary, XltError):
            return ["failed", f"XLT-{summary.code}"]
        kept, lost = summary["kept"], summary["lost_reasons"]
        numbers = [summary["docs"], sum(summary["spans_projected"].values())]
        if two_views:
            alone = [(ONLY_PROJECTED, NOT_FOUND), (ONLY_FOUND, NOT_PROJECTED)]
            numbers += [kept.get(BOTH, 0), *(kept.get(name, 0) + lost.get(reason, 0) for name, reason in alone)]
        return [str(n) for n in (*numbers, lost.get(DOUBTFUL, 0), kept.get(MISSING, 0))]

    views = [BOTH, ONLY_PROJECTED, ONLY_FOUND] if two_views else []
    header = ["language", "documents", "entities", *views, DOUBTFUL, MISSING]
    rows = [[lang, *row(summary)] for lang, summary in summaries.items()]
    rows = [[*cells, *[""] * (len(header) - len(cells))] for cells in rows]
    msg.table(rows, header=header, aligns=["l", *["r"] * (len(header) - 1)], divider=True)
