"""`spacy xlt build --parallel`: the languages of a parallel text, and a table of what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..device import use_device
from ..errors import error
from ._app import check_outputs, msg

if TYPE_CHECKING:
    from spacy.language import Language

    from ..build.parallel import LanguageBuild


def build_languages(
    config_path: Path,
    inputs: Sequence[Path],
    output: Path,
    make_pipeline: Callable[[Mapping[str, Any]], Language],
    *,
    find: dict[str, Any],
    build: dict[str, Any],
    workers: dict[str, Any],
    report: bool,
) -> None:
    """Build all languages, and exit with 1 where one failed.

    Args:
        config_path: The config.
        inputs: The parallel text; see `find_parallel`.
        output: The folder of the languages' folders.
        make_pipeline: Makes the config's pipeline, with some settings more.
        find: The other arguments of `find_parallel`.
        build: The settings of `build`.
        workers: Those of `make_workers`.
        report: Write a report for each language.
    """
    from spacy.cli._util import import_code

    from ..build.parallel import ParallelBuilder
    from ..build.parallel_files import find_parallel
    from ..build.workers import make_workers
    from ..memory import limit_allocator_caches

    if len(inputs) > 2:
        raise error("E510", setting="INPUT", value=" ".join(map(str, inputs)), expected="one path, or SRC and TGT")
    check_outputs(output, inputs=[config_path, *inputs, workers["code"]])
    import_code(workers["code"])
    if workers["workers"] == 0 and workers["executor"] == "local":
        limit_allocator_caches()
        use_device(workers["gpu_id"], silent=build["silent"])

    builder = ParallelBuilder(make_pipeline, output, lambda nlp: make_workers(nlp, **workers), build)
    find["source"] = find["source"] or builder.source_lang
    texts = find_parallel(inputs, **find)
    results = []
    for result in builder.run(texts):
        results.append(result)
        if result.failure is not None:
            msg.fail(f"{result.target}: XLT-{result.failure.code}", result.failure.message)
        elif report:
            report_on(result.folder)
    if not build["silent"]:
        _show(results, output)
    if failed := [result.target for result in results if result.failure is not None]:
        msg.fail(f"{len(failed)} of {len(results)} languages failed: {', '.join(failed)}", exits=1)


def report_on(folder: Path) -> Path:
    """Write the report of a build, unless it has one since its last shard. Returns the page."""
    from ..build.manifest import FILE_NAME
    from ..report.build import REPORT_HTML, write_build_report

    page, manifest = folder / REPORT_HTML, folder / FILE_NAME
    if not page.is_file() or page.stat().st_mtime_ns < manifest.stat().st_mtime_ns:
        write_build_report(folder)
    return page


def _show(results: Iterable[LanguageBuild], output: Path) -> None:
    header = ("language", "lines", "kept", "entities", "lost", "mean score", "left out")
    rows = [_row(result) for result in results]
    n_built = sum(row[2] != "failed" for row in rows)
    msg.good(f"{n_built} languages", str(output))
    msg.table(rows, header=header, aligns=("l", "r", "r", "r", "r", "r", "l"), divider=True)


def _row(result: LanguageBuild) -> tuple[str, ...]:
    left_out = ", ".join(f"{name} {n}" for name, n in result.left_out.items())
    if result.failure is not None:
        return result.target, str(result.n_lines or ""), "failed", "", "", "", f"XLT-{result.failure.code}"
    kept, spans = result.summary["kept"], result.summary["kept"].get("spans", 0)
    return (
        result.target,
        str(result.n_lines),
        str(kept.get("sentences", 0)),
        str(spans),
        str(result.summary["spans_lost"]),
        f"{kept['score'] / spans:.2f}" if spans else "",
        left_out,
    )
