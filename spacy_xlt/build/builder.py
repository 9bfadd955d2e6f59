"""Building a projected corpus: documents through a pipeline, shard by shard, into a folder that can be gone on with."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from spacy.language import Language
from tqdm import tqdm

from .. import __version__
from ..config import component_config
from ..errors import error, warn
from ..io import inside, lock_folder, remove_leftovers, write_bytes, write_json
from ..languages import MULTI
from ..probabilities import assigned
from ..readers import ReadSettings
from ..readers.settings import lines_named
from .manifest import Manifest, check_folder, file_in, read_header
from .shard import BITEXT, READ, Corrections, Shard, ShardCounts, ShardProcessor, ShardResult, shard_name
from .source import BuildInput, DocInput, plain
from .workers import WorkerPool

SUMMARY = "summary.json"
# What a component of the pipeline may add that can be projected
_ANNOTATION = frozenset({"doc.ents", "doc.spans", "doc.cats"})


def build(
    nlp: Language,
    source: str | Path | DocInput,
    output: str | Path,
    *,
    docs_per_shard: int = 200,
    workers: WorkerPool | None = None,
    process: Callable[[Shard], ShardResult] | None = None,
    made_from: Mapping[str, Any] | None = None,
    corrections: Corrections | None = None,
    reading: ReadSettings | None = None,
    skip_corrupt: bool = False,
    wait: bool = False,
    silent: bool = True,
    title: str = "build",
) -> dict[str, Any]:
    """Take a corpus through a pipeline of xlt components and write bitexts and target documents.

    A build that was stopped goes on where it was, and ends with the same files.

    Args:
        nlp: The pipeline.
        source: A corpus: a file of any known format or a folder of them; or documents.
        output: The build folder: new, empty, or one of the same config and input to go on with.
        docs_per_shard: Documents in an output file. What is done again after a kill is at most the shards that were
            being processed.
        workers: What processes the shards; this process if left out. They are closed.
        process: What this process does with each shard, if it is not to take the documents through the pipeline.
        made_from: What else the output depends on, as plain data; a build of another one is not gone on with.
        corrections: Reviewed sentences take the place of the projected ones. The workers must have them, too.
        reading: How the input is read; by its file names, in the language of the translator, if left out.
        skip_corrupt: Leave out an input file that cannot be read, with a warning, instead of stopping.
        wait: Wait while another process builds in the folder, instead of raising E571.
        silent: No bar.
        title: Of the bar.

    Returns:
        The summary, which is also in `summary.json`.

    Raises:
        XltError: E502, E503, E504 and those of `read_file` for the input; E507 if it has nothing to project; E505 and
            E506 if the output folder holds something else; E571 if another process builds there; E508 if not a single
            document could be processed.
    """
    output = Path(output)
    if docs_per_shard < 1:
        raise error("E510", setting="--docs-per-shard", value=docs_per_shard, expected="a number from 1")
    check_folder(output)
    corpus: BuildInput | DocInput
    if isinstance(source, DocInput):
        corpus = source
    else:
        reading = reading or ReadSettings(lang=source_language(nlp))
        before = read_header(output)
        corpus = BuildInput.scan(Path(source), reading, before=before, skip_corrupt=skip_corrupt, silent=silent)
    check_input(nlp, corpus)
    with lock_folder(output, wait=wait):
        manifest = Manifest(output, {**_header(nlp, corpus, docs_per_shard, corrections), **(made_from or {})})
        if corrections is not None and not manifest.records:
            # Later they fit, as they did when the build began
            corrections.check_sources(corpus.docs(), corpus.path)
        manifest.open()
        remove_leftovers(output)
        names = [shard_name(number) for number in range(-(-corpus.n_docs // docs_per_shard))]
        to_do = {number: name for number, name in enumerate(names) if not manifest.is_finished(name)}
        total = _sum(manifest, (name for number, name in enumerate(names) if number not in to_do))
        run = workers.run if workers else partial(map, process or ShardProcessor(nlp, corrections=corrections))
        with _progress_bar(corpus.n_docs, total.docs, title=title, silent=silent) as bar, workers or nullcontext():
            for result in run(corpus.shards(docs_per_shard, to_do)) if to_do else ():
                _store(result, manifest)
                total.add(result.counts)
                bar.set_postfix(_shown(total), refresh=False)
                bar.update(result.counts["docs"])
        return _finish(nlp, manifest, names, corrections)


def source_language(nlp: Language) -> str:
    """The language that a pipeline translates from; its own if it has no translator."""
    languages = (getattr(pipe, "source", None) for _, pipe in nlp.pipeline)
    return next((lang for lang in languages if isinstance(lang, str)), nlp.lang or MULTI)


def reuse_translations(nlp: Language, source: Path) -> Path | None:
    """Have a pipeline work on the translations of an earlier build, if that is what its input is.

    Args:
        nlp: The pipeline, from which translators are removed.
        source: The input.

    Returns:
        The folder of the translated documents; None where the input is no build folder.
    """
    if not read_header(source):
        return None
    for name in nlp.pipe_names:
        if nlp.get_pipe_meta(name).factory == "xlt_translator":
            nlp.remove_pipe(name)
    return source / BITEXT


def check_input(nlp: Language, corpus: BuildInput | DocInput) -> None:
    """Raise E503 for a corpus without documents, E507 for one in which nothing is to be projected."""
    if not corpus.n_docs:
        raise error("E503", path=corpus.path)
    projects = any(getattr(pipe, "direction", "") == "source_to_target" for _, pipe in nlp.pipeline)
    annotates = any(_ANNOTATION & assigned(nlp, name) for name in nlp.pipe_names)
    if projects and not annotates and not corpus.is_annotated:
        raise error("E507", path=corpus.path, n=corpus.n_docs)


def _header(
    nlp: Language, corpus: BuildInput | DocInput, docs_per_shard: int, corrections: Corrections | None
) -> dict[str, Any]:
    header = {
        "spacy_xlt": __version__,
        "docs_per_shard": docs_per_shard,
        "config": component_config(nlp),
        "input": corpus.known,
        "reading": plain(corpus.reading),
        "engines": {name: getattr(pipe, "signature", "") for name, pipe in nlp.pipeline},
        **({} if corrections is None else {"corrections": corrections.digest}),
    }
    as_read: dict[str, Any] = json.loads(json.dumps(header))
    return as_read


def lines_left_out(header: Mapping[str, Any]) -> dict[str, int]:
    """The lines of the input that are no documents, by their answer."""
    counts = Counter[str]()
    for file in header.get("input", {}).values():
        counts.update(file.get("lines_left_out", {}))
    return dict(sorted(counts.items()))


def _store(result: ShardResult, manifest: Manifest) -> None:
    """Write a shard's files, and only then the line that says that they are there."""
    for name, data in result.files.items():
        write_bytes(file_in(manifest.path.parent, name), data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in result.files.items()}
    manifest.add(result.shard, digests, result.counts)


def _progress_bar(n_docs: int, n_finished: int, *, title: str, silent: bool) -> tqdm:
    # A file gets a line each time, so rarely
    seconds = 0.2 if sys.stderr.isatty() else 60.0
    return tqdm(
        total=n_docs,
        initial=n_finished,
        unit="doc",
        desc=title,
        disable=silent,
        mininterval=seconds,
        maxinterval=seconds,
    )


def _shown(total: ShardCounts) -> dict[str, Any]:
    """What the bar shows beside documents and time."""
    shown = {"spans": total.spans_projected.total(), "lost": total.lost_reasons.total()}
    more = {"cached": f"{total.cache_hit_share:.0%}" if total.cache["hits"] else "", "failed": len(total.failed)}
    return {**shown, **{name: value for name, value in more.items() if value}}


def _sum(manifest: Manifest, names: Iterable[str]) -> ShardCounts:
    total = ShardCounts()
    for name in names:
        total.add(manifest.records[name])
    return total


def _finish(nlp: Language, manifest: Manifest, names: list[str], corrections: Corrections | None) -> dict[str, Any]:
    total = _sum(manifest, names)
    if len(total.failed) == total.docs:
        raise error("E508", n=total.docs, reason=total.failed[0]["error"])
    if corrections is not None and (lines := corrections.left_over(total.corrected)):
        n, path = len(lines), corrections.path
        warn("W561", n=n, total=n + len(total.corrected), path=path, lines=lines_named(lines))
    stages = dict.fromkeys((READ, *nlp.pipe_names, *sorted(total.seconds)))
    seconds = {name: round(total.seconds[name], 2) for name in stages if name in total.seconds}
    inputs = manifest.header["input"].items()
    left_out = [name for name, file in inputs if "left_out" in file]
    left_out += [f"{name}: {text}" for name, file in inputs for text in file.get("texts_left_out", ())]
    summary = {
        "signature": " | ".join(f"{name}={engine}" for name, engine in manifest.header["engines"].items()),
        **{key: value for key, value in total.to_json().items() if key not in ("failed", "seconds", "corrected")},
        **({} if corrections is None else {"sentences_reviewed": len(total.corrected)}),
        **({"inputs_left_out": left_out} if left_out else {}),
        **({"lines_left_out": not_read} if (not_read := lines_left_out(manifest.header)) else {}),
        "spans_lost": sum(total.lost_reasons.values()),
        "links_lost": sum(total.lost_link_reasons.values()),
        "docs_failed": len(total.failed),
        "failed": total.failed[:20],
        "cache_hit_share": total.cache_hit_share,
        "seconds": seconds,
        "sentences_per_second": {name: round(total.sentences / s, 1) for name, s in seconds.items() if s},
    }
    write_json(inside(manifest.path.parent, SUMMARY), summary)
    return summary
