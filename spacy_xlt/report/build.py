"""The report of a build: figures as JSON and a page, from what the shards' records say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..build.builder import SUMMARY
from ..build.processing import stage_names
from ..build.sharding import BITEXT, ShardCounts, cache_hit_share
from ..build.shards.records import Records
from ..errors import warn
from ..io import write_bytes, write_json
from ..readers.docbin import read_docs
from ..view.reading import Readable
from .build_page import build_page
from .examples import read_examples
from .figures import FIGURES_FORMAT, RATIO_EDGES, SCORE_BINS, Example, Figures

REPORT_JSON, REPORT_HTML = "report.json", "report.html"


def write_build_report(folder: Path, *, html: Path | None = None, view: Path | None = None) -> dict[str, Any]:
    """Write the report of a build, or of as much of it as is finished.

    What `report.json` says does not depend on when and how fast the build ran, so that a build that was stopped and
    gone on with has the same file. The page also has times and what came from the cache.

    folder (Path): The build folder.
    html (Path | None): Where to write the page; `report.html` in the folder where left out.
    view (Path | None): A page of `spacy xlt view` that examples link to, relative to the report.
    RETURNS (dict[str, Any]): What `report.json` says.
    RAISES (XltError): E580, E581 for what is no build folder.
    """
    records = Records(folder)
    records.check_any()
    header = records.header
    counts, figures = ShardCounts(), Figures()
    first: dict[str, int] = {}
    for record in records:
        counts.add(record.counts)
        first[record.shard] = figures.sentences
        known = record.counts.get("figures")
        if not known or known.get("format") != FIGURES_FORMAT:
            backwards = is_backwards(header.get("config", {}))
            known = _count(folder / record.bitext, record.shard, backwards=backwards)
        figures.merge(known)
    data = figures.to_json()
    report = _report(header, counts, data, finished=(folder / SUMMARY).is_file())
    # Numbers of sentences count on from shard to shard, as the page of `spacy xlt view` counts
    examples = {kind: [_numbered(one, first) for one in kept] for kind, kept in data["examples"].items()}
    timings = {
        "seconds": _in_order(counts.seconds, stage_names(header.get("config", {}).get("pipeline", ()))),
        "sentences": counts.sentences,
        "cache": dict(counts.cache),
        "cache_hit_share": cache_hit_share(counts),
    }
    page = build_page(
        report,
        timings,
        examples,
        read_examples(folder / BITEXT, examples),
        title=folder.resolve().name,
        view=None if view is None else view.as_posix(),
    )
    write_json(folder / REPORT_JSON, report)
    write_bytes(html or folder / REPORT_HTML, page.encode("utf8"))
    return report


def is_backwards(config: Mapping[str, Any]) -> bool:
    """Whether a config's projector takes annotation from the translation to the source."""
    return any(one.get("direction") == "target_to_source" for one in config.get("components", {}).values())


def _count(file: Path, shard: str, *, backwards: bool) -> dict[str, Any]:
    """The figures of a shard that was built without a count."""
    figures, readable = Figures(shard, backwards=backwards), Readable()
    for number, bitext in readable.read(read_docs(file)):
        figures.add(number, bitext)
    if readable.n_failed:
        warn("W581", n=readable.n_failed, path=file, reason=readable.reason)
    return figures.to_json()


def _numbered(example: Example, first: Mapping[str, int]) -> Example:
    shard, sentence = example[-5], example[-1]
    return [*example[:-1], first[shard] + sentence]


def _in_order(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A mapping in the order of the pipeline; the manifest has sorted keys."""
    return {name: values[name] for name in dict.fromkeys([*names, *values]) if name in values}


def _report(
    header: Mapping[str, Any], counts: ShardCounts, figures: Mapping[str, Any], *, finished: bool
) -> dict[str, Any]:
    counted = counts.to_json()
    kept = ("docs", "sentences", "sentences_dropped", "words_unlinked")
    return {
        "format": FIGURES_FORMAT,
        "finished": finished,
        "spacy_xlt": header.get("spacy_xlt", ""),
        "engines": _in_order(header.get("engines", {}), header.get("config", {}).get("pipeline", ())),
        **{key: counted[key] for key in kept},
        "docs_failed": len(counts.failed),
        "failed": [dict(failure) for failure in counts.failed[:20]],
        "score_edges": [n / SCORE_BINS for n in range(SCORE_BINS + 1)],
        "ratio_edges": list(RATIO_EDGES),
        "directions": figures["directions"],
    }
